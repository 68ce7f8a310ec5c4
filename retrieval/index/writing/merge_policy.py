"""Which vector segments are rewritten as one, so that many small commits stay fast to search."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

FAN_IN = 8
"""Segments of about one size that are let stand; one more and they become one."""

MEANWHILE = 32
"""The same while a call brings in more: at its end all that it brought becomes one anyway."""

SMALLEST = 1024
"""Passages; all segments below are of one size, but for tiny ones."""

_TINY = 16
"""One in so many of those: what comes one by one is written again among its like first."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A segment as the policy sees it.

    Attributes:
        name: its name.
        passages: how many it has in all.
        alive: how many of them are not dead.
        exact: whether its token vectors are kept exactly, not compressed.
    """

    name: str
    passages: int
    alive: int
    exact: bool = True


def plan(segments: Sequence[Candidate], *, ended: bool = True) -> list[list[str]]:
    """Groups of names, each to be rewritten as one segment without its dead passages.

    Segments are put in levels by their living passages, each level FAN_IN times the one below but
    for the lowest, whose segments are tiny;
    a level of more than FAN_IN becomes one segment. So n passages stand in O(log n) segments
    and each is rewritten O(log n) times. A segment that is more than half dead is rewritten
    alone; of one that is all dead nothing remains. Exact and compressed segments do not mix.

    Args:
        segments: all that there are.
        ended: whether the writing call ends; until then more that are not small may stand.
    """
    levels: dict[tuple[bool, int], list[str]] = {}
    for segment in segments:
        levels.setdefault((segment.exact, _level(segment.alive)), []).append(segment.name)
    groups = [
        names
        for (_, level), names in sorted(levels.items())
        if len(names) > (FAN_IN if ended or level < 1 else MEANWHILE)
    ]
    merged = {name for group in groups for name in group}
    return groups + [
        [segment.name]
        for segment in segments
        if segment.name not in merged and segment.alive * 2 < segment.passages
    ]


def to_join(segments: Sequence[Candidate], brought: int) -> list[list[str]]:
    """Groups as `plan` gives them, once a writing call has ended that brought so many passages.

    They are the smallest segments, as many as hold twice what it brought: a search passes over each
    segment, and to write a passage again takes a fiftieth of the time of encoding it. So one call
    that fills an index leaves one segment. Of a small call nothing is asked.
    """
    if brought < SMALLEST:
        return []
    groups = []
    for exact in (True, False):
        rising = sorted((s for s in segments if s.exact is exact), key=lambda s: s.alive)
        held = accumulate(segment.alive for segment in rising)
        small = {s.name for s, sum in zip(rising, held, strict=True) if sum <= 2 * brought}
        if len(small) > 1:
            groups.append([segment.name for segment in segments if segment.name in small])
    return groups


def to_promote(segments: Iterable[Candidate], most: int) -> list[str]:
    """The exact segments, if they hold more than `most` living passages together."""
    exact = [segment for segment in segments if segment.exact]
    if sum(segment.alive for segment in exact) <= most:
        return []
    return [segment.name for segment in exact]


def _level(alive: int) -> int:
    if alive <= SMALLEST // _TINY:
        return -1
    level, size = 0, SMALLEST
    while alive > size:
        level, size = level + 1, size * FAN_IN
    return level
