"""Source code that nobody wrote: it costs little, crashes nothing, and is cut all the same."""

from __future__ import annotations

import random
import time
from importlib import import_module
from pathlib import Path

import pytest

from retrieval.documents.formats.code import outline
from retrieval.documents.formats.code.languages import known
from retrieval.documents.formats.code.risk import MAX_BRACKETS, MAX_BYTES, MAX_LINE
from tests.documents.code.reading import check

LANGUAGES = sorted(known() - {"php_only", "tsx"})

PIECES = [
    *"(){}[]<>\"'`;:,.#@\\/*-+=|&!?$%^~\n\t \r\0",
    *("/*", "*/", "//", '"""', "'''", "<<EOF\n", "#if", "#endif\n", "end", "do", "{{{{", "(((("),
    *("\ufeff", "é", "𝒳", "\udc80", "---\n", "|\n", "<?php", "?>", "=>", "::", "class ", "if "),
]


def sample(language: str) -> str:
    """The text of the language's own test."""
    text: str = import_module(f"tests.documents.code.test_{language}").TEXT
    return text


def mutated(text: str, other: str, rng: random.Random) -> str:
    """The text with pieces cut out, put in, repeated and mixed with another's."""
    for _ in range(rng.choice([1, 2, 5, 20])):
        at = rng.randrange(len(text) + 1)
        to = min(len(text), at + rng.choice([1, 3, 20, 200]))
        kind = rng.random()
        if kind < 0.3:
            text = text[:at] + text[to:]
        elif kind < 0.6:
            text = text[:at] + rng.choice(PIECES) * rng.choice([1, 1, 3, 50]) + text[at:]
        elif kind < 0.75:
            text = text[:at] + text[at:to] * rng.choice([2, 5, 30]) + text[to:]
        elif kind < 0.9:
            begin = rng.randrange(len(other) + 1)
            text = text[:at] + other[begin : begin + 300] + text[at:]
        else:
            text = text[:at]
    return text[:20_000]


@pytest.mark.parametrize(
    "count", [50, pytest.param(200, marks=pytest.mark.slow)], ids=["few", "many"]
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_mutated_source_has_an_outline(language: str, count: int) -> None:
    rng = random.Random(f"{language} {count}")
    texts = {name: sample(name) for name in LANGUAGES}
    for _ in range(count):
        text = mutated(texts[language], texts[rng.choice(LANGUAGES)], rng)
        found = outline(text, language)
        if found.blocks:
            check(found, text)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("kotlin", "class A\n@Throws(IOException"),
        ("kotlin", "class A\n@Throws"),
        ("kotlin", '"""${' * 3000),
        ("kotlin", "/*" * 10_000),
        ("swift", "/*/" * 10_000),
        ("swift", '"\\(' * 3000),
        ("yaml", "- " * 5000),
        ("yaml", "? " * 5000),
        ("yaml", "".join(f"{' ' * at}a:\n" for at in range(2000))),
        ("yaml", "".join(f"{' ' * at}- |\n" for at in range(1000))),
        ("python", "".join(f"{' ' * at}if x:\n" for at in range(2000))),
        ("python", 'f"{' * 3000),
        ("ruby", "<<A" + "".join(f",<<A{at}" for at in range(2000)) + "\n"),
        ("bash", "cat " + "".join(f"<<A{at} " for at in range(2000)) + "\n"),
        ("cpp", 'R"' + "a" * 300 + "("),
        ("cpp", "template<" * 5000),
        ("c", "#if\n" * 5000),
        ("java", "a<" * 5000),
        ("json", "[" * 100_000),
        ("lua", "[" + "=" * 5000 + "["),
        ("rust", "r" + "#" * 300 + '"'),
        ("javascript", "`${" * 5000),
        ("typescript", "<a>" * 5000),
    ],
)
def test_what_is_nested_without_end_ends(language: str, text: str) -> None:
    outline(text, language)


@pytest.mark.parametrize("language", ["python", "javascript", "json"])
def test_what_nobody_wrote_is_cut_by_its_layout(language: str) -> None:
    texts = (
        f"x = [{'1, ' * MAX_LINE}]\n",
        "(" * (MAX_BRACKETS + 1) + ")" * (MAX_BRACKETS + 1),
        "f(1)\n" * (MAX_BYTES // 5 + 1),
    )
    for text in texts:
        assert outline(text, language).blocks == ()
        assert outline(text, language).parts[0].start == 0


def test_a_text_in_another_language_is_cut_by_its_layout() -> None:
    prose = (Path(__file__).parents[3] / "docs" / "documents.md").read_text("utf-8")
    for language in ("java", "c", "go", "rust", "php"):
        found = outline(prose, language)
        assert len(found.blocks) <= 1


@pytest.mark.parametrize("language", ["python", "yaml", "toml", "go", "javascript", "rust"])
def test_a_long_run_of_comments_takes_time_that_goes_with_its_length(language: str) -> None:
    mark = "//" if language in {"go", "javascript", "rust"} else "#"
    begun = time.process_time()
    found = outline(f"{mark} a\n" * 8_000, language)
    assert time.process_time() - begun < 1.5
    assert not found.blocks
