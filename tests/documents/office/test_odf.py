"""OpenDocument: files that programs wrote, and what each construct gives."""

from __future__ import annotations

import pytest

from retrieval.errors import DocumentError

from ..outlines_for_tests import blocks, headings, parsed, stretch
from .packages_for_tests import ODF, ODF_NAMES, made, odt
from .test_docx import GUIDE


@pytest.mark.parametrize("name", ["guide-pandoc.odt", "guide-libreoffice.odt"])
def test_a_guide_as_two_programs_write_it(name: str) -> None:
    guide = made(name)
    assert guide.text == GUIDE
    assert guide.title == "Cold stores of the harbour"
    assert guide.metadata["author"] == "Ines Varga"
    assert headings(guide) == [
        (1, "Cold stores of the harbour"),
        (1, "Before the shift"),
        (2, "The order of doors"),
        (2, "What the thermometer may say"),
        (3, "When a limit is broken"),
        (1, "After the shift"),
    ]
    assert [kind for kind, *_ in blocks(guide)] == ["list", "list", "table", "code"]
    assert blocks(guide)[2][1].endswith("\nStore | Lowest | Highest | Goods")
    assert stretch(guide, 3).startswith("def pressure")


def test_a_letter_with_all_that_people_put_into_one() -> None:
    letter = made("letter-libreoffice.odt")
    assert letter.text == (
        "Contents of the whole\n\n"
        "The lock at Brenn\n\n"
        "Barges are let through in the order in which they came, whatever they carry.\n\n"
        "Comment (Ben Adler): Is grain still let through first?\n\n"
        "Tolls\n\n"
        "The toll is fifty crowns a barge.\n\n"
        "At night:\n\n"
        "Ring twice at the lock gate.\n\n"
        "- show two lamps\n- wait for the whistle\n- one long, one short\n"
        "1. enter slowly\n2. tie up on the left\n\n"
        "The keeper's hours\n\n"
        "Day | Hours | Keeper\nMonday | 6 to 18 | Orla Finch\nTuesday | 6 to 18\n"
        "Sunday | closed\n\n"
        "Beside the table:\n\n"
        "A table of one cell is a frame around text.\n\n"
        "What stands on the second page."
    )
    assert letter.metadata["keywords"] == "locks, tolls"


def numbered(name: str, level: int, kind: str, suffix: str, shown: int = 1) -> str:
    return (
        f'<text:list-level-style-number text:level="{level}" style:num-format="{kind}" '
        f'style:num-suffix="{suffix}" text:display-levels="{shown}"/>'
    )


STYLES = (
    '<text:list-style style:name="L1">'
    + numbered("L1", 1, "1", ".")
    + numbered("L1", 2, "i", ")", 2)
    + "</text:list-style>"
    '<text:list-style style:name="L2"><text:list-level-style-bullet text:level="1" '
    'text:bullet-char="•"/></text:list-style>'
    '<style:style style:name="H" style:family="text"><style:text-properties text:display="none"/>'
    "</style:style>"
    '<style:style style:name="P1" style:parent-style-name="Preformatted_20_Text"/>'
    "<text:outline-style>" + numbered("", 1, "I", " ") + "</text:outline-style>"
)


def item(*inner: str) -> str:
    return f"<text:list-item>{''.join(inner)}</text:list-item>"


def p(text: str) -> str:
    return f"<text:p>{text}</text:p>"


def test_lists_are_numbered_as_their_styles_say() -> None:
    body = (
        '<text:list text:style-name="L1">'
        + item(p("one"), "<text:list>" + item(p("deep")) + item(p("deeper")) + "</text:list>")
        + item(p("two"), p("goes on"))
        + "</text:list>"
        + p("between")
        + '<text:list text:style-name="L1" text:continue-numbering="true">'
        + item(p("three"))
        + '<text:list-header><text:p>no number</text:p></text:list-header></text:list>'
        + '<text:list text:style-name="L2">' + item(p("bullet")) + "</text:list>"
        + p("new")
        + '<text:list text:style-name="L1">' + item(p("again"))
        + item("<text:list>" + item(p("only deep")) + "</text:list>") + "</text:list>"
    )  # fmt: skip
    assert parsed("a.odt", odt(body, STYLES)).text == (
        "1. one\n  1.i) deep\n  1.ii) deeper\n2. two\n  goes on\n\nbetween\n\n"
        "3. three\n  no number\n- bullet\n\nnew\n\n1. again\n  1.i) only deep"
    )


def test_headings_are_numbered_as_the_outline_says() -> None:
    body = (
        '<text:h text:outline-level="1">First</text:h>'
        '<text:h text:outline-level="2">Below</text:h>'
        '<text:h text:outline-level="1">Second</text:h>'
        '<text:h text:outline-level="1" text:is-list-header="true">Index</text:h>'
    )
    document = parsed("a.odt", odt(body, STYLES))
    assert headings(document) == [(1, "I First"), (2, "Below"), (1, "II Second"), (1, "Index")]


