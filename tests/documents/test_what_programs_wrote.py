"""What programs wrote for programs is left out, and what only looks like it is not."""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path

import pytest

from retrieval.documents import WalkOptions, discover
from retrieval.documents.walk.machine import LOCK_FILES, reason_by_content

from .test_walk import ids, plant

SENTENCE = "the value of a setting is read when node starts and may be changed while it runs"


def prose(seed: int, words: int) -> str:
    choose = random.Random(seed)
    return " ".join(choose.choices(SENTENCE.split(), k=words))


def packed(seed: int, statements: int) -> str:
    """Code on one line as a minifier leaves it."""
    choose = random.Random(seed)

    def name() -> str:
        return "".join(choose.choices("abcdefghijk", k=choose.randint(1, 3)))

    return "".join(
        f"function {name()}({name()},{name()}){{var {name()}={name()}[{n}]||{name()};return"
        f"{name()}.{name()}({n})}}"
        for n in range(statements)
    )


def written(functions: int) -> str:
    return "".join(
        f"export function part{n}(value, limit) {{\n  // {prose(n, 9)}\n"
        f"  if (value > limit) {{\n    return limit;\n  }}\n  return value;\n}}\n\n"
        for n in range(functions)
    )


def encoded(seed: int, size: int, width: int = 76) -> str:
    text = base64.b64encode(random.Random(seed).randbytes(size)).decode()
    return "\n".join(text[at : at + width] for at in range(0, len(text), width)) + "\n"


FOLDERS = [
    ("environment", "env/pyvenv.cfg", "env/lib/a.py"),
    ("environment", "conda/conda-meta/history", "conda/lib/a.py"),
    ("environment", "old/bin/activate", "old/lib/a.py"),
    ("dependencies", "package.json", "node_modules/x/a.js"),
    ("dependencies", "go.mod", "vendor/modules.txt", "vendor/example.com/x/a.go"),
    ("dependencies", "vendor/autoload.php", "vendor/composer/installed.json", "vendor/x/a.php"),
    ("dependencies", "pip/_vendor/vendor.txt", "pip/_vendor/x/a.py"),
    ("dependencies", "vendor/x-1.0/.cargo-checksum.json", "vendor/x-1.0/src/a.rs"),
    ("dependencies", "vendor/bundle/ruby/3.2.0/gems/x/a.rb"),
    ("dependencies", "lib/python3.11/site-packages/x/a.py"),
    ("dependencies", "Podfile", "Pods/X/a.m"),
    ("dependencies", "bower_components/x/a.js"),
    ("dependencies", "mix.exs", "deps/x/a.ex"),
    ("build", "a.py", "__pycache__/a.txt"),
    ("build", "Cargo.toml", "target/debug/build/x/out/a.rs"),
    ("build", "crate/Cargo.toml", "crate/target/a.d"),
    ("build", "pom.xml", "target/classes/a.properties"),
    ("build", "build.gradle.kts", "build/generated/a.java"),
    ("build", "setup.py", "build/lib/x/a.py"),
    ("build", "pyproject.toml", "build/bdist.linux-x86_64/a.txt"),
    ("build", "x.egg-info/PKG-INFO", "x.egg-info/SOURCES.txt"),
    ("build", "cmake/CMakeCache.txt", "cmake/a.cmake"),
    ("build", "meson/meson-private/a.txt", "meson/compile_commands.json"),
    ("build", "App.csproj", "obj/project.assets.json", "obj/a.cs"),
    ("build", "App.csproj", "bin/Debug/a.json"),
    ("build", "docs/conf.py", "docs/_build/html/a.html"),
    ("build", "mkdocs.yml", "site/a.html"),
    ("build", "coverage/lcov-report/a.html", "coverage/lcov.info"),
    ("build", "htmlcov/index.html", "htmlcov/a.html"),
    ("build", "MODULE.bazel", "bazel-bin/a.txt"),
    (
        "version control",
        "mirror.git/HEAD",
        "mirror.git/objects/a",
        "mirror.git/refs/b",
        "mirror.git/config",
    ),
    ("version control", "CVS/Entries", "CVS/Root"),
    ("version control", ".hg/a.txt"),
]


