"""What stands on sheets but in no cell: comments, threads, text boxes, charts, formulas."""

from __future__ import annotations

import io
import re
import struct
import zipfile
from collections.abc import Mapping

import pytest

from retrieval.documents.formats import Source, format_of
from retrieval.documents.formats.format import Parsed
from retrieval.documents.formats.office.remarks import cell_name
from retrieval.errors import DocumentError
from retrieval.types import Place

from ..compound_files_for_tests import compound
from ..corpus.truth import FILES as CORPUS
from ..outlines_for_tests import headings, parsed, passages_of
from .make_files import FILES
from .packages_for_tests import OFFICE, made, odt, relations, zipped
from .test_sheets import MAIN, sheet
from .test_short_cells import record

THREADS = "http://schemas.microsoft.com/office/spreadsheetml/2018/threadedcomments"
DRAWN = "http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing"
DIAGRAM = "http://schemas.openxmlformats.org/drawingml/2006/diagram"
A = "http://schemas.openxmlformats.org/drawingml/2006/main"
ROWS = [["Barge", "Load"], ["Gannet", 40], ["Tern", 38]]


def workbook(parts: Mapping[str, str | bytes], links: Mapping[str, str], page: str = "") -> bytes:
    """A workbook of one sheet, which has relations to these parts."""
    return zipped(
        {
            "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/'
            'content-types"/>',
            "_rels/.rels": relations({"officeDocument": "xl/workbook.xml"}),
            "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>'
            '<sheet name="Loads" sheetId="1" r:id="r0"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": relations(
                {"worksheet": "worksheets/s.xml", "person": "persons/person.xml"}
            ),
            "xl/worksheets/s.xml": page or sheet(ROWS),
            "xl/worksheets/_rels/s.xml.rels": relations(links),
            **parts,
        }
    )


def notes(*cells: tuple[str, int, str], authors: tuple[str, ...] = ("Ann",)) -> str:
    listed = "".join(f"<author>{author}</author>" for author in authors)
    said = "".join(
        f'<comment ref="{cell}" authorId="{author}"><text>{text}</text></comment>'
        for cell, author, text in cells
    )
    return (
        f'<comments xmlns="{MAIN}"><authors>{listed}</authors><commentList>{said}</commentList>'
        "</comments>"
    )


def test_comments_and_shapes_as_programs_write_them() -> None:
    expected = (
        "Barges & tolls\n\n"
        "Barge | Load\nGannet | 40\nTern | 38\nSkua | 12\n\n"
        "Loads of January / Barge by barge\n\n"
        "Loads are in tons\nof a thousand kilos\n\n"
        "Comment on B3 (Ben Adler): weighed twice\n\n"
        "Keeper | Since\nOrla Finch | 2011\n\n"
        "Comment on A7 (Ines Varga): on leave till June\n\n"
        "Checked by the harbour\n\n"
        "Remarks only\n\n"
        "Comment on C4 (Cy): to be filled in"
    )
    book = made("remarks-xlsxwriter.xlsx")
    assert book.text == expected
    assert headings(book) == [(1, "Barges & tolls"), (1, "Remarks only")]
    places = {text: passage.place for text, passage in passages_of(book, 8)}
    assert places["Comment on B3 (Ben Adler): weighed twice"] == Place(row=3, part="Barges & tolls")
    # LibreOffice forgets who wrote a comment, and what begins it stays.
    forgotten = re.sub(r" \((?:Ines Varga|Cy)\)", "", expected)
    forgotten = forgotten.replace(" (Ben Adler): ", ": Ben Adler: ")
    assert sorted(made("remarks-libreoffice.ods").text.split("\n\n")) == sorted(
        forgotten.split("\n\n")
    )
    old = made("remarks-libreoffice.xls").text
    assert sorted(old.split("\n\n")) == sorted(
        forgotten.replace("Loads of January / Barge by barge\n\n", "").split("\n\n")
    )


