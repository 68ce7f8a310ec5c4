"""Lines to a text: lines of a paragraph are joined, words that were parted are put together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from statistics import median

from retrieval.documents.formats.builder import OutlineBuilder
from retrieval.documents.formats.pdf.headings import LineHeading
from retrieval.documents.formats.pdf.lines import HYPHEN, Line
from retrieval.documents.formats.pdf.tables import row_of, tables_of
from retrieval.documents.outline import Mark, Outline

_USUAL = 1.2
"""Distance of lines where nothing tells, in sizes of the font."""
_SPACE = 1.3
"""Times the usual distance: what stands so far from the line before begins a paragraph."""
_SAME_LINE = 0.5
_SAME_SIZE = 0.1
_INDENTED = 0.8
"""In sizes of the font."""
_SPARSE = 1.5
"""Times the usual width of a character: a line of cells far apart is a row of a table."""
_TOLERANCE = 0.5
_MOST_COLUMNS = 80
"""Spaces before a line of code."""
_MOST_COMPARED = 300
"""Lines of a page; beyond them all of it counts as one column."""
_ENDS = re.compile(r".*[.!?:。！？][\"'”’»)\]]*", re.S)
_ITEM = re.compile(r"(?:[•▪▫■□●○◦‣⁃∙·–—*-]|\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,5})[.)])\s+\S")
_FIRST, _LAST = re.compile(r"\w+"), re.compile(r"\w+$")
_UNSPACED = re.compile("[\u2e80-\u9fff\uf900-\ufaff\uff00-\uff65]{2}")
"""Characters of Chinese and Japanese, which stand without spaces."""
_WORD = re.compile(r"\w+(?:-\w+)*")


def spacing_of(lines: Sequence[Line]) -> float:
    """The usual distance of two lines of a paragraph, in sizes of their font."""
    found = [
        (line.base - after.top_base) / line.size
        for line, after in pairwise(lines)
        if line.page == after.page and abs(line.size - after.size) < _SAME_SIZE * line.size
    ]
    usual = [distance for distance in found if 0.8 < distance < 3]
    return median(usual) if usual else _USUAL


def text_of(
    lines: Sequence[Line], headings: Sequence[LineHeading], spacing: float
) -> tuple[str, Outline]:
    """The text of lines, and its structure.

    Args:
        lines: of all pages, without running headers and footers.
        headings: in order.
        spacing: as `spacing_of` finds it.
    """
    tables = _tables(lines, headings)
    texts, joints = _joined(lines, headings, tables, spacing)
    starts: list[int] = []
    at = 0
    for piece, joint in zip(texts, joints, strict=True):
        starts.append(at + len(joint))
        at = starts[-1] + len(piece)
    text = "".join(joint + piece for piece, joint in zip(texts, joints, strict=True))
    builder = OutlineBuilder(text)
    for heading in headings:
        start = starts[heading.first]
        stands = heading.end > heading.first
        end = starts[heading.end - 1] + len(texts[heading.end - 1]) if stands else start
        builder.heading(start, end, heading.level, heading.words)
    for first, end in _codes(lines):
        builder.code(starts[first], starts[end - 1] + len(texts[end - 1]), "")
    for first, end in tables:
        stop = starts[end - 1] + len(texts[end - 1])
        builder.table(starts[first], stop, (), starts[first + 1 : end])
    page = 0
    for line, start in zip(lines, starts, strict=True):
        if line.page != page:
            page = line.page
            builder.marks.append(Mark(start, "page", page))
    return text, builder.outline()


def _tables(lines: Sequence[Line], headings: Sequence[LineHeading]) -> list[tuple[int, int]]:
    headed = {at for heading in headings for at in range(heading.first, heading.end)}
    return list(tables_of(lines, lambda at: at not in headed))


def _joined(
    lines: Sequence[Line],
    headings: Sequence[LineHeading],
    tables: Sequence[tuple[int, int]],
    spacing: float,
) -> tuple[list[str], list[str]]:
    """The text of each line, and what stands before it."""
    part_of = {
        line: number
        for number, heading in enumerate(headings)
        for line in range(heading.first, heading.end)
    }
    headed = {heading.first for heading in headings}
    rights, usual = _rights(lines), _usual_width(lines)
    words = _Words(lines)
    texts = [line.text.replace(HYPHEN, "-") for line in lines]
    joints = [""] * len(lines)
    for at in range(1, len(lines)):
        before, line = lines[at - 1], lines[at]
        if at in headed or part_of.get(at - 1) != part_of.get(at):
            joints[at] = "\n\n"
        elif at in part_of or (before.text.endswith(HYPHEN) and before.page == line.page):
            joints[at] = " "
        else:
            joints[at] = _joint(before, line, rights[at - 1], spacing, usual)
        if joints[at] == " " and texts[at - 1].endswith("-") and texts[at][0].islower():
            joints[at] = ""
            texts[at - 1] = words.without_hyphen(texts[at - 1], texts[at])
        elif joints[at] == " " and _UNSPACED.fullmatch(texts[at - 1][-1] + texts[at][0]):
            joints[at] = ""
    for first, end in tables:
        for at in range(first, end):
            texts[at] = row_of(lines[at]).replace(HYPHEN, "-")
            joints[at] = "\n"
        joints[first] = "\n\n" if first else ""
        if end < len(lines):
            joints[end] = "\n\n"
    for first, end in _codes(lines):
        edge = min(line.left for line in lines[first:end])
        for at in range(first, end):
            width = (lines[at].right - lines[at].left) / max(1, len(lines[at].text))
            columns = round((lines[at].left - edge) / width) if width > 0 else 0
            if joints[at] not in ("", " "):
                texts[at] = " " * min(columns, _MOST_COLUMNS) + texts[at]
    return texts, joints


def _joint(line: Line, after: Line, right: float, spacing: float, usual: float) -> str:
    """What separates two lines: a space if the paragraph continues, or newlines."""
    if line.apart or after.apart:
        return "\n\n"
    ends = bool(_ENDS.fullmatch(line.text))
    distance = (line.base - after.top_base) / line.size
    if after.page != line.page or distance < -_SAME_LINE:  # a page, or a column
        goes_on = not ends and after.text[0].islower() and not line.mono
        return " " if goes_on else "\n\n"
    if abs(distance) <= _SAME_LINE:
        return " "
    if line.mono != after.mono or distance > _SPACE * spacing:
        return "\n\n"
    if abs(line.size - after.size) > _SAME_SIZE * line.size:
        return "\n\n"
    is_row = max(_width(line), _width(after)) > _SPARSE * usual
    if line.mono or line.bold != after.bold or is_row or _ITEM.match(after.text):
        return "\n"
    word = len(after.text.split(" ", 1)[0]) + 1
    width = word * (after.right - after.left) / max(1, len(after.text))
    is_short = line.right + width < right - _TOLERANCE * line.size
    indented = after.left - line.left > _INDENTED * line.size and not _ITEM.match(line.text)
    if indented and (ends or is_short):
        return "\n\n"
    if is_short:
        return "\n\n" if ends else "\n"
    return " "


def _width(line: Line) -> float:
    """Of a character, with the spaces between words, in sizes of the font."""
    return (line.right - line.left) / max(1, len(line.text)) / line.size


def _usual_width(lines: Sequence[Line]) -> float:
    return median([_width(line) for line in lines]) if lines else 0.0


def _rights(lines: Sequence[Line]) -> list[float]:
    """For each line, where the lines of its column end on its page."""
    rights: list[float] = []
    for _, group in groupby(lines, key=lambda line: line.page):
        page = list(group)
        if len(page) > _MOST_COMPARED:
            rights += [max(line.right for line in page)] * len(page)
            continue
        for line in page:
            beside = sorted(
                other.right for other in page if other.left < line.right and other.right > line.left
            )
            rights.append(beside[int(0.9 * (len(beside) - 1))] if beside else line.right)
    return rights


def _codes(lines: Sequence[Line]) -> Iterator[tuple[int, int]]:
    """Stretches of two lines or more in a font whose characters are equally wide, on one page."""
    at = 0
    for (mono, _), group in groupby(lines, key=lambda line: (line.mono, line.page)):
        count = sum(1 for _ in group)
        if mono and count > 1:
            yield at, at + count
        at += count


class _Words:
    """The words of a document: they tell whether a hyphen at a line's end belongs to the word."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._known = {word for line in lines for word in _WORD.findall(line.text.casefold())}

    def without_hyphen(self, text: str, after: str) -> str:
        """A text that ends with a hyphen, without it unless it belongs to the word."""
        left, right = _LAST.search(text[:-1]), _FIRST.match(after)
        if left is None or right is None:
            return text
        return text if "-" in self._word(left[0], right[0]) else text[:-1]

    def _word(self, left: str, right: str) -> str:
        whole, with_hyphen = left + right, f"{left}-{right}"
        if not left or not right or not right[0].islower() or not left[-1].isalpha():
            return with_hyphen
        known = with_hyphen.casefold() in self._known and whole.casefold() not in self._known
        return with_hyphen if known else whole
