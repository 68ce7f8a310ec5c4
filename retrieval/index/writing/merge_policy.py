"""Which vector segments are rewritten as one, so that many small commits stay fast to search."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

FAN_IN = 8
"""Maximum number of segments of about the same size; with one more, they are merged."""

MEANWHILE = 32
"""The same maximum during a writing call, which merges what it brought at its end anyway."""

SMALLEST = 1024
"""Smaller segments, in passages, all count as one size, except tiny ones."""

_TINY = 16
"""Tiny segments (up to SMALLEST / 16 passages) are merged with each other first, so that documents
added one by one are not rewritten with larger segments each time."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A segment as the policy sees it.

    Attributes:
        name: its name.
        passages: number of its passages.
        alive: number of its living passages.
        exact: whether its token vectors are exact, not compressed.
    """

    name: str
    passages: int
    alive: int
    exact: bool = True


def plan(segments: Sequence[Candidate], *, ended: bool = True) -> list[list[str]]:
    """Groups of names, each to be rewritten as one segment without its dead passages.

    Segments are assigned to levels by their living passages, each level FAN_IN times the one below,
    and one lowest level for tiny segments. A level with more than FAN_IN segments becomes one
    segment. So n passages are in O(log n) segments, and each is rewritten O(log n) times. A segment
    that is more than half dead is rewritten alone; one that is entirely dead disappears. Exact and
    compressed segments are not mixed.

    Args:
        segments: all segments.
        ended: whether the writing call ends; until then more segments that are not small are
            allowed.
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


def is_large(brought: int) -> bool:
    """Whether a writing call that brought so many passages ends by merging small segments."""
    return brought >= SMALLEST


def to_join(segments: Sequence[Candidate], brought: int) -> list[list[str]]:
    """Groups, as from `plan`, to merge at the end of a writing call that brought so many passages.

    These are the smallest segments, up to twice as many passages as the call brought: every search
    has to visit each segment, and rewriting a passage takes a fiftieth of the time of encoding
    it. So a call that fills an index leaves one segment. After a small call nothing is merged.
    """
    if not is_large(brought):
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
    """The exact segments, if they have more than `most` living passages in all."""
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
