"""Pasted traces and logs: separating messages (what happened) from locations (where).

A trace lists the places that a program went through, one line each in the same shape, and somewhere
    above, below or between them what went wrong. The locations are by far the larger part of its
    words, and these words occur everywhere. They are recognised by shape alone, whatever the
    language that printed them: lines that count lines or times, and that differ only in names and
    numbers or begin alike (`    at ...`, `#3 ...`, `  from ...`).
"""

from __future__ import annotations

import re
from collections import Counter

_BRACKETED = re.compile(r"<([^\W\d]\w*)>|\(\*([^\W\d]\w*)\)")  # <module>, (*Receiver)
_NUMBER = re.compile(r"0x[0-9a-fA-F]+|\d+")
_NAMES = re.compile(r"[^\W\d]\w*(?:[./\\:$-]+[^\W\d]\w*)*")
_WORDS = re.compile(r"w(?: w)+")
_WITHIN = re.compile(r"\s*\S+: in (?=\S)")  # `wheel.lua:7: in function 'turn'`, `[C]: in ?`
_PLACE = re.compile(
    rf":\d+|\bline \d+|0x[0-9a-fA-F]{{4,}}|^\s*at\s|^\s*#?\d+:?\s|^{_WITHIN.pattern}"
)
_BEGINS = re.compile(r"(?:\s+[a-z]+|\s*#0)(?=\s)")
_FEWEST = 2  # so many lines of one shape, or with one beginning, are locations
_REFERENCE = re.compile(  # `in /mill/wheel.php:7`, `wheel.rb:7:in `turn':`, but not a URL
    r"""(?x) (?:\b(?:in|at)\s+)? (?<!\S)(?!\S+://)
    (?:\S*[/\\]\S*|[^\s/\\]*\.[a-z]\w*):\d+\S* (?:\s`[^'\s]*'\S*)?"""
)
_BESIDE_A_PLACE = 0.75  # weight of a message that names a location: it may say nothing else


def messages(lines: list[str]) -> list[int]:
    """Which lines of a text are messages, if it is a trace or a log.

    Returns:
        Indices of `lines`, ascending; all that are not blank if the text is neither.
    """
    every = [place for place, line in enumerate(lines) if line.strip()]
    shapes = {place: _shapes(lines[place]) for place in every if _PLACE.search(lines[place])}
    counts = Counter(shape for of_line in shapes.values() for shape in of_line)
    kept: list[int] = []
    depth: int | None = None  # indentation of the location that the previous lines belong to
    for place in every:
        indent = len(lines[place]) - len(lines[place].lstrip())
        if any(counts[shape] >= _FEWEST for shape in shapes.get(place, ())):
            depth = indent
        elif depth is None or indent <= depth:
            depth = None
            kept.append(place)
    return kept if kept and 2 * len(kept) <= len(every) else every


def telling(line: str) -> tuple[str, float]:
    """A message without the locations that it names, and its weight.

    A line that names a location may say nothing else (`thread 'main' panicked at ...`).
    """
    without = " ".join(_REFERENCE.sub(" ", line).split())
    if without == " ".join(line.split()) or not any(map(str.isalpha, without)):
        return line, 1.0
    return without, _BESIDE_A_PLACE


def _shapes(line: str) -> list[str]:
    """What other locations of the same trace may have in common with this line.

    The line with `w` for names and 0 for numbers; and its beginning, if that is characteristic.
    """
    if _WITHIN.match(line):
        return ["... in"]
    plain = _NUMBER.sub("0", _BRACKETED.sub(r"\1\2", line.strip()))
    begins = _BEGINS.match(_NUMBER.sub("0", line))
    whole = _WORDS.sub("w", _NAMES.sub("w", plain))
    return [whole] if begins is None else [whole, begins.group().strip() + " ..."]
