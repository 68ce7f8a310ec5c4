"""Workbooks (XLSX, XLSB, XLS, ODS): a sheet a section, its tables with their header, row by row.

Cells are read by python-calamine: values as they are stored, formulas by their last result. It is
given only what has been unpacked once within limits, for it makes room for every cell between the
first and the last, and ends the process where there is none.
"""

from __future__ import annotations

import datetime
import io
import re
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from retrieval.documents.formats.format import Format, Parsed, Source
from retrieval.documents.formats.office.binary_remarks import in_xls, in_xlsb, is_encrypted_xls
from retrieval.documents.formats.office.flat_sheets import is_flat, packed
from retrieval.documents.formats.office.flow import Flow
from retrieval.documents.formats.office.ods_remarks import in_spreadsheet
from retrieval.documents.formats.office.package import (
    OLE,
    Package,
    encrypted_compound,
    repacked,
)
from retrieval.documents.formats.office.properties import (
    core_properties,
    fields_of,
    title_and_rest,
)
from retrieval.documents.formats.office.regions import NO_TABLE, Region, may_go_on, table_of
from retrieval.documents.formats.office.remarks import Remark, in_workbook
from retrieval.documents.formats.office.short_cells import with_columns
from retrieval.documents.formats.office.xml_parts import child, children
from retrieval.documents.formats.rows import Record, caption_of, row_documents
from retrieval.documents.naming import one_line
from retrieval.documents.outline import Mark
from retrieval.errors import DocumentError

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook

MAX_CELLS = 10_000_000
"""Cells between the first and the last of a sheet, empty ones too: 32 bytes each."""
MAX_UNPACKED = 512 * 1024 * 1024
"""Bytes of a workbook's parts: they are read as a stream."""

_EMPTY = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"/>'
_PARTS = (".xml", ".rels")

_EXACT = 1e15
"""From here on 15 digits are not all of a number."""
_MOST_WHOLE = 1e22
"""Larger numbers are none of things that are counted or named."""
_LOCKED = "is encrypted with a password; save it without one to have it read"
_OVERLAP = 200
_CELL = re.compile(rb'\sr="([A-Z]{1,3})(\d{1,7})"[^>]{0,150}(?<!/)>')
_REPEATED = re.compile(
    rb'<table:table-row\b[^>]*number-rows-repeated="(\d{4,9})"[^>]*>(.{0,20000}?)</table:table-row>',
    re.DOTALL,
)
_ANY_REPEATED = re.compile(rb'number-(?:rows|columns)-repeated="(\d+)"')
_MOST_REPEATED = 1 << 20
"""Rows of a sheet; it has fewer columns."""
_COLUMNS_REPEATED = re.compile(rb'number-columns-repeated="(\d{1,9})"')
_VALUE = re.compile(rb"office:value-type|<text:p")

_UNPACKED = (
    "[content_types].xml", "_rels/", "xl/_rels/", "xl/sharedstrings",
    "xl/styles", "xl/tables/", "xl/workbook", "xl/worksheets/",
)  # fmt: skip
"""Parts that the library unpacks, beside the content."""


