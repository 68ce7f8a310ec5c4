"""The lines of a passage that answer the query, cut to a width."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from retrieval.service.printable import columns, safe

Span = tuple[int, int]
"""Start and end, in characters of the passage."""

LINES = 3
"""How many lines a snippet has at most."""

_TAB = 4
_FULL_LINE = 45
"""Columns from which on a line of prose was wrapped for its length, not ended on purpose."""

_SAYS_NOTHING = re.compile(r"\s*|\s*(```+|~~~+)\s*[\w+-]*\s*")
"""A blank line, or one that begins or ends a block of code."""

_OPENING = (":", "{", "(", "[", " do", " then", "=>", "=")
"""How a line ends whose next one stands further in."""

_CONTINUES = re.compile(r" {0,6}(?!\d+[.)] |```|[*_] )[\w\"'(`*_“‘]")
_WRAPPED = re.compile(r"[ \t\r]*\n[ \t]*")


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text, safe to print, that is marked as a match or not."""

    text: str
    marked: bool


@dataclass(frozen=True, slots=True)
class Snippet:
    """Rows to print, and the character of the text that those begin at which match."""

    start: int
    rows: list[list[Piece]]


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of the passage, or as much of it as fits.

    Attributes:
        start, end: its span in the passage.
        opened: whether it goes on from the row before, in the middle of a line.
        closed: whether its line ends with it.
    """

    start: int
    end: int
    opened: bool
    closed: bool


def snippet(
    text: str,
    highlights: Sequence[Span],
    width: int,
    *,
    prose: bool = True,
    lines: int = LINES,
    context: int = 0,
    within: Span | None = None,
) -> Snippet:
    """The consecutive rows that hold most of the query's words, as pieces to print.

    Args:
        text: the passage.
        highlights: (start, end) of the matching words in it, ascending.
        width: columns of a row, an ellipsis at either end included.
        prose: whether lines that were wrapped for their length are joined again.
        lines: rows at most.
        context: so many rows before and after those are shown as well.
        within: the part of the text whose rows they are; None is all of it.

    Returns:
        The rows: common indentation, blank lines and marks around code are gone, a long line is
        broken at spaces. The
        first begins with an ellipsis if it starts within a line, the last ends with one if its
        line goes on. Without highlights, the first rows.
    """
    rows = _rows(text, width - 2, prose=prose)
    begin, end = within or (0, len(text))
    before = sum(row.end <= begin for row in rows)
    inside = [row for row in rows[before:] if row.start < end]
    best = _best(text, inside, highlights, lines)
    first = before + best
    last = first + len(inside[best : best + lines])
    start = rows[first].start if inside else 0
    first = max(0, first - context)
    chosen = _dedented(text, rows[first : last + context])
    shown = [_pieces(text, row, highlights) for row in chosen]
    if chosen and chosen[0].opened:
        shown[0].insert(0, Piece("…", False))
    if chosen and not chosen[-1].closed:
        shown[-1].append(Piece("…", False))
    return Snippet(start, shown)


def _rows(text: str, width: int, *, prose: bool) -> list[_Row]:
    """The passage's lines that say something, each broken into rows that fit."""
    rows: list[_Row] = []
    indent = _first_indent(text)
    for start, end in _lines(text, prose=prose):
        end = start + len(text[start:end].rstrip())
        rows += _broken(text, start, end, width, indent if start else 0)
    return rows


def _lines(text: str, *, prose: bool) -> Iterator[Span]:
    """Spans of the lines, without their line breaks; of prose, of lines that belong together."""
    start = line = 0
    while line < len(text):
        end = text.find("\n", line)
        end = len(text) if end < 0 else end
        wrapped = prose and end - line >= _FULL_LINE and _CONTINUES.match(text, end + 1)
        line = end + 1
        if not wrapped:
            if end > start and not _SAYS_NOTHING.fullmatch(text, start, end):
                yield start, end
            start = line


def _first_indent(text: str) -> int:
    """How far in the first line stands, as those after it tell.

    A passage begins with its first word, and what stood before that is not known. What the line
    opens stands a step further in, and all else that belongs to it no less than the line itself.
    """
    first, *lines = [line for line in text.splitlines() if line.strip()] or [""]
    indents = [len(line) - len(line.lstrip(" \t")) for line in lines]
    least = min(indents, default=0)
    if not first.rstrip().endswith(_OPENING) or indents[:1] != [least]:
        return least
    steps = [b - a for a, b in pairwise(indents) if b > a]
    return max(0, least - min([*steps, 1 if "\n\t" in text else 4]))


def _dedented(text: str, rows: Sequence[_Row]) -> list[_Row]:
    """The rows without the indentation that all of those have that begin a line."""
    indents = []
    for row in rows:
        line = text[row.start : row.end]
        # A passage may begin within a line; how far in it does then means nothing.
        if not row.opened and (row.start or len(rows) == 1):
            indents.append(len(line) - len(line.lstrip(" \t")))
    common = min(indents, default=0)
    if rows and not rows[0].start:
        common = min(common, _first_indent(text))
    return [
        row
        if row.opened or not text[row.start : row.start + common].isspace()
        else replace(row, start=row.start + common)
        for row in rows
    ]


def _broken(text: str, start: int, end: int, width: int, indent: int) -> Iterator[_Row]:
    """Rows of at most `width` columns, broken at the last space that fits, or anywhere.

    The first has `indent` more, which are not shown.
    """
    opened = False
    while start < end:
        stop = _fitting(text, start, end, width + (0 if opened else indent))
        if stop < end:
            space = max(text.rfind(blank, start + 1, stop + 1) for blank in " \n")
            if space > start and not text[start:space].isspace():
                stop = space
        yield _Row(start, stop, opened, stop == end)
        opened = True
        start = stop
        while start < end and text[start] in " \t\n":
            start += 1


def _fitting(text: str, start: int, end: int, width: int) -> int:
    """Where the longest run from `start` on that fits ends; it holds one character at least."""
    used = 0
    for at in range(start, end):
        used += _TAB if text[at] == "\t" else columns(text[at])
        if used > width:
            return max(at, start + 1)
    return end


def _best(text: str, rows: Sequence[_Row], highlights: Sequence[Span], lines: int) -> int:
    """The first row of the window with most different words, then most words, then best centred."""
    found: list[set[str]] = [set() for _ in rows]
    counts = [0] * len(rows)
    at = 0
    for start, end in highlights:
        while at < len(rows) and rows[at].end <= start:
            at += 1
        if at < len(rows) and rows[at].start < end:
            found[at].add(text[start:end].casefold())
            counts[at] += 1
    best, best_key = 0, (0, 0, 0.0)
    for first in range(max(1, len(rows) - lines + 1)):
        window = range(first, min(first + lines, len(rows)))
        different = len(set().union(*(found[row] for row in window)))
        total = sum(counts[row] for row in window)
        if not total:
            continue
        middle = sum(row * counts[row] for row in window) / total
        key = (different, total, -abs(middle - (first + (lines - 1) / 2)))
        if key > best_key:
            best, best_key = first, key
    return best


def _pieces(text: str, row: _Row, highlights: Sequence[Span]) -> list[Piece]:
    pieces: list[Piece] = []
    at = row.start
    for start, end in highlights:
        start, end = max(start, at), min(end, row.end)
        if start < end:
            pieces += [_piece(text[at:start]), _piece(text[start:end], marked=True)]
            at = end
    pieces.append(_piece(text[at : row.end]))
    return [piece for piece in pieces if piece.text]


def _piece(text: str, *, marked: bool = False) -> Piece:
    return Piece(safe(_WRAPPED.sub(" ", text)), marked)
