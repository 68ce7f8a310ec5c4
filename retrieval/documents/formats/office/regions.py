"""The tables of a sheet: rows without a blank one between them, and what names their columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from retrieval.documents.formats.columns import is_number, names_columns
from retrieval.documents.formats.office.flow import row_line
from retrieval.documents.formats.rows import header_of

_HEAD_ROWS = 200
"""Rows of a table that are looked at for its header."""
_MOST_CAPTION_ROWS = 3

Merged = Sequence[tuple[tuple[int, int], tuple[int, int]]]


@dataclass(slots=True)
class Region:
    """Rows without a blank one between them.

    Attributes:
        numbers: the rows' numbers as the sheet shows them.
        lines: the rows as lines.
        head: the cells of the first rows.
        cells: those of all rows, where each becomes a document.
    """

    numbers: list[int] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    head: list[list[str]] = field(default_factory=list)
    cells: list[list[str]] = field(default_factory=list)

    def add(self, number: int, cells: list[str], *, keep: bool) -> None:
        """Take a row in."""
        self.numbers.append(number)
        self.lines.append(row_line(cells))
        if len(self.head) < _HEAD_ROWS:
            self.head.append(cells)
        if keep:
            self.cells.append(cells)

    @property
    def is_caption(self) -> bool:
        """Whether it says what comes next: a few rows of one cell."""
        return len(self.numbers) <= _MOST_CAPTION_ROWS and all(
            sum(map(bool, cells)) == 1 for cells in self.head
        )


@dataclass(frozen=True, slots=True)
class Table:
    """Where a region's table begins: rows above it, rows of its header, names of its columns."""

    above: int
    heads: int
    header: list[str]


NO_TABLE = Table(0, 0, [])
"""Rows without a header."""


def table_of(region: Region, merged: Merged, left: int) -> Table:
    """What a region is: first as a header of two rows would have it, then as one of one row.

    Columns that have cells in other regions only count for nothing.
    """
    first_column = min(_first(cells) for cells in region.head)
    width = max(_length(cells) for cells in region.head)
    head = [cells[first_column:width] for cells in region.head]
    for top in range(min(_MOST_CAPTION_ROWS, len(region.head) - 2)):
        upper, lower = region.head[top : top + 2]
        spans = _spans(merged, region.numbers[top] - 1, left)
        if not spans or sum(map(bool, upper)) < 2 or any(map(is_number, lower)):
            continue
        names = [*upper]
        for first, last in spans:
            names[first : last + 1] = [names[first]] * len(names[first : last + 1])
        joined = [
            " ".join(dict.fromkeys(filter(None, pair))) for pair in zip(names, lower, strict=True)
        ]
        if names_columns(joined[first_column:width], head[top + 2 :]):
            return Table(top, 2, joined)
    columns = Counter(map(_length, head))
    common = max(columns.items(), key=lambda n: (n[1], n[0]))[0]
    above, header = header_of(head, common)
    return Table(above, 1, [""] * first_column + header) if header else NO_TABLE


def may_go_on(header: Sequence[str], table: Table, region: Region) -> bool:
    """Whether nothing tells a region's first row from rows of the table before it.

    It might name columns, too, but they are the same ones, and no numbers stand below.
    """
    if not header or not table.header or table.above or table.heads > 1:
        return False
    same_columns = (_first(header), _length(header)) == (
        _first(table.header),
        _length(table.header),
    )
    numbers = any(is_number(cell) for cells in region.head[1:] for cell in cells)
    return same_columns and not numbers and [*header] != table.header


def _spans(merged: Merged, row: int, left: int) -> list[tuple[int, int]]:
    """The columns that are merged with others in a row."""
    return [
        (start[1] - left, end[1] - left)
        for start, end in merged
        if start[0] == row and start[1] < end[1] and start[1] >= left
    ]


def _first(cells: Sequence[str]) -> int:
    return next(at for at, cell in enumerate(cells) if cell)


def _length(cells: Sequence[str]) -> int:
    return max((at + 1 for at, cell in enumerate(cells) if cell), default=0)
