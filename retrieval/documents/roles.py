"""What a file is there for in its project, told by its path, its format and how it begins.

    source     code that does the work
    test       tests, and what only they need
    docs       text for people
    example    code and text that shows how
    changelog  what changed when
    config     settings, build files
    generated  written by a program

Data (tables, records, mail) has none. Of several that fit, one that says more counts: an example
among the documentation is an example, and whatever stands among tests is a test's.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Literal

from retrieval.documents.formats.languages import CODE
from retrieval.documents.walk.machine import reason_by_content, reason_by_name

Role = Literal["source", "test", "docs", "example", "changelog", "config", "generated", ""]

VERSION = 3
"""Raised whenever a file may get another role than before."""

_TEST_FOLDER = re.compile(
    r"(?i:(?:.*[._-])?(?:tests?|testing|testdata|fixtures|e2e)(?:[._-].*)?|__(?:tests|mocks)__)"
    r"|.*[a-z0-9]Tests?|Tests?[A-Z].*"
)
_TEST_FOLDER_OF_CODE = re.compile(r"(?i:(?:.*[._-])?specs?|t)")
"""Among text a specification, a letter."""
_TEST_NAME = re.compile(
    r"test[_-].*|.*[._-](?:tests?|spec|e2e)|conftest|.*[A-Za-z0-9](?:Tests?|TestCase)|Tests?[A-Z].*"
)
"""Without the last suffix."""
_TEST_NAME_OF = {
    language: re.compile(r".*(?:Spec|Suite)") for language in ("groovy", "kotlin", "scala", "swift")
}
_EXAMPLE_FOLDER = re.compile(
    r"(?i:(?:.*[._-])?(?:examples?|samples?|demos?|tutorials?|cookbook|playground|docs_src))"
)
_EXAMPLE_NAME = re.compile(r"(?i:(?:examples?|demo)(?:[_-].*)?)")
_DOCS_FOLDER = re.compile(r"(?i:docs?|documentation|manuals?|wiki|javadoc|api-docs)")
_CHANGELOG_FOLDER = re.compile(
    r"(?i:changelogs?(?:\.d)?|newsfragments|release[-_]?notes|whats_?new)"
)
_CHANGELOG_NAME = re.compile(
    r"(?i:change[-_]?logs?|changes|release[-_]?notes|releases|whats[-_]?new)(?:[-_\d].*)?"
    r"|(?:HISTORY|NEWS)(?:[-_].*)?"
)
_CHANGELOG_NAME_OR_NOT = re.compile(r"(?i:history|news|updates|versions)(?:[-_].*)?")
"""A changelog if its headings are versions, and else a text about history."""
_VERSION_LINE = re.compile(
    rb"^[ \t]*(?:[#=*-]+[ \t]*)?(?:version|release)?[ \t]*\[?v?\d+\.\d+[\w.+-]*\]?(?![ \t]+[a-z])",
    re.IGNORECASE | re.MULTILINE,
)
_FEWEST_VERSIONS = 3
_PACKAGE = re.compile(rb"^package[ \t]+(?:[\w.]+\.)?(\w+)[ \t]*;?[ \t\r]*$", re.MULTILINE)
"""Go's clause, Java's, Kotlin's and Scala's, that names the folder a file is in."""
_CONFIG_LANGUAGES = frozenset(
    {"cmake", "docker", "groovy", "hcl", "ini", "make", "nix", "toml", "yaml"}
)
_CONFIG_NAME = re.compile(
    r"(?i:.*[._-]?(?:config|settings|manifest)|\..+|package|composer|pom|[jt]sconfig.*)"
)
_BUILD_SCRIPT = re.compile(r"(?i:setup|noxfile|gulpfile|gruntfile|.*[._-]config)")
_HIDDEN = re.compile(r"\..+")
_DATA = frozenset(
    {"csv", "tsv", "psv", "json", "jsonl", "parquet", "xml", "xlsx", "xlsb", "xls", "ods"}
    | {"mail", "outlook", "calendar", "contacts"}
)
"""Formats, and languages, of files that hold records."""


def role_of(id: str, format: str, language: str, head: bytes) -> Role:
    """What a file is there for.

    Args:
        id: its posix path, relative to the base folder.
        format: its format's name.
        language: its programming language, or "".
        head: its first bytes: 8 KiB, or all of it.
    """
    path = PurePosixPath(id)
    folders, name = path.parts[:-1], path.name
    stem, whole = name.partition(".")[0], name.rpartition(".")[0] or name
    is_code = format in ("code", "notebook") or language in CODE
    is_data = format in _DATA or language in _DATA
    is_prose = not is_code and not is_data
    if reason_by_name(name) or reason_by_content(name, head):
        return "generated"
    if _any(_TEST_FOLDER, folders) or (is_code and _any(_TEST_FOLDER_OF_CODE, folders)):
        return "test"
    if is_code and (_TEST_NAME.fullmatch(whole) or _named_test(language, whole)):
        return "test"
    if _any(_CHANGELOG_FOLDER, folders) or (is_prose and _is_changelog(stem, head)):
        return "changelog"
    if _any(_EXAMPLE_FOLDER, folders) or (is_code and _EXAMPLE_NAME.fullmatch(stem)):
        return "example"
    if is_data:
        return "config" if _CONFIG_NAME.fullmatch(whole) or _any(_HIDDEN, folders) else ""
    if is_prose:
        return "docs"
    if language in _CONFIG_LANGUAGES or _BUILD_SCRIPT.fullmatch(whole):
        return "config"
    if _any(_DOCS_FOLDER, folders) and not _is_package(folders[-1], head):
        return "docs"
    return "source"


def _any(pattern: re.Pattern[str], folders: tuple[str, ...]) -> bool:
    return any(pattern.fullmatch(folder) for folder in folders)


def _is_changelog(stem: str, head: bytes) -> bool:
    if _CHANGELOG_NAME.fullmatch(stem):
        return True
    versions = _VERSION_LINE.findall(head) if _CHANGELOG_NAME_OR_NOT.fullmatch(stem) else ()
    return len(versions) >= _FEWEST_VERSIONS


def _is_package(folder: str, head: bytes) -> bool:
    """Whether code declares its folder a package: a package named `doc` is not documentation."""
    clause = _PACKAGE.search(head)
    return clause is not None and clause[1].decode().lower() == folder.lower()


def _named_test(language: str, name: str) -> bool:
    pattern = _TEST_NAME_OF.get(language)
    return pattern is not None and pattern.fullmatch(name) is not None
