"""Every file that a program wrote gives its words, its headings and its places."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

from retrieval.documents.context import Contexts
from retrieval.documents.formats import Parsed, format_of, formats
from tests.documents.corpus.truth import FILES, Score, parsed, same, truth_of, words_of

NAMES = sorted(path.name for path in FILES.iterdir() if path.name != "LICENSE-calamine.md")
OTHERS = [Path(__file__).parents[1] / folder / "files" for folder in ("office", "pdf")]

LESS_RECALL = {
    "guide-emacs.man": 0.92,  # Emacs leaves the footnote out
    "stores-jq.jsonl": 0.35,  # the other fields are metadata
    "stores-pandas.jsonl": 0.35,
    "stores-pandas.json": 0.92,  # pandas writes letters beyond ASCII as \\u00d8
    "guide-libreoffice.txt": 0.93,  # without the footnote
}
AS_IT_STANDS = frozenset(
    [
        *("asciidoc", "bibtex", "code", "gettext", "json", "latex", "mail", "man", "markdown"),
        *("mediawiki", "notebook", "org", "ris", "rst", "textile", "calendar", "contacts"),
    ]
)
"""Formats whose text is the file's own, markup included, or holds what the file says of itself."""
LESS_PRECISION = {"guide-emacs.html": 0.83, "news-feedgen.atom": 0.44, "news-feedgen.rss": 0.6}
"""Emacs numbers sections and adds a footer; feeds have dates and addresses."""
LESS_ORDER = {"json", "bibtex", "ris", "jsonl"}
"""What stands between the values are the names of fields."""
ONE_PROGRAM = {
    *("archive", "code", "html-gz", "outlook"),  # tests of their own make them
}

_NUMBER = re.compile(r"^[\d.]+ ")
_PLACED = "nobody enters the store"


def headings(documents: list[Parsed]) -> list[tuple[int, str]]:
    return [
        (section.level, _NUMBER.sub("", section.heading))
        for made in documents
        for section in made.outline.sections
        if section.level
    ]


@pytest.mark.parametrize("name", NAMES)
def test_words_are_found_in_their_order(name: str) -> None:
    documents = parsed(FILES / name)
    titles = [made.title for made in documents if made.title not in made.text]
    text = "\n".join([*titles, *(made.text for made in documents)])
    score = Score()
    score.add(text, headings(documents), truth_of(FILES / name))
    kind = format_of(name, (FILES / name).read_bytes()[:8192]).name
    assert score.recall >= LESS_RECALL.get(name, 0.96)
    if kind not in LESS_ORDER:
        assert score.order >= 0.8
    if kind not in AS_IT_STANDS:
        assert score.precision >= LESS_PRECISION.get(name, 0.9)


@pytest.mark.parametrize("name", [name for name in NAMES if not name.endswith(".txt")])
def test_headings_are_found_with_their_levels(name: str) -> None:
    wanted = truth_of(FILES / name).headings
    named = {same(words) for _, words in wanted}
    found = [
        (level, words) for level, words in headings(parsed(FILES / name)) if same(words) in named
    ]
    assert [same(words) for _, words in found] == [same(words) for _, words in wanted]
    levels = [level - found[0][0] for level, _ in found]
    if name.endswith(".man"):  # which has two levels
        assert levels == [min(level - wanted[0][0], 1) for level, _ in wanted]
    else:
        assert levels == [level - wanted[0][0] for level, _ in wanted]


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("guide-")])
def test_a_line_of_the_text_is_that_line_of_the_file(name: str) -> None:
    (made,) = parsed(FILES / name)
    at = " ".join(made.text.lower().split("\n")).find(_PLACED)
    assert at >= 0
    number = made.text.count("\n", 0, at)
    kind = format_of(name)
    if kind.isolated or kind.name in ("notebook", "mhtml"):
        return  # the text has lines of its own
    line = (FILES / name).read_text(encoding="utf-8").split("\n")[number]
    assert set(words_of(made.text.split("\n")[number])) <= set(words_of(line))
    assert "nobody" in line.lower()


@pytest.mark.parametrize(
    ("name", "words", "place"),
    [
        ("guide-chromium.pdf", "red lamp", "page 1"),
        ("guide-chromium.pdf", "Nobody enters", "page 2"),
        ("guide-jupytext.ipynb", "def pressure", "cell 3"),
        ("ferries-odfpy.odp", "Too few", "page 2"),
        ("ferries-odfpy.odg", "Too few", "page 2"),
        ("mill-libreoffice.odg", "three years", "page 2"),
        ("stores-odfpy.ods", "Quay", "Stores, row 4"),
        ("dates-excel.xlsb", "2021-01-02", "Sheet1, row 2"),
        ("numbers-excel.xlsb", "1234.56", "Sheet1, row 4"),
        ("stores-pyxlsbwriter.xlsb", "Quay", "Stores, row 4"),
        ("stores-sheetjs.xlsb", "flowers", "Stores, row 4"),
        ("stores-sqlite.csv", "Quay", "row 3"),
        ("stores-pandas.tsv", "Quay", "row 3"),
        ("talk-ffmpeg.srt", "red", "00:01:05"),
        ("talk-ffmpeg.vtt", "Grüße", "01:02:03"),
    ],
)
def test_a_word_stands_where_it_stood(name: str, words: str, place: str) -> None:
    (made,) = parsed(FILES / name)
    start = made.text.index(words)
    assert str(Contexts(made.text, made.outline).place(start, start + len(words))) == place


def test_of_every_format_there_are_files_of_two_programs() -> None:
    programs: dict[str, set[str]] = defaultdict(set)
    for path in [FILES / name for name in NAMES] + [p for f in OTHERS for p in f.iterdir()]:
        kind = format_of(path.name, path.read_bytes()[:8192]).name
        programs[kind].add(path.stem.partition("-")[2].partition(".")[0] or path.stem)
    assert {kind for kind in formats() if len(programs[kind]) < 2} == ONE_PROGRAM