def test_a_thread_stands_once_with_all_that_was_said() -> None:
    said = "".join(
        f'<threadedComment ref="B2" personId="{{{person}}}" id="{n}"><text>{text}</text>'
        "</threadedComment>"
        for n, (person, text) in enumerate((("P1", "Is that dry?"), ("P2", "As weighed.")))
    )
    people = "".join(
        f'<person displayName="{name}" id="{{{key}}}"/>'
        for key, name in (("P1", "Ann"), ("P2", "Cy"))
    )
    repeated = "<t>[Threaded comment]\n\nYour version of Excel...\n\nComment:\n    Is that dry?</t>"
    parts = {
        "xl/persons/person.xml": f'<personList xmlns="{THREADS}">{people}</personList>',
        "xl/threads.xml": f'<ThreadedComments xmlns="{THREADS}">{said}</ThreadedComments>',
        "xl/notes.xml": notes(
            ("B2", 0, repeated), ("A3", 1, "<t>old</t>"), authors=("tc={1A-2B}", "Ann")
        ),
    }
    both = {"threadedComment": "../threads.xml", "comments": "../notes.xml"}
    assert parsed("a.xlsx", workbook(parts, both)).text.endswith(
        "\n\nComment on B2 (Ann): Is that dry?\n\nComment on B2 (Cy): As weighed.\n\n"
        "Comment on A3 (Ann): old"
    )
    alone = parsed("a.xlsx", workbook(parts, {"comments": "../notes.xml"}))
    assert alone.text.endswith("\n\nComment on B2: Is that dry?\n\nComment on A3 (Ann): old")


def test_a_note_is_its_runs_without_how_they_are_pronounced() -> None:
    runs = "<r><rPr><b/></rPr><t>Ann:</t></r><r><t xml:space='preserve'>\n high </t></r>"
    rubies = "<r><t>tide</t></r><rPh sb='0' eb='1'><t>taid</t></rPh>"
    book = workbook({"xl/n.xml": notes(("B2", 0, runs + rubies))}, {"comments": "../n.xml"})
    assert parsed("a.xlsx", book).text.endswith("\n\nComment on B2 (Ann): high tide")


def test_comments_stand_below_the_table_that_they_are_of() -> None:
    page = sheet([*ROWS, [], ["Keeper", "Since"], ["Orla", 2011], [], ["Total", 78]])
    said = notes(*((f"A{row}", 0, f"<t>of {row}</t>") for row in (8, 1, 4, 6, 20)))
    book = parsed("a.xlsx", workbook({"xl/n.xml": said}, {"comments": "../n.xml"}, page))
    assert [block.split("\n")[-1] for block in book.text.split("\n\n")] == [
        "Loads", "Tern | 38", "Comment on A1 (Ann): of 1", "Comment on A4 (Ann): of 4",
        "Orla | 2011", "Comment on A6 (Ann): of 6", "Total | 78", "Comment on A8 (Ann): of 8",
        "Comment on A20 (Ann): of 20",
    ]  # fmt: skip


def test_a_row_that_is_a_document_has_its_comments() -> None:
    said = notes(("B1", 0, "<t>in tons</t>"), ("B3", 0, "<t>wet</t>"), ("A9", 0, "<t>end</t>"))
    book = workbook({"xl/n.xml": said}, {"comments": "../n.xml"})
    found = format_of("a.xlsx").parse(book, Source("a.xlsx", rows=True))
    assert not isinstance(found, Parsed)
    assert [one.text for one in found] == [
        "Barge: Gannet\nLoad: 40\nComment on B1 (Ann): in tons",
        "Barge: Tern\nLoad: 38\nComment on B3 (Ann): wet\nComment on A9 (Ann): end",
    ]


def test_of_several_forms_of_a_shape_one_is_read() -> None:
    body = "<xdr:txBody><a:p><a:r><a:t>{}</a:t></a:r></a:p></xdr:txBody>"
    tree = (
        f'<xdr:wsDr xmlns:xdr="{DRAWN}" xmlns:a="{A}" xmlns:mc="http://schemas.openxmlformats.org/'
        'markup-compatibility/2006"><xdr:twoCellAnchor><xdr:from><xdr:col>3</xdr:col>'
        "<xdr:row>1</xdr:row></xdr:from><mc:AlternateContent><mc:Choice><xdr:sp>"
        f"{body.format('new')}</xdr:sp></mc:Choice><mc:Fallback><xdr:sp>{body.format('old')}"
        "</xdr:sp></mc:Fallback></mc:AlternateContent></xdr:twoCellAnchor></xdr:wsDr>"
    )
    book = parsed("a.xlsx", workbook({"xl/d.xml": tree}, {"drawing": "../d.xml"}))
    assert book.text.endswith("Tern | 38\n\nnew")
    assert [mark.value for mark in book.outline.marks if mark.unit == "row"][-1] == 2


