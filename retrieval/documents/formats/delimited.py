"""CSV and its kin: rows of cells in the dialect that the file shows, read with their header."""

from __future__ import annotations

import csv
import re
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, overload

from retrieval.documents.formats.builder import MAX_LEAD_CELLS, header_line
from retrieval.documents.formats.columns import names_columns
from retrieval.documents.formats.format import RESERVED, Format, Parsed, Source, decoded
from retrieval.documents.outline import LEAD_CHARACTERS, Block, Mark, Outline, Part
from retrieval.errors import DocumentError

_DELIMITERS = {"csv": ",;\t|", "tsv": "\t", "psv": "|"}
_SAMPLE_CHARACTERS = 64 * 1024
_SAMPLE_ROWS = 200
_MOST_CHARACTERS = 1024 * 1024
"""A row that is longer was begun by a quote that does not quote."""
_MOST_ASTRAY = 20
"""After so many such rows quotes are taken as they stand."""
_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)
_WHOLE = re.compile(r"[-+]?(?:0|[1-9]\d{0,17})")
_REAL = re.compile(r"[-+]?(?:0|[1-9]\d{0,17})\.\d{1,17}")


@dataclass(frozen=True, slots=True)
class Row:
    """A row: where it starts and ends in the text, its line break left out, and its cells."""

    start: int
    end: int
    cells: list[str]


class _Reader:
    """Reads rows of a text, each with its place; what a quote swallows by mistake is given back."""

    def __init__(self, text: str, delimiter: str, quote: str = '"', columns: int = 0) -> None:
        self._text = text
        self._delimiter = delimiter
        self._quote = quote
        self._columns = columns
        self._at = self._start = self._lines = self._astray = 0
        self._newline = "\r" if "\r" in text and "\n" not in text else "\n"

    def __iter__(self) -> Iterator[Row]:
        """All rows that are not blank."""
        reader = self._reader()
        text, columns = self._text, self._columns
        while self._at < len(text):
            self._start, self._lines = self._at, 0
            try:
                cells = next(reader, [])
            except csv.Error:
                cells, reader = self._without_quotes(), self._reader()
            if self._lines > 1 and columns and len(cells) != columns:
                end = self._at
                alone = self._without_quotes()
                if len(alone) == columns:
                    cells, reader = alone, self._reader()
                else:
                    self._at = end
            end = self._at
            while end > self._start and text[end - 1] in "\r\n":
                end -= 1
            if cells and (cells[0].strip() or "".join(cells).strip()):
                yield Row(self._start, end, cells)

    def _reader(self) -> Iterator[list[str]]:
        if self._astray > _MOST_ASTRAY:
            return csv.reader(self._pull(), delimiter=self._delimiter, quoting=csv.QUOTE_NONE)
        return csv.reader(self._pull(), delimiter=self._delimiter, quotechar=self._quote)

    def _line(self) -> str:
        end = self._text.find(self._newline, self._at) + 1 or len(self._text)
        line, self._at = self._text[self._at : end], end
        return line

    def _pull(self) -> Iterator[str]:
        while self._at < len(self._text):
            line = self._line()
            self._lines += 1
            if self._lines > 1 and self._at - self._start > _MOST_CHARACTERS:
                raise csv.Error
            yield line

    def _without_quotes(self) -> list[str]:
        """The cells of the line that the row begins with, quotes taken as they stand."""
        self._at = self._start
        self._astray += 1
        return self._line().rstrip("\r\n").split(self._delimiter)