@pytest.mark.parametrize("case", FOLDERS, ids=lambda case: case[-1])
def test_folders_are_told_by_what_marks_them(tmp_path: Path, case: tuple[str, ...]) -> None:
    reason, *files = case
    plant(tmp_path, {"src/a.md": "x", **dict.fromkeys(files, "x")})
    found = discover([tmp_path], tmp_path)
    assert files[-1] not in ids(found)
    assert reason in found.skipped
    assert "src/a.md" in ids(found)
    # A way in: named as a path, and as what to include.
    folder = next(one.examples[0] for one in found.left_out[reason].values())
    assert ids(discover([tmp_path / folder], tmp_path))
    inside = discover([tmp_path], tmp_path, options=WalkOptions(include=("**", ".hg")))
    assert files[-1] in ids(inside)


@pytest.mark.parametrize(
    "files",
    [
        ["vendor/contacts.md"],
        ["build/guide.md", "package.json"],
        ["build/a.py", "pyproject.toml"],
        ["target/customers.md"],
        ["bin/run.sh", "lib/a.sh"],
        ["site/plan.md"],
        ["deps/a.c", "Makefile"],
        ["coverage/policy.md"],
        ["env/production.md"],
        ["dist/a.js", "package.json"],
        ["lib/a.js", "package.json"],
        ["project/CMakeLists.txt", "project/CMakeCache.txt", "project/a.c"],
        ["objects/a.md", "refs/b.md", "HEAD"],
        ["public/index.md", "config.toml"],
        ["tagged/CACHEDIR.TAG", "tagged/a.md"],
    ],
    ids=lambda files: files[0],
)
def test_a_name_alone_leaves_no_folder_out(tmp_path: Path, files: list[str]) -> None:
    plant(tmp_path, dict.fromkeys(files, "x"))
    assert ids(discover([tmp_path], tmp_path)) == sorted(files)


def test_a_cache_that_is_tagged_as_one_is_left_out(tmp_path: Path) -> None:
    tag = "Signature: 8a477f597d28d172789f06886806bc55\n# made by x\n"
    plant(tmp_path, {"kept/CACHEDIR.TAG": tag, "kept/a.md": "x", "b.md": "x"})
    found = discover([tmp_path], tmp_path)
    assert ids(found) == ["b.md"]
    assert found.skipped == {"build": 1}


@pytest.mark.parametrize(
    "built",
    [
        {"dist/a.js": written(3), "dist/a.js.map": "{}"},
        {"dist/a.js": written(3), "dist/a.d.ts": "export declare function a(): void;\n"},
        {"dist/a.js": packed(1, 50), "dist/b.css": ".a{b:c}" * 200},
        {"dist/assets/a.js": packed(1, 50), "dist/index.html": "<p>x"},
    ],
)
def test_dist_is_left_out_if_what_it_holds_was_built(tmp_path: Path, built: dict[str, str]) -> None:
    plant(tmp_path, {"package.json": "{}", "src/a.js": written(3), **built})
    found = discover([tmp_path], tmp_path)
    assert ids(found) == ["package.json", "src/a.js"]
    assert found.skipped == {"build": 1}


def test_lock_files_are_left_out_by_their_names_unless_they_are_named(tmp_path: Path) -> None:
    names = ["Package-Lock.json", "go.sum", "pylock.dev.toml", "sub/Cargo.lock", "uv.lock"]
    plant(tmp_path, {**dict.fromkeys(names, "x"), "lock.md": "x", "package.json": "{}"})
    found = discover([tmp_path], tmp_path)
    assert ids(found) == ["lock.md", "package.json"]
    assert found.skipped == {"lock file": 5}
    assert ids(discover([tmp_path / "go.sum"], tmp_path)) == ["go.sum"]
    wanted = WalkOptions(include=("*.lock",))
    assert "sub/Cargo.lock" in ids(discover([tmp_path], tmp_path, options=wanted))
    assert {"yarn.lock", "pnpm-lock.yaml", "poetry.lock", "gemfile.lock"} <= LOCK_FILES


def test_what_an_office_program_keeps_beside_an_open_file_is_left_out(tmp_path: Path) -> None:
    plant(tmp_path, {"~$letter.docx": "\x03Ada", "~letter.md": "x", "letter~$.md": "x"})
    found = discover([tmp_path], tmp_path)
    assert ids(found) == ["letter~$.md", "~letter.md"]
    assert found.skipped == {"lock file": 1}


LICENCE = "/*!\n" + "".join(f" * {prose(n, 10)}\n" for n in range(20)) + " */\n"

