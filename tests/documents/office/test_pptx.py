"""Presentations in PPTX: those that programs wrote, and what each construct gives."""

from __future__ import annotations

import pytest

from retrieval.errors import DocumentError
from retrieval.types import Place

from ..outlines_for_tests import blocks, headings, parsed, passages_of
from .packages_for_tests import NAMES, made, pptx, shape

SLIDES = """\
Pumps of the harbour

Ines Varga

Why pumps fail

- Sand in the inlet
- Valves that stick
  - in winter
  - after a flood

Notes: Show the broken valve and let it go round.

What a pump may cost

Pump | Price | Delivery
Heron | 1,200 | 3 weeks
Otter | 980 | 5 weeks

The plan for spring

1. Drain the southern basin.
2. Exchange both valves.

Questions go to the quay office."""


@pytest.mark.parametrize("name", ["slides-pandoc.pptx", "slides-libreoffice.odp"])
def test_slides_as_two_programs_write_them(name: str) -> None:
    slides = made(name)
    assert slides.text == SLIDES
    assert slides.title == "Pumps of the harbour"
    assert slides.metadata["author"] == "Ines Varga"
    assert [words for _, words in headings(slides)] == [
        "Pumps of the harbour",
        "Why pumps fail",
        "What a pump may cost",
        "The plan for spring",
    ]
    assert blocks(slides) == [
        ("list", "", ""),
        ("table", "Pump | Price | Delivery", ""),
        ("list", "", ""),
    ]
    pages = {text.split("\n")[0]: passage.place for text, passage in passages_of(slides, 20)}
    assert pages["Why pumps fail"] == Place(page=2)
    assert pages["The plan for spring"] == Place(page=4)


DECK = """\
Ferries of the sound

A report to the council

Made last, shown second

- Order is the presentation's

Why ferries are late

- Fog before nine
  - mostly in March
- Too few deck hands

A box in a group in a group

Notes: Ask the harbour master.

Thank the crews.

Slide 4

Ferry | Built | Seats
Gannet | 1994 | 120
Tern | 2011 | 85

Passengers by season

| Gannet | Tern
spring | 310 | 120.5
summer | 905 | 480

Counted at the gangway"""


@pytest.mark.parametrize("name", ["deck-python-pptx.pptx", "deck-libreoffice.odp"])
def test_a_deck_with_groups_charts_and_unknown_shapes(name: str) -> None:
    deck = made(name)
    assert deck.text == DECK
    assert deck.title == "Ferries of the sound"  # not the one that the program gave
    assert deck.metadata["author"] == "Ben Adler"
    assert ("table", "Gannet | Tern", "") in blocks(deck)
    pages = {
        deck.text[section.start : section.body]: [
            mark.value for mark in deck.outline.marks if mark.start == section.start
        ]
        for section in deck.outline.sections
    }
    assert pages == {
        "Ferries of the sound": [1],
        "Made last, shown second": [2],
        "Why ferries are late": [3],
        "Slide 4": [4],
        "Passengers by season": [5],
    }


def test_the_title_is_the_heading_wherever_it_stands_and_furniture_is_left_out() -> None:
    deck = parsed(
        "a.pptx",
        pptx(
            shape("Body text", kind="subTitle")
            + shape("5", kind="sldNum")
            + shape("Confidential", kind="ftr")
            + shape("March", kind="dt")
            + shape("The", "Title", kind="ctrTitle")
        ),
    )
    assert deck.text == "The Title\n\nBody text"


def test_bullets_numbers_and_plain_paragraphs_of_a_body() -> None:
    numbered = (
        '<a:p><a:pPr><a:buAutoNum type="alphaUcParenR" startAt="3"/></a:pPr>'
        "<a:r><a:t>{}</a:t></a:r></a:p>"
    )
    deck = parsed(
        "a.pptx",
        pptx(
            shape("T", kind="title")
            + shape(
                "bullet",
                "<a:p><a:pPr><a:buNone/></a:pPr><a:r><a:t>plain </a:t></a:r><a:br/>"
                "<a:fld><a:t>line</a:t></a:fld></a:p>",
                numbered.format("three"),
                numbered.format("four"),
                "<a:p/>",
                kind="body",
            )
            + shape(
                "a box", '<a:p><a:pPr><a:buChar char="-"/></a:pPr><a:r><a:t>x</a:t></a:r></a:p>'
            )
        ),
    )
    assert deck.text == "T\n\n- bullet\n\nplain\nline\n\nC) three\nD) four\n\na box\n\n- x"


