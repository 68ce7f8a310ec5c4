"""Files that a program wrote for programs: lock files, minified and generated code, base64, hex,
tokenizers' vocabularies.

Names decide where they mean nothing else (`package-lock.json`, `x.min.js`, `x.js.map`). Otherwise a
file's first 64 KiB do: what it says of itself in its first comment, how long its lines are and
how little of them is blank. Data and prose may have lines of any length: only code is judged by
them, and prose is never taken for generated, since people read it all the same.
"""

from __future__ import annotations

import re

from retrieval.documents.formats.languages import CODE, extension_of, language_of
from retrieval.documents.walk.generated import first_comment, says_generated
from retrieval.documents.walk.left_out import Reason
from retrieval.documents.walk.vocabularies import is_vocabulary

HEAD_BYTES = 64 * 1024
TAIL_BYTES = 1024
VERSION = 4
"""Raised when a file may be judged otherwise than before."""

_LOCK_FILES = (
    ".terraform.lock.hcl aqua-checksums.json berksfile.lock buildscript-gradle.lockfile "
    "bun.lock bun.lockb cabal.project.freeze cargo.lock cartfile.resolved chart.lock "
    "composer.lock conan.lock conda-lock.yml deno.lock devbox.lock dub.selections.json "
    "flake.lock gemfile.lock glide.lock go.sum go.work.sum gopkg.lock gradle.lockfile "
    "maven_install.json mix.lock module.bazel.lock npm-shrinkwrap.json package-lock.json "
    "package.resolved packages.lock.json paket.lock pdm.lock pipfile.lock pixi.lock "
    "pnpm-lock.yaml podfile.lock poetry.lock pubspec.lock pylock.toml rebar.lock renv.lock "
    "requirements.lock shard.lock stack.yaml.lock symfony.lock uv.lock vcpkg-lock.json "
    "yarn.lock"
)
LOCK_FILES = frozenset(_LOCK_FILES.split())
"""Names, in lower case, of files in which package managers keep what they chose."""

_PYLOCK = re.compile(r"pylock\.[^.]+\.toml")
_MINIFIED = re.compile(r".+[.-]min\.(?:js|mjs|cjs|css)")
_OWNED = "~$"
"""Office programs put it before the name of a file that they have open: who has it is in there."""
CHUNKS, EXTENSIONS = ("min.", "\0pylock.", f"\0{_OWNED}"), (".map",)
"""What stands in all other names that are meant, in lower case, and how they end."""
_ENDS = (".toml", ".js", ".mjs", ".cjs", ".css", ".map")
"""No name ends otherwise that one of the three means."""
_SOURCE_MAP = re.compile(r".+\.(?:js|mjs|cjs|jsx|ts|tsx|css|scss)\.map")

_SCRIPTS = frozenset({"javascript", "typescript", "css"})
_DATA = frozenset(
    {"csv", "graphql", "hcl", "ini", "json", "make", "markdown", "sql", "toml", "xml", "yaml"}
)
_PROGRAMS = CODE - _DATA

# Lines of code that somebody writes are short; of those that are not, text has blanks.
_LONG_LINE = 250
_MIN_MEAN_LINE = 60
_MIN_PACKED_BYTES = 500
_MIN_PACKED_SHARE = 0.8
_MAX_BLANK_SHARE = 0.13
_BLANKS = b" \t\r\n"
_OBFUSCATED = re.compile(rb"\b_0x[0-9a-f]{4,}\b")
_MIN_OBFUSCATED = 20
_PACKER = re.compile(rb"\s*eval\(function\(p,a,c,k,e,[dr]\)")

_COMPILED = re.compile(
    rb"^Object\.defineProperty\(exports, ['\"]__esModule['\"], \{\s*value: true,?\s*\}\);"
    rb"|^exports\.__esModule = true;"
    rb"|^/\*{6}/ |^\(\(\) => \{ // webpackBootstrap|^\s*var __webpack_modules__ = \(\{"
    rb"|^parcelRequire ?=|^\(?function\s*\(modules, (?:cache|entry)"
    rb"|^var __(?:create = Object\.create|defProp = Object\.defineProperty);\s*$"
    rb"|^var __\w+ = \(this && this\.__\w+\) \|\|"
    rb"|^System\.register\(\[",
    re.MULTILINE,
)
_NAMES_ITS_MAP = re.compile(rb"(?:^|\n)\s*(?://|/\*)[#@] ?sourceMappingURL=[^\s]+(?:\s*\*/)?\s*$")
_MAP = re.compile(
    rb"\s*(?:\)\]\}'?[^\n]*\n)?\s*\{.{0,2000}?\"(?:mappings|sections)\"\s*:", re.DOTALL
)
_MAP_HEAD = re.compile(
    rb"\s*(?:\)\]\}'?[^\n]*\n)?\s*\{\s*\"(?:version\"\s*:\s*3\b|sources\"|mappings\"|file\")"
)

