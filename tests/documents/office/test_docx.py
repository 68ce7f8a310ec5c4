"""Word documents: those that programs wrote, and what each construct gives."""

from __future__ import annotations

import pytest

from retrieval.documents.formats.format import Parsed
from retrieval.errors import DocumentError
from retrieval.types import Place

from ..outlines_for_tests import blocks, headings, headings_at, parsed, passages_of, stretch
from .packages_for_tests import docx, made, p, table

GUIDE = """\
Cold stores of the harbour

Ines Varga

Before the shift

Every cold store of the harbour is walked through before a shift begins. The keeper carries the \
red lamp, since the lamps on the wall fail in strong frost.[1]

[1] The lamps were bought in 1987 and are to be replaced next spring.

Take along:

- the key ring of the quay office
- two pairs of gloves
  - one lined with felt
  - one of rubber
- the log book

The order of doors

1. Open the southern door and wait a minute.
2. Look at the thermometer.
3. Close it again:
  a. with the lever,
  b. with the bolt.

What the thermometer may say

The limits are those of the insurer:

Store | Lowest | Highest | Goods
North | -24 °C | -18 °C | herring and cod
South | -4 °C | 2 °C | apples, pears
Quay | 0 °C | 6 °C | cut flowers

When a limit is broken

Call the duty engineer and write the hour down. Nobody enters the store alone; whoever does so \
answers for it.

After the shift

The pumps are read by this program:

def pressure(pump):
    # bar above the quay
    return pump.read() - 1.01

Frost is patient, the keeper is not.

Grüße aus Κέρκυρα, привет, 港の冷蔵庫."""


@pytest.mark.parametrize("name", ["guide-pandoc.docx", "guide-libreoffice.docx"])
def test_a_guide_as_two_programs_write_it(name: str) -> None:
    guide = made(name)
    assert guide.text == GUIDE
    assert guide.title == "Cold stores of the harbour"
    assert guide.metadata["author"] == "Ines Varga"
    assert str(guide.metadata["created"]).startswith("20")
    assert guide.problems == ()
    assert headings(guide) == [
        (1, "Cold stores of the harbour"),
        (1, "Before the shift"),
        (2, "The order of doors"),
        (2, "What the thermometer may say"),
        (3, "When a limit is broken"),
        (1, "After the shift"),
    ]
    assert blocks(guide) == [
        ("list", "Take along:", ""),
        ("list", "", ""),
        (
            "table",
            "The limits are those of the insurer:\nStore | Lowest | Highest | Goods",
            "",
        ),
        ("code", "", ""),
    ]
    assert stretch(guide, 3).startswith("def pressure")
    assert headings_at(guide, "duty engineer") == (
        "Before the shift",
        "What the thermometer may say",
        "When a limit is broken",
    )


