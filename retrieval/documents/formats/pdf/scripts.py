"""Superscripts, subscripts and note marks: where PDFium breaks a line at one, it is joined."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from retrieval.documents.formats.pdf.lines import HYPHEN, SCRIPT, Line

_SMALLEST = 0.4
_RAISED = 0.55
"""In sizes of the larger: how far base lines of one line are apart at most."""
_WIDEST = 0.8
_BLANK = 0.15
_OVERLAP = 0.6
"""An index may stand below an exponent."""


def join_scripts(lines: Iterable[Line]) -> list[Line]:
    """The lines of a page, those put together that PDFium parts at what is set higher or lower."""
    joined: list[Line] = []
    for line in lines:
        if joined and _goes_on(joined[-1], line):
            joined[-1] = _together(joined[-1], line)
        else:
            joined.append(line)
    return joined


def _goes_on(line: Line, after: Line) -> bool:
    size, smaller = max(line.size, after.size), min(line.size, after.size)
    if line.text.endswith(HYPHEN) or line.mono or after.mono or smaller < _SMALLEST * size:
        return False
    gap = after.left - line.right
    has_script = line.scripted or after.scripted or smaller < SCRIPT * size
    return (
        has_script
        and -_OVERLAP * size < gap < _WIDEST * size
        and abs(after.top_base - line.base) < _RAISED * size
    )


def _together(line: Line, after: Line) -> Line:
    size = max(line.size, after.size)
    space = " " if after.left - line.right > _BLANK * size else ""
    main = line if line.size >= SCRIPT * after.size else after
    behind = len(line.text) + len(space)
    return replace(
        line,
        text=line.text + space + after.text,
        right=max(line.right, after.right),
        top_base=main.top_base,
        base=after.base if after.size >= SCRIPT * line.size else line.base,
        size=main.size,
        bold=line.bold and after.bold,
        scripted=True,
        gaps=(*line.gaps, *(replace(gap, offset=gap.offset + behind) for gap in after.gaps)),
    )
