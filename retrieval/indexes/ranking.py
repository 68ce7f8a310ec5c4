"""From scores to a ranking: the best first, equal ones in an order that nothing else decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Score = TypeVar("Score", bound=np.floating[Any])

TieOrder = Callable[[NDArray[np.int64]], NDArray[np.int64]]
"""Passage ids i64 [n] in, a number for each out, i64 [n]: of equal scores the lowest is first."""

_STEP = 2.0**-20  # of a score; eight times what single precision tells apart


def top_k(
    ids: NDArray[np.int64], scores: NDArray[Score], k: int, ties: TieOrder | None = None
) -> tuple[NDArray[np.int64], NDArray[Score]]:
    """The k best by descending score; -inf and NaN are never among them.

    Args:
        ids: i64 [n], all different.
        scores: [n].
        k: at least 1.
        ties: the order of passages with equal scores, asked about those only; None is their ids'.

    Returns:
        ids i64 [h] and scores [h], h <= k.
    """
    kept = np.flatnonzero(scores > -np.inf)
    if len(kept) > k:
        values = scores[kept]
        bound = np.partition(values, len(values) - k)[len(values) - k]
        kept = kept[values >= bound]  # all ties of the last place, so that their order decides
    found, values = ids[kept], scores[kept]
    if ties is None:
        order = np.lexsort((found, -values))[:k]
        return found[order], values[order]
    order = np.argsort(-values)
    ranked = values[order]
    equal = ranked[1:] == ranked[:-1]
    if equal.any():
        tied = np.zeros(len(order), np.bool_)
        tied[1:] |= equal
        tied[:-1] |= equal
        places = np.sort(order[tied])
        keys = np.zeros(len(found), np.int64)
        keys[places] = ties(found[places])
        order = np.lexsort((keys, -values))
    order = order[:k]
    return found[order], values[order]


def below(scores: NDArray[Score], last: float) -> NDArray[Score]:
    """Descending scores as they stand behind a last one of `last`.

    Those that are not below it come just below it, in their order, equal ones equal; steps are
    such that single precision, in which trec_eval compares, tells them apart.
    """
    moved = scores.copy()
    high = scores >= last
    if high.any():
        step = _STEP * max(abs(last), 1.0)
        places = 1 + np.cumsum(np.diff(scores[high], prepend=scores[:1]) < 0)
        moved[high] = last - step * places
        moved[~high] = np.minimum(scores[~high], moved[high][-1])
    return moved
