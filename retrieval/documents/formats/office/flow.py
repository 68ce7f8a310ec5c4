"""A text that is put together block by block, and its outline."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

from retrieval.documents.formats.builder import OutlineBuilder
from retrieval.documents.formats.columns import names_columns
from retrieval.documents.outline import Mark, Outline, Part, Unit

CELL_SEPARATOR = " | "
_SHORT = 100
"""A slide or sheet of fewer characters, such as a mere title, may share a passage."""
_INDENT = "  "
_MOST_INDENTED = 20
_SPACES = re.compile(r"[ \t\u2028\u2029]+")
_LINE = re.compile(r" ?(?:\r\n?|[\n\x0b\x0c\x85\u2028\u2029]) ?")


def one_paragraph(text: str) -> str:
    """A paragraph's characters as they are shown: blanks run together, its own lines kept."""
    return _LINE.sub("\n", _SPACES.sub(" ", text)).strip()


class Flow:
    """Takes blocks in the order in which they are read.

    Blocks have a blank line between them, items of a list and rows of a table begin lines. Notes
    follow the block that they are of; those of a list's items the list.
    """

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0
        self._noted: list[Callable[[OutlineBuilder], None]] = []
        self._marks: list[Mark] = []
        self._pages: list[int] = []
        self._notes: list[str] = []
        self._items: list[int] = []
        self._list_start = 0
        self._code_start: int | None = None

    @property
    def length(self) -> int:
        """Characters so far."""
        return self._length

    def mark(self, unit: Unit, value: int | str) -> None:
        """Say where the next block stands."""
        self.end_block()
        start = self._length + (2 if self._pieces else 0)
        if self._marks and self._marks[-1].start == start and self._marks[-1].unit == unit:
            self._marks.pop()
        self._marks.append(Mark(start, unit, value))

    def page(self, unit: Unit, value: int | str) -> None:
        """Begin a slide or sheet: `mark` what comes next, which stands for itself."""
        self.mark(unit, value)
        self._pages.append(self._marks[-1].start)

    def mark_at(self, offset: int, unit: Unit, value: int | str) -> None:
        """Say where a character stands that is already there, behind all earlier marks."""
        self._marks.append(Mark(min(offset, self._length), unit, value))

    def heading(self, text: str, level: int) -> int | None:
        """Add a heading, on one line; where it starts, None if it has no words."""
        words = " ".join(text.split())
        if not words:
            return None
        start, end = self._begin(words)
        self._noted.append(lambda builder: builder.heading(start, end, max(level, 1), words))
        return start

    def paragraph(self, text: str) -> int | None:
        """Add a paragraph; where it starts, None if it has no words."""
        text = one_paragraph(text)
        if not text:
            return None
        start, end = self._begin(text)
        self._noted.append(lambda builder: builder.paragraph(start, end))
        return start

    def note(self, text: str) -> None:
        """Add a paragraph below the block that is being read."""
        if text := one_paragraph(text):
            self._notes.append(text)

    def code(self, text: str) -> None:
        """Add lines of code; those that follow each other are one block."""
        if self._code_start is None:
            if not text.strip():
                return
            text = text.lstrip("\r\n")
            self._code_start, _ = self._begin(text.rstrip(), keep=True)
        else:
            self._put(f"\n{text.rstrip()}")

    def item(self, text: str, depth: int, marker: str = "-") -> int | None:
        """Add an item of a list.

        Args:
            text: its words.
            depth: 0 for the outermost list.
            marker: what it begins with: `-` or a number; "" for a further paragraph of an item.
        """
        text = one_paragraph(text)
        if not text:
            return None
        indent = _INDENT * min(max(depth, 0), _MOST_INDENTED)
        after = f"\n{indent}{' ' * (len(marker) + 1) if marker else _INDENT}"
        line = f"{marker} " if marker else _INDENT
        line = f"{indent}{line}{text}".replace("\n", after)
        if self._items:
            self._put("\n")
            start = self._length
            self._put(line)
        else:
            line = line.lstrip()
            start, _ = self._begin(line)
            self._list_start = start
        if marker or not self._items:
            self._items.append(start)
        return start

    def table(self, rows: Sequence[Sequence[str]], heads: int = 0) -> list[int]:
        """Add a table; where each row that has words starts.

        Args:
            rows: words of the cells.
            heads: how many rows the header has, as the file says; 0 looks whether the first row
                names the columns.
        """
        cells = [[" ".join(cell.split()) for cell in row] for row in rows]
        kept = [row for row in cells if any(row)]
        if not kept:
            return []
        heads = sum(any(row) for row in cells[:heads])
        if heads >= len(kept):
            heads = 0
        if not heads and len(kept) > 1:
            heads = int(names_columns(kept[0], kept[1:]))
        header = [cell for row in kept[:heads] for cell in row]
        return self.lines([row_line(row) for row in kept], heads, header)

    def lines(
        self,
        lines: Sequence[str],
        heads: int,
        header: Sequence[str],
        *,
        caption: str = "",
        caption_start: int | None = None,
    ) -> list[int]:
        """Add a table whose rows are lines already; where each starts.

        Args:
            lines: one for each row, none of them empty.
            heads: how many of them are the header.
            header: names of the columns.
            caption: words that introduce it.
            caption_start: where the caption stands.
        """
        start, _ = self._begin(lines[0])
        starts = [start]
        for line in lines[1:]:
            self._put("\n")
            starts.append(self._length)
            self._put(line)
        end = self._length
        self._noted.append(
            lambda builder: builder.table(
                start, end, header, starts[heads:], caption=caption, caption_start=caption_start
            )
        )
        return starts

    def end_block(self) -> None:
        """End the list or code that is open, and put its notes."""
        if self._items:
            start, end, items = self._list_start, self._length, self._items
            self._noted.append(lambda builder: builder.list(start, end, items))
            self._items = []
        if self._code_start is not None:
            begun, done = self._code_start, self._length
            self._noted.append(lambda builder: builder.code(begun, done, ""))
            self._code_start = None
        notes, self._notes = self._notes, []
        for note in notes:
            self.paragraph(note)

    def finish(self, *, sentences: bool = True) -> tuple[str, Outline]:
        """The text and its outline."""
        self.end_block()
        text = "".join(self._pieces)
        builder = OutlineBuilder(text)
        for tell in self._noted:
            tell(builder)
        builder.marks = [mark for mark in self._marks if mark.start < max(len(text), 1)]
        outline = builder.outline(sentences=sentences)
        return text, replace(outline, parts=self._parts(outline.parts))

    def _parts(self, parts: Sequence[Part]) -> list[Part]:
        """Parts of which those that begin a slide or sheet of some length stand for themselves."""
        spans = [(start, end - start) for start, end in pairwise([*self._pages, self._length])]
        alone = {
            start
            for (_, before), (start, own) in pairwise(spans)
            if before >= _SHORT and own >= _SHORT
        }
        return [replace(part, joins=part.start not in alone) for part in parts]

    def _begin(self, piece: str, *, keep: bool = False) -> tuple[int, int]:
        self.end_block()
        if self._pieces:
            self._put("\n\n")
        start = self._length
        self._put(piece)
        return start, self._length

    def _put(self, piece: str) -> None:
        self._pieces.append(piece)
        self._length += len(piece)


def row_line(cells: Sequence[str]) -> str:
    """A table row on one line, bars between its cells, without empty cells at the end."""
    last = max((at for at, cell in enumerate(cells) if cell), default=-1)
    return CELL_SEPARATOR.join(cells[: last + 1]).strip()
