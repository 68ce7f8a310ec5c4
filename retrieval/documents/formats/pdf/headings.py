"""Headings: those of the document's own table of contents, or else what is set larger or bolder."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from retrieval.documents.formats.pdf.lines import HYPHEN, Line
from retrieval.documents.outline import MAX_LEVEL

_MOST_LINES = 4
"""Of one heading."""
_MOST_CHARACTERS = 200
_LARGER, _AS_LARGE = 1.12, 0.97
"""Times the size of most text: a heading by its size; a bold one."""
_SAME = 1.06
"""Sizes that differ by less are one."""
_MOST_SHARE = 0.3
"""Of all lines; where more look like headings, as on slides, only the first of a page is one."""
_SPACE = 1.3
"""Times the usual distance of lines: what stands so far from the line before stands apart."""
_NUMBERED = re.compile(
    r"^(?:(?i:chapter|appendix)\s+\w+[.:]?|(?:[A-Z]|[IVX]+|\d+)(?:\.\d+)*[.:)]?)\s+(?=\S)"
)
_PAGES = re.compile(r"(?:page|seite|slide|folie|p\.)?\s*\d*|untitled|cover", re.I)
_LETTERS = re.compile(r"[^\W\d_]{2}|[^\W\d_a-zA-Z]")
_PAGE_BEHIND = re.compile(r"[\s.]+(?:\d+|[ivxlc]+)$")
_NO_HEADING = re.compile(r".*[.,;:!?…-]")


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a document's own table of contents.

    Attributes:
        words: of the entry.
        level: 1 for the outermost.
        page: number of the page that it leads to, from 1.
        top: where on it, in points from below, or None.
    """

    words: str
    level: int
    page: int
    top: float | None


@dataclass(frozen=True, slots=True)
class LineHeading:
    """A heading by its lines: from `first` up to, but not including, `end`; none if those are one.

    Attributes:
        first: number of its first line, or of the one that it stands before.
        end: one past its last line.
        level: 1 for the outermost.
        words: as the contents or the lines have them.
    """

    first: int
    end: int
    level: int
    words: str


def are_useful(entries: Sequence[Entry]) -> bool:
    """Whether a table of contents says more than numbers of pages."""
    telling = [entry for entry in entries if not _PAGES.fullmatch(entry.words.strip())]
    return len(telling) >= 2 and 2 * len(telling) > len(entries)


def from_contents(entries: Sequence[Entry], lines: Sequence[Line]) -> list[LineHeading]:
    """The headings of a table of contents, where they stand in the lines.

    An entry whose words do not stand where it leads is a heading before the line that does.
    """
    ranges: dict[int, tuple[int, int]] = {}
    for at, line in enumerate(lines):
        first, _ = ranges.get(line.page, (at, at))
        ranges[line.page] = first, at + 1
    letters = [_letters(line.text) for line in lines]
    unnumbered = [_letters(_NUMBERED.sub("", line.text, count=1)) for line in lines]
    found: list[LineHeading] = []
    reached = 0
    for entry in entries:
        words = " ".join(entry.words.split())
        if not words:
            continue
        place = _place(entry, lines, ranges, letters, unnumbered, reached)
        if place is None:
            continue
        first, end = place
        found.append(LineHeading(first, end, min(entry.level, MAX_LEVEL), words))
        reached = max(first, end)
    return found


def _place(
    entry: Entry,
    lines: Sequence[Line],
    ranges: dict[int, tuple[int, int]],
    letters: Sequence[str],
    unnumbered: Sequence[str],
    reached: int,
) -> tuple[int, int] | None:
    """The lines of an entry's heading; None where its page holds none, or comes too early."""
    if entry.page not in ranges:
        return None
    start, stop = ranges[entry.page]
    start = max(start, reached)
    wanted = {_letters(entry.words), _letters(_NUMBERED.sub("", entry.words, count=1))} - {""}
    whole = [
        (first, first + count)
        for first in range(start, stop)
        for count in _counts(wanted, first, stop, letters, unnumbered)
    ]
    if whole:
        return min(whole, key=lambda place: _distance(entry, lines[place[0]]))
    run_in = [at for at in range(start, stop) if letters[at].startswith(tuple(wanted))]
    below = [
        at
        for at in range(start, stop)
        if entry.top is not None and lines[at].top_base < entry.top + 1
    ]
    at = (run_in or below or [start])[0]
    return (at, at) if reached <= at < stop else None


def _counts(
    wanted: set[str], first: int, stop: int, letters: Sequence[str], unnumbered: Sequence[str]
) -> Iterator[int]:
    """How many lines from the first on make the words of an entry."""
    for beginning in {letters[first], unnumbered[first]}:
        made = beginning
        for count in range(1, _MOST_LINES + 1):
            if made in wanted:
                yield count
                return
            if first + count >= stop or not any(words.startswith(made) for words in wanted):
                break
            made += letters[first + count]


