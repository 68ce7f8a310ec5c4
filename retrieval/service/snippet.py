"""The lines of a passage that answer the query, cut to a width."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from retrieval.service.printable import columns, safe
from retrieval.service.wrapped_lines import Span, lines_of

LINES = 3
"""Maximum lines of a snippet."""

_TAB = 4

_OPENING = (":", "{", "(", "[", " do", " then", "=>", "=")
"""Line ends after which the next line is indented further."""

_WRAPPED = re.compile(r"[ \t\r]*\n[ \t]*")


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text, safe to print, and whether it is a match."""

    text: str
    marked: bool


@dataclass(frozen=True, slots=True)
class Snippet:
    """Rows to print.

    Attributes:
        start: where the matching rows begin, as a character offset in the text.
        match: where the text's line that matches best begins, within those rows.
        rows: the rows, each in pieces.
    """

    start: int
    match: int
    rows: list[list[Piece]]


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of the passage, or as much of one as fits.

    Attributes:
        start, end: its span in the passage.
        opened: whether it continues a line of the previous row.
        closed: whether its line ends in this row.
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
    """The consecutive rows with most of the query's words, as pieces to print.

    Args:
        text: the passage.
        highlights: (start, end) of the matching words in it, ascending.
        width: columns per row, including an ellipsis at either end.
        prose: whether wrapped lines are joined.
        lines: maximum number of rows.
        context: how many more rows to show before and after them.
        within: the part of the text to take rows from; None is all of it.

    Returns:
        The rows, without common indentation, blank lines and code fences; long lines are broken at
        spaces. The first begins with an ellipsis if it starts within a line, the last ends with
        one if its line continues. Without highlights, they are the first rows.
    """
    rows = _rows(text, width - 2, prose=prose)
    begin, end = within or (0, len(text))
    before = sum(row.end <= begin for row in rows)
    inside = [row for row in rows[before:] if row.start < end]
    best = _best(text, inside, highlights, lines)
    matching = inside[best : best + lines]
    first = before + best
    last = first + len(matching)
    start = match = 0
    if matching:
        start = matching[0].start
        match = _best_line(text, (start, matching[-1].end), highlights)
    first = max(0, first - context)
    chosen = _dedented(text, rows[first : last + context])
    shown = [_pieces(text, row, highlights) for row in chosen]
    if chosen and chosen[0].opened:
        shown[0].insert(0, Piece("…", False))
    if chosen and not chosen[-1].closed:
        shown[-1].append(Piece("…", False))
    return Snippet(start, match, shown)


def _rows(text: str, width: int, *, prose: bool) -> list[_Row]:
    """The passage's non-empty lines, each broken into rows that fit."""
    rows: list[_Row] = []
    indent = _first_indent(text)
    for start, end in lines_of(text, prose=prose):
        end = start + len(text[start:end].rstrip())
        rows += _broken(text, start, end, width, indent if start else 0)
    return rows


def _first_indent(text: str) -> int:
    """The indentation of the first line, inferred from the lines after it.

    A passage begins with its first word, so the indentation of its first line is unknown. If that
    line opens a block, the block is indented one step further; the other lines are indented at
    least as far as the first.
    """
    first, *lines = [line for line in text.splitlines() if line.strip()] or [""]
    indents = [len(line) - len(line.lstrip(" \t")) for line in lines]
    least = min(indents, default=0)
    if not first.rstrip().endswith(_OPENING) or indents[:1] != [least]:
        return least
    steps = [b - a for a, b in pairwise(indents) if b > a]
    return max(0, least - min([*steps, 1 if "\n\t" in text else 4]))


def _dedented(text: str, rows: Sequence[_Row]) -> list[_Row]:
    """The rows without the common indentation of those that start a line."""
    indents = []
    for row in rows:
        line = text[row.start : row.end]
        # A passage may begin within a line; its first row's indentation then means nothing.
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

    The first has `indent` more columns, which are not shown.
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
    """The end of the longest run from `start` that fits, of at least one character."""
    used = 0
    for at in range(start, end):
        used += _TAB if text[at] == "\t" else columns(text[at])
        if used > width:
            return max(at, start + 1)
    return end


def _best(text: str, rows: Sequence[_Row], highlights: Sequence[Span], lines: int) -> int:
    """The first row of the best window: most distinct words, then most words, then best centred."""
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


def _best_line(text: str, within: Span, highlights: Sequence[Span]) -> int:
    """The start of the text's line, within the span, with the most distinct words."""
    found: dict[int, set[str]] = {within[0]: set()}
    for start, end in highlights:
        if within[0] <= start < within[1]:
            line = max(within[0], text.rfind("\n", 0, start) + 1)
            found.setdefault(line, set()).add(text[start:end].casefold())
    return max(found, key=lambda line: len(found[line]))


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
