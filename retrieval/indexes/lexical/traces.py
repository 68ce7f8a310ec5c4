"""Pasted traces and logs: the lines that say what happened apart from those that say where.

A trace names the places that a program went through, one line each in the same shape, and somewhere
above, below or between them what went wrong. The places are the larger part of its words by far,
and they are words that are everywhere. They are told by their shape alone, whatever the language
that printed them: lines that differ in names and numbers only, and that count lines or times.
"""

from __future__ import annotations

import re
from collections import Counter

_BRACKETED = re.compile(r"<([^\W\d]\w*)>|\(\*([^\W\d]\w*)\)")  # <module>, (*Receiver)
_NUMBER = re.compile(r"0x[0-9a-fA-F]+|\d+")
_NAMES = re.compile(r"[^\W\d]\w*(?:[./\\:$-]+[^\W\d]\w*)*")
_WORDS = re.compile(r"w(?: w)+")
_PLACE = re.compile(r":\d+|\bline \d+|0x[0-9a-fA-F]{4,}|^\s*at\s|^\s*#?\d+:?\s")
_FEWEST = 2  # lines of one shape that are places


def messages(lines: list[str]) -> list[int]:
    """Which lines of a text say what happened, if it is a trace or a log.

    Returns:
        Places in `lines`, ascending; all that are not blank if the text is neither.
    """
    every = [place for place, line in enumerate(lines) if line.strip()]
    shapes = {place: _shape(lines[place]) for place in every if _PLACE.search(lines[place])}
    counts = Counter(shapes.values())
    kept: list[int] = []
    depth: int | None = None  # of the place that the lines before belong to
    for place in every:
        indent = len(lines[place]) - len(lines[place].lstrip())
        if counts[shapes.get(place, "")] >= _FEWEST:
            depth = indent
        elif depth is None or indent <= depth:
            depth = None
            kept.append(place)
    return kept if kept and 2 * len(kept) <= len(every) else every


def _shape(line: str) -> str:
    """A line with `w` for names and 0 for numbers."""
    plain = _NUMBER.sub("0", _BRACKETED.sub(r"\1\2", line.strip()))
    return _WORDS.sub("w", _NAMES.sub("w", plain))
