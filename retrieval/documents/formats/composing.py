"""A text that is put together from pieces, each with the outline that its own format found."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import replace

from retrieval.documents.formats.builder import OutlineBuilder
from retrieval.documents.outline import Heading, Mark, Outline

_GAP = re.compile(r"\A(?:[ \t]*\n)+|\n[ \t]*(?=\n[ \t]*\n)")
"""Blank lines at the beginning, and one that another one follows."""


class Composed:
    """Pieces of text, one after the other, with one outline over them all."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0
        self._later: list[Callable[[OutlineBuilder], None]] = []
        self._marks: list[Mark] = []

    def __len__(self) -> int:
        return self._length

    def put(self, piece: str) -> int:
        """Add a piece without structure; where it starts."""
        start = self._length
        self._pieces.append(piece)
        self._length += len(piece)
        return start

    def take(self, text: str, outline: Outline) -> None:
        """Add a text with its outline, several blank lines of it as one."""
        text, squeezed = _squeezed(text)
        start = self.put(text)

        def moved(offset: int) -> int:
            return min(start + squeezed(offset), start + len(text))

        self._marks += [replace(mark, start=moved(mark.start)) for mark in outline.marks]
        self._later.append(lambda builder: _fill(builder, outline, moved))

    def build(self, find: Callable[[OutlineBuilder], None]) -> None:
        """Let a function note what it finds once all is together, in the order of the calls."""
        self._later.append(find)

    def outline(self) -> tuple[str, Outline]:
        """The whole text and its outline."""
        text = "".join(self._pieces)
        builder = OutlineBuilder(text)
        builder.marks += self._marks
        for find in self._later:
            find(builder)
        return text, builder.outline()


def _fill(builder: OutlineBuilder, outline: Outline, moved: Callable[[int], int]) -> None:
    """Note an outline's headings, blocks and cut points, at other offsets."""
    for section in outline.sections:
        if section.level:
            start, end = moved(section.start), moved(section.body)
            builder.headings.append(Heading(start, end, section.level, section.heading))
            builder.tops.append(start)
    for block in outline.blocks:
        start, end = moved(block.start), moved(block.end)
        doc = (moved(block.doc[0]), moved(block.doc[1])) if block.doc else None
        lead_start = None if block.lead_start is None else moved(block.lead_start)
        head = None if block.head is None else moved(block.head)
        if start < end:
            builder.blocks.append(
                replace(block, start=start, end=end, doc=doc, lead_start=lead_start, head=head)
            )
    kinds = (builder.tops, builder.items, builder.rows)
    for offsets, found in zip(kinds, outline.breaks, strict=False):
        offsets += [moved(offset) for offset in found]


def _squeezed(text: str) -> tuple[str, Callable[[int], int]]:
    """A text without blank lines that others follow, and where an offset is in it."""
    ends: list[int] = []  # of what is left out
    gone: list[int] = [0]  # characters left out up to there
    for gap in _GAP.finditer(text):
        ends.append(gap.end())
        gone.append(gone[-1] + gap.end() - gap.start())
    starts = [end - (gone[at + 1] - gone[at]) for at, end in enumerate(ends)]

    def squeezed(offset: int) -> int:
        at = bisect_right(ends, offset)
        if at < len(ends) and starts[at] < offset:  # within what is left out
            return starts[at] - gone[at]
        return offset - gone[at]

    return _GAP.sub("", text), squeezed
