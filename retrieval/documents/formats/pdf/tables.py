"""Tables of a page: lines that follow each other, with gaps between their words in the same places.

PDF knows no tables. A row whose cells have several lines is several rows here, and a table whose
cells stand as close as words do is a paragraph.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from retrieval.documents.formats.pdf.lines import Gap, Line

_ALIGNED = 0.6
"""In font sizes: cells that begin or end this close to each other are in one column."""
_MOST_CELLS = 8
"""Most cells of a row, beside the first."""
_FARTHEST = 3.0
"""In font sizes: the largest distance between rows of one table."""
_SAME_LINE = 0.5
_SENTENCE = 1.5
"""In font sizes: the widest gap after a sentence."""
_NO_CELL = re.compile(r"\W*|\(?(?:\d+(?:\.\d+)*|[a-zA-Z]|[ivxIVX]{1,5})[.):]?")
"""The mark of a list's item or the number of a heading, which stand apart from their words."""
_SEPARATOR = " | "


def tables_of(lines: Sequence[Line], is_text: Callable[[int], bool]) -> Iterator[tuple[int, int]]:
    """Stretches of two lines or more that are rows of one table.

    Args:
        lines: of all pages.
        is_text: whether the line with this number may be a row: it is not a heading.
    """
    first = at = 0
    for at, (line, after) in enumerate(pairwise(lines), start=1):
        if not (is_text(at - 1) and is_text(at) and _follows(line, after)):
            if at - first > 1:
                yield first, at
            first = at
    if lines and at + 1 - first > 1:
        yield first, at + 1


def row_of(line: Line) -> str:
    """A line with its cells parted."""
    pieces, start = [], 0
    for gap in _gaps(line):
        pieces.append(line.text[start : gap.offset].strip())
        start = gap.offset
    return _SEPARATOR.join([*pieces, line.text[start:].strip()])


def _gaps(line: Line) -> list[Gap]:
    """The gaps between cells: not those after a sentence, which TeX makes wider."""
    gaps = [gap for gap in line.gaps if not _is_after_sentence(line, gap)]
    if gaps and _NO_CELL.fullmatch(line.text[: gaps[0].offset].strip()):
        del gaps[0]
    return gaps


def _is_after_sentence(line: Line, gap: Gap) -> bool:
    return gap.right - gap.left < _SENTENCE * line.size and line.text[
        : gap.offset
    ].rstrip().endswith((".", "!", "?", ":", ";"))


def _follows(line: Line, after: Line) -> bool:
    """Whether two lines are rows of one table."""
    gaps, others = _gaps(line), _gaps(after)
    if not gaps or not others or line.page != after.page or line.mono or after.mono:
        return False
    distance = (line.base - after.top_base) / line.size
    if not _SAME_LINE < distance < _FARTHEST:
        return False
    aligned = sum(
        any(_is_aligned(one, other, _ALIGNED * line.size) for other in _columns(after, others))
        for one in _columns(line, gaps)
    )
    fewer, more = sorted((len(gaps), len(others)))
    # Lines that were stretched have gaps between all of their words, aligned by chance.
    return 3 * aligned >= 2 * more if more > _MOST_CELLS else 2 * aligned >= fewer


def _columns(line: Line, gaps: Sequence[Gap]) -> list[tuple[float, float]]:
    """Where the cells behind gaps begin and end."""
    ends = [*(gap.left for gap in gaps[1:]), line.right]
    return [(gap.right, end) for gap, end in zip(gaps, ends, strict=True)]


def _is_aligned(cell: tuple[float, float], other: tuple[float, float], close: float) -> bool:
    return abs(cell[0] - other[0]) < close or abs(cell[1] - other[1]) < close