MADE = [
    ("bundle.js", packed(2, 500), "minified"),
    ("small.js", packed(3, 12), "minified"),
    ("licensed.js", LICENCE + packed(4, 40), "minified"),
    ("after.js", "/*! one line */" + packed(5, 40), "minified"),
    ("wrapped.js", "\n".join(packed(n, 8) for n in range(60)), "minified"),
    ("a.css", "".join(f".c{n}{{margin:{n}px 0;color:#{n:03}}}" for n in range(200)), "minified"),
    ("a.php", "<?php\n" + packed(6, 100), "minified"),
    (
        "packer.js",
        "eval(function(p,a,c,k,e,d){while(c--){p=1}return p}('0 1',2,2,''.split('|')))",
        "minified",
    ),
    (
        "obfuscated.js",
        "".join(f"var _0x{n:04x} = _0x{n + 1:04x}(0x{n:x});\n" for n in range(50)),
        "minified",
    ),
    ("app.min.js", written(2), "minified"),
    ("app-min.css", ".a { b: c }\n", "minified"),
    ("app.js.map", "{}", "source map"),
    ("a.map", json.dumps({"version": 3, "sources": ["a.js"], "mappings": "AAAA;"}), "source map"),
    ("compiled.js", written(3) + "//# sourceMappingURL=compiled.js.map\n", "generated"),
    ("long.js", written(900) + "//# sourceMappingURL=long.js.map\n", "generated"),
    ("a.scss.css", ".a { b: c; }\n/*# sourceMappingURL=a.css.map */", "generated"),
    (
        "cjs.js",
        '"use strict";\nObject.defineProperty(exports, "__esModule", { value: true });\n',
        "generated",
    ),
    ("bundle.mjs", "/******/ (() => { // webpackBootstrap\n/******/ \tvar a = 1;\n", "generated"),
    ("a.pb.go", "// Code generated by protoc-gen-go. DO NOT EDIT.\n\npackage a\n", "generated"),
    (
        "licensed.go",
        "// Copyright\n// all rights\n\n// Code generated by x; DO NOT EDIT.\n\npackage a",
        "generated",
    ),
    (
        "a_pb2.py",
        "# -*- coding: utf-8 -*-\n# Generated by the protocol buffer compiler.  DO NOT EDIT!\n",
        "generated",
    ),
    (
        "a.cs",
        "//------------\n// <auto-generated>\n//     This code was generated by a tool.\n",
        "generated",
    ),
    ("b.cs", "// <autogenerated />\nnamespace A { }\n", "generated"),
    (
        "relay.ts",
        "/**\n * @generated SignedSource<<0123abcd>>\n */\n\nexport type A = 1;\n",
        "generated",
    ),
    ("prost.rs", "// This file is @generated by prost-build.\nfn a() {}\n", "generated"),
    (
        "a.thrift.py",
        "#\n# Autogenerated by Thrift Compiler (0.20.0)\n#\n# DO NOT EDIT UNLESS YOU\n",
        "generated",
    ),
    ("a.dart", "// GENERATED CODE - DO NOT MODIFY BY HAND\n\npart of 'a.dart';\n", "generated"),
    (
        "swig.c",
        "/* ----\n * This file was automatically generated by SWIG (https://swig.org).\n */\n",
        "generated",
    ),
    ("a.c", "/* A Bison parser, made by GNU Bison 3.8.2.  */\n", "generated"),
    ("configure", "#! /bin/sh\n# Guess values.\n# Generated by GNU Autoconf 2.71.\n", "generated"),
    ("Lexer.java", "// Generated from A.g4 by ANTLR 4.13.1\npackage a;\n", "generated"),
    ("crd.yaml", "# This file is auto-generated. Do not edit.\nkind: A\n", "generated"),
    (
        "a.xml",
        "<?xml version='1.0'?>\n<!-- Auto-generated file, do not edit -->\n<a/>\n",
        "generated",
    ),
    (
        "a.php",
        "<?php\n\n/* This file has been generated by x.\n   Do not change it. */\n",
        "generated",
    ),
    (
        "requirements.txt",
        "#\n# This file is autogenerated by pip-compile with Python 3.12\n#\na==1\n",
        "generated",
    ),
    (
        "a.test.js.snap",
        "// Jest Snapshot v1, https://goo.gl/fbAQLP\n\nexports[`a`] = `b`;\n",
        "generated",
    ),
    (
        "key.pem",
        "-----BEGIN CERTIFICATE-----\n" + encoded(1, 1200, 64) + "-----END CERTIFICATE-----\n",
        "encoded",
    ),
    ("picture.txt", encoded(2, 9000), "encoded"),
    ("firmware.txt", random.Random(6).randbytes(9000).hex(), "encoded"),
    ("DUMP.c", f'char dump[] = "{random.Random(7).randbytes(9000).hex().upper()}";\n', "minified"),
    (
        "a.pb.swift",
        "// DO NOT EDIT.\n// swift-format-ignore-file\n//\n"
        "// Generated by the Swift generator plugin for the protocol buffer compiler.\n",
        "generated",
    ),
    ("logo.js", 'export default "' + encoded(3, 9000, 10**6).strip() + '";\n', "minified"),
    ("logo.go", "package a\n\nconst logo = `\n" + encoded(4, 9000) + "`\n", "encoded"),
    (
        "tokenizer.json",
        json.dumps({"version": "1.0", "truncation": None, "padding": None, "model": {}}, indent=1),
        "vocabulary",
    ),
    ("vocab.json", json.dumps({f'"{n}\\': n for n in range(300)}), "vocabulary"),
    (
        "merges.txt",
        "#version: 0.2\n" + "".join(f"\u0120{n} t{n}\n" for n in range(300)),
        "vocabulary",
    ),
    (
        "vocab.txt",
        "\n".join(["[PAD]", "[UNK]", *(f"word{n}" for n in range(300)), "##s", ""]),
        "vocabulary",
    ),
    (
        "fb374d41",
        "".join(f"{base64.b64encode(str(n).encode()).decode()} {n}\n" for n in range(300)),
        "vocabulary",
    ),
    (
        "spiece.vocab",
        "<unk>\t0\n<s>\t0\n</s>\t0\n" + "".join(f"\u2581w{n}\t-{n}.5\n" for n in range(300)),
        "vocabulary",
    ),
]


