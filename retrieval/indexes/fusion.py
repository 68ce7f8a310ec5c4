"""Fusion: several retrievers' rankings of the same passages into one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrieval.errors import InputError
from retrieval.indexes.ids import distinct, first_of_equal
from retrieval.types import FUSIONS, FusionMethod

Runs = Mapping[str, tuple[ArrayLike, ArrayLike]]
"""For each retriever ids, taken as i64 [n], and scores, taken as f64 [n]."""

_Clean = tuple[NDArray[np.int64], NDArray[np.float64]]
"""A run after `_clean`."""

_RRF_K = 60


class Fusion:
    """One scale for several retrievers' scores, set once by a set of candidates.

    Passages that are found later are put on the same scale, so adding them does not change the
    scores already there.

    Methods, each a weighted sum over the retrievers:
        rrf: 1 / (60 + rank), where rank - 1 is the number of candidates that score higher; a
            run that lacks the passage adds nothing.
        minmax: the score mapped to [0, 1] by the candidates' minimum and maximum; where all scores
            are equal, 1. A run that lacks the passage adds 0, as if it ranked the passage last.
        zscore: the score minus the candidates' mean, over their standard deviation; where all
            scores are equal, 0. A run that lacks the passage adds the candidates' minimum.
    """

    def __init__(
        self,
        candidates: Runs,
        *,
        method: FusionMethod = "rrf",
        weights: Mapping[str, float] | None = None,
    ) -> None:
        """Set the scale; arguments and errors are those of `fuse`."""
        if method not in FUSIONS:
            raise InputError(
                f"fusion method {method!r} is unknown; choose from {', '.join(FUSIONS)}"
            )
        self._names = sorted(candidates)  # summed in a fixed order, whatever the caller's order
        self._shares = _shares(self._names, weights, convex=method != "rrf")
        self._candidates = candidates
        self._clean = self._cleaned(candidates)
        self._scales = {name: _scale(self._clean[name][1], method) for name in self._names}

    def fuse(self, runs: Runs) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Fuse runs of the same retrievers into one ranking of all their passages.

        Returns:
            ids i64 [m] and fused scores f64 [m]: scores descend, equal ones by ascending id.

        Raises:
            InputError: an id is given twice, or a score is NaN or infinite.
        """
        clean = self._clean if runs is self._candidates else self._cleaned(runs)
        none = np.empty(0, np.int64)
        every = distinct(np.concatenate([none, *(ids for ids, _ in clean.values())]))
        fused = np.zeros(len(every), dtype=np.float64)
        for name in self._names:
            ids, scores = clean[name]
            scale = self._scales[name]
            if scale is None:
                continue
            part = np.full(len(every), scale.absent)
            part[np.searchsorted(every, ids)] = scale.values(scores)
            fused += self._shares[name] * part
        order = np.lexsort((every, -fused))
        return every[order], fused[order]

    def _cleaned(self, runs: Runs) -> dict[str, _Clean]:
        return {name: _clean(name, *runs[name]) for name in self._names}


def fuse(
    runs: Runs,
    *,
    method: FusionMethod = "rrf",
    weights: Mapping[str, float] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Fuse runs into one ranking of all their passages, on a scale set by the runs themselves.

    Args:
        runs: for each retriever its candidates, (ids i64 [n], scores f64 [n]) in any order, higher
            is better, no id twice. Padding (id -1 or score -inf) is dropped.
        method: one of `FUSIONS`; `Fusion` defines them.
        weights: for each retriever a finite number, at least 0 and not all 0; None weighs all
            alike. For minmax and zscore they are normalised to add up to 1 (a convex combination);
            for rrf they are used as they are, and None is 1 each.

    Returns:
        ids i64 [m] and fused scores f64 [m]: scores descend, equal ones by ascending id.

    Raises:
        InputError: an unknown method, weights or scores that cannot be used, an id given twice.
    """
    return Fusion(runs, method=method, weights=weights).fuse(runs)


@dataclass(frozen=True, slots=True)
class _Scale:
    """A retriever's contribution to the sum.

    Attributes:
        values: maps scores f64 [n] to contributions f64 [n].
        absent: the contribution for a passage that the retriever did not score.
    """

    values: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    absent: float


def _scale(scores: NDArray[np.float64], method: FusionMethod) -> _Scale | None:
    """The scale set by the candidates' scores; None if there are none."""
    if not len(scores):
        return None
    high, low = float(scores.max()), float(scores.min())
    if method == "rrf":
        rising = np.sort(-scores)
        return _Scale(lambda s: 1.0 / (_RRF_K + 1 + np.searchsorted(rising, -s)), 0.0)
    if method == "minmax":
        if high > low:
            return _Scale(lambda s: (s - low) / (high - low), 0.0)
        return _Scale(lambda s: np.where(s >= high, 1.0, 0.0), 0.0)
    ordered = np.sort(scores)  # sums depend on the order
    mean, spread = float(ordered.mean()), float(ordered.std())
    if high > low and spread > 0:
        return _Scale(lambda s: (s - mean) / spread, (low - mean) / spread)
    return _Scale(lambda s: np.zeros_like(s), 0.0)


def _clean(name: str, ids: ArrayLike, scores: ArrayLike) -> _Clean:
    """A run, checked and without padding."""
    names = np.asarray(ids, dtype=np.int64)
    values = np.asarray(scores, dtype=np.float64)
    if names.ndim != 1 or names.shape != values.shape:
        raise InputError(
            f"run {name!r} has ids {names.shape} and scores {values.shape}; expected [n] and [n]"
        )
    real = (names >= 0) & (values != -np.inf)
    names, values = names[real], values[real]
    if not np.isfinite(values).all():
        raise InputError(f"run {name!r} holds a score that is NaN or infinite")
    if not first_of_equal(np.sort(names)).all():
        raise InputError(f"run {name!r} names a passage twice")
    return names, values


def _shares(
    names: list[str], weights: Mapping[str, float] | None, *, convex: bool
) -> dict[str, float]:
    """The normalised or given weight of each run."""
    given = dict.fromkeys(names, 1.0) if weights is None else dict(weights)
    if missing := [name for name in names if name not in given]:
        raise InputError(f"no weight for run {missing[0]!r}; weights are for {sorted(given)}")
    shares = {name: float(given[name]) for name in names}
    total = sum(shares.values())
    if names and not (min(shares.values()) >= 0 and 0 < total < float("inf")):
        raise InputError(f"weights are {shares}; expected finite numbers of at least 0, not all 0")
    return {name: share / total for name, share in shares.items()} if convex else shares