class _Writer:
    """Puts the sheets of a workbook into a flow, or makes documents of their rows."""

    def __init__(self, source: Source) -> None:
        self.flow = Flow()
        self.documents: list[Parsed] = []
        self._source = source

    def sheet(self, name: str, sheet: CalamineSheet, remarks: Sequence[Remark]) -> None:
        """Put a sheet, with what is said beside its cells; nothing of one that is empty."""
        start = sheet.start or (0, 0)
        merged = sheet.merged_cell_ranges or []
        regions = [*_regions(sheet, keep=self._source.rows)]
        left = deque(remarks)
        if not regions and not left:
            return
        first = regions[0].numbers[0] if regions else left[0].row or 1
        heading = self._heading(name, first)
        self._remarks(left, first - 1)
        caption, caption_start = "", None
        header: list[str] = []
        for at, region in enumerate(regions):
            last = at + 1 == len(regions)
            if region.is_caption and not last:
                caption = caption_of(region.head)
                caption_start = self._lines(region, 0, len(region.lines))
                continue
            table = table_of(region, merged, start[1])
            if may_go_on(header, table, region):
                table = NO_TABLE
            if table.above:
                caption = caption_of(region.head[: table.above])
                caption_start = self._lines(region, 0, table.above)
            header = table.header or header
            until = None if last else regions[at + 1].numbers[0] - 1
            if self._source.rows:
                self._records(name, region, table.above + table.heads, header, left, until)
                continue
            starts = self.flow.lines(
                region.lines[table.above :],
                table.heads,
                header,
                caption=caption,
                caption_start=heading if caption_start is None else caption_start,
            )
            for row, number in zip(starts, region.numbers[table.above :], strict=True):
                self.flow.mark_at(row, "row", number)
            caption, caption_start = "", None
            self._remarks(left, until)
        self._remarks(left, None)

    def _heading(self, name: str, number: int) -> int | None:
        if self._source.rows:
            return None
        self.flow.page("part", name)
        self.flow.mark("row", number)
        return self.flow.heading(name, 1)

    def _remarks(self, left: deque[Remark], until: int | None) -> None:
        """Put the remarks down to a row, or all."""
        if self._source.rows:
            return
        for remark in _taken(left, until):
            if remark.row:
                self.flow.mark("row", remark.row)
            self.flow.paragraph(remark.text)

    def _lines(self, region: Region, first: int, last: int) -> int | None:
        if self._source.rows:
            return None
        start: int | None = None
        for line, number in zip(region.lines[first:last], region.numbers[first:last], strict=True):
            self.flow.mark("row", number)
            at = self.flow.paragraph(line)
            start = at if start is None else start
        return start

    def _records(
        self,
        name: str,
        region: Region,
        first: int,
        header: list[str],
        left: deque[Remark],
        until: int | None,
    ) -> None:
        """Make documents of a table's rows, each with the remarks of the rows down to the next."""
        numbers = region.numbers[first:]
        remarks: list[list[str]] = [[] for _ in numbers]
        for remark in _taken(left, until) if numbers else ():
            own = max(bisect_right(numbers, remark.row) - 1, 0) if remark.row else -1
            remarks[own].append(remark.text)
        records = [
            Record(
                f"{self._source.id}#{name}!R{number}",
                [Mark(0, "part", name), Mark(0, "row", number)],
                cells,
                said,
            )
            for number, cells, said in zip(numbers, region.cells[first:], remarks, strict=True)
        ]
        self.documents += row_documents(header, records)


def _taken(left: deque[Remark], until: int | None) -> Iterator[Remark]:
    """Those in front that stand above the row behind `until`, or all."""
    while left and (until is None or 0 < left[0].row <= until):
        yield left.popleft()


def _regions(sheet: CalamineSheet, *, keep: bool) -> Iterator[Region]:
    region = Region()
    for number, row in enumerate(sheet.iter_rows(), start=1):
        cells = [_shown(cell) for cell in row]
        if any(cells):
            region.add(number, cells, keep=keep)
        elif region.numbers:
            yield region
            region = Region()
    if region.numbers:
        yield region


