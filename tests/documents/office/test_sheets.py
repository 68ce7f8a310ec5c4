"""Workbooks: those that programs wrote, and what sheets of each kind give."""

from __future__ import annotations

import datetime
import io
import zipfile
from collections.abc import Sequence
from typing import Any

import pytest

from retrieval.documents.formats import Source, format_of
from retrieval.documents.formats.format import Parsed
from retrieval.documents.formats.office import sheets
from retrieval.errors import DocumentError
from retrieval.types import Place

from ..outlines_for_tests import blocks, check, headings, parsed, passages_of
from .make_files import FILES
from .packages_for_tests import made, odt, relations, zipped

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def letters(column: int) -> str:
    return letters(column // 26 - 1) + chr(65 + column % 26) if column > 25 else chr(65 + column)


def sheet(rows: Sequence[Sequence[Any]], merged: Sequence[str] = (), first: int = 1) -> str:
    """The XML of a sheet with these cells."""
    made = ""
    for number, row in enumerate(rows, start=first):
        made += f'<row r="{number}">'
        for column, cell in enumerate(row):
            if cell is None:
                continue
            place = f'r="{letters(column)}{number}"'
            if isinstance(cell, str):
                made += f'<c {place} t="inlineStr"><is><t>{cell}</t></is></c>'
            else:
                made += f"<c {place}><v>{cell}</v></c>"
        made += "</row>"
    cells = "".join(f'<mergeCell ref="{one}"/>' for one in merged)
    merges = f"<mergeCells>{cells}</mergeCells>" if merged else ""
    return f'<worksheet xmlns="{MAIN}"><sheetData>{made}</sheetData>{merges}</worksheet>'


def xlsx(*pages: str) -> bytes:
    """A workbook of these sheets: S1, S2, ..."""
    names = "".join(
        f'<sheet name="S{n}" sheetId="{n}" r:id="r{n - 1}"/>' for n in range(1, len(pages) + 1)
    )
    return zipped(
        {
            "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/'
            'content-types"/>',
            "_rels/.rels": relations({"officeDocument": "xl/workbook.xml"}),
            "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{names}'
            "</sheets></workbook>",
            "xl/_rels/workbook.xml.rels": "<Relationships xmlns="
            '"http://schemas.openxmlformats.org/package/2006/relationships">'
            + "".join(
                f'<Relationship Id="r{n}" Type="{OFFICE}/worksheet" Target="worksheets/s{n}.xml"/>'
                for n in range(len(pages))
            )
            + "</Relationships>",
            **{f"xl/worksheets/s{n}.xml": page for n, page in enumerate(pages)},
        }
    )


@pytest.mark.parametrize(
    "name",
    [
        "stores-openpyxl.xlsx",
        "stores-libreoffice.xlsx",
        "stores-libreoffice.xls",
        "stores-libreoffice.ods",
    ],
)
def test_a_workbook_as_programs_write_it(name: str) -> None:
    stores = made(name)
    text = stores.text
    if name.endswith(".ods"):  # there a truth value is the number that it stands for
        text = text.replace(" | 1\n", " | TRUE\n").replace(" | 0\n", " | FALSE\n")
    if "openpyxl" in name:  # which writes formulas without their results
        text = text.replace("Sum |  |  |", "Sum |  | 1252 |")
    assert text == (
        "Stores\n\n"
        "Cold stores, state of January\n\n"
        "Store | Limit | Pallets | Checked | Locked\n"
        "North | -18 | 40 | 2025-11-03 | TRUE\n"
        "South | 2.5 | 12 | 2025-11-04 | FALSE\n"
        "Quay | 0.3 | 1200 | 2026-01-31 | TRUE\n"
        "Sum |  | 1252 | 2026-02-01 06:30\n\n"
        "Tolls\n\n"
        "Barge | Toll |  | Paid\n"
        "| day | night\n"
        "Gannet | 40 | 55 | yes\n"
        "Tern | 38 | 52.25 | no\n\n"
        "Keeper | Since\n"
        "Orla Finch | 2011\n"
        "Ben Adler | 2019"
    )
    assert headings(stores) == [(1, "Stores"), (1, "Tolls")]
    leads = [lead for _, lead, _ in blocks(stores)]
    assert leads[0] == "Cold stores, state of January\nStore | Limit | Pallets | Checked | Locked"
    assert leads[1] in ("Barge | Toll day | Toll night | Paid", "Barge | Toll | Paid")
    assert (leads[1] == "Barge | Toll | Paid") == name.endswith(".ods")  # it tells no merged cells
    assert leads[2] == "Keeper | Since"
    if not name.endswith(".xls"):
        assert stores.title == "Stores of the harbour"
        assert stores.metadata["author"] == "Ines Varga"


@pytest.mark.parametrize("name", ["plain-xlsxwriter.xlsx", "plain-xlwt.xls"])
def test_a_sheet_as_two_more_programs_write_it(name: str) -> None:
    assert made(name).text == (
        "Stores\n\n"
        "Store | Limit | Pallets | Checked | Locked\n"
        "North | -18 | 40 | 2025-11-03 | TRUE\n"
        "South | 2.5 | 12 | 2025-11-04 | FALSE\n"
        "Quay | 0.3 | 1200 | 2026-01-31 | TRUE"
    )


def test_rows_stand_where_the_program_numbers_them() -> None:
    rows = [["Barge", "Load", "Berth"], *(["b" + str(n), n, f"berth {n % 7}"] for n in range(60))]
    book = parsed("a.xlsx", xlsx(sheet(rows, first=4), sheet([["Word", "Rank"], ["one", 1]])))
    passages = passages_of(book, 40)
    for text, passage in passages[1:-1]:
        assert text.startswith("b")
        assert passage.context.lead == "Barge | Load | Berth"
        assert passage.context.headings == ("S1",)
        assert passage.place == Place(row=int(text[1:].split(" ")[0]) + 5, part="S1")
    assert passages[0][1].place == Place(row=4, part="S1")
    assert passages[-1][1].place == Place(row=1, part="S2")


def test_each_row_becomes_a_document_if_that_is_asked_for() -> None:
    data = (FILES / "stores-openpyxl.xlsx").read_bytes()
    found = format_of("b.xlsx").parse(data, Source("b.xlsx", rows=True))
    assert not isinstance(found, Parsed)
    documents = list(found)
    for one in documents:
        check(one.text, one.outline)
    assert [one.id for one in documents] == [
        "b.xlsx#Stores!R4",
        "b.xlsx#Stores!R5",
        "b.xlsx#Stores!R6",
        "b.xlsx#Stores!R7",
        "b.xlsx#Tolls!R3",
        "b.xlsx#Tolls!R4",
        "b.xlsx#Tolls!R7",
        "b.xlsx#Tolls!R8",
    ]
    assert documents[0].text == (
        "Store: North\nLimit: -18\nPallets: 40\nChecked: 2025-11-03\nLocked: TRUE"
    )
    assert documents[0].metadata == {
        "Store": "North",
        "Limit": -18.0,
        "Pallets": 40,
        "Checked": "2025-11-03",
        "Locked": "TRUE",
    }
    assert documents[5].text == "Barge: Tern\nToll day: 38\nToll night: 52.25\nPaid: no"
    assert [mark.value for mark in documents[5].outline.marks] == ["Tolls", 4]


def test_a_two_line_header_is_known_by_its_merged_cells() -> None:
    years = [[None, "2024", None, "2025", None], ["City", "in", "out", "in", "out"]]
    book = parsed("a.xlsx", xlsx(sheet([*years, ["Oslo", 1, 2, 3, 4]], merged=["B1:C1", "D1:E1"])))
    assert blocks(book) == [("table", "City | 2024 in | 2024 out | 2025 in | 2025 out", "")]


def test_a_gap_does_not_end_a_table_that_goes_on() -> None:
    rows = [["Name", "Age"], ["Ada", 36], [], ["Ben", 41], ["Cy", 7]]
    book = parsed("a.xlsx", xlsx(sheet(rows)))
    assert blocks(book) == [("table", "Name | Age", ""), ("table", "Name | Age", "")]


def test_a_gap_does_not_end_a_table_of_words() -> None:
    rows = [["Name", "City"], ["Ada", "Paris"], [], ["Ben", "Rome"], ["Cy", "Oslo"]]
    book = parsed("a.xlsx", xlsx(sheet(rows)))
    assert blocks(book) == [("table", "Name | City", ""), ("table", "Name | City", "")]


def test_tables_below_each_other_have_headers_of_their_own() -> None:
    rows = [
        ["Boat", "Low", "High", "Since"],
        ["Sloop", 3, 5, "2024-03-01"],
        [],
        ["Crew", "Age"],
        ["Ada", 36],
        [],
        [None, None, "Pier", "Length"],
        [None, None, "North", 40],
        [None, None, "South", 25],
    ]
    book = parsed("a.xlsx", xlsx(sheet(rows)))
    assert [lead for _, lead, _ in blocks(book)] == [
        "Boat | Low | High | Since",
        "Crew | Age",
        "Pier | Length",
    ]


def test_cells_with_lines_and_columns_without_a_name() -> None:
    rows = [["Name", None, "Note"], ["Ada", "x", "two\n  lines"], [" ", None, None]]
    book = parsed("a.xlsx", xlsx(sheet(rows)))
    assert book.text == "S1\n\nName |  | Note\nAda | x | two lines"


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        (1.0, "1"),
        (-0.0, "0"),
        (0.1 + 0.2, "0.3"),
        (1e300, "1e+300"),
        (float("inf"), "inf"),
        (True, "TRUE"),
        (7, "7"),
        (1234567890123456.0, "1234567890123456"),
        (1e15, "1000000000000000"),
        (-4901200000000017.0, "-4901200000000017"),
        (float(2**53), "9007199254740992"),
        (float(2**60), "1152921504606846976"),
        (12345678901234500000.0, "12345678901234500000"),
        (1e20, "100000000000000000000"),
        (1e300, "1e+300"),
        (1234567890123456.5, "1234567890123456.5"),
        (0.1 + 0.2, "0.3"),
        (-0.0, "0"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (datetime.datetime(2026, 1, 2, 3, 4), "2026-01-02 03:04"),
        (datetime.datetime(2026, 1, 2, 3, 4, 5), "2026-01-02 03:04:05"),
        (datetime.time(6, 30), "06:30:00"),
        (datetime.timedelta(days=1, hours=3, seconds=5), "27:00:05"),
        ("  a \n b ", "a b"),
        ("", ""),
    ],
)
def test_cells_are_shown_as_people_read_them(cell: object, shown: str) -> None:
    assert sheets._shown(cell) == shown