def test_a_diagram_says_its_points() -> None:
    drawn = (
        f'<xdr:wsDr xmlns:xdr="{DRAWN}" xmlns:a="{A}" xmlns:r="{OFFICE}"><xdr:twoCellAnchor>'
        "<xdr:from><xdr:row>4</xdr:row></xdr:from><xdr:graphicFrame><a:graphic><a:graphicData>"
        f'<dgm:relIds xmlns:dgm="{DIAGRAM}" r:dm="r0"/></a:graphicData></a:graphic>'
        "</xdr:graphicFrame></xdr:twoCellAnchor></xdr:wsDr>"
    )
    points = "".join(
        f"<dgm:pt><dgm:t><a:p><a:r><a:t>{said}</a:t></a:r></a:p></dgm:t></dgm:pt>"
        for said in ("Weigh", "", "Moor")
    )
    parts = {
        "xl/drawings/d.xml": drawn,
        "xl/drawings/_rels/d.xml.rels": relations({"diagramData": "../data.xml"}),
        "xl/data.xml": f'<dgm:dataModel xmlns:dgm="{DIAGRAM}" xmlns:a="{A}">{points}'
        "</dgm:dataModel>",
    }
    book = parsed("a.xlsx", workbook(parts, {"drawing": "../drawings/d.xml"}))
    assert book.text.endswith("Tern | 38\n\nWeigh\nMoor")


def test_broken_comments_cost_only_themselves() -> None:
    book = parsed("a.xlsx", workbook({"xl/n.xml": "<comments"}, {"comments": "../n.xml"}))
    assert book.text == "Loads\n\nBarge | Load\nGannet | 40\nTern | 38"
    assert len(book.problems) == 1
    assert "xl/n.xml" in book.problems[0]


