"""Values between a query and its hits: prepared queries, runs, rankings, proposals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.indexes import Counts, below


@dataclass(frozen=True, slots=True)
class Run:
    """Passages in the order of a retriever's scores, best first: ids i64 [n], scores [n]."""

    ids: NDArray[np.int64]
    scores: NDArray[np.floating]

    def __len__(self) -> int:
        return len(self.ids)

    def followed_by(self, deeper: Run) -> Run:
        """This run, followed by the passages that only a deeper one has."""
        if not len(self):
            return deeper
        new = ~np.isin(deeper.ids, self.ids)
        scores = below(deeper.scores[new], float(self.scores[-1]))
        return Run(
            np.concatenate([self.ids, deeper.ids[new]]), np.concatenate([self.scores, scores])
        )

    def first(self, k: int) -> Run:
        """Its k best."""
        return Run(self.ids[:k], self.scores[:k])

    def at(self, places: NDArray[np.int64]) -> Run:
        """The passages at these places, which ascend."""
        return Run(self.ids[places], self.scores[places])

    def rest(self, k: int) -> float:
        """The highest score after its k best; -inf if there is none."""
        return float(self.scores[k - 1]) if len(self) > k else -np.inf


@dataclass(frozen=True, slots=True)
class Ranking:
    """The ranking for one query: the run that orders it, and the runs it was made of.

    Attributes:
        run: the passages, best first.
        by: orders the run of each retriever, by its name; called only for passages that are shown.
    """

    run: Run
    by: Callable[[], Mapping[str, Run]]


@dataclass(frozen=True, slots=True)
class Query:
    """One query: its text and, if a retriever needs them, dense f32 [D] and tokens f32 [m, d].

    Attributes:
        text: the query as given.
        read: the part that the encoder reads.
        counts: the whole collection's counts of its terms, if the index is a part of one.
    """

    text: str
    read: str = ""
    dense: NDArray[np.float32] | None = None
    tokens: NDArray[np.float32] | None = None
    counts: Counts | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the retrievers propose for one query, in packed arrays.

    Attributes:
        ids: i64 [n], ascending: every passage that one of the r retrievers found.
        scores: f32 [r, n], each retriever's own score of each; -inf where it has none.
        found: bool [r, n], whether it was among the best that the retriever found itself.
        standing: f64 [n], the bonus or penalty for a passage's role and definitions, see
            `Standing`.
        total: how many passages could have been found.
        rest: f32 [r], for each retriever an upper bound of its scores of passages that it found and
            that are not proposed; -inf if all are proposed.
    """

    ids: NDArray[np.int64]
    scores: NDArray[np.float32]
    found: NDArray[np.bool_]
    standing: NDArray[np.float64]
    total: int
    rest: NDArray[np.float32]

    def at(self, places: NDArray[np.int64] | NDArray[np.bool_]) -> Proposal:
        """The proposal restricted to the passages at these places, or where the mask is true."""
        return Proposal(
            self.ids[places],
            self.scores[:, places],
            self.found[:, places],
            self.standing[places],
            self.total,
            self.rest,
        )
