"""A grammar that crashes, hangs or takes all memory costs its file: such texts go to a worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from retrieval.documents import SourceFile, read, workers
from retrieval.documents.formats import Parsed, Source, code, format_of
from retrieval.documents.formats.code import outline, read_as
from retrieval.documents.formats.code.risk import (
    MAX_BRACKETS,
    MAX_BYTES,
    MAX_LEVELS,
    MAX_LINE,
    TAME_BRACKETS,
    TAME_BYTES,
    TAME_LEVELS,
    TAME_LINE,
    risk_of,
)
from retrieval.documents.formats.format import Parse
from retrieval.documents.workers import limits
from tests.documents.workers import foreign_parsers

LARGE = "".join(f"def f{number}(x):\n    return x + {number}\n\n\n" for number in range(3000))
DEEP = "x = " + "[" * 200 + "]" * 200 + "\n\n\ndef deep():\n    pass\n"


@pytest.fixture(autouse=True)
def no_workers_left() -> Iterator[None]:
    yield
    workers.stop()


def nested(count: int) -> str:
    return "(" * count + ")" * count


@pytest.mark.parametrize(
    ("text", "risk"),
    [
        ("def f(): pass\n", "none"),
        ("", "none"),
        ("a" * TAME_LINE + "\n", "none"),
        ("a" * (TAME_LINE + 1), "some"),
        ("a" * (MAX_LINE + 1), "too much"),
        (nested(TAME_BRACKETS), "none"),
        (nested(TAME_BRACKETS + 1), "some"),
        (nested(10_000), "too much"),
        (nested(MAX_BRACKETS + 1), "too much"),
        ("- " * TAME_LEVELS, "none"),
        ("- " * (TAME_LEVELS + 1), "some"),
        ("- " * (MAX_LEVELS + 1), "too much"),
        ("/*" * (TAME_LEVELS + 1), "some"),
        ("a = 1\n" * (TAME_BYTES // 6), "none"),
        ("a = 1\n" * (TAME_BYTES // 6 + 1), "some"),
        ("a = 1\n" * (MAX_BYTES // 6 + 1), "too much"),
        ("a" * 1_000_000, "too much"),
    ],
)
def test_what_may_be_parsed_in_this_process(text: str, risk: str) -> None:
    assert risk_of(text.encode()) == risk


@pytest.mark.parametrize("text", [LARGE, DEEP])
def test_in_a_worker_a_text_gives_what_it_gives_here(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart = read_as(text, "python")
    monkeypatch.setattr("retrieval.documents.formats.code.risk_of", lambda source: "none")
    here = read_as(text, "python")
    assert len(here.outline.blocks) in (2, 3000)
    assert list(apart.outline.blocks) == list(here.outline.blocks)
    assert list(apart.outline.parts) == list(here.outline.parts)
    assert [list(cuts) for cuts in apart.outline.breaks] == [
        list(cuts) for cuts in here.outline.breaks
    ]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (foreign_parsers.crashes, "crashed (SIGSEGV)"),
        (foreign_parsers.aborts, "crashed (SIGABRT)"),
        (foreign_parsers.hangs, "ran longer than"),
        (foreign_parsers.wants_memory, "memory"),
        (foreign_parsers.has_a_fault, "failed"),
    ],
)
def test_a_grammar_that_crashes_or_hangs_leaves_the_layout(
    function: Parse, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code, "parse_in_worker", function)
    monkeypatch.setattr(limits, "SECONDS", 1)
    monkeypatch.setattr(limits, "PATIENCE", 2)
    found = format_of("large.py").parse(LARGE.encode(), Source("large.py"))
    assert isinstance(found, Parsed)
    assert found.by_layout and found.text == LARGE
    assert len(found.outline.parts) > 1000
    (problem,) = found.problems
    assert said in problem and problem.endswith("cut by its layout")
    assert code.outline("def f():\n    pass\n", "python").blocks  # what is tame is read here


@pytest.mark.parametrize(
    ("name", "text", "by_layout"),
    [
        ("good.py", "def f():\n    pass\n", 0),
        ("large.py", LARGE, 0),
        ("deep.py", "x = " + nested(10_000), 1),
        ("line.js", "f();" * 300_000, 1),
        ("prose.go", "It is a text about pumps, and no program at all.\n" * 20, 1),
        ("program.unknown-language.f90", "program x\nend program\n", 0),
    ],
)
def test_files_that_no_grammar_can_follow_are_counted(
    name: str, text: str, by_layout: int, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(text)
    result = read(SourceFile(path, name, len(text), 0))
    assert (result.by_layout, result.problems) == (by_layout, [])
    assert result.documents[0].text == text


def test_a_text_without_a_file_is_parsed_in_a_worker_too() -> None:
    assert len(outline(LARGE, "python").blocks) == 3000
