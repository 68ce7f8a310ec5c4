"""What the user leaves out and takes in, and what is told of what stays out."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from retrieval.documents import Discovery, LeftOut, SourceFile, Stamp, WalkOptions, discover
from retrieval.documents.walk import WAY_IN, Reason, discovery
from retrieval.errors import InputError

from .test_walk import ids, plant


def taken(folder: Path, base: Path | None = None, **options: Any) -> list[str]:
    return ids(discover([folder], base or folder, options=WalkOptions(**options)))


def test_excluded_patterns_are_those_of_a_gitignore_in_the_base_folder(tmp_path: Path) -> None:
    plant(
        tmp_path,
        dict.fromkeys(
            ["a.csv", "b.md", "docs/a.csv", "docs/old/c.md", "old/d.md", "x/docs/old/e.md"], "x"
        ),
    )
    assert taken(tmp_path, exclude=["*.csv", "docs/old/"]) == [
        *("b.md", "old/d.md", "x/docs/old/e.md")
    ]
    assert taken(tmp_path, exclude=["old"]) == ["a.csv", "b.md", "docs/a.csv"]
    assert taken(tmp_path, exclude=["/old", "**/old/*.md"]) == ["a.csv", "b.md", "docs/a.csv"]
    assert taken(tmp_path, exclude=["*", "!docs", "!*.csv"]) == ["a.csv", "docs/a.csv"]
    # From the base folder on, wherever in it the walk begins.
    assert taken(tmp_path / "docs", tmp_path, exclude=["docs/old"]) == ["docs/a.csv"]
    assert taken(tmp_path / "docs", tmp_path, exclude=["/old"]) == ["docs/a.csv", "docs/old/c.md"]
    # Outside of it, from the path that was given on.
    assert taken(tmp_path / "docs", tmp_path / "x", exclude=["/old"]) == ["../docs/a.csv"]


def test_what_is_excluded_stays_out_though_it_is_included_and_what_is_named_comes(
    tmp_path: Path,
) -> None:
    plant(tmp_path, {"a/b.md": "x", "c.md": "x"})
    options = WalkOptions(exclude=("a", "c.md"), include=("a", "b.md"))
    assert ids(discover([tmp_path], tmp_path, options=options)) == []
    given = [tmp_path / "a", tmp_path / "c.md"]
    assert ids(discover(given, tmp_path, options=options)) == ["a/b.md", "c.md"]


def test_hidden_names_come_if_they_are_asked_for_and_version_control_does_not(
    tmp_path: Path,
) -> None:
    plant(
        tmp_path,
        dict.fromkeys([".a.md", ".b/c.md", ".git/HEAD", ".venv/d.md", ".mypy_cache/e.json"], "x"),
    )
    assert taken(tmp_path) == []
    assert taken(tmp_path, hidden=True) == [".a.md", ".b/c.md"]
    assert taken(tmp_path, include=[".b"]) == [".b/c.md"]
    assert taken(tmp_path, include=["*.md"]) == [".a.md"]
    assert taken(tmp_path, include=["**"]) == [
        *(".a.md", ".b/c.md", ".mypy_cache/e.json", ".venv/d.md")
    ]
    assert taken(tmp_path, include=[".git"]) == [".git/HEAD"]


def test_ignore_files_do_not_count_if_so_said(tmp_path: Path) -> None:
    plant(
        tmp_path,
        {
            ".gitignore": "*.log\nout/\n",
            ".ignore": "*.csv\n",
            "a.log": "x",
            "b.csv": "x",
            "c.md": "x",
            "out/d.log": "x",
            "node_modules/e.js": "x",
        },
    )
    assert taken(tmp_path) == ["c.md"]
    assert taken(tmp_path, no_ignore=True) == ["a.log", "b.csv", "c.md", "out/d.log"]
    assert taken(tmp_path, include=["a.log", "*.csv"]) == ["a.log", "b.csv", "c.md"]


def test_a_folder_that_is_included_brings_what_ignore_files_keep_out_of_it(
    tmp_path: Path,
) -> None:
    plant(
        tmp_path,
        {
            ".gitignore": "gen/*\n*.log\n",
            "gen/a.log": "x",
            "gen/sub/.gitignore": "*",
            "gen/sub/b.md": "x",
            "gen/.hidden": "x",
            "gen/node_modules/c.md": "x",
            "gen/package-lock.json": "{}",
            "d.log": "x",
        },
    )
    assert taken(tmp_path) == []
    assert taken(tmp_path, include=["gen"]) == ["gen/a.log", "gen/sub/b.md"]
    assert taken(tmp_path, include=["gen/"]) == ["gen/a.log", "gen/sub/b.md"]
    assert taken(tmp_path, include=["gen", "*-lock.json"]) == [
        *("gen/a.log", "gen/package-lock.json", "gen/sub/b.md")
    ]
    assert taken(tmp_path, include=["gen/**"]) == [
        *("gen/.hidden", "gen/a.log", "gen/node_modules/c.md", "gen/package-lock.json"),
        *("gen/sub/.gitignore", "gen/sub/b.md"),
    ]


def test_a_folder_that_is_left_out_is_looked_into_where_a_pattern_leads(tmp_path: Path) -> None:
    plant(
        tmp_path,
        dict.fromkeys(
            [
                *("node_modules/mine/a.md", "node_modules/mine/b/c.md", "node_modules/other/d.md"),
                *("node_modules/mine/node_modules/e.md", "sub/node_modules/mine/f.md"),
                *(".github/workflows/g.yml", ".github/h.md", "node_modules/i.md"),
            ],
            "x",
        ),
    )
    assert taken(tmp_path, include=["node_modules/mine"]) == [
        *("node_modules/mine/a.md", "node_modules/mine/b/c.md")
    ]
    assert taken(tmp_path, include=["node_modules/*/a.md", ".github/workflows/*.yml"]) == [
        *(".github/workflows/g.yml", "node_modules/mine/a.md")
    ]
    assert taken(tmp_path, include=["**/f.md", "i.md"]) == []
    assert taken(tmp_path, include=["sub/node_modules/**"]) == ["sub/node_modules/mine/f.md"]
    found = discover([tmp_path], tmp_path, options=WalkOptions(include=("node_modules/mine/a.md",)))
    assert ids(found) == ["node_modules/mine/a.md"]
    assert found.skipped == {"dependencies": 5, "hidden": 1}


def test_dot_ignore_is_read_as_ripgrep_reads_it(tmp_path: Path) -> None:
    base = tmp_path / "repository"
    plant(
        tmp_path,
        {
            ".ignore": "*.tmp\n!*.keep\n",
            ".gitignore": "*.md\n",
            "repository/.git/HEAD": "x",
            "repository/.gitignore": "*.log\nbuild/\n*.keep\n",
            "repository/.ignore": "!a.log\n!build\n!.github\n*.{csv,tsv}  \n",
            "repository/docs/.gitignore": "a.log\n",
            "repository/docs/.ignore": "!b.csv\nnotes.md\n",
            **{
                f"repository/{name}": "x"
                for name in (
                    *("a.log", "b.log", "b.csv", "c.tsv", "d.tmp", "e.keep", "f.md"),
                    *("build/g.md", ".github/h.md", ".other/i.md"),
                    *("docs/a.log", "docs/b.csv", "docs/notes.md", "docs/d.tmp"),
                )
            },
        },
    )
    assert taken(base) == [
        *(".github/h.md", "a.log", "build/g.md", "docs/a.log", "docs/b.csv", "e.keep", "f.md")
    ]
    assert taken(base / "docs", base) == ["docs/a.log", "docs/b.csv"]


def test_options_can_be_kept_as_json() -> None:
    options = WalkOptions(exclude=("*.csv",), include=("a/",), hidden=True)
    kept = json.loads(json.dumps(options.to_json()))
    assert WalkOptions.from_json(kept) == options
    assert WalkOptions.from_json({"no_ignore": True, "of a later version": 1}) == WalkOptions(
        no_ignore=True
    )
    for wrong in ({"hidden": "yes"}, {"exclude": "*.csv"}, {"include": [1]}):
        with pytest.raises(InputError):
            WalkOptions.from_json(wrong)


@pytest.mark.parametrize("pattern", ["", "  ", "a\nb", "a\0"])
def test_a_pattern_that_means_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(
        InputError, match=r"exclude has the pattern .*give a name, a path or a glob"
    ):
        WalkOptions(exclude=(pattern,))


def test_what_is_left_out_is_told_one_by_one_and_counted_by_type_with_examples(
    tmp_path: Path,
) -> None:
    plant(
        tmp_path,
        {
            **{f"pictures/{n}.png": "x" for n in range(12)},
            **{f"{n}.mp4": "x" for n in range(9)},
            "node_modules/a.js": "x",
            "sub/node_modules/a.js": "x",
            ".hidden/a.md": "x",
            ".env": "x",
            "a.md": "x",
        },
    )
    told: list[LeftOut] = []
    found = discover([tmp_path], tmp_path, on_left_out=told.append)
    assert ids(found) == ["a.md"]
    assert len(told) == sum(found.skipped.values()) == 25
    assert LeftOut("sub/node_modules", Reason.DEPENDENCIES, True) in told
    assert LeftOut(".env", Reason.HIDDEN, False) in told
    assert {
        reason: {type: (one.count, one.examples) for type, one in types.items()}
        for reason, types in found.left_out.items()
    } == {
        "binary": {
            ".png": (12, ("pictures/0.png", "pictures/1.png", "pictures/10.png")),
            ".mp4": (9, ("0.mp4", "1.mp4", "2.mp4")),
        },
        "dependencies": {"node_modules/": (2, ("node_modules", "sub/node_modules"))},
        "hidden": {".env": (1, (".env",)), ".hidden/": (1, (".hidden",))},
    }
    assert list(found.left_out["binary"]) == [".png", ".mp4"]


def test_the_count_by_type_takes_no_more_memory_than_some(tmp_path: Path) -> None:
    plant(tmp_path, {f".{n}": "x" for n in range(300)})
    found = discover([tmp_path], tmp_path)
    assert ids(found) == []
    types = found.left_out["hidden"]
    assert len(types) == 201 and types["others"].count == 100
    assert sum(one.count for one in types.values()) == 300


def test_every_reason_that_a_choice_can_undo_says_how() -> None:
    cannot = {"binary", "empty", "symlink", "special", "unreadable", "vanished"}
    assert {reason for reason in Reason if reason not in WAY_IN} == cannot


def remembered(files: list[SourceFile]) -> dict[str, Stamp]:
    return {file.id: file.stamp for file in files}


def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    opened: list[str] = []
    real = os.open

    def note(path: str, flags: int, *rest: Any, **more: Any) -> int:
        if not flags & os.O_DIRECTORY:
            opened.append(Path(path).name)
        return real(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", note)
    return opened


def test_a_file_that_is_as_it_is_known_is_not_opened_and_does_not_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["a.md", "b.py", "c/d.md", "c/é.md", "e.py"]
    plant(tmp_path, {**dict.fromkeys(names, "text"), ".gitignore": "*.log\n*.py[cod]\n"})
    known = remembered(list(discover([tmp_path], tmp_path)))
    (tmp_path / "b.py").write_text("longer than it was")
    stamp = (tmp_path / "e.py").stat()
    (tmp_path / "e.py").write_text("TEXT")
    os.utime(tmp_path / "e.py", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    (tmp_path / "new.md").write_text("text")
    opened = looked_at(monkeypatch)
    found = discover([tmp_path], tmp_path, known=known)
    assert ids(found) == ["b.py", "e.py", "new.md"]
    assert sorted(found.unchanged) == ["a.md", "c/d.md", "c/é.md"]
    assert sorted(set(opened) - {".gitignore", ".ignore", ".git"}) == ["b.py", "e.py", "new.md"]
    assert ids(discover([tmp_path / "a.md"], tmp_path, known=known)) == []


@pytest.mark.parametrize(
    ("change", "gone"),
    [
        ({".gitignore": "*.md\n"}, {"a.md", "c/d.md"}),
        ({".gitignore": "d.md\n"}, {"c/d.md"}),
        ({".gitignore": "/c/*.md\n"}, {"c/d.md"}),
        ({".gitignore": "c/d.md\n"}, {"c/d.md"}),
        ({".gitignore": "**/c/**\n"}, {"c/d.md"}),
        ({".gitignore": "[a-d].[l-n]d\n"}, {"a.md", "c/d.md"}),
        ({".gitignore": "?.p[xy]\n"}, {"b.py"}),
        ({".gitignore": "*.[n-q]y\n!b.py\n*.MD\n"}, set()),
        ({".gitignore": "\\a.md\n"}, {"a.md"}),
        ({".ignore": "A.md\nB.*\nb.*\n"}, {"b.py"}),
        ({"c/.gitignore": "*\n"}, {"c/d.md"}),
        ({"c/pyvenv.cfg": "home = /usr\n"}, {"c/d.md"}),
    ],
)
def test_a_known_file_leaves_when_a_rule_keeps_it_out(
    tmp_path: Path, change: dict[str, str], gone: set[str]
) -> None:
    plant(tmp_path, dict.fromkeys(["a.md", "b.py", "c/d.md"], "text"))
    known = remembered(list(discover([tmp_path], tmp_path)))
    plant(tmp_path, change)
    found = discover([tmp_path], tmp_path, known=known)
    assert ids(found) == []
    assert {*known} - {*found.unchanged} == gone


def test_a_known_file_leaves_when_the_options_keep_it_out(tmp_path: Path) -> None:
    plant(tmp_path, dict.fromkeys([".a.md", "b.md", "go.sum", "c.min.js", "d.png"], "text"))
    known = remembered(list(discover([tmp_path], tmp_path, options=WalkOptions(include=("*",)))))
    assert set(known) == {".a.md", "b.md", "go.sum", "c.min.js"}
    found = discover([tmp_path], tmp_path, known=known)
    assert ids(found) == [] and found.unchanged == ["b.md"]
    found = discover([tmp_path], tmp_path, known=known, options=WalkOptions(exclude=("b*",)))
    assert ids(found) == [] and found.unchanged == []
    found = discover([tmp_path], tmp_path, known=known, max_bytes=3)
    assert ids(found) == [] and found.unchanged == []


def test_what_its_content_keeps_out_is_remembered_and_not_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "_RACY_NS", 0)
    plant(
        tmp_path, {"a.go": "// Code generated by x. DO NOT EDIT.\n", "b.dat": b"\0\1\2", "c": "x"}
    )
    first = discover([tmp_path], tmp_path)
    assert ids(first) == ["c"]
    assert {id: one.reason for id, one in first.judged.items()} == {
        "a.go": "generated",
        "b.dat": "binary",
    }
    opened = looked_at(monkeypatch)
    again = discover([tmp_path], tmp_path, judged=first.judged)
    assert ids(again) == ["c"]
    assert again.judged == first.judged and again.skipped == first.skipped
    assert not {"a.go", "b.dat"} & set(opened)
    # Whoever wants it now gets it.
    wanted = WalkOptions(include=("*.go",))
    assert ids(discover([tmp_path], tmp_path, judged=first.judged, options=wanted)) == ["a.go", "c"]
    assert ids(discover([tmp_path / "a.go"], tmp_path, judged=first.judged)) == ["a.go"]


def test_a_file_that_was_looked_at_within_a_tick_of_its_clock_is_not_remembered(
    tmp_path: Path,
) -> None:
    plant(tmp_path, {"b.dat": b"\0\1\2"})
    found: Discovery = discover([tmp_path], tmp_path)
    assert ids(found) == [] and found.judged == {}