def test_a_sheet_that_reaches_into_the_last_corner_is_refused() -> None:
    page = sheet([["a"]]).replace(
        "</sheetData>",
        '<row r="1048576"><c r="XFD1048576" t="inlineStr"><is><t>b</t></is></c></row></sheetData>',
    )
    with pytest.raises(DocumentError, match="spans 1,048,576 rows and 16,384 columns"):
        parsed("a.xlsx", xlsx(page))
    empty = page.replace('t="inlineStr"><is><t>b</t></is></c>', 's="1"/>')
    assert parsed("a.xlsx", xlsx(empty)).text == "S1\n\na"


def test_a_sheet_that_reaches_too_far_costs_only_itself() -> None:
    far = sheet([["lost"]]).replace(
        "</sheetData>",
        '<row r="1048576"><c r="L1048576" t="inlineStr"><is><t>b</t></is></c></row></sheetData>',
    )
    made = parsed("a.xlsx", xlsx(sheet([["a"]]), far, sheet([["c"]])))
    assert made.text == "S1\n\na\n\nS3\n\nc"
    (problem,) = made.problems
    assert problem.startswith("the sheet S2 is not read: spans 1,048,576 rows and 12 columns")


@pytest.mark.parametrize("name", ["a\tb", "a&#10;b", "a&amp;b"])
def test_a_sheet_that_reaches_too_far_is_not_read_whatever_its_name(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheets, "MAX_CELLS", 100)
    page = sheet([["lost"]]).replace(
        "</sheetData>",
        '<row r="101"><c r="A101" t="inlineStr"><is><t>b</t></is></c></row></sheetData>',
    )
    made = parsed("a.xlsx", renamed(xlsx(sheet([["a"]]), page), "S2", name))
    assert made.text == "S1\n\na"
    assert len(made.problems) == 1 and "is not read: spans 101 rows" in made.problems[0]