@pytest.mark.parametrize(("name", "text", "reason"), MADE, ids=lambda value: str(value)[:20])
def test_what_a_program_made_is_left_out_unless_it_is_asked_for(
    tmp_path: Path, name: str, text: str, reason: str
) -> None:
    plant(tmp_path, {name: text, "a.md": "x"})
    found = discover([tmp_path], tmp_path)
    assert ids(found) == ["a.md"]
    assert found.skipped == {reason: 1}
    assert ids(discover([tmp_path / name], tmp_path)) == [name]
    assert name in ids(discover([tmp_path], tmp_path, options=WalkOptions(include=(name,))))


TABLE = "\n".join(",".join(f"{n * k:x}" for k in range(60)) for n in range(200))
KEPT = [
    ("long.md", "# Title\n\n" + prose(1, 4000)),
    ("long.txt", prose(2, 4000)),
    ("one-line.html", f"<html><body><p>{prose(3, 3000)}</p></body></html>"),
    ("packed.html", "<html><body><script>" + packed(1, 300) + "</script><p>text</p></body></html>"),
    ("a.csv", TABLE),
    ("a.tsv", TABLE.replace(",", "\t")),
    ("a.jsonl", "\n".join(json.dumps({"text": prose(n, 900)}) for n in range(9))),
    ("ids.json", json.dumps({f"name{n}": n * 3 for n in range(300)})),
    ("vocab.txt", "\n".join(["[PAD]", *(f"word{n}" for n in range(300)), ""])),
    ("list.txt", "".join(f"word {n * 2}\n" for n in range(300))),
    ("versions.txt", "#version: 0.2\n" + prose(4, 3000)),
    ("a.vocab", "".join(f"word{n}\tWort{n}\n" for n in range(300))),
    ("a.json", json.dumps([{"id": n, "v": [n] * 9} for n in range(900)], separators=(",", ":"))),
    ("a.xml", "<a>" + "".join(f"<b c='{n}'>{n}</b>" for n in range(2000)) + "</a>"),
    ("a.sql", "INSERT INTO a VALUES " + ",".join(f"({n},'x{n}')" for n in range(3000)) + ";\n"),
    ("a.yaml", "a: [" + ",".join(map(str, range(3000))) + "]\n"),
    (
        "strings.js",
        "export const text = {\n"
        + "".join(f'  key{n}: "{prose(n, 90)}",\n' for n in range(40))
        + "};\n",
    ),
    ("written.js", written(400)),
    ("one-long.js", written(60) + f'const icon = "{encoded(9, 1500, 10**6).strip()}";\n'),
    ("short.js", 'module.exports=require("./lib/index.js");'),
    ("a.ts", "/* eslint-disable */\n" + written(20)),
    ("writer.go", "package a\n\nconst head = `\n// Code generated by x. DO NOT EDIT.\n`\n"),
    ("writer.py", 'import x\n\nHEAD = """\n# This file was generated by x. Do not edit.\n"""\n'),
    ("reader.js", written(1) + "// @generated files are passed over here\n" + written(2)),
    ("about.py", '"""Reads code that was generated by the compiler, and keeps what it can."""\n'),
    ("ids.py", "# Automatically generated ids are unique here; see below.\nx = 1\n"),
    ("entity.java", "package a;\n\n@GeneratedValue\nclass A {}\n"),
    ("0002_auto.py", "# Generated by Django 5.1 on 2025-01-01 10:00\n\nclass Migration: pass\n"),
    ("generated.md", "<!-- Code generated by x. DO NOT EDIT. -->\n# Reference\n"),
    ("maps.js", written(2) + "const url = '//# sourceMappingURL=' + name;\n" + written(1)),
    ("linker.map", "Memory map of the program\n\n.text 0x1000\n"),
    (
        "export.md",
        "# Report\n\n"
        + prose(4, 300)
        + f"\n\n[image1]: <data:image/png;base64,{encoded(5, 30000, 10**6)}>",
    ),
    ("study.ipynb", json.dumps({"cells": [{"outputs": encoded(6, 60000, 10**6)}]})),
    ("mail.eml", "From: a\nSubject: b\n\n" + encoded(7, 9000)),
    ("pi.txt", "".join(random.Random(8).choices("0123456789", k=9000))),
    ("care.py", "# Do not edit while the job runs.\n# Reports that it reads are generated by x.\n"),
    ("genome.fasta", ">seq\n" + "\n".join("ACGTTGCA" * 9 for _ in range(99))),
    ("sums.txt", "\n".join(f"{n:064x}  file{n}.bin" for n in range(99))),
    (
        "urls.txt",
        "\n".join(
            f"https://example.org/a-long/path/to/some-page-about/things/{n}" for n in range(99)
        ),
    ),
    ("token.env.md", "TOKEN=" + encoded(8, 90, 200)),
    ("requirements-dev.txt", "# for development\npytest\n"),
]