_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{60,}={0,2}")
_MIN_ENCODED_BYTES = 300
_MAX_BLANKS_BETWEEN = 0.12  # words are a sixth blanks, lines of base64 a fiftieth
_ENCODED_SHARE, _ENCODED_SHARE_OF_PEM, _ENCODED_SHARE_OF_PROSE = 0.8, 0.5, 0.98
_PROSE = ".adoc .asciidoc .log .markdown .md .mdx .org .qmd .rmd .rst .tex .text .txt"
_DECODED = ".eml .fb2 .htm .html .ipynb .jsonl .mbox .mht .mhtml .ndjson .svg .vcf .xhtml"
"""Formats of which only the text is read, wherever it stands among what is encoded."""
_UPPER, _LOWER, _DIGITS = (
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    b"abcdefghijklmnopqrstuvwxyz",
    b"0123456789",
)
_MIN_LETTERS, _MIN_DIGITS = 0.15, 0.05
_HEX = b"0123456789abcdefABCDEF"
_DIGITS_OF_HEX = (0.4, 0.9)  # of random bytes .625, and more where many are small; not of decimals


def reason_by_name(name: str) -> Reason | None:
    """Why a file is left out unseen, by its name; None if it is not."""
    name = name.lower()
    if name in LOCK_FILES or name.startswith(_OWNED):
        return Reason.LOCK
    if not name.endswith(_ENDS):
        return None
    if _PYLOCK.fullmatch(name):
        return Reason.LOCK
    if _MINIFIED.fullmatch(name):
        return Reason.MINIFIED
    return Reason.SOURCE_MAP if _SOURCE_MAP.fullmatch(name) else None


def needs_tail(name: str) -> bool:
    """Whether the end of a file of this name tells something, too."""
    return language_of(name) in _SCRIPTS


def reason_by_content(name: str, head: bytes, tail: bytes = b"") -> Reason | None:
    """Why a file is left out, by what it holds; None if it is not.

    Args:
        name: its name.
        head: its first 64 KiB, or all of it.
        tail: its last KiB, if `needs_tail`.
    """
    language = language_of(name)
    extension = extension_of(name)
    if extension == ".map" and _is_source_map(head):
        return Reason.SOURCE_MAP
    if says_generated(language, name, extension, head):
        return Reason.GENERATED
    if language in _SCRIPTS:
        if _is_packed(head) or _PACKER.match(head):
            return Reason.MINIFIED
        if len(_OBFUSCATED.findall(head)) >= _MIN_OBFUSCATED:
            return Reason.MINIFIED
        if _NAMES_ITS_MAP.search(tail or head[-TAIL_BYTES:]):
            return Reason.GENERATED
        if language == "javascript" and _COMPILED.search(head):
            return Reason.GENERATED
    elif language in _PROGRAMS and _is_packed(head):
        return Reason.MINIFIED
    if is_vocabulary(extension, head):
        return Reason.VOCABULARY
    return Reason.ENCODED if _is_encoded(language, extension, head) else None


def _is_source_map(head: bytes) -> bool:
    return bool(_MAP_HEAD.match(head) or _MAP.match(head[:4000]))


def _is_packed(head: bytes) -> bool:
    """Whether nearly all code stands in long lines with hardly a blank."""
    code = head[first_comment(head)[1] :]
    size = len(code)
    if size < _MIN_PACKED_BYTES or size < _MIN_MEAN_LINE * code.count(b"\n"):
        return False
    long = [line for line in code.split(b"\n") if len(line) > _LONG_LINE]
    packed = sum(map(len, long))
    blanks = packed - sum(len(line.translate(None, _BLANKS)) for line in long)
    return packed >= _MIN_PACKED_SHARE * size and blanks <= _MAX_BLANK_SHARE * packed


def _is_encoded(language: str, extension: str, head: bytes) -> bool:
    """Whether a file is base64 or hex but for a little; prose with an embedded image is not."""
    if extension and extension in _DECODED.split():
        return False
    solid = len(head.translate(None, _BLANKS))
    if len(head) - solid > _MAX_BLANKS_BETWEEN * len(head):
        return False
    runs = b"".join(_BASE64.findall(head))
    if len(runs) < _MIN_ENCODED_BYTES:
        return False
    share = _ENCODED_SHARE
    if extension in _PROSE.split():
        share = _ENCODED_SHARE_OF_PROSE
    elif language not in CODE and b"-----BEGIN " in head:
        share = _ENCODED_SHARE_OF_PEM
    if len(runs) < share * solid:
        return False
    upper, lower, digits = (
        (len(runs) - len(runs.translate(None, kind))) / len(runs)
        for kind in (_UPPER, _LOWER, _DIGITS)
    )
    if not runs.translate(None, _HEX):
        low, high = _DIGITS_OF_HEX
        return low <= digits <= high
    return min(upper, lower) >= _MIN_LETTERS and digits >= _MIN_DIGITS
