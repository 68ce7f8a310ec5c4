"""Headers of reStructuredText tables, whose cells may span columns and rows.

A column's header has the words of every cell above it: `Flow Min` and `Flow Max` where `Flow` spans
both. The words of a cell that spans all columns are given only once, in the first.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import pairwise

from retrieval.documents.formats.builder import HEADING_CHARACTERS, MAX_LEAD_CELLS

DASHES = re.compile(r"[ \t]*-+(?:[ \t]+-+)*[ \t]*$")
"""A line below cells of a simple table; each run of dashes belongs to one cell."""
_CORNER = re.compile(r"(?<=[-=])\+|\+(?=[-=])")
_WALL = re.compile(rf"\||{_CORNER.pattern}")
_BORDER = re.compile(r"[-=]+$")


def grid_header(lines: Iterable[str]) -> list[str]:
    """The words of each column in the header of a grid table.

    Args:
        lines: the header's lines, from its upper border to the double border below it.
    """
    drawn = [_by_width(line) for line in lines]
    corners = sorted({found.start() for line in drawn for found in _CORNER.finditer(line)})
    numbers = {at: n for n, at in enumerate(corners)}
    words: list[list[str]] = [[] for _ in corners[1:]]
    for line in drawn:
        marks = (found.start() for found in _WALL.finditer(line))
        walls = [numbers[at] for at in marks if at in numbers]
        for left, right in pairwise(walls):
            cell = line[corners[left] + 1 : corners[right]].strip()
            if not _BORDER.match(cell):
                _add(words, range(left, right), cell)
    return _joined(words)


def simple_header(lines: Sequence[str], columns: Sequence[tuple[int, int]]) -> list[str]:
    """The words of each column in the header of a simple table.

    Args:
        lines: the lines between the header's borders.
        columns: where each column starts and ends in a line.
    """
    words: list[list[str]] = [[] for _ in columns]
    above: list[str] = []
    for line in [*lines, ""]:
        if line and not DASHES.match(line):
            above.append(_by_width(line))
            continue
        cells = [found.span() for found in re.finditer("-+", line)] or columns
        for text in above:
            for group in _groups(text, cells, columns):
                _add(words, group, text[columns[group[0]][0] : columns[group[-1]][1]].strip())
        above = []
    return _joined(words)


def _groups(
    text: str, cells: Sequence[tuple[int, int]], columns: Sequence[tuple[int, int]]
) -> list[range]:
    """The columns of each cell of a line; words that run across columns join them, too."""
    starts = {start for start, _ in cells}
    groups: list[range] = []
    for n, (start, _) in enumerate(columns):
        joined = n and (start not in starts or text[columns[n - 1][1] : start].strip())
        if groups and joined:
            groups[-1] = range(groups[-1][0], n + 1)
        else:
            groups.append(range(n, n + 1))
    return groups


def _add(words: list[list[str]], columns: range, cell: str) -> None:
    """Add a cell's text to the words of its columns, as far as columns and words are shown."""
    cell = cell.replace("\0", "")[:HEADING_CHARACTERS]
    if len(columns) == len(words):
        columns = columns[:1]
    for column in columns[: max(0, MAX_LEAD_CELLS - columns.start)] if cell else ():
        if sum(map(len, words[column])) < HEADING_CHARACTERS:
            words[column].append(cell)


def _joined(words: list[list[str]]) -> list[str]:
    return [" ".join(column)[:HEADING_CHARACTERS] for column in words[:MAX_LEAD_CELLS]]


def _by_width(line: str) -> str:
    """The line with a NUL after each character that is two columns wide."""
    if line.isascii():
        return line
    return "".join(
        f"{character}\0" if unicodedata.east_asian_width(character) in "FW" else character
        for character in line
    )
