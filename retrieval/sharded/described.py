"""What orders, folds and groups passages of shards: what is known of it, and what has to be.

Of some hundred passages that are proposed a search looks at some dozens so. What shards tell of
all others stays as it came.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.index.reading.runs import Proposal
from retrieval.index.reading.searched import Ids
from retrieval.indexes import distinct
from retrieval.sharded.packed import LOCAL, SHARD_BITS

Descriptions = tuple[list[str], list[int], list[int], list[int]]
"""Of passages of a shard: the ids of their documents and their ordinals, by which those of equal
scores stand, the hashes of their texts, and the numbers of their documents in the shard."""

Described = tuple[tuple[str, int], int, int]
"""Of a passage its document's id and its ordinal, the hash of its text, and its document's number
in the collection."""

_LIKELY = 32
"""Ten hits are looked for among the best twenty, as some may be copies of others."""


class Known:
    """What shards told of their passages."""

    def __init__(self) -> None:
        self._of: dict[int, Described] = {}
        self._told: dict[int, list[tuple[dict[int, int], Descriptions]]] = {}  # by shard

    def told(self, number: int, ids: Sequence[int], several: Descriptions) -> None:
        """A shard told this of these of its passages."""
        if ids:
            places = dict(zip(ids, range(len(ids)), strict=True))
            self._told.setdefault(number, []).append((places, several))

    def missing(self, ids: Iterable[int]) -> list[int]:
        """Those of these passages of which nothing is known."""
        return [id for id in ids if id not in self._of and not self._found(id)]

    def of(self, id: int) -> Described:
        """What is known of a passage; KeyError if nothing is."""
        if id not in self._of:
            self._found(id)
        return self._of[id]

    def _found(self, id: int) -> bool:
        number, local = id >> SHARD_BITS, id & LOCAL
        for places, (documents, ordinals, hashes, owners) in self._told.get(number, ()):
            at = places.get(local)
            if at is not None:
                owner = (number << SHARD_BITS) + owners[at]
                self._of[id] = (documents[at], ordinals[at]), hashes[at], owner
                return True
        return False


def worth_describing(proposals: Sequence[Proposal], weights: Sequence[float], depth: int) -> Ids:
    """Passages whose order has to be known since they tie, and those that will stand first.

    Which stand first is a guess that saves a round of questions: what it lacks is asked for later.
    Of thousands that many shards propose few are looked at closely.

    Args:
        weights: what each row of scores counts.
        depth: only ties among so many best of a row decide anything.
    """
    wanted = [np.empty(0, np.int64)]
    for one in proposals:
        total = one.standing.copy()
        chosen = []
        for scores, found, weight in zip(one.scores, one.found, weights, strict=True):
            known = scores > -np.inf
            if not known.any():
                continue
            low, high = scores[known].min(), scores.max()
            total[known] += weight * (scores[known] - low) / (high - low or 1.0)
            chosen.append(_tied(scores, np.flatnonzero(found & known), depth))
        chosen.append(np.argpartition(-total, min(_LIKELY, len(total)) - 1)[:_LIKELY])
        wanted.append(one.ids[np.concatenate(chosen)])
    return distinct(np.concatenate(wanted))


def _tied(scores: NDArray[np.float32], places: Ids, depth: int) -> Ids:
    """Those of these places that are among the `depth` best and have the score of another one."""
    values = scores[places]
    if len(values) > depth:
        best = values >= np.partition(values, len(values) - depth)[len(values) - depth]
        places, values = places[best], values[best]
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return places[counts[which] > 1]
