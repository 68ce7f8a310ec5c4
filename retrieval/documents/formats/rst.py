"""reStructuredText: its sections, by the lines that underline a title."""

from __future__ import annotations

import re
from collections.abc import Iterator

from retrieval.documents.formats.format import text_format
from retrieval.documents.outline import Heading, Outline, parts_of, sections_of

_ADORNMENT = re.compile(r"^([!-/:-@\[-`{-~])\1*[ \t]*\r?$", re.MULTILINE)


def outline(text: str) -> Outline:
    """Sections at titles; a style of underline is deeper than those that came before it."""
    levels: dict[tuple[str, bool], int] = {}
    headings = [
        Heading(start, end, levels.setdefault(style, len(levels) + 1), words)
        for start, end, style, words in _titles(text)
    ]
    sections = sections_of(text, headings)
    return Outline(sections, parts=parts_of(text, sections))


def _titles(text: str) -> Iterator[tuple[int, int, tuple[str, bool], str]]:
    """(start, end, (character, whether a line stands above too), title) of every section title."""
    done = 0
    for underline in _ADORNMENT.finditer(text):
        start, title = _line_before(text, underline.start())
        if start < done or not title.strip() or _ADORNMENT.match(title):
            continue
        width = len(underline[0].strip())
        if width < min(4, len(title.strip())):
            continue
        above, over = _line_before(text, start)
        overlined = above >= done and over.strip() == underline[0].strip()
        if overlined:
            start, (above, over) = above, _line_before(text, above)
        elif title[0].isspace():
            continue
        if over.strip() and above >= done:
            continue  # the last line of a paragraph, not a title
        done = underline.end()
        yield start, done, (underline[1], overlined), title.strip()


def _line_before(text: str, start: int) -> tuple[int, str]:
    """Start and content of the line that ends right before `start`; (-1, "") if there is none."""
    if start == 0:
        return -1, ""
    end = start - 1
    begin = text.rfind("\n", 0, end) + 1
    return begin, text[begin:end]


FORMATS = (text_format("rst", 2, outline, suffixes=(".rst", ".rest")),)
