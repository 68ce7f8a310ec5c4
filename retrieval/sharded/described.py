"""What is needed to order, fold and group passages of shards, cached as shards tell it.

Of some hundred proposed passages a search needs this for a few dozen. Passages are therefore
described by their shards only as needed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.index.reading.runs import Proposal
from retrieval.index.reading.searched import Ids
from retrieval.indexes import distinct, tied
from retrieval.sharded.packed import LOCAL, SHARD_BITS

Descriptions = tuple[list[str], bytes]
"""For passages of a shard, by ascending ids: their documents' ids; and as i64 [4, n] their own ids,
their ordinals, the hashes of their texts, and the numbers of their documents, ids and numbers being
the shard's. Ties are ordered by the documents' ids and the ordinals."""

Described = tuple[tuple[str, int], int, int]
"""For a passage: its document's id and its ordinal, the hash of its text, and its document's number
in the collection."""

_LIKELY = 32
"""Passages likely to be needed: ten hits come from the best twenty or so, as some are copies."""


class Known:
    """Descriptions of passages that shards have sent."""

    def __init__(self) -> None:
        self._of: dict[int, Described] = {}
        self._told: dict[int, list[tuple[list[str], memoryview]]] = {}  # by shard

    def told(self, number: int, several: Descriptions) -> None:
        """Store a shard's descriptions of some of its passages."""
        documents, numbers = several
        if documents:
            # Few are looked up; a memoryview makes objects of those alone.
            self._told.setdefault(number, []).append((documents, memoryview(numbers).cast("q")))

    def missing(self, ids: Iterable[int]) -> list[int]:
        """Those of these passages that are not described yet."""
        return [id for id in ids if id not in self._of and not self._found(id)]

    def of(self, id: int) -> Described:
        """The description of a passage; KeyError if there is none."""
        if id not in self._of:
            self._found(id)
        return self._of[id]

    def _found(self, id: int) -> bool:
        number, local = id >> SHARD_BITS, id & LOCAL
        for documents, numbers in self._told.get(number, ()):
            count = len(documents)
            at = bisect_left(numbers, local, 0, count)
            if at < count and numbers[at] == local:
                ordinal, hash, owner = numbers[at + count :: count]
                self._of[id] = (documents[at], ordinal), hash, (number << SHARD_BITS) + owner
                return True
        return False


def packed_descriptions(
    ids: Sequence[int], rows: Sequence[tuple[str, int, int, int]]
) -> Descriptions:
    """Descriptions of passages, to be sent.

    Args:
        ids: ids in the shard, ascending.
        rows: of each, as `SearchedSnapshot.described` returns them.
    """
    documents = [document for document, *_ in rows]
    numbers = [(id, *others) for id, (_, *others) in zip(ids, rows, strict=True)]
    return documents, np.array(numbers, "<i8").reshape(len(rows), 4).T.tobytes()


def worth_describing(proposals: Sequence[Proposal], weights: Sequence[float], depth: int) -> Ids:
    """Passages that have to be described because they tie, and those likely to rank first.

    The likely ones are a guess that saves a round of requests: missing ones are requested later. Of
    thousands that many shards propose, few are needed.

    Args:
        weights: the weight of each row of scores.
        depth: only ties among so many best of a row matter.
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
    """Those of these places that are among the `depth` best and tie with another."""
    values = scores[places]
    if len(values) > depth:
        best = values >= np.partition(values, len(values) - depth)[len(values) - depth]
        places, values = places[best], values[best]
    return places[tied(values)]
