"""Words of a text, their tags, and the entities that the tags make.

A tag is `O`, or `B-` or `I-` and an entity's label: beginning, inside. What tags mean is read as
seqeval reads them, where an `I-` may begin an entity too (Ramshaw and Marcus, "Text Chunking using
Transformation-Based Learning", 1995, in the reading of the CoNLL evaluation).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

OUTSIDE = "O"
_WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True, order=True)
class Entity:
    """A run of a text's characters with a label.

    Attributes:
        start: first character, counted in code points.
        end: one past the last.
    """

    start: int
    end: int
    label: str


def word_spans(text: str) -> list[tuple[int, int]]:
    """Characters of each run of letters and digits, and of every other sign."""
    return [match.span() for match in _WORD.finditer(text)]


def entities_of(spans: Sequence[tuple[int, int]], tags: Sequence[str]) -> list[Entity]:
    """The entities that words' tags make, in order.

    Args:
        spans: (start, end) of each word; of a text without places, (0, 1), (1, 2) and so on.
        tags: of each word.
    """
    found: list[Entity] = []
    start, label = 0, ""
    for at, tag in enumerate([*tags, OUTSIDE]):
        prefix, _, name = tag.partition("-")
        begins = tag != OUTSIDE and (prefix == "B" or name != label)
        if label and (tag == OUTSIDE or begins):
            found.append(Entity(spans[start][0], spans[at - 1][1], label))
            label = ""
        if begins:
            start, label = at, name
    return found


def tags_of(spans: Sequence[tuple[int, int]], entities: Iterable[Entity]) -> list[str]:
    """The tag of each word; a word is of an entity that has a character of it.

    Where entities overlap, the one that begins first has the word.
    """
    tags = [OUTSIDE] * len(spans)
    for entity in sorted(entities):
        inside = [at for at, (a, b) in enumerate(spans) if a < entity.end and entity.start < b]
        if any(tags[at] != OUTSIDE for at in inside):
            continue
        for place, at in enumerate(inside):
            tags[at] = f"{'I' if place else 'B'}-{entity.label}"
    return tags
