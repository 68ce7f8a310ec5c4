"""The dense segments of one index searched together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrieval.indexes.dense.segment import DenseSegment, Found
from retrieval.indexes.ranking import TieOrder, top_k

_NONE: Found = (np.empty(0, np.int64), np.empty(0, np.float32))


def search_dense(
    segments: Sequence[DenseSegment],
    queries: ArrayLike,
    k: int,
    allowed: NDArray[np.bool_] | None = None,
    *,
    ties: TieOrder | None = None,
    exhaustive: bool = False,
) -> list[Found]:
    """The k allowed passages of largest inner product for each query; see `DenseSegment.search`.

    The largest segment comes first; in the others only passages that can reach its k-th score
    count.

    Args:
        segments: of one dimension, which share no passage.
    """
    if not segments:
        return [_NONE] * len(np.asarray(queries))
    asked = segments[0].queries(queries)
    found = [_NONE] * len(asked)
    least = np.full(len(asked), -np.inf, np.float32)
    for segment in sorted(segments, key=len, reverse=True):
        more = segment.search(asked, k, allowed, ties=ties, exhaustive=exhaustive, least=least)
        for place, (ids, scores) in enumerate(more):
            before = found[place]
            if not len(ids):
                continue
            if len(before[0]):
                ids = np.concatenate([before[0], ids])
                scores = np.concatenate([before[1], scores])
                ids, scores = top_k(ids, scores, k, ties)
            found[place] = ids, scores
            if len(ids) == k:
                least[place] = scores[-1]
    return found
