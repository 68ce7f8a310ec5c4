"""Whether a text may be parsed by a grammar: here, in a worker process, or not at all.

Grammars are native code: what goes wrong in one ends its process. What makes some slow, hang or
crash is deep nesting and endless lines, as their scanners count levels in 1,024 bytes.
"""

from __future__ import annotations

import re
from typing import Literal

import numpy as np

MAX_BYTES = 1024 * 1024
"""Longer texts are data or generated; a tree takes some 20 to 400 bytes for each of theirs."""
MAX_LINE = 50_000
"""Bytes of a line that somebody may have written."""
MAX_BRACKETS, MAX_LEVELS = 1_000, 100
"""Brackets, and comments or list items of one line, that may stand within each other."""

TAME_BYTES, TAME_LINE, TAME_BRACKETS, TAME_LEVELS = 64 * 1024, 2_000, 32, 8
"""What is parsed in this process has no more. Of 16,175 source files of large projects 2.6 % have
more bytes, .05 % a longer line, .06 % more brackets within each other."""

_BRACKETS = np.zeros(256, dtype=np.int8)
_BRACKETS[list(b"([{")] = 1
_BRACKETS[list(b")]}")] = -1
_COMMENTS = re.compile(rb"/\*|\*/")
_LEVELS = re.compile(rb"(?:[-?][ \t]+)+")


def risk_of(source: bytes) -> Literal["none", "some", "too much"]:
    """The risk of parsing a text in this process; of "too much" of it nobody wrote it."""
    line = max(map(len, source.split(b"\n")))
    if len(source) > MAX_BYTES or line > MAX_LINE:
        return "too much"
    levels = max(_levels(source), _comments(source))
    brackets = _brackets(source)
    if brackets > MAX_BRACKETS or levels > MAX_LEVELS:
        return "too much"
    tame = len(source) <= TAME_BYTES and line <= TAME_LINE
    return "none" if tame and brackets <= TAME_BRACKETS and levels <= TAME_LEVELS else "some"


def _brackets(source: bytes) -> int:
    """How many brackets stand within each other, at most."""
    steps = _BRACKETS[np.frombuffer(source, dtype=np.uint8)]
    return int(np.cumsum(steps, dtype=np.int32).max(initial=0))


def _comments(source: bytes) -> int:
    """How many comments stand within each other, at most."""
    depth = deepest = 0
    for mark in _COMMENTS.finditer(source):
        depth = depth + 1 if mark[0] == b"/*" else max(0, depth - 1)
        deepest = max(deepest, depth)
    return deepest


def _levels(source: bytes) -> int:
    """How many list items begin on one line within each other, at most."""
    return max((len(found[0].split()) for found in _LEVELS.finditer(source)), default=0)
