"""From scores to a ranking: best first, with a deterministic order of ties."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Score = TypeVar("Score", bound=np.floating[Any])

TieOrder = Callable[[NDArray[np.int64]], NDArray[np.int64]]
"""Maps passage ids i64 [n] to sort keys i64 [n]: among equal scores the lowest key is first."""

_STEP = 2.0**-20  # relative to a score; eight times the resolution of single precision


def top_k(
    ids: NDArray[np.int64], scores: NDArray[Score], k: int, ties: TieOrder | None = None
) -> tuple[NDArray[np.int64], NDArray[Score]]:
    """The k best by descending score; -inf and NaN are never among them.

    Args:
        ids: i64 [n], all different.
        scores: [n].
        k: at least 1.
        ties: the order of passages with equal scores, called for those only; None orders by id.

    Returns:
        ids i64 [h] and scores [h], h <= k.
    """
    kept = np.flatnonzero(scores > -np.inf)
    if len(kept) > k:
        values = scores[kept]
        bound = np.partition(values, len(values) - k)[len(values) - k]
        kept = kept[values >= bound]  # with all ties for the last place, which `ties` orders
    found, values = ids[kept], scores[kept]
    if ties is None:
        order = np.lexsort((found, -values))[:k]
        return found[order], values[order]
    order = np.argsort(-values)
    places = np.sort(_tied(values, order))
    if len(places):
        keys = np.zeros(len(found), np.int64)
        keys[places] = ties(found[places])
        order = np.lexsort((keys, -values))
    order = order[:k]
    return found[order], values[order]


def tied(scores: NDArray[Score]) -> NDArray[np.int64]:
    """Positions of the scores that equal another one."""
    return _tied(scores, np.argsort(scores))


def _tied(scores: NDArray[Score], order: NDArray[np.int64]) -> NDArray[np.int64]:
    """See `tied`; `order` sorts the scores."""
    ranked = scores[order]
    equal = ranked[1:] == ranked[:-1]
    if not equal.any():
        return order[:0]
    found = np.zeros(len(order), np.bool_)
    found[1:] |= equal
    found[:-1] |= equal
    return order[found]


def below(scores: NDArray[Score], last: float) -> NDArray[Score]:
    """Shift descending scores to come after a last score of `last`.

    Those that are not below it are moved just below it, in their order, ties kept; the steps are
    large enough for single precision, in which trec_eval compares.

    """
    moved = scores.copy()
    high = scores >= last
    if high.any():
        step = _STEP * max(abs(last), 1.0)
        places = 1 + np.cumsum(np.diff(scores[high], prepend=scores[:1]) < 0)
        moved[high] = last - step * places
        moved[~high] = np.minimum(scores[~high], moved[high][-1])
    return moved
