"""What a document's outline says of a span of its text: its context and its place."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Any

from retrieval.documents.outline import Block, Outline, Section
from retrieval.types import NO_PLACE, Context, Place

_MOST_DEFINED = 32
"""So many names of definitions are kept for one passage."""
_MOST_LEADS = 3
"""So many blocks that stand in each other say what they are: a list, a list in it, a table."""
_SHARE, _WHOLE_SHARE = 1 / 2, 2 / 3
"""Of a passage's characters: what a definition has whose name the passage bears."""


class Contexts:
    """An outline, prepared to be asked about many spans in ascending order or any other."""

    def __init__(self, text: str, outline: Outline) -> None:
        self._sections = outline.sections
        self._hollow = [not text[s.body : s.end].strip() for s in outline.sections]
        self._section_starts = [section.start for section in outline.sections]
        self._parents = _parents(outline.sections)
        self._definitions = [b for b in outline.blocks if b.kind == "definition"]
        self._definition_starts = [b.start for b in self._definitions]
        self._enclosing = _enclosing(self._definitions)
        self._others = [b for b in outline.blocks if b.kind != "definition"]
        self._other_starts = [b.start for b in self._others]
        self._other_around = _enclosing(self._others)
        self._marks: dict[str, tuple[list[int], list[int | str]]] = {}
        for mark in outline.marks:
            starts, values = self._marks.setdefault(mark.unit, ([], []))
            starts.append(mark.start)
            values.append(mark.value)

    def context(self, start: int, end: int) -> Context:
        """The context of the characters from `start` to `end`."""
        symbol, signature, defines, code = self._symbol(start, end)
        blocks = list(self._blocks(start, end))
        around = (block for block in blocks if block.start <= start < block.end)
        leads = dict.fromkeys(block.lead for block in around if block.lead and _led(block, start))
        lead = "\n".join(list(leads)[:_MOST_LEADS])
        languages = dict.fromkeys(b.language for b in (*code, *blocks) if b.language)
        return Context(self._headings(start), symbol, signature, defines, lead, tuple(languages))

    def place(self, start: int, end: int) -> Place:
        """Where a span stands: its first character, or else the first in it that has a place."""
        found: dict[str, Any] = {}  # a number or a text, as the field asks
        for unit, (starts, values) in self._marks.items():
            at = max(0, bisect_right(starts, start) - 1)
            if starts[at] < end and values[at]:
                found[unit] = values[at]
        return Place(**found) if found else NO_PLACE

    def _headings(self, start: int) -> tuple[str, ...]:
        """Headings of the section that a character stands in, its own heading included."""
        at = bisect_right(self._section_starts, start) - 1
        if at < 0:
            return ()
        if start < self._sections[at].body:
            # A heading that deeper ones follow at once begins their section.
            while (
                at + 1 < len(self._sections)
                and self._hollow[at]
                and self._sections[at + 1].level > self._sections[at].level
            ):
                at += 1
        words: list[str] = []
        while at >= 0:
            if self._sections[at].heading:
                words.append(self._sections[at].heading)
            at = self._parents[at]
        return tuple(reversed(words))

    def _symbol(self, start: int, end: int) -> tuple[str, str, tuple[str, ...], Sequence[Block]]:
        """The definition that a span is or is a part of, and the names that begin in it.

        It is the innermost definition that has at least half of the span or, if it stands in the
        span as a whole, two thirds; what is in a whole one is not looked for.
        """
        first = bisect_left(self._definition_starts, start)
        last = bisect_left(self._definition_starts, end)
        begun = self._definitions[first:last]
        around = self._around(first - 1, start)
        own: Block | None = None
        for block in (*around, *begun):
            whole = start <= block.start and block.end <= end
            share = (min(block.end, end) - max(block.start, start)) / max(1, end - start)
            if share >= (_WHOLE_SHARE if whole else _SHARE):
                own = block
                if whole:
                    break
        names = tuple(dict.fromkeys(block.name for block in begun[:_MOST_DEFINED]))
        inner = (*around[-1:], *begun)
        return (own.name, own.signature, names, inner) if own else ("", "", names, inner)

    def _around(self, at: int, start: int) -> list[Block]:
        """Definitions up to the one at an index that reach beyond `start`, outermost first."""
        found = []
        while at >= 0:
            if self._definitions[at].end > start:
                found.append(self._definitions[at])
            at = self._enclosing[at]
        return found[::-1]

    def _blocks(self, start: int, end: int) -> Iterator[Block]:
        """Blocks that are not definitions and overlap a span: those around it, then those in it."""
        first = bisect_right(self._other_starts, start)
        around: list[Block] = []
        at = first - 1
        while at >= 0:
            if self._others[at].end > start:
                around.append(self._others[at])
            at = self._other_around[at]
        yield from reversed(around)
        last = bisect_left(self._other_starts, end, first)
        yield from self._others[first : min(last, first + _MOST_DEFINED)]


def _led(block: Block, start: int) -> bool:
    """Whether what introduces a block stands before a passage that starts here."""
    return (block.start if block.lead_start is None else block.lead_start) < start


def _parents(sections: Sequence[Section]) -> list[int]:
    """For each section the one above it, -1 for none."""
    parents: list[int] = []
    open_sections: list[int] = []
    for at, section in enumerate(sections):
        while open_sections and sections[open_sections[-1]].level >= section.level:
            open_sections.pop()
        parents.append(open_sections[-1] if open_sections else -1)
        if section.level:
            open_sections.append(at)
    return parents


def _enclosing(blocks: Sequence[Block]) -> list[int]:
    """For each block the one that holds it, -1 for none."""
    found: list[int] = []
    around: list[int] = []
    for at, block in enumerate(blocks):
        while around and blocks[around[-1]].end <= block.start:
            around.pop()
        found.append(around[-1] if around else -1)
        around.append(at)
    return found