def wide(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def test_comments_of_a_binary_workbook() -> None:
    """The cells are those of a workbook that SheetJS wrote, beside them a part of comments."""
    with zipfile.ZipFile(CORPUS / "stores-sheetjs.xlsb") as old:
        parts: dict[str, str | bytes] = {name: old.read(name) for name in old.namelist()}
    plain = parsed("a.xlsb", (CORPUS / "stores-sheetjs.xlsb").read_bytes())
    parts["xl/worksheets/_rels/sheet1.bin.rels"] = relations({"comments": "../comments1.bin"})
    parts["xl/comments1.bin"] = b"".join(
        (
            record(628, b""),
            record(632, wide("Ann")),
            record(635, struct.pack("<IIIII", 0, 2, 2, 1, 1) + bytes(16)),
            record(637, b"\0" + wide("Ann:\nchecked")),
            record(635, struct.pack("<IIIII", 7, 70, 70, 27, 27) + bytes(16)),
            record(637, b"\0" + wide("by nobody")),
            record(635, b"\0"),
            record(629, b""),
        )
    )
    made_ = parsed("a.xlsb", zipped(parts))
    added = [block for block in made_.text.split("\n\n") if block not in plain.text]
    assert added == ["Comment on B3 (Ann): checked", "Comment on AB71: by nobody"]


@pytest.mark.parametrize(
    ("row", "column", "name"), [(0, 0, "A1"), (8, 25, "Z9"), (0, 26, "AA1"), (9, 16383, "XFD10")]
)
def test_cells_are_called_as_the_program_calls_them(row: int, column: int, name: str) -> None:
    assert cell_name(row, column) == name


CELL = '<table:table-cell office:value-type="string"{}>{}<text:p>{}</text:p></table:table-cell>'


def ods(rows: str, shapes: str = "", **parts: str) -> bytes:
    """A spreadsheet of one sheet; a part `Object` is the content of the object 1."""
    body = f'<table:table table:name="T">{shapes}{rows}</table:table>'
    with zipfile.ZipFile(io.BytesIO(odt(body, kind="spreadsheet"))) as package:
        content = package.read("content.xml")
    manifest = (
        '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
        "</manifest:manifest>"
    )
    return zipped(
        {
            "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
            "META-INF/manifest.xml": manifest,
            "content.xml": content,
            **{f"{name} 1/content.xml": part for name, part in parts.items()},
        }
    )


def annotation(said: str, author: str = "Ann") -> str:
    return f"<office:annotation><dc:creator>{author}</dc:creator>{said}</office:annotation>"


def test_annotations_are_found_where_rows_and_cells_repeat() -> None:
    said = "<text:p>two<text:s/>words</text:p><text:p>more</text:p>"
    rows = (
        "<table:table-row>" + CELL.format("", "", "Word") + CELL.format("", "", "Rank")
        + "</table:table-row>"
        '<table:table-row table:number-rows-repeated="3">' + CELL.format("", "", "x")
        + CELL.format("", "", "y") + "</table:table-row>"
        "<table:table-row>" + CELL.format(' table:number-columns-repeated="2"', "", "z")
        + CELL.format("", annotation(said), "w")
        + "</table:table-row>"
    )  # fmt: skip
    shapes = (
        "<table:shapes><draw:frame><draw:text-box><text:p>on the page</text:p></draw:text-box>"
        "<svg:title xmlns:svg='s'>no text</svg:title></draw:frame></table:shapes>"
    )
    book = parsed("a.ods", ods(rows, shapes))
    assert book.text.split("\n\n")[2:] == ["Comment on C5 (Ann): two words more", "on the page"]
    assert book.text.split("\n\n")[1].endswith("z | z | w")


def test_formulas_and_titles_of_charts_on_a_sheet() -> None:
    row = (
        "<table:table-row>" + CELL.format("", "", "Word") + "<table:table-cell><draw:frame>"
        '<draw:object xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="./Object 1"/>'
        "</draw:frame></table:table-cell></table:table-row>"
    )
    math = (
        '<math xmlns="http://www.w3.org/1998/Math/MathML"><semantics><mfrac><mi>a</mi><mn>2</mn>'
        "</mfrac><annotation>a over 2</annotation></semantics></math>"
    )
    book = ods(row, Object=math)
    assert parsed("a.ods", book).text == "T\n\nWord\n\na/2"


def test_a_spreadsheet_that_is_one_xml_file() -> None:
    with zipfile.ZipFile(FILES / "remarks-libreoffice.ods") as package:
        content = package.read("content.xml").decode()
        about = package.read("meta.xml").decode()
    meta = re.search(r"<office:meta>.*</office:meta>", about, re.DOTALL)
    names = re.search(r"<office:document-meta ([^>]*)>", about)
    assert meta and names
    content = content.replace("office:document-content", "office:document")
    for name in re.findall(r'xmlns:[\w-]+="[^"]*"', names[1]):
        if f"{name.split('=')[0]}=" not in content:
            content = content.replace("<office:document ", f"<office:document {name} ", 1)
    content = re.sub(r"(<office:document [^>]*>)", lambda m: m[1] + meta[0], content, count=1)
    content = content.replace("<table:table-cell", "\n    <table:table-cell")
    flat = parsed("a.fods", content)
    packed = made("remarks-libreoffice.ods")
    assert flat.title == packed.title == "Weighed barges"
    assert flat.text == packed.text.replace("Loads of January / Barge by barge\n\n", "")


def test_a_flat_spreadsheet_with_entities_is_refused() -> None:
    for said, file in (
        ("declares entities", '<!DOCTYPE x [<!ENTITY a "b">]><office:document/>'),
        ("not well-formed XML", "<<office:document"),
    ):
        with pytest.raises(DocumentError, match=said):
            parsed("a.fods", file)


def test_an_old_workbook_with_a_password_says_so() -> None:
    stream = struct.pack("<HHHH", 0x809, 4, 0x600, 5) + struct.pack("<HHH", 0x2F, 2, 0) + bytes(4)
    with pytest.raises(DocumentError, match="is encrypted with a password"):
        parsed("a.xls", compound({"Workbook": stream.ljust(5000, b"\0")}))