def _distance(entry: Entry, line: Line) -> float:
    return 0.0 if entry.top is None else abs(entry.top - line.top_base - line.size)


def _letters(words: str) -> str:
    folded = unicodedata.normalize("NFKC", words.replace(HYPHEN, "")).casefold()
    return "".join(filter(str.isalnum, folded))


def from_type(lines: Sequence[Line], body: float, spacing: float) -> list[LineHeading]:
    """Headings by size and weight.

    Args:
        lines: of all pages.
        body: the size of most text.
        spacing: the usual distance of two lines, in sizes of the font.
    """
    runs = _without_bylines(list(_runs(lines, body, spacing)), lines)
    runs = _without_entries(runs, lines)
    if sum(end - first for first, end in runs) > _MOST_SHARE * len(lines):
        seen: set[int] = set()
        kept = []
        for first, end in runs:
            if lines[first].page not in seen:
                seen.add(lines[first].page)
                kept.append((first, end))
        runs = kept
    sizes: list[float] = []
    for first, _ in sorted(runs, key=lambda run: -lines[run[0]].size):
        if not sizes or lines[first].size * _SAME < sizes[-1]:
            sizes.append(lines[first].size)
    found = []
    for first, end in runs:
        level = next(at for at, size in enumerate(sizes, 1) if lines[first].size * _SAME >= size)
        found.append(LineHeading(first, end, level, words_of(lines[first:end])))
    return found


def _without_bylines(
    runs: Sequence[tuple[int, int]], lines: Sequence[Line]
) -> list[tuple[int, int]]:
    """Runs without those that a larger one follows at once, such as authors and a date."""
    kept: list[tuple[int, int]] = []
    dropped: tuple[int, int] | None = None
    for first, end in reversed(runs):
        size = lines[first].size
        follows = kept[-1] if kept and kept[-1][0] == end else None
        if (follows and lines[follows[0]].size > _SAME * size) or (
            dropped and dropped[0] == end and lines[dropped[0]].size * _SAME > size
        ):
            dropped = first, end
        else:
            kept.append((first, end))
    return kept[::-1]


def _without_entries(
    runs: Sequence[tuple[int, int]], lines: Sequence[Line]
) -> list[tuple[int, int]]:
    """Runs without those that are lines of a printed table of contents: another, and its page."""
    words = [words_of(lines[first:end]) for first, end in runs]
    known = {_letters(one) for one in words}
    kept = []
    for run, one in zip(runs, words, strict=True):
        number = _PAGE_BEHIND.search(one)
        name = one[: number.start()] if number else ""
        if not known & ({_letters(name), _letters(_NUMBERED.sub("", name, count=1))} - {""}):
            kept.append(run)
    return kept


def _runs(lines: Sequence[Line], body: float, spacing: float) -> Iterator[tuple[int, int]]:
    """Lines that make a heading each."""
    at = 0
    while at < len(lines):
        first = lines[at]
        larger = first.size >= _LARGER * body
        if first.mono or not (larger or (first.bold and first.size >= _AS_LARGE * body)):
            at += 1
            continue
        end = at + 1
        while end < len(lines) and _goes_on(lines[end - 1], lines[end], spacing):
            end += 1
        words = words_of(lines[at:end])
        if (
            end - at <= _MOST_LINES
            and len(words) <= (_MOST_CHARACTERS if larger else _MOST_CHARACTERS // 2)
            and _LETTERS.search(words)
            and (larger or _stands_apart(lines, at, end, spacing))
            and not (_NO_HEADING.fullmatch(words) and (not larger or words.endswith((",", ";"))))
        ):
            yield at, end
        at = end


def words_of(lines: Sequence[Line]) -> str:
    """The words of lines that belong together."""
    return " ".join(line.text for line in lines).replace(f"{HYPHEN} ", "").replace(HYPHEN, "-")


def _goes_on(line: Line, following: Line, spacing: float) -> bool:
    """Whether a line is set as the one before it, and right below or beside it."""
    return (
        following.page == line.page
        and following.bold == line.bold
        and not following.mono
        and max(line.size, following.size) < _SAME * min(line.size, following.size)
        and -0.5 < (line.base - following.top_base) / line.size < max(1.6, spacing * 1.1)
    )


def _stands_apart(lines: Sequence[Line], at: int, end: int, spacing: float) -> bool:
    """Whether there is more space before a line than usual, or nothing, or a larger heading."""
    if at == 0 or lines[at - 1].page != lines[at].page:
        return True
    before = lines[at - 1]
    distance = (before.base - lines[at].top_base) / lines[at].size
    if before.size > _LARGER * lines[at].size and distance > 0:
        return True
    return distance > _SPACE * spacing or distance < -1
