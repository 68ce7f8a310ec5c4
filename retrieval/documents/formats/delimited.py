"""CSV and its kin: rows of cells in the dialect that the file shows, read with their header."""

from __future__ import annotations

import csv
import re
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from retrieval.documents.formats.format import Format, Parsed, Source, decoded
from retrieval.documents.formats.rows import (
    Record,
    Sheet,
    caption_of,
    header_of,
    row_documents,
)
from retrieval.documents.outline import Mark
from retrieval.errors import DocumentError

_DELIMITERS = {"csv": ",;\t|", "tsv": "\t", "psv": "|"}
_SAMPLE_CHARACTERS = 64 * 1024
_SAMPLE_ROWS = 200
_MOST_CHARACTERS = 1024 * 1024
"""A row that is longer was begun by a quote that does not quote."""
_MOST_ASTRAY = 20
"""After so many such rows quotes are taken as they stand."""
_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)


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
    above, header = header_of([row.cells for row in head], columns)
    begins = head[above].start if above < len(head) else len(text)
    caption = caption_of([row.cells for row in head[:above]])
    starts = array("q")
    body = begins if not header else head[above].end
    for row in _Reader(text, delimiter, quote, columns):
        if row.start >= body:
            starts.append(row.start)
    sheet = Sheet(header, begins, caption, starts)
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


def _documents(text: str, kind: str, source: Source, problems: tuple[str, ...]) -> list[Parsed]:
    """Each row as a document of its own."""
    sheet, rows = read(text, kind)
    records = [
        Record(f"{source.id}#R{number}", [Mark(0, "row", number)], row.cells)
        for number, row in enumerate(rows, start=1)
    ]
    if not records:
        raise DocumentError("holds no rows; a table with a header and rows was expected")
    first, *others = row_documents(sheet.header, records)
    return [replace(first, problems=problems), *others]


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