def renamed(book: bytes, old: str, new: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as before, zipfile.ZipFile(made, "w") as after:
        for part in before.namelist():
            content = before.read(part)
            if part == "xl/workbook.xml":
                content = content.replace(f'name="{old}"'.encode(), f'name="{new}"'.encode())
            after.writestr(part, content)
    return made.getvalue()


def test_cells_that_are_repeated_without_end_are_refused() -> None:
    row = (
        '<table:table-row table:number-rows-repeated="1048576"><table:table-cell '
        'table:number-columns-repeated="16384" office:value-type="string"><text:p>x</text:p>'
        "</table:table-cell></table:table-row>"
    )
    body = f'<table:table table:name="T">{row}</table:table>'
    with pytest.raises(DocumentError, match="spans 1,048,576 rows and 16,384 columns"):
        parsed("a.ods", odt(body, kind="spreadsheet"))


def test_a_sheet_that_is_a_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = xlsx(sheet([["a"]]) + " " * (16 << 20))
    with pytest.raises(DocumentError, match="unpacks to more than 250 times its packed size"):
        parsed("a.xlsx", bomb)
    monkeypatch.setattr(sheets, "MAX_UNPACKED", 1000)
    with pytest.raises(DocumentError, match="unpacks to more than 0 MiB"):
        parsed("a.xlsx", xlsx(sheet([["a"] * 500])))


def test_a_broken_sheet_costs_only_itself() -> None:
    book = parsed("a.xlsx", xlsx(sheet([["Name", "Age"], ["Ada", 3]]), "<worksheet><sheetData><r"))
    assert book.text == "S1\n\nName | Age\nAda | 3"
    assert len(book.problems) == 1
    assert book.problems[0].startswith("the sheet S2 cannot be read as an Excel workbook: ")


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.xlsx", xlsx(sheet([])), "holds no cells with a value"),
        ("a.xls", b"\t\4\6\0\0\0\x10\0", "is a workbook of Excel 4 or before; save it as .xlsx"),
        ("a.xlsx", b"PK\3\4", "cannot be read as an Excel workbook"),
        ("a.xlsx", zipped({"a.xml": "<a/>"}), "cannot be read as an Excel workbook"),
        ("a.ods", zipped({"content.xml": "<a/>"}), "cannot be read as an OpenDocument spreadsheet"),
        (
            "a.xlsx",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
            "is encrypted with a password",
        ),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(name: str, data: bytes, said: str) -> None:
    with pytest.raises(DocumentError, match=said) as raised:
        parsed(name, data)
    assert "\n" not in str(raised.value)