@pytest.mark.parametrize("name", ["letter-python-docx.docx", "letter-strict.docx"])
def test_a_letter_with_all_that_people_put_into_one(name: str) -> None:
    letter = made(name)
    assert letter.text == (
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
    assert letter.title == "The lock at Brenn"
    assert letter.metadata == {
        "author": "Ines Varga",
        "created": "2026-03-05T08:30:00Z",
        "modified": "2026-03-05T08:30:00Z",
        "keywords": "locks, tolls",
    }
    assert headings(letter) == [
        (1, "The lock at Brenn"),
        (2, "Tolls"),
        (2, "The keeper's hours"),
    ]
    places = {text.split("\n")[0]: passage.place for text, passage in passages_of(letter, 12)}
    assert places["The lock at Brenn"] == Place(page=1)
    assert places["What stands on the second page."] == Place(page=2)


STYLES = """
<w:style w:type="paragraph" w:styleId="Titre1"><w:name w:val="Titre 1"/></w:style>
<w:style w:type="paragraph" w:styleId="berschrift2"><w:name w:val="heading 2"/>
 <w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style>
<w:style w:type="paragraph" w:styleId="Eigen"><w:name w:val="Kapitel"/>
 <w:basedOn w:val="berschrift2"/></w:style>
<w:style w:type="paragraph" w:styleId="Mine"><w:name w:val="Mine"/>
 <w:pPr><w:outlineLvl w:val="2"/></w:pPr></w:style>
<w:style w:type="paragraph" w:styleId="Flat"><w:name w:val="Flat"/>
 <w:basedOn w:val="Mine"/><w:pPr><w:outlineLvl w:val="9"/></w:pPr></w:style>
<w:style w:type="paragraph" w:styleId="Loop"><w:name w:val="A"/><w:basedOn w:val="Loop"/></w:style>
<w:style w:type="paragraph" w:styleId="Verzeichnis1"><w:name w:val="toc 1"/></w:style>
<w:style w:type="character" w:styleId="Mine"><w:name w:val="Mine char"/></w:style>
"""


def test_headings_are_known_by_outline_level_ancestor_or_name_in_any_language() -> None:
    body = "".join(
        (
            p("One", "Titre1"),
            p("Two", "berschrift2"),
            p("Three", "Eigen"),
            p("Four", "Mine"),
            p("flat", "Flat"),
            p("loop", "Loop"),
            p("One .... 3", "Verzeichnis1"),
            p("Five", "", '<w:outlineLvl w:val="0"/>'),
            p("unknown", "Nowhere"),
            p("見出しの例", "見出し1"),
            p("   ", "Titre1"),
        )
    )
    document = parsed("a.docx", docx(body, styles=STYLES))
    assert headings(document) == [
        (1, "One"),
        (2, "Two"),
        (2, "Three"),
        (3, "Four"),
        (1, "Five"),
        (1, "見出しの例"),
    ]
    assert "...." not in document.text
    assert "flat\n\nloop\n\nFive" in document.text


NUMBERING = """
<w:abstractNum w:abstractNumId="0">
 <w:lvl w:ilvl="0"><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/><w:start w:val="3"/></w:lvl>
 <w:lvl w:ilvl="1"><w:numFmt w:val="lowerLetter"/><w:lvlText w:val="%1.%2)"/></w:lvl>
 <w:lvl w:ilvl="2"><w:numFmt w:val="upperRoman"/><w:lvlText w:val="(%3)"/></w:lvl>
</w:abstractNum>
<w:abstractNum w:abstractNumId="1">
 <w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/><w:lvlText w:val="o"/></w:lvl></w:abstractNum>
<w:num w:numId="5"><w:abstractNumId w:val="0"/></w:num>
<w:num w:numId="6"><w:abstractNumId w:val="1"/></w:num>
<w:num w:numId="7"><w:abstractNumId w:val="0"/>
 <w:lvlOverride w:ilvl="0"><w:startOverride w:val="8"/></w:lvlOverride></w:num>
"""


def numbered(text: str, list_id: int, depth: int = 0, style: str = "") -> str:
    return p(
        text, style, f'<w:numPr><w:ilvl w:val="{depth}"/><w:numId w:val="{list_id}"/></w:numPr>'
    )


def test_lists_are_numbered_as_word_numbers_them() -> None:
    body = "".join(
        (
            p("They are:"),
            numbered("three", 5),
            numbered("a below", 5, 1),
            numbered("b below", 5, 1),
            numbered("deep", 5, 2),
            numbered("four", 5),
            numbered("a again", 5, 1),
            p("Between."),
            numbered("a bullet", 6),
            numbered("no list", 0),
            numbered("eight", 7),
            numbered("five", 5),
            numbered("Scope", 5, 0, "Heading1"),
        )
    )
    document = parsed("a.docx", docx(body, numbering=NUMBERING))
    assert document.text == (
        "They are:\n\n"
        "3. three\n  3.a) a below\n  3.b) b below\n    (I) deep\n4. four\n  4.a) a again\n\n"
        "Between.\n\n- a bullet\n\nno list\n\n8. eight\n5. five\n\n6. Scope"
    )
    assert headings(document) == [(1, "6. Scope")]
    assert blocks(document)[0] == ("list", "They are:", "")
    starts = [document.text[at:].split("\n")[0] for at in document.outline.breaks[1]]
    assert starts[:3] == ["3. three", "  3.a) a below", "  3.b) b below"]


def test_notes_follow_what_they_are_of() -> None:
    reference = '<w:r><w:{0}Reference w:id="{1}"/></w:r>'
    body = (
        "<w:p><w:r><w:t>First</w:t></w:r>"
        + reference.format("footnote", "2")
        + reference.format("endnote", "4")
        + "</w:p>"
        + table(["Name", "Age"], ["Ada", "36"]).replace(
            "<w:t>36</w:t></w:r>", "<w:t>36</w:t></w:r>" + reference.format("footnote", "3")
        )
        + p("last")
    )
    document = parsed(
        "a.docx",
        docx(
            body,
            footnotes=f'<w:footnote w:id="2">{p("a foot")}{p("goes on")}</w:footnote>'
            f'<w:footnote w:id="3">{p("of the table")}</w:footnote>',
            endnotes=f'<w:endnote w:id="4">{p("an end")}</w:endnote>',
        ),
    )
    assert document.text == (
        "First[1][i]\n\n[1] a foot goes on\n\n[i] an end\n\n"
        "Name | Age\nAda | 36[2]\n\n[2] of the table\n\nlast"
    )


def test_a_paragraph_whose_end_was_deleted_goes_on_in_the_next() -> None:
    body = p("The lock ", "", '<w:rPr><w:del w:id="1"/></w:rPr>') + p("is open.") + p("Enter.")
    assert parsed("a.docx", docx(body)).text == "The lock is open.\n\nEnter."


def test_a_deleted_row_is_gone_and_a_repeated_header_is_the_header() -> None:
    head = "<w:trPr><w:tblHeader/></w:trPr>"
    body = (
        "<w:tbl>"
        + table(["12", "13"], properties=head)[7:-8]
        + table(["a", "b"])[7:-8]
        + table(["gone", "gone"], properties='<w:trPr><w:del w:id="1"/></w:trPr>')[7:-8]
        + table(["c", "d"])[7:-8]
        + "</w:tbl>"
    )
    document = parsed("a.docx", docx(body))
    assert document.text == "12 | 13\na | b\nc | d"
    assert blocks(document) == [("table", "12 | 13", "")]


def test_a_table_around_a_table_only_places_it() -> None:
    inner = table(["Name", "Age"], ["Ada", "36"])
    body = f"<w:tbl><w:tr><w:tc>{p('left')}</w:tc><w:tc>{inner}</w:tc></w:tr></w:tbl>"
    document = parsed("a.docx", docx(body))
    assert document.text == "left\n\nName | Age\nAda | 36"
    assert blocks(document) == [("table", "Name | Age", "")]


def test_a_long_table_is_cut_between_its_rows_and_keeps_its_header() -> None:
    rows = [[f"barge {n}", f"{n} tons of grain", f"berth {n % 7}"] for n in range(60)]
    body = table(["Barge", "Load", "Berth"], *rows)
    document = parsed("a.docx", docx(body))
    passages = passages_of(document, 40)
    assert len(passages) > 5
    for text, passage in passages[1:]:
        assert text.startswith("barge ")
        assert passage.context.lead == "Barge | Load | Berth"


def test_line_breaks_tabs_and_special_hyphens() -> None:
    body = (
        "<w:p><w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t><w:noBreakHyphen/>"
        "<w:t>d</w:t><w:softHyphen/><w:t>e</w:t></w:r><w:hyperlink><w:r><w:t> link</w:t></w:r>"
        '</w:hyperlink><w:fldSimple w:instr="PAGE"><w:r><w:t> 7</w:t></w:r></w:fldSimple>'
        "<w:r><w:instrText> HYPERLINK x </w:instrText></w:r></w:p>"
    )
    assert parsed("a.docx", docx(body)).text == "a b\nc-de link 7"


def test_a_comment_on_nothing_is_read() -> None:
    said = f'<w:comment w:id="0" w:author="Ann">{p("add a word")}</w:comment>'
    body = '<w:p><w:r><w:commentReference w:id="0"/></w:r></w:p>'
    found = parsed("a.docx", docx(p("before") + body, comments=said))
    assert found.text == "before\n\nComment (Ann): add a word"
    assert parsed("a.docx", docx(body, comments=said)).text == "Comment (Ann): add a word"


def test_files_that_the_text_holds_are_read() -> None:
    from .packages_for_tests import OFFICE, W, relations, zipped

    def document(name: str, content: str) -> Parsed:
        body = f'{p("before")}<w:altChunk xmlns:r="{OFFICE}" r:id="r0"/>{p("after")}'
        return parsed(
            "a.docx",
            zipped(
                {
                    "_rels/.rels": relations({"officeDocument": "/word/document.xml"}),
                    "word/_rels/document.xml.rels": relations({"aFChunk": name}),
                    "word/document.xml": f'<w:document xmlns:w="{W}"><w:body>{body}</w:body>'
                    "</w:document>",
                    f"word/{name}": content,
                }
            ),
        )

    page = "<html><p>Ring\r\ntwice.<h2>Tolls</h2>\r\n\r\n<p>Fifty <b>crowns</b>.</html>"
    found = document("page.html", page)
    assert found.text == "before\n\nRing\ntwice.\n\nTolls\n\nFifty crowns.\n\nafter"
    assert headings(found) == [(2, "Tolls")]
    saved = f"MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{page}"
    assert document("page.mht", saved).text == found.text
    assert document("a.rtf", r"{\rtf1 one\par two}").text == "before\n\none\n\ntwo\n\nafter"
    odd = document("in.docx", "PK")
    assert odd.text == "before\n\nafter"
    assert odd.problems == ("read without word/in.docx, a file in a file",)


def test_fractions_have_a_stroke() -> None:
    parts = "".join(f"<m:{part}><m:r><m:t>{part}</m:t></m:r></m:{part}>" for part in ("num", "den"))
    namespace = 'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
    body = f"<w:p {namespace}><m:oMath><m:f>{parts}</m:f></m:oMath></w:p>"
    assert parsed("a.docx", docx(body)).text == "num/den"


def test_a_broken_part_beside_the_text_costs_only_itself() -> None:
    from .packages_for_tests import W, relations, zipped

    document = parsed(
        "a.docx",
        zipped(
            {
                "_rels/.rels": relations({"officeDocument": "/word/document.xml"}),
                "word/_rels/document.xml.rels": relations({"styles": "styles.xml"}),
                "word/document.xml": f'<w:document xmlns:w="{W}"><w:body>{p("whole")}</w:body>'
                "</w:document>",
                "word/styles.xml": "<w:styles",
            }
        ),
    )
    assert document.text == "whole"
    assert len(document.problems) == 1
    assert document.problems[0].startswith("read without word/styles.xml, which is damaged")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (docx(""), "holds no text"),
        (docx(p("a"))[:-400], "cannot be read as a Word document"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "before 2007"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
            "is encrypted with a password",
        ),
        (b"no zip at all", "cannot be read as a Word document"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(data: bytes, said: str) -> None:
    with pytest.raises(DocumentError, match=said) as raised:
        parsed("a.docx", data)
    assert "\n" not in str(raised.value)


def test_a_document_without_a_telling_name_is_known_by_its_beginning() -> None:
    letter = (made("letter-python-docx.docx")).text
    from .make_files import FILES

    assert parsed("letter", (FILES / "letter-python-docx.docx").read_bytes()).text == letter


def mark(kind: str) -> str:
    return f'<w:r><w:fldChar w:fldCharType="{kind}"/></w:r>'


def asks(words: str) -> str:
    return f"<w:r><w:instrText>{words}</w:instrText></w:r>"


def says(words: str) -> str:
    return f"<w:r><w:t>{words}</w:t></w:r>"


def fields(instruction: str, result: str) -> str:
    return f"{mark('begin')}{instruction}{mark('separate')}{result}{mark('end')}"


INNER = fields(asks("MERGEFIELD sex"), says("m"))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (fields(asks("IF ") + INNER + asks(' = "m" "Sir"'), says("Sir")), "Sir"),
        (fields(asks("IF ") + fields(asks("= ") + INNER, says("2")), says("Sir")), "Sir"),
        (fields(asks("IF ") + INNER + asks("x"), says("Sir ") + INNER), "Sir m"),
        (mark("begin") + asks("SET a ") + INNER + mark("end") + says("on"), "on"),
        (fields(asks("IF ") + f"<w:hyperlink>{INNER}</w:hyperlink>", says("Sir")), "Sir"),
        (fields(asks("HYPERLINK x"), says("a ") + INNER), "a m"),
        # Without an end it is no field: nothing is lost.
        (mark("begin") + asks("IF ") + INNER + says(" on"), "m on"),
        (mark("end") + mark("separate") + says("on"), "on"),
    ],
)
def test_of_fields_only_results_are_read(body: str, text: str) -> None:
    assert parsed("a.docx", docx(f"<w:p>{says('Dear ')}{body}</w:p>")).text == f"Dear {text}"


def test_many_fields_in_each_other_take_linear_time() -> None:
    body = f"<w:p>{(mark('begin') + mark('separate')) * 20_000}{says('on')}</w:p>"
    assert parsed("a.docx", docx(body)).text == "on"


def test_a_field_of_several_paragraphs_and_one_in_a_single_run() -> None:
    start = mark("begin") + asks("IF ") + INNER
    body = f"<w:p>{start}</w:p><w:p>{says('asked')}</w:p><w:p>{mark('separate')}{says('Sir')}"
    assert parsed("a.docx", docx(f"{body}{mark('end')}</w:p>{p('End')}")).text == "Sir\n\nEnd"
    run = (
        '<w:r><w:t>Page </w:t><w:fldChar w:fldCharType="begin"/><w:instrText>PAGE</w:instrText>'
        '<w:fldChar w:fldCharType="separate"/><w:t>7</w:t><w:fldChar w:fldCharType="end"/></w:r>'
    )
    assert parsed("a.docx", docx(f"<w:p>{run}</w:p>")).text == "Page 7"