@pytest.mark.parametrize(("name", "text"), KEPT, ids=lambda value: str(value)[:20])
def test_what_only_looks_machine_made_is_read(tmp_path: Path, name: str, text: str) -> None:
    plant(tmp_path, {name: text})
    found = discover([tmp_path], tmp_path)
    assert ids(found) == [name]


@pytest.mark.parametrize("name", ["a.js", "a.py", "a.css", "a.txt", "a.map", "a.xml", "configure"])
def test_any_bytes_are_judged_without_a_fault(name: str) -> None:
    choose = random.Random(name)
    pieces = [
        b"/*",
        b"*/",
        b"//",
        b"#",
        b'"""',
        b"<!--",
        b"generated by ",
        b"do not edit",
        b"\n",
        b"@generated",
        b" " * 300,
        b"x" * 300,
        b"\xff",
        b"--[[",
        b"=",
        b"{",
        b"_0xabcd",
    ]
    for _ in range(300):
        data = b"".join(choose.choices(pieces, k=choose.randint(0, 60)))
        reason_by_content(name, data, data[-50:])


@pytest.mark.parametrize(
    "piece", [b"generated by ", b"code generated ", b"a" * 59 + b" ", b'{"a":']
)
def test_hostile_content_is_judged_in_time(piece: bytes) -> None:
    """Searches that begin anew at every place would take minutes here."""
    for name in ("a.js", "a.py", "a.txt", "a.map", "a.xml"):
        assert reason_by_content(name, (b"# " + piece * 20_000)[: 64 * 1024]) in (None, "minified")


def test_a_link_to_a_dependency_folder_is_one(tmp_path: Path) -> None:
    plant(tmp_path, {"elsewhere/x/a.js": "x", "base/a.md": "x"})
    (tmp_path / "base/node_modules").symlink_to(tmp_path / "elsewhere")
    found = discover([tmp_path / "base"], tmp_path / "base")
    assert ids(found) == ["a.md"]
    assert found.skipped == {"dependencies": 1}