def _shown(cell: Any) -> str:
    """A cell as it is shown, on one line: 1 for 1.0, dates in ISO 8601."""
    if isinstance(cell, str):
        return " ".join(cell.split()) if cell else ""
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float):
        return _number(cell)
    if isinstance(cell, datetime.datetime):
        said = cell.isoformat(" ", "seconds")
        return said[:-3] if said.endswith(":00") else said
    if isinstance(cell, datetime.timedelta):
        minutes, seconds = divmod(int(cell.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    return str(cell)


def _number(value: float) -> str:
    """A number to 15 digits, as spreadsheets show it; all of them of one that is whole."""
    short = f"{value or 0.0:.15g}"  # no sign before zero
    if not value.is_integer() or abs(value) >= _MOST_WHOLE:
        return short if abs(value) < _EXACT or abs(value) >= _MOST_WHOLE else repr(value)
    return f"{Decimal(short):f}" if float(short) == value else str(int(value))


def _opened(data: bytes, kind: str) -> tuple[CalamineWorkbook, Package | None, list[str]]:
    """The workbook, its parts, and what is not read of it."""
    import python_calamine

    package: Package | None = None
    problems: list[str] = []
    if data.startswith(OLE):
        if encrypted_compound(data):
            raise DocumentError(_LOCKED)
    else:
        package = _package(data, kind)
        if too_far := _check(package):
            problems = _of_sheets(package, too_far)
            # Emptied, as the library and we may read the names of sheets differently.
            data = repacked(_package(data, kind), dict.fromkeys(too_far, _EMPTY), _PARTS)
        data = with_columns(data, package)
    try:
        return python_calamine.load_workbook(io.BytesIO(data)), package, problems
    except python_calamine.PasswordError:
        raise DocumentError(_LOCKED) from None
    except BaseException as error:
        if package is None and is_encrypted_xls(data):
            raise DocumentError(_LOCKED) from None
        raise _refusal(error, kind) from None


def _package(data: bytes, kind: str) -> Package:
    return Package(data, kind, max_part=MAX_UNPACKED, max_total=MAX_UNPACKED)


def _refusal(error: BaseException, kind: str) -> BaseException:
    """What to raise for what the library raises: its own panics are no Exception."""
    if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit | MemoryError):
        return error
    said = one_line(" ".join(str(error).split())[:200]) or type(error).__name__
    return DocumentError(f"cannot be read as {kind}: {said}")


def _check(package: Package) -> dict[str, str]:
    """Unpack what the library will; by name the parts that reach further than it can bear."""
    too_far: dict[str, str] = {}
    for name in package:
        folded = name.lower()
        if folded.startswith("xl/worksheets/") and folded.endswith(".xml"):
            if why := _too_far(*_extent(package.chunks(name))):
                too_far[name] = why
        elif folded == "content.xml":
            _check_repeated(package.chunks(name))
        elif folded.startswith(_UNPACKED):
            for _ in package.chunks(name):
                pass
    return too_far


def _of_sheets(package: Package, too_far: Mapping[str, str]) -> list[str]:
    """What to say of these parts, by the names of their sheets where those are found."""
    main = package.main_part
    relations = package.relations(main)
    names: dict[str, str] = {}
    for sheet in children(child(package.optional(main), "x:sheets"), "x:sheet"):
        if relation := relations.get(sheet.get("r:id", "")):
            names[relation.target.lower()] = sheet.get("name", "")
    return [
        f"the sheet {one_line(names.get(part.lower()) or part)} is not read: {why}"
        for part, why in too_far.items()
    ]


def _extent(chunks: Iterable[bytes]) -> tuple[int, int]:
    """How many rows and columns a sheet reaches over."""
    columns: set[bytes] = set()
    rows = 0
    rest = b""
    for chunk in chunks:
        block = rest + chunk
        found = _CELL.findall(block)
        columns.update(column for column, _ in found)
        rows = max(rows, max((int(row) for _, row in found), default=0))
        rest = block[-_OVERLAP:]
    width = max((_column(letters) for letters in columns), default=0)
    return rows, width


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + letter - 64
    return number


def _check_repeated(chunks: Iterable[bytes]) -> None:
    rest = b""
    for chunk in chunks:
        block = rest + chunk
        if any(int(times[:20]) > _MOST_REPEATED for times in _ANY_REPEATED.findall(block)):
            raise DocumentError(
                f"is refused: content.xml repeats a cell or row more than {_MOST_REPEATED:,} times"
            )
        for row in _REPEATED.finditer(block):
            if _VALUE.search(row[2]):
                width = sum(int(times) for times in _COLUMNS_REPEATED.findall(row[2]))
                if why := _too_far(int(row[1]), max(width, 1)):
                    raise DocumentError(f"is refused: content.xml {why}")
        rest = block[-_OVERLAP:]


def _too_far(rows: int, columns: int) -> str:
    """What is said of a sheet that reaches over more cells than are read, or ""."""
    if rows * columns <= MAX_CELLS:
        return ""
    return (
        f"spans {rows:,} rows and {columns:,} columns, nearly all of them empty or alike; at most "
        f"{MAX_CELLS:,} cells are read"
    )


def _remarks(data: bytes, kind: str) -> tuple[dict[str, list[Remark]], list[str]]:
    """What is said beside the cells, by sheet, and the problems with that."""
    package: Package | None = None
    try:
        if data.startswith(OLE):
            return in_xls(data), []
        package = Package(data, kind)
        if "content.xml" in package:
            package = Package(data, kind, max_part=MAX_UNPACKED, max_total=2 * MAX_UNPACKED)
            found = in_spreadsheet(package)
        elif package.main_part.lower().endswith(".bin"):
            found = in_xlsb(package)
        else:
            found = in_workbook(package)
    except Exception as error:  # of XLS, whatever reading beyond its records raises
        said = " ".join(str(error).split())[:200]
        return {}, [f"read without its comments: {one_line(said) or type(error).__name__}"]
    return found, package.problems


def _properties(package: Package | None, kind: str) -> tuple[str, dict[str, Any]]:
    if package is None:
        return "", {}
    if "content.xml" in package:
        about = child(package.optional("meta.xml"), "office:meta")
        return title_and_rest(fields_of(() if about is None else about))
    return core_properties(package)


_BEFORE_EXCEL_5 = (b"\x09\x00\x04\x00", b"\x09\x02\x06\x00", b"\x09\x04\x06\x00")
"""The records that a workbook of Excel 2, 3 and 4 begins with."""


def _read(data: bytes, source: Source, kind: str) -> Parsed | list[Parsed]:
    from python_calamine import SheetTypeEnum, SheetVisibleEnum

    workbook, package, problems = _opened(data, kind)
    writer = _Writer(source)
    remarks, others_said = _remarks(data, kind)
    problems += others_said
    for number, about in enumerate(workbook.sheets_metadata):
        if about.typ != SheetTypeEnum.WorkSheet or about.visible == SheetVisibleEnum.VeryHidden:
            continue
        try:
            sheet = workbook.get_sheet_by_index(number)
            writer.sheet(about.name, sheet, remarks.get(about.name, ()))
        except DocumentError:
            raise
        except BaseException as error:
            refusal = _refusal(error, kind)
            if not isinstance(refusal, DocumentError):
                raise
            problems.append(f"the sheet {one_line(about.name)} {refusal}")
    problems += package.problems if package else []
    if source.rows:
        if not writer.documents:
            raise DocumentError("holds no rows; a table with a header and rows was expected")
        first, *others = writer.documents
        return [replace(first, problems=tuple(problems)), *others]
    text, outline = writer.flow.finish(sentences=False)
    if not text:
        raise DocumentError(problems[0] if problems else "holds no cells with a value")
    title, metadata = _properties(package, kind)
    return Parsed(text, title, metadata, outline, problems=tuple(problems))


def _excel(data: bytes, source: Source) -> Parsed | list[Parsed]:
    if data.startswith(_BEFORE_EXCEL_5):
        raise DocumentError("is a workbook of Excel 4 or before; save it as .xlsx to have it read")
    return _read(data, source, "an Excel workbook")


def _opendocument(data: bytes, source: Source) -> Parsed | list[Parsed]:
    data = packed(data) if is_flat(data) else data
    return _read(data, source, "an OpenDocument spreadsheet")


FORMATS = tuple(
    Format(name, version, parse, suffixes, binary=True, isolated=True)
    for name, version, parse, suffixes in (
        ("xlsx", 6, _excel, (".xlsx", ".xlsm", ".xltx", ".xltm", ".xlam")),
        ("xlsb", 7, _excel, (".xlsb",)),
        ("xls", 5, _excel, (".xls", ".xlt")),
        ("ods", 5, _opendocument, (".ods", ".ots", ".fods")),
    )
)
