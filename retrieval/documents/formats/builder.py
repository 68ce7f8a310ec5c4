"""An outline as it is found: headings, blocks and cut points, noted one by one in any order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from retrieval.documents.outline import (
    Block,
    BlockKind,
    Heading,
    Mark,
    Outline,
    lead_in,
    parts_of,
    sections_of,
)

HEADING_CHARACTERS = 1000
"""More of a heading's source is not read."""
MAX_LEAD_CELLS = 200
"""A header with more columns than this is cut off there."""

_NEWLINE = re.compile(r"\r\n?|\n")


@dataclass(slots=True)
class OutlineBuilder:
    """What a format has found of a text's structure; `outline` puts it in order.

    Attributes:
        text: the text.
        plain: a piece of the format's inline markup to its words.
        headings: found so far.
        blocks: found so far.
        tops: where blocks begin: the best places to cut a long section.
        items: where items of lists begin, and blocks within them.
        rows: where rows of tables and lines of code begin.
        marks: of `Outline.marks`.
    """

    text: str
    plain: Callable[[str], str] = lambda inline: " ".join(inline.split())
    headings: list[Heading] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    tops: list[int] = field(default_factory=list)
    items: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    _before: tuple[int, int] | None = None

    def heading(self, start: int, end: int, level: int, inline: str) -> None:
        """Note a heading, of which `inline` is the source; one without words is none."""
        self._before = None
        if words := self.plain(inline[:HEADING_CHARACTERS]):
            self.headings.append(Heading(start, end, level, words))
            self.tops.append(start)

    def paragraph(self, start: int, end: int) -> None:
        """Note a paragraph, which may introduce the block that comes next."""
        self.tops.append(start)
        self.introduce(start, end)

    def introduce(self, start: int, end: int) -> None:
        """Let a stretch of text, if it ends so, introduce the block that comes next."""
        self._before = start, end

    def lead(self) -> tuple[str, int | None]:
        """The sentence that introduces what comes next, and where its paragraph starts."""
        if self._before is None:
            return "", None
        start, end = self._before
        sentence = lead_in(self.plain(self.text[max(start, end - 2000) : end]))
        return sentence, start if sentence else None

    def code(
        self, start: int, end: int, language: str, *, caption: str = "", in_list: bool = False
    ) -> None:
        """Note a block of code, which may be cut between its lines."""
        self._block("code", start, end, caption, None, in_list, language)
        self.lines(start, end)

    def lines(self, start: int, end: int) -> None:
        """Note the lines of a block as cut points: those after a blank line before the others."""
        blank = False
        for begin, stop in lines_of(self.text, start, end):
            empty = not self.text[begin:stop].strip()
            if begin > start and not empty:
                (self.items if blank else self.rows).append(begin)
            blank = empty

    def table(
        self,
        start: int,
        end: int,
        header: Sequence[str],
        rows: Sequence[int],
        *,
        caption: str = "",
        caption_start: int | None = None,
        in_list: bool = False,
    ) -> None:
        """Note a table.

        Args:
            start: its first character.
            end: one past its last.
            header: words of the header's cells, in order; none for no header.
            rows: where each row below the header starts.
            caption: its words; "" takes the sentence that introduces the table, if there is one.
            caption_start: where the caption stands, if before the table.
            in_list: whether it stands in an item of a list.
        """
        if not caption:
            caption, caption_start = self.lead()
        lead = "\n".join(part for part in (caption, header_line(header)) if part)
        self._block("table", start, end, lead, caption_start, in_list)
        self.rows += rows

    def quote(self, start: int, end: int) -> None:
        """Note what somebody else said, read with the sentence that names who."""
        sentence, stands = self.lead()
        self._block("paragraph", start, end, sentence, stands, False)

    def list(self, start: int, end: int, items: Sequence[int], *, in_list: bool = False) -> None:
        """Note a list.

        Args:
            start: its first character.
            end: one past its last.
            items: where each item starts, those of lists within it too.
            in_list: whether it stands in an item of another.
        """
        sentence, stands = self.lead()
        self._block("list", start, end, sentence, stands, in_list)
        self.items += items

    def extend(self, at: int, end: int) -> None:
        """Let the block that was noted as number `at`, from 0, go on to `end`."""
        self.blocks[at] = replace(self.blocks[at], end=end)

    def _block(
        self,
        kind: BlockKind,
        start: int,
        end: int,
        lead: str,
        lead_start: int | None,
        in_list: bool,
        language: str = "",
    ) -> None:
        self.blocks.append(
            Block(kind, start, end, lead=lead, lead_start=lead_start, language=language)
        )
        if in_list:
            self.items.append(start)
        else:
            self.tops.append(start)
            self._before = None

    def outline(self, *, sentences: bool = True) -> Outline:
        """All of it, in order."""
        headings: list[Heading] = []
        for heading in sorted(self.headings, key=lambda found: (found.start, -found.end)):
            if not headings or heading.start >= headings[-1].end:  # not within another
                headings.append(heading)
        sections = sections_of(self.text, headings)
        tops, items, rows = (sorted(set(at)) for at in (self.tops, self.items, self.rows))
        return Outline(
            sections,
            sorted(self.blocks, key=lambda block: (block.start, -block.end)),
            self.marks,
            parts_of(self.text, sections),
            (tops, items, rows),
            sentences,
        )


def first_words(text: str, offsets: Iterable[int]) -> dict[int, int]:
    """Each offset, and where the next character stands that is not white space."""
    found: dict[int, int] = {}
    at = 0
    for offset in sorted(set(offsets)):
        at = max(at, offset)
        while at < len(text) and text[at].isspace():
            at += 1
        found[offset] = at
    return found


def last_words(text: str, offsets: Iterable[int]) -> dict[int, int]:
    """Each offset, and where the last character before it ends that is not white space."""
    found: dict[int, int] = {}
    at = len(text)
    for offset in sorted(set(offsets), reverse=True):
        at = min(at, offset)
        while at and text[at - 1].isspace():
            at -= 1
        found[offset] = at
    return found


def header_line(cells: Sequence[str]) -> str:
    """A table's header as it is read with its rows: the words of its cells between bars."""
    return " | ".join(cell for cell in cells[:MAX_LEAD_CELLS] if cell)


def lines_of(text: str, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """(start, end) of every line of a stretch of text, without its line break."""
    end = len(text) if end is None else end
    for newline in _NEWLINE.finditer(text, start, end):
        yield start, newline.start()
        start = newline.end()
    if start < end:
        yield start, end