class RowMarks(Sequence[Mark]):
    """A mark for each row, made when it is asked for: a file may have millions."""

    def __init__(self, starts: Sequence[int]) -> None:
        self._starts = starts

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, at: int) -> Mark: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Mark]: ...
    def __getitem__(self, at: int | slice) -> Mark | Sequence[Mark]:
        """The mark of a row, or those of several."""
        if isinstance(at, slice):
            return [self[n] for n in range(*at.indices(len(self)))]
        number = range(len(self))[at]
        return Mark(self._starts[number], "row", number + 1)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A text of rows.

    Attributes:
        header: the cells of the row that names the columns; none for no header.
        start: where the header starts, or the first row without one.
        caption: what stands above it, on one line.
        starts: where each row below the header starts, ascending.
    """

    header: list[str]
    start: int
    caption: str
    starts: array[int]

    def outline(self, text: str) -> Outline:
        """One table, cut between its rows."""
        end = len(text.rstrip())
        names = header_line([" ".join(cell.split()) for cell in self.header])
        lead = "\n".join(part for part in (self.caption, names) if part)
        blocks = [Block("table", self.start, end, lead=lead)] if self.start < end else []
        parts = [Part(0, 0)]
        return Outline((), blocks, RowMarks(self.starts), parts, (self.starts,), sentences=False)


def read(text: str, kind: str = "csv") -> tuple[Sheet, Iterator[Row]]:
    """What a text of rows is, and its rows below the header once more.

    Args:
        text: the text.
        kind: `csv`, whose delimiter is found, `tsv` or `psv`.
    """
    if csv.field_size_limit() < _MOST_CHARACTERS:
        csv.field_size_limit(_MOST_CHARACTERS)
    said = _SEPARATOR_LINE.match(text)
    sample = text[: text.rfind("\n", 0, _SAMPLE_CHARACTERS) + 1 or _SAMPLE_CHARACTERS]
    delimiters = said[1] if said else _DELIMITERS[kind]
    delimiter, quote, columns = _dialect(sample, delimiters)
    first = said.end() if said else 0
    rows = islice(_Reader(sample, delimiter, quote, columns), _SAMPLE_ROWS)
    head = [row for row in rows if row.start >= first]
    above, header = _header(head, columns)
    begins = head[above].start if above < len(head) else len(text)
    caption = " ".join(" ".join(row.cells).strip("# \t") for row in head[:above])
    starts = array("q")
    body = begins if not header else head[above].end
    for row in _Reader(text, delimiter, quote, columns):
        if row.start >= body:
            starts.append(row.start)
    sheet = Sheet(header, begins, " ".join(caption.split())[:LEAD_CHARACTERS], starts)
    return sheet, (r for r in _Reader(text, delimiter, quote, columns) if r.start >= body)


def _dialect(sample: str, delimiters: str) -> tuple[str, str, int]:
    """Delimiter, quote and columns with which most rows of a sample have equally many cells."""
    lines = [line for line in sample.splitlines()[:_SAMPLE_ROWS] if line]
    single = sum(line[0] == line[-1] == "'" for line in lines)
    quote = "'" if 2 * single > len(lines) else '"'
    best = 0.0, 1, delimiters[0]
    for delimiter in delimiters:
        counts = Counter(
            len(row.cells) for row in islice(_Reader(sample, delimiter, quote), _SAMPLE_ROWS)
        )
        columns, rows = max(counts.items(), key=lambda n: (n[1], n[0]), default=(1, 0))
        if columns > 1 and (found := (rows / counts.total(), columns, delimiter)) > best:
            best = found
    return best[2], quote, best[1]


def _header(head: Sequence[Row], columns: int) -> tuple[int, list[str]]:
    """How many rows stand above the table, and the cells that name its columns, if any do."""
    above = 0
    while above < len(head) - 1:
        cells = head[above].cells
        is_remark = cells[0].lstrip().startswith("#") and len(cells) != columns
        if not is_remark and len(cells) >= columns and 2 * sum(map(bool, cells)) > columns:
            break
        above += 1
    if above >= len(head):
        return 0, []
    cells = [head[above].cells[0].lstrip("# \ufeff"), *head[above].cells[1:]]
    if names_columns(cells, [row.cells for row in head[above + 1 :]]):
        return above, cells
    return above, []


def _column_names(sheet: Sheet, columns: int) -> list[str]:
    """A name for each column, no two alike; those without one are numbered."""
    names: list[str] = []
    for at in range(max(columns, len(sheet.header))):
        given = " ".join(sheet.header[at].split()) if at < len(sheet.header) else ""
        name = given or f"column {at + 1}"
        names.append(name if name not in names[:MAX_LEAD_CELLS] else f"{name} {at + 1}")
    return names


def _documents(text: str, kind: str, source: Source, problems: tuple[str, ...]) -> list[Parsed]:
    """Each row as a document of its own."""
    sheet, again = read(text, kind)
    rows = list(again)
    names = _column_names(sheet, max((len(row.cells) for row in rows), default=0))
    kinds = [_kind_of(rows, at) for at in range(len(names))]
    titles = [at for at, name in enumerate(names) if name.lower() in ("title", "name")][:1]
    found = []
    for number, row in enumerate(rows, start=1):
        cells = {name: cell.strip() for name, cell in zip(names, row.cells, strict=False)}
        values: dict[str, Any] = {}
        for at, (name, cell) in enumerate(cells.items()):
            if cell:
                values[name] = kinds[at](cell)
        original = {name: values.pop(name) for name in RESERVED if name in values}
        if original:
            values["original"] = original
        title = cells.get(names[titles[0]], "") if titles else ""
        said = "\n".join(f"{name}: {cell}" for name, cell in cells.items() if cell)
        outline = Outline(marks=[Mark(0, "row", number)], sentences=False)
        found.append(Parsed(said, title, values, outline, f"{source.id}#R{number}", problems))
        problems = ()
    if not found:
        raise DocumentError("holds no rows; a table with a header and rows was expected")
    return found


def _kind_of(rows: Sequence[Row], at: int) -> type[int] | type[float] | type[str]:
    """What all cells of a column are."""
    kind: type[int] | type[float] | None = None
    for row in rows:
        cell = row.cells[at].strip() if at < len(row.cells) else ""
        if not cell:
            continue
        if _WHOLE.fullmatch(cell):
            kind = kind or int
        elif _REAL.fullmatch(cell):
            kind = float
        else:
            return str
    return kind or str


def _format(kind: str, suffixes: tuple[str, ...]) -> Format:
    def parse(data: bytes, source: Source) -> Parsed | list[Parsed]:
        text, problems = decoded(data, source)
        if source.rows:
            return _documents(text, kind, source, problems)
        sheet, _ = read(text, kind)
        return Parsed(text, "", {}, sheet.outline(text), problems=problems)

    return Format(kind, 1, parse, suffixes, outline=lambda text: read(text, kind)[0].outline(text))


FORMATS = (
    _format("csv", (".csv",)),
    _format("tsv", (".tsv", ".tab")),
    _format("psv", (".psv",)),
)
