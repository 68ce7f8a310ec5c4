"""A text without its runs of blank lines, and where offsets of the old one are in the new."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import replace

from retrieval.documents.outline import Block, Outline

_BLANK = re.compile(r"\n(?:[^\S\n]*\n)+")
_INSTEAD = "\n\n"


class Squeezed:
    """A text with at most one blank line in a row, and nothing blank at its ends.

    Attributes:
        text: the new text.
    """

    def __init__(self, text: str) -> None:
        first = len(text) - len(text.lstrip())
        last = max(len(text.rstrip()), first)
        self._olds: list[int] = []
        self._news: list[int] = []
        self._lengths: list[int] = []
        self._pieces: list[str] = []
        self._add(0, "")
        at = first
        for blank in _BLANK.finditer(text, first, last):
            self._add(at, text[at : blank.start()])
            self._add(blank.start(), _INSTEAD)
            at = blank.end()
        self._add(at, text[at:last])
        self._add(last, "")
        self.text = "".join(self._pieces)

    def _add(self, old: int, piece: str) -> None:
        """Put a piece that stands for what begins at an old offset."""
        new = self._news[-1] + self._lengths[-1] if self._news else 0
        self._olds.append(old)
        self._news.append(new)
        self._lengths.append(len(piece))
        self._pieces.append(piece)

    def place(self, old: int) -> int:
        """Where an offset of the old text is in the new one."""
        at = bisect_right(self._olds, old) - 1
        return self._news[at] + min(old - self._olds[at], self._lengths[at])

    def outline(self, outline: Outline) -> Outline:
        """The outline of the old text for the new one; its marks and parts are left out."""
        place = self.place
        sections = [
            replace(s, start=place(s.start), body=place(s.body), end=place(s.end))
            for s in outline.sections
        ]
        breaks = [[place(at) for at in offsets] for offsets in outline.breaks]
        return Outline(sections, [self._block(b) for b in outline.blocks], breaks=breaks)

    def _block(self, block: Block) -> Block:
        lead_start = None if block.lead_start is None else self.place(block.lead_start)
        start, end = self.place(block.start), self.place(block.end)
        return replace(block, start=start, end=end, lead_start=lead_start)
