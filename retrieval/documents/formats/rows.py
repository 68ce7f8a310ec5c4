"""Tables of a whole file, CSV's or a workbook's: their header, and each row as a document."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

from retrieval.documents.formats.builder import MAX_LEAD_CELLS, header_line
from retrieval.documents.formats.columns import names_columns
from retrieval.documents.formats.format import RESERVED, Parsed
from retrieval.documents.outline import LEAD_CHARACTERS, Block, Mark, Outline, Part

_WHOLE = re.compile(r"[-+]?(?:0|[1-9]\d{0,17})")
_REAL = re.compile(r"[-+]?(?:0|[1-9]\d{0,17})\.\d{1,17}")


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


def header_of(head: Sequence[Sequence[str]], columns: int) -> tuple[int, list[str]]:
    """How many rows stand above a table, and the cells that name its columns, if any do.

    Args:
        head: the first rows.
        columns: how many cells most rows have.
    """
    above = 0
    while above < len(head) - 1:
        cells = head[above]
        is_remark = bool(cells) and cells[0].lstrip().startswith("#") and len(cells) != columns
        if not is_remark and len(cells) >= columns and 2 * sum(map(bool, cells)) > columns:
            break
        above += 1
    if above >= len(head) or not head[above]:
        return 0, []
    cells = [head[above][0].lstrip("# \ufeff"), *head[above][1:]]
    if names_columns(cells, head[above + 1 :]):
        return above, cells
    return above, []


def caption_of(rows: Sequence[Sequence[str]]) -> str:
    """What the rows above a table say, on one line."""
    said = " ".join(" ".join(cells).strip("# \t") for cells in rows)
    return " ".join(said.split())[:LEAD_CHARACTERS]


@dataclass(frozen=True, slots=True)
class Record:
    """A row that becomes a document.

    Attributes:
        id: the document's.
        marks: where the row stands.
        cells: its cells.
        remarks: what is said beside them, a line each.
    """

    id: str
    marks: Sequence[Mark]
    cells: Sequence[str]
    remarks: Sequence[str] = ()


def row_documents(header: Sequence[str], records: Sequence[Record]) -> Iterator[Parsed]:
    """Each row as a document: a line `name: cell` for each cell, and the cells as metadata."""
    names = _column_names(header, max((len(record.cells) for record in records), default=0))
    kinds = [_kind_of(records, at) for at in range(len(names))]
    titles = [at for at, name in enumerate(names) if name.lower() in ("title", "name")][:1]
    for record in records:
        cells = {name: cell.strip() for name, cell in zip(names, record.cells, strict=False)}
        values: dict[str, Any] = {}
        for at, (name, cell) in enumerate(cells.items()):
            if cell:
                values[name] = kinds[at](cell)
        original = {name: values.pop(name) for name in RESERVED if name in values}
        if original:
            values["original"] = original
        title = cells.get(names[titles[0]], "") if titles else ""
        lines = [f"{name}: {cell}" for name, cell in cells.items() if cell]
        said = "\n".join([*lines, *record.remarks])
        outline = Outline(marks=record.marks, sentences=False)
        yield Parsed(said, title, values, outline, record.id)


def _column_names(header: Sequence[str], columns: int) -> list[str]:
    """A name for each column, no two alike; those without one are numbered."""
    names: list[str] = []
    for at in range(max(columns, len(header))):
        given = " ".join(header[at].split()) if at < len(header) else ""
        name = given or f"column {at + 1}"
        names.append(name if name not in names[:MAX_LEAD_CELLS] else f"{name} {at + 1}")
    return names


def _kind_of(records: Sequence[Record], at: int) -> type[int] | type[float] | type[str]:
    """What all cells of a column are."""
    kind: type[int] | type[float] | None = None
    for record in records:
        cell = record.cells[at].strip() if at < len(record.cells) else ""
        if not cell:
            continue
        if _WHOLE.fullmatch(cell):
            kind = kind or int
        elif _REAL.fullmatch(cell):
            kind = float
        else:
            return str
    return kind or str
