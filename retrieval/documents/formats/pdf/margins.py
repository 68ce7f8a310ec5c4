"""What stands at the top or the foot of one page after the other: running headers, page numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from retrieval.documents.formats.pdf.lines import Line, Page

_ZONE = 0.12
"""Of the height of a page, or of what is printed on most: headers and footers stand no deeper."""
_LINES = 3
"""At either end of a page that may be such."""
_FEW_PAGES = 4
_NEAR = 4.0
"""Points; the same line stands at the same height."""
_LARGER = 1.2
"""Times the size of most text: a line of this size heads something."""
_NUMBER = re.compile(r"\d+|\b[ivxlc]+\b")
_LONE = re.compile(
    r"\W*(?:page|seite|p\.|pág\.|página|pagina)?\W*#\W*(?:(?:of|von|de|/|di)\W*#\W*)?", re.I
)


def without_margins(pages: Sequence[Page], body: float) -> None:
    """Take running headers, footers and page numbers out of pages.

    Such a line stands near the top or the foot, and on three pages or more (of four or fewer, on
    two) at the same height with the same words, but for numbers.
    """
    edges = _edges(pages)
    counts: Counter[tuple[str, int]] = Counter()
    for page in pages:
        seen = {key for line in _ends(page, body, edges) for key in _keys(line)}
        counts.update(seen)
    least = 2 if len(pages) <= _FEW_PAGES else 3
    for page in pages:
        gone = {
            id(line)
            for line in _ends(page, body, edges)
            if max(counts[key] for key in _keys(line)) >= least
            or (_LONE.fullmatch(_words(line)) and _says(line, page))
        }
        page.lines = [line for line in page.lines if id(line) not in gone]


def _edges(pages: Sequence[Page]) -> tuple[float, float]:
    """The lowest and the highest base line of most pages that have text."""
    bases = [[line.top_base for line in page.lines] for page in pages if page.lines]
    lowest, highest = sorted(map(min, bases)), sorted(map(max, bases))
    tenth = len(bases) // 10
    return (lowest[tenth], highest[-1 - tenth]) if bases else (0.0, 0.0)


def _ends(page: Page, body: float, edges: tuple[float, float]) -> Iterator[Line]:
    """Lines that may be headers or footers.

    Args:
        page: a page.
        body: the size of most text.
        edges: as `_edges` finds them: of a page that is to be cut, much is empty.
    """
    lines = [line for line in page.lines if line.size < _LARGER * body]
    lines.sort(key=lambda line: -line.top_base)
    depth = _ZONE * (edges[1] - edges[0])
    lowest = max(_ZONE * page.height, edges[0] + depth)
    highest = min((1 - _ZONE) * page.height, edges[1] - depth)
    yield from (line for line in lines[:_LINES] if line.top_base > highest)
    yield from (line for line in lines[_LINES:][-_LINES:] if line.top_base < lowest)


def _keys(line: Line) -> list[tuple[str, int]]:
    """Words and height; the height in steps, so that what is near has one of them in common."""
    at = line.top_base / _NEAR
    words = _words(line)
    return [(words, int(at)), (words, int(at + 0.5) + 1_000_000)]


def _words(line: Line) -> str:
    return _NUMBER.sub("#", line.text.lower())


def _says(line: Line, page: Page) -> bool:
    """Whether a line of a number alone is the page's number as programs count."""
    return str(page.number) in re.findall(r"\d+", line.text)
