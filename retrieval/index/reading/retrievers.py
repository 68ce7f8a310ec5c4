"""The retrievers: how each finds passages in a snapshot, and scores those that others found.

To add one, write a class here, name it in `SINGLE`, and give it a weight in `types.Hybrid`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from retrieval.index.reading.runs import Query, Run
from retrieval.index.reading.snapshot import Snapshot
from retrieval.indexes import search_dense
from retrieval.store import Settings
from retrieval.types import Single

_NO_IDS = np.empty(0, np.int64)
_NO_SCORES = np.empty(0, np.float32)

_DEPTHS = (16, 64, 256, 1024)

Mask = NDArray[np.bool_] | None
"""Which passages may be found, bool by passage id; None allows all."""


class SingleRetriever(Protocol):
    """One way to find passages.

    Attributes:
        head: which vectors of a query it compares, or None if it compares words.
    """

    head: Literal["dense", "token"] | None

    def find(
        self, snapshot: Snapshot, queries: Sequence[Query], k: int, allowed: Mask
    ) -> list[Run]:
        """The k best for each query, over all segments; fast, as others propose passages too."""

    def find_steadily(
        self, snapshot: Snapshot, queries: Sequence[Query], k: int, allowed: Mask
    ) -> list[Run]:
        """Like `find`, but thoroughly, and a smaller k always gives a prefix of a larger one's."""

    def find_exactly(
        self, snapshot: Snapshot, queries: Sequence[Query], k: int, allowed: Mask
    ) -> list[Run]:
        """Like `find`, but exhaustively over all that is stored."""

    def scores(
        self, snapshot: Snapshot, query: Query, ids: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Its scores of these passages, f32 [n], -inf where it cannot score."""

    def matched(self, run: Run) -> Run:
        """Those of the scored passages that it would find itself."""


class Lexical:
    """BM25 over words."""

    head: Literal["dense", "token"] | None = None

    def find(
        self, snapshot: Snapshot, queries: Sequence[Query], k: int, allowed: Mask
    ) -> list[Run]:
        """As the protocol says."""
        lexical = snapshot.lexical
        if lexical is None:
            return [Run(_NO_IDS, _NO_SCORES) for _ in queries]
        return [
            Run(*lexical.search(query.text, k, allowed, ties=snapshot.order, counts=query.counts))
            for query in queries
        ]

    find_steadily = find_exactly = find

    def scores(
        self, snapshot: Snapshot, query: Query, ids: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """As the protocol says."""
        lexical = snapshot.lexical
        if lexical is None:
            return np.zeros(len(ids), np.float32)
        return lexical.score(query.text, ids, counts=query.counts)

    def matched(self, run: Run) -> Run:
        """Passages with a word of the query: others it does not find."""
        found = run.scores > 0
        return Run(run.ids[found], run.scores[found])


class _OfVectors(ABC):
    """A retriever that compares vectors: some of them, or all."""

    def find(
        self, snapshot: Snapshot, queries: Sequence[Query], k: int, allowed: Mask
    ) -> list[Run]:
        """As the protocol says."""
        return self._find(snapshot, queries, k, allowed, exhaustive=False)

    def find_exactly(
        self, snapshot: Snapshot, queries: Sequence[Query], k: int, allowed: Mask
    ) -> list[Run]:
        """As the protocol says."""
        return self._find(snapshot, queries, k, allowed, exhaustive=True)

    @abstractmethod
    def _find(
        self,
        snapshot: Snapshot,
        queries: Sequence[Query],
        k: int,
        allowed: Mask,
        *,
        exhaustive: bool,
    ) -> list[Run]:
        """The k best for each query."""


class Dense(_OfVectors):
    """Inner products of a query's vector and the passages'."""

    head: Literal["dense", "token"] | None = "dense"

    def _find(
        self,
        snapshot: Snapshot,
        queries: Sequence[Query],
        k: int,
        allowed: Mask,
        *,
        exhaustive: bool,
    ) -> list[Run]:
        vectors = np.stack([query.dense for query in queries if query.dense is not None])
        segments = [segment.dense for segment in snapshot.vectors if segment.dense is not None]
        found = search_dense(
            segments, vectors, k, allowed, ties=snapshot.order, exhaustive=exhaustive
        )
        return [Run(*answer) for answer in found]

    def find_steadily(
        self, snapshot: Snapshot, queries: Sequence[Query], k: int, allowed: Mask
    ) -> list[Run]:
        """As the protocol says."""
        if all(s.dense is None or s.dense.lists is None for s in snapshot.vectors):
            return self.find(snapshot, queries, k, allowed)
        return _steadily(self.find, snapshot, queries, k, allowed)

    def scores(
        self, snapshot: Snapshot, query: Query, ids: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """As the protocol says."""
        scores = np.full(len(ids), -np.inf, np.float32)
        if query.dense is not None:
            for segment in snapshot.vectors:
                if segment.dense is not None:
                    np.maximum(scores, segment.dense.score(query.dense, ids), out=scores)
        return scores

    def matched(self, run: Run) -> Run:
        """All of them: every passage with a vector has a cosine."""
        return run


class Late(_OfVectors):
    """MaxSim over token vectors."""

    head: Literal["dense", "token"] | None = "token"

    def _find(
        self,
        snapshot: Snapshot,
        queries: Sequence[Query],
        k: int,
        allowed: Mask,
        *,
        exhaustive: bool,
    ) -> list[Run]:
        return _late(snapshot, queries, k, allowed, exhaustive=exhaustive)

    def find_steadily(
        self, snapshot: Snapshot, queries: Sequence[Query], k: int, allowed: Mask
    ) -> list[Run]:
        """As the protocol says."""
        if not snapshot.late.narrows:
            return self.find(snapshot, queries, k, allowed)
        return _steadily(partial(_late, patient=True), snapshot, queries, k, allowed)

    def scores(
        self, snapshot: Snapshot, query: Query, ids: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """As the protocol says."""
        if query.tokens is None:
            return np.full(len(ids), -np.inf, np.float32)
        return snapshot.late.score(query.tokens, ids)

    def matched(self, run: Run) -> Run:
        """All of them: every passage with token vectors has a score."""
        return run


SINGLE: Mapping[Single, SingleRetriever] = MappingProxyType(
    {"lexical": Lexical(), "dense": Dense(), "late": Late()}
)
"""The retrievers that `hybrid` fuses, by their names."""


def has_head(settings: Settings, retriever: Single) -> bool:
    """Whether an index's encoder makes the vectors that a retriever compares."""
    dims = {None: 0, "dense": settings.dense_dim, "token": settings.token_dim}
    return dims[SINGLE[retriever].head] is not None


def _late(
    snapshot: Snapshot,
    queries: Sequence[Query],
    k: int,
    allowed: Mask,
    *,
    exhaustive: bool = False,
    patient: bool = False,
) -> list[Run]:
    """The k best for each query by late interaction."""
    tokens = [query.tokens for query in queries if query.tokens is not None]
    found = snapshot.late.search(
        tokens, k, allowed, ties=snapshot.order, exhaustive=exhaustive, patient=patient
    )
    return [Run(*answer) for answer in found]


def _steadily(
    find: Callable[[Snapshot, Sequence[Query], int, Mask], list[Run]],
    snapshot: Snapshot,
    queries: Sequence[Query],
    k: int,
    allowed: Mask,
) -> list[Run]:
    """The k best for each query, made independent of k where approximate search is not.

    Large segments are narrowed by approximate scores, the less so the larger k is. So that the
    first results do not depend on k, new ones of each deeper search are appended to those of the
    searches before.
    """
    runs = [Run(_NO_IDS, _NO_SCORES) for _ in queries]
    depth, *deeper = _DEPTHS
    while True:
        found = find(snapshot, queries, depth, allowed)
        runs = [run.followed_by(more).first(depth) for run, more in zip(runs, found, strict=True)]
        if depth >= k:
            return [run.first(k) for run in runs]
        depth, *deeper = deeper or [4 * depth]
