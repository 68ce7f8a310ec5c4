"""Files of entries: messages of gettext, bibliographies of BibTeX, RIS and PubMed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.documents.formats import Source, format_of

from .mutations_for_tests import survives
from .outlines_for_tests import FILL, check, headings, parsed, passages_of, stretch

FILES = Path(__file__).parent / "files"
CATALOGUE = (FILES / "mill.po").read_text()
"""What xgettext and msginit 0.21 make of a program, with translations."""
REFERENCES = (FILES / "references.bib").read_text()
"""What pandoc 2.17 writes of two references (`-t bibtex`)."""

RIS = """TY  - JOUR
AU  - Lövelace, Ada
AU  - Babbage, Charles
TI  - Notes on the engine
  of Babbage
PY  - 1843/07//
AB  - What the engine can do.
ER  - 

TY  - BOOK
T1  - The pumps of the mill
A1  - Miller, Jane
Y1  - 2024
"""
PUBMED = """PMID- 123
TI  - Pumps in
      mills.
AU  - Miller J
DP  - 2024 Mar
AB  - In short.

PMID- 124
TI  - Valves.
"""


def test_each_message_with_its_translation_is_a_block() -> None:
    made = parsed("de.po", CATALOGUE)
    assert made.text == CATALOGUE
    assert made.title == "mill 1.2"
    assert made.metadata == {"locale": "de", "project": "mill 1.2"}
    assert len(made.outline.blocks) == 5
    assert stretch(made, 1) == (
        "#. Translators: the name of the window\n#: mill.c:5\n"
        'msgid "Pumps of the mill"\nmsgstr "Pumpen der Mühle"'
    )
    assert stretch(made, 4).endswith('msgid "Open"\nmsgstr "Öffnen"')
    starts = {block.start for block in made.outline.blocks}
    messages = made.outline.blocks[1].start  # below what the catalogue says of itself
    begins = {passage.start for _, passage in passages_of(made, 45) if passage.start >= messages}
    assert len(begins) > 1 and begins <= starts


def test_messages_without_blank_lines_between_them_are_told_apart() -> None:
    made = parsed(
        "a.po", 'msgid "a"\nmsgstr "b"\n#: x.c\nmsgid "c"\nmsgstr "d"\n\n# end\n\n#~ msgid "e"\n'
    )
    assert [stretch(made, at) for at in range(3)] == [
        'msgid "a"\nmsgstr "b"',
        '#: x.c\nmsgid "c"\nmsgstr "d"',
        '#~ msgid "e"',
    ]


def test_a_catalogue_is_read_in_the_encoding_that_it_names() -> None:
    russian = CATALOGUE.replace("UTF-8", "KOI8-R").replace("Pumpen der Mühle", "Насосы мельницы")
    data = russian.replace("ä", "a").replace("Ö", "O").encode("koi8-r")
    assert "Насосы мельницы" in parsed("ru.po", data).text
    assert "Mühle" in parsed("de.po", CATALOGUE.replace("UTF-8", "KOI8-R")).text


def test_an_unfilled_catalogue_has_no_title() -> None:
    made = parsed(
        "a.pot", 'msgid ""\nmsgstr ""\n"Project-Id-Version: PACKAGE VERSION\\n"\n"Language: \\n"\n'
    )
    assert (made.title, made.metadata) == ("", {})


def test_each_entry_of_a_bibliography_is_a_section_under_its_title() -> None:
    made = parsed("references.bib", REFERENCES)
    assert made.text == REFERENCES
    assert headings(made) == [
        (1, "Notes on the Analytical Engine of Babbage"),
        (1, "The Pumps of the Mill"),
    ]
    assert [block.lead for block in made.outline.blocks] == [
        "Lövelace, Ada; Babbage, Charles 1843",
        "Miller, Jane 2024",
    ]
    assert stretch(made, 1).startswith("@book{mill2024,") and stretch(made, 1).endswith("}")


def test_a_long_entry_is_read_with_its_title_authors_and_year() -> None:
    names = " and ".join(f"Author{n}" for n in range(9))
    made = parsed(
        "a.bib",
        '@string{mm = "Mills"}\n@comment{@article{no, title={No}}}\n'
        '@Article ( key:1 ,\n title = "On {\\"O}fen {and} {"pumps"}",\n'
        f" author = {{{names}}},\n"
        f" journal = mm, year = 2024, abstract = {{{FILL * 6}}}\n)\n@misc{{other}}\n",
    )
    assert headings(made) == [(1, 'On Öfen and "pumps"'), (1, "other")]
    late = passages_of(made)[-2][1].context
    assert late.headings == ('On Öfen and "pumps"',)
    assert late.lead == "Author0; Author1; Author2 et al. 2024"


def test_an_entry_that_is_never_closed_ends_where_the_next_begins() -> None:
    made = parsed("a.bib", '@a{x, title={One\n@b{y, title={Two}}\n@c{z, title="Thr\\"ee\n')
    assert [heading for _, heading in headings(made)] == ["One", "Two", "Thrëe"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_records_with_tags(end: str) -> None:
    made = parsed("a.ris", RIS.replace("\n", end))
    assert headings(made) == [(1, "Notes on the engine of Babbage"), (1, "The pumps of the mill")]
    assert [block.lead for block in made.outline.blocks] == [
        "Lövelace, Ada; Babbage, Charles 1843",
        "Miller, Jane 2024",
    ]
    assert stretch(made, 0).startswith("TY  - JOUR") and stretch(made, 0).endswith("ER  - ")
    made = parsed("a.nbib", PUBMED)
    assert headings(made) == [(1, "Pumps in mills."), (1, "Valves.")]
    assert made.outline.blocks[0].lead == "Miller J 2024"


PIECES = st.sampled_from(
    [
        *('msgid "a"', 'msgstr ""', '"b"', "#~ msgid", "# c", "", "  more", "\\"),
        *("@a{b,", "title={", "}", '"', "@string{x", 'title="', "author = A and", "year=1", "@b(c"),
        *("TY  - X", "ER  -", "AU  - x"),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=20), st.sampled_from(["a.po", "a.bib", "a.ris", "a.nbib"]))
def test_the_text_stays_and_an_outline_lies_within_it(pieces: list[str], name: str) -> None:
    source = "\n".join(pieces)
    made = parsed(name, source)
    check(made.text, made.outline)
    assert made.text == source
    for before, after in zip(made.outline.blocks, made.outline.blocks[1:], strict=False):
        assert before.end <= after.start


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece", ["@a{b,title={", '@a{b,t="', "TY  - A\n  b\n", 'msgid "', "# a\n"]
)
def test_many_of_anything_are_no_trouble(piece: str) -> None:
    for name in ("a.bib", "a.ris", "a.po"):
        for content in (piece * 20_000, f"{piece}\n" * 20_000):
            assert format_of(name).parse(content.encode(), Source(name))


def test_damaged_entries_are_read_all_the_same() -> None:
    samples = [CATALOGUE.encode(), REFERENCES.encode(), RIS.encode(), PUBMED.encode()]
    words = [
        b"@article{",
        b"{",
        b"}",
        b'"',
        b"\nTY  - ",
        b"\nmsgid ",
        b"charset=utf-16",
        b"\\",
        b"=\n",
    ]
    for name in ("a.po", "a.bib", "a.ris"):
        assert survives(name, samples, words) == 300
