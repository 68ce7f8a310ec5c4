"""The lines of a passage, with the wrapped lines of a paragraph joined."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

Span = tuple[int, int]
"""Start and end, as character offsets in the passage."""

_FULL_LINE = 45
"""Minimum characters of a line of prose that counts as wrapped, not ended on purpose."""
_FULL_SHARE = 0.75
"""Minimum length of a wrapped line with the word after it, relative to the paragraph's longest
line."""
_CODE_INDENT = 4

_SAYS_NOTHING = re.compile(r"\s*|\s*(```+|~~~+)\s*[\w+-]*\s*")
"""A blank line, or one that starts or ends a fenced code block."""

_FENCE = re.compile(r"\s*(```|~~~)")
_ENDED = re.compile(r".*[.!?。！？][\"')\]”’»*_`]*\s*|.*(  |\\)", re.DOTALL)
"""A line that ends a sentence, or after which Markdown has a line break."""
_BEGINS_ANEW = re.compile(r"\W*(\d|[=:/|<>{}]|\w[^\s]*[=|<>{}]|\w+:)")
"""The beginning of a line that looks like a record rather than the middle of a sentence."""
_CONTINUES = re.compile(r" {0,6}(?!\d+[.)] |```|[*_] )[\w\"'(`*_“‘]")


def lines_of(text: str, *, prose: bool) -> Iterator[Span]:
    """Spans of the non-blank lines, without their line breaks; in prose, wrapped lines are joined.

    Lines that start or end a fenced code block are left out.
    """
    lines = []
    at = 0
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        lines.append((at, end))
        at = end + 1
    joined = _wrapped(text, lines) if prose else set()
    start = 0
    for number, (begin, end) in enumerate(lines):
        if number - 1 not in joined:
            start = begin
        if number not in joined and end > start and not _SAYS_NOTHING.fullmatch(text, start, end):
            yield start, end


def _wrapped(text: str, lines: Sequence[Span]) -> set[int]:
    """Numbers of the lines that continue on the next one, in paragraphs outside code."""
    found: set[int] = set()
    marks = [number for number, line in enumerate(lines) if _FENCE.match(text, *line)]
    if len(marks) % 2:  # the passage begins or ends in code, and it is unknown which
        return found
    fenced = {n for a, b in zip(marks[::2], marks[1::2], strict=True) for n in range(a, b + 1)}
    first = 0
    for number in range(1, len(lines) + 1):
        if number < len(lines) and (
            number not in fenced
            and number - 1 not in fenced
            and text[slice(*lines[number - 1])].strip()
            and _CONTINUES.match(text, lines[number][0])
        ):
            continue
        found.update(first + at for at in _wrapped_of([text[a:b] for a, b in lines[first:number]]))
        first = number
    return found


def _wrapped_of(rows: Sequence[str]) -> list[int]:
    """Numbers of the lines that continue on the next one, given lines without blank ones between.

    The lines of a paragraph are full, and few of them start or end a sentence; each line of a log,
    a table or a listing stands by itself.
    """
    widest = max(map(len, rows))
    pairs = list(pairwise(rows))
    if _is_indented(rows[0]) or (pairs and all(map(_is_indented, rows[1:])) and _is_bare(rows[0])):
        return []
    goes_on = [not _ENDED.fullmatch(one) and not _is_new(one, other) for one, other in pairs]
    if 2 * sum(goes_on) < len(pairs):
        return []
    return [
        at
        for at, (one, other) in enumerate(pairs)
        if len(one) >= _FULL_LINE
        and len(one) + 1 + len(other.split(None, 1)[0]) >= _FULL_SHARE * widest
        and not one.rstrip("\r").endswith(("  ", "\\"))
    ]


def _is_new(line: str, following: str) -> bool:
    """Whether the following line begins like a record, or with the same word as this line."""
    word, *_ = following.split(None, 1)
    letter = next((letter for letter in word if letter.isalnum()), "")
    return letter.isupper() or bool(_BEGINS_ANEW.match(word)) or line.split(None, 1)[:1] == [word]


def _is_indented(line: str) -> bool:
    return line.expandtabs(_CODE_INDENT).startswith(" " * _CODE_INDENT)


def _is_bare(line: str) -> bool:
    """Whether a line with indented lines below it is not a list item."""
    return _CONTINUES.match(line) is not None