def test_deleted_and_hidden_text_is_left_out() -> None:
    body = (
        "<text:tracked-changes><text:changed-region><text:deletion><text:p>forty</text:p>"
        "</text:deletion></text:changed-region></text:tracked-changes>"
        "<text:p>The toll is <text:change text:change-id='c'/>fifty"
        '<text:span text:style-name="H"> secretly</text:span>'
        "<text:hidden-text> never</text:hidden-text>"
        "<text:ruby><text:ruby-base> kan</text:ruby-base><text:ruby-text>ji</text:ruby-text>"
        "</text:ruby>.</text:p>"
        '<text:section text:display="none"><text:p>secret</text:p></text:section>'
        "<text:section><text:p>open</text:p></text:section>"
        "<text:table-of-content><text:index-body><text:p>One 3</text:p></text:index-body>"
        "</text:table-of-content>"
    )  # fmt: skip
    assert parsed("a.odt", odt(body, STYLES)).text == "The toll is fifty kan.\n\nopen"


def test_notes_comments_and_boxes_follow_their_block() -> None:
    body = (
        "<text:p>Text<text:note><text:note-citation>7</text:note-citation><text:note-body>"
        "<text:p>below</text:p></text:note-body></text:note> goes<office:annotation>"
        "<dc:creator>Ada</dc:creator><dc:date>2026-01-01</dc:date><text:p>Why?</text:p>"
        "</office:annotation> on<draw:frame><draw:text-box><text:p>boxed</text:p></draw:text-box>"
        "</draw:frame>.</text:p>"
        "<table:table><table:table-row><table:table-cell><text:p>Name</text:p></table:table-cell>"
        "<table:table-cell><text:p>Age</text:p></table:table-cell></table:table-row>"
        "<table:table-row><table:table-cell><text:p>Ada<text:note><text:note-citation>8"
        "</text:note-citation><text:note-body><text:p>born</text:p></text:note-body></text:note>"
        "</text:p></table:table-cell><table:table-cell><text:p>36</text:p></table:table-cell>"
        "</table:table-row></table:table>"
    )
    document = parsed("a.odt", odt(body))
    assert document.text == (
        "Text[7] goes on.\n\n[7] below\n\nComment (Ada): Why?\n\nboxed\n\n"
        "Name | Age\nAda[8] | 36\n\n[8] born"
    )


def test_spaces_of_code_stay_and_others_run_together() -> None:
    body = (
        "<text:p>a  b\n c<text:s text:c='3'/>d<text:tab/>e<text:line-break/>f</text:p>"
        '<text:p text:style-name="P1">if x:</text:p><text:p text:style-name="P1"><text:s '
        'text:c="4"/>y</text:p>'
    )
    document = parsed("a.odt", odt(body, STYLES))
    assert document.text == "a b c d e\nf\n\nif x:\n    y"
    assert [kind for kind, *_ in blocks(document)] == ["code"]


def test_one_xml_file_is_read_like_a_zip() -> None:
    flat = (
        f"<?xml version='1.0'?>\n<office:document {ODF_NAMES}><office:meta>"
        "<dc:title>Flat</dc:title></office:meta><office:body><office:text><text:h>One</text:h><text:p>two</text:p>"
        "</office:text></office:body></office:document>"
    )
    document = parsed("a.fodt", flat)
    assert (document.title, document.text) == ("Flat", "One\n\ntwo")


def test_an_encrypted_file_is_said_to_be() -> None:
    manifest = (
        f'<m:manifest xmlns:m="{ODF}manifest:1.0"><m:file-entry m:full-path="content.xml">'
        "<m:encryption-data/></m:file-entry></m:manifest>"
    )
    data = odt(p("x"), **{"META-INF/manifest_xml": manifest})
    with pytest.raises(DocumentError, match="is encrypted with a password"):
        parsed("a.odt", data)


def test_what_is_no_document_of_its_kind_is_said_to_be() -> None:
    with pytest.raises(DocumentError, match="an OpenDocument presentation was expected"):
        parsed("a.odp", odt(p("x")))
    with pytest.raises(DocumentError, match="holds no text"):
        parsed("a.odt", odt(p(" ")))


def test_a_drawing_has_pages() -> None:
    page = "<draw:page><draw:custom-shape><text:p>{}</text:p></draw:custom-shape></draw:page>"
    drawing = parsed("a.odg", odt(page.format("one") + page.format("two"), kind="drawing"))
    assert drawing.text == "Page 1\n\none\n\nPage 2\n\ntwo"
    assert [mark.value for mark in drawing.outline.marks] == [1, 2]