def test_a_layout_may_take_the_bullets_away() -> None:
    layout = (
        f"<p:sldLayout {NAMES}><p:cSld><p:spTree>"
        + shape(kind="body").replace(
            "<p:txBody>", "<p:txBody><a:lstStyle><a:lvl1pPr><a:buNone/></a:lvl1pPr></a:lstStyle>"
        )
        + "</p:spTree></p:cSld></p:sldLayout>"
    )
    data = pptx(
        shape("no bullet", kind="body"), slideLayout="l.xml", parts={"ppt/slides/l.xml": layout}
    )
    assert parsed("a.pptx", data).text == "Slide 1\n\nno bullet"


def test_comments_old_and_new_with_their_authors() -> None:
    modern = "http://schemas.microsoft.com/office/powerpoint/2018/8/main"
    for comments in (
        f'<p:cmLst {NAMES}><p:cm authorId="7"><p:text>Is it so?</p:text></p:cm></p:cmLst>',
        f'<n:cmLst xmlns:n="{modern}" {NAMES}><n:cm authorId="7"><n:txBody><a:p><a:r>'
        "<a:t>Is it so?</a:t></a:r></a:p></n:txBody></n:cm></n:cmLst>",
    ):
        deck = parsed(
            "a.pptx",
            pptx(
                shape("T", kind="title"),
                comments="c.xml",
                parts={
                    "ppt/slides/c.xml": comments,
                    "ppt/authors.xml": f'<p:cmAuthorLst {NAMES}><p:cmAuthor id="7" name="Ada"/>'
                    "</p:cmAuthorLst>",
                },
            ),
        )
        assert deck.text == "T\n\nComment (Ada): Is it so?"


def test_merged_cells_stand_once() -> None:
    cell = "<a:tc{}><a:txBody><a:p><a:r><a:t>{}</a:t></a:r></a:p></a:txBody></a:tc>"
    rows = "".join(
        f"<a:tr>{''.join(cell.format(*one) for one in row)}</a:tr>"
        for row in (
            ((' gridSpan="2"', "Both"), (' hMerge="1"', "Both"), ("", "Third")),
            (("", "a"), ("", "b"), ("", "c")),
        )
    )
    frame = (
        '<p:graphicFrame><p:nvGraphicFramePr/><a:graphic><a:tbl><a:tblPr firstRow="1"/>'
        f"{rows}</a:tbl></a:graphic></p:graphicFrame>"
    )
    deck = parsed("a.pptx", pptx(shape("T", kind="title") + frame))
    assert deck.text == "T\n\nBoth |  | Third\na | b | c"
    assert blocks(deck) == [("table", "Both | Third", "")]


def test_a_broken_slide_costs_only_itself() -> None:
    deck = parsed("a.pptx", pptx(shape("One", kind="title"), "<broken", shape("3", kind="title")))
    assert deck.text == "One\n\n3"
    assert [mark.value for mark in deck.outline.marks] == [1, 3]
    assert len(deck.problems) == 1
    assert "ppt/slides/s1.xml" in deck.problems[0]


def test_slides_of_pictures_alone_are_said_to_be() -> None:
    with pytest.raises(DocumentError, match="holds no text; pictures are not read"):
        parsed("a.pptx", pptx("<p:pic/>", shape("", kind="title")))


def test_slides_of_some_length_have_passages_of_their_own_and_so_their_page() -> None:
    long = "Pumps are read at six in the morning and once more before the gates are closed. " * 2
    deck = parsed(
        "a.pptx",
        pptx(
            shape("A title", kind="title"),
            *(shape(f"Slide of {n}", kind="title") + shape(long) for n in "abc"),
            shape("Thanks", kind="title"),
        ),
    )
    passages = passages_of(deck, 400)
    assert [(text.split("\n")[0], passage.place.page) for text, passage in passages] == [
        ("A title", 1),
        ("Slide of b", 3),
        ("Slide of c", 4),
    ]
    assert passages[0][0].count("Slide of") == 1
    assert passages[2][0].endswith("Thanks")
