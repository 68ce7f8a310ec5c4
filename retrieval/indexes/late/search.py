"""LateSearcher: MaxSim over all the late segments of an index.

How a segment is searched depends on how many of its passages are allowed (by the filter): few are
all decoded; more are narrowed by the centroids of their tokens; for very many, inverted lists
propose which to look at. Exact segments are scored whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrieval.errors import InputError
from retrieval.indexes.arrays import check_k
from retrieval.indexes.late.compressed import CompressedSegment
from retrieval.indexes.late.exact import ExactSegment
from retrieval.indexes.late.narrowing import Found, narrow
from retrieval.indexes.late.query import LateQuery, prepare
from retrieval.indexes.matmul import times
from retrieval.indexes.ranking import TieOrder, top_k

LateSegment = ExactSegment | CompressedSegment
_SCORES_AT_ONCE = 1 << 24  # 64 MB of scores: queries times passages


@dataclass(frozen=True, slots=True)
class TokenMatches:
    """Each query token's best token in one passage.

    Attributes:
        tokens: i32 [m], counted from 0 within the passage; -1 if it has none.
        scores: f32 [m], the dot products; NaN if it has none. With weights of 1 they add up to the
            passage's score, up to rounding.
    """

    tokens: NDArray[np.int32]
    scores: NDArray[np.float32]


class LateSearcher:
    """Searches the late segments of one index together; any number of threads may.

    Attributes:
        segments: the segments that it searches.
    """

    def __init__(self, segments: Sequence[LateSegment]) -> None:
        """Args: segments of one dimension that share no passage."""
        dims = {segment.dim for segment in segments}
        if len(dims) > 1:
            raise InputError(f"late segments have dimensions {sorted(dims)}; expected one")
        self.segments = tuple(segments)
        self._compressed = [s for s in segments if isinstance(s, CompressedSegment)]
        self._dim = dims.pop() if dims else None

    @property
    def passages(self) -> int:
        """How many passages the segments hold, dead ones too."""
        return sum(map(len, self.segments))

    @property
    def narrows(self) -> bool:
        """Whether a search may score only some of the passages, and more of them for a larger k."""
        return bool(self._compressed)

    def search(
        self,
        queries: Sequence[ArrayLike],
        k: int,
        allowed: NDArray[np.bool_] | None = None,
        *,
        weights: Sequence[ArrayLike] | None = None,
        candidates: int | None = None,
        exhaustive: bool = False,
        patient: bool = True,
        ties: TieOrder | None = None,
    ) -> list[Found]:
        """The k allowed passages of largest MaxSim for each query.

        Args:
            queries: each f32 [m, d]; one without tokens finds nothing.
            k: at least 1; may exceed the number of passages.
            allowed: bool by passage id; others are not looked at. None allows all.
            weights: for each query f32 [m], the weights of its tokens; None is 1 for all.
            candidates: compressed passages to score exactly, at least k; None is 512, fewer where
                a filter leaves few, and at least 8 * k.
            exhaustive: score every passage exactly, at any cost.
            patient: without `candidates`, score more exactly for a query for which others may be
                among the ten best.
            ties: the order of passages with equal scores; None is by ascending id.

        Returns:
            For each query ids i64 [h] and scores f32 [h], h <= k; scores descend. A passage
            without tokens is never among them.

        Raises:
            InputError: k < 1, or a query of another shape or with NaN or infinity.
        """
        check_k(k)
        if weights is not None and len(weights) != len(queries):
            raise InputError(f"{len(weights)} weights for {len(queries)} queries; give one each")
        if self._dim is None:
            return [_NONE] * len(queries)
        asked = [
            prepare(query, self._dim, None if weights is None else weights[place])
            for place, query in enumerate(queries)
        ]
        # A query without tokens has nothing to compare; the kernels assume that each has some.
        filled = [place for place, query in enumerate(asked) if len(query)]
        found: list[list[Found]] = [[] for _ in queries]
        some = [asked[place] for place in filled]
        for place, answer in self._exact(some, allowed):
            found[filled[place]].append(answer)
        depth = self.passages if exhaustive else candidates
        for place, answer in narrow(self._compressed, some, k, depth, allowed, patient=patient):
            found[filled[place]].append(answer)
        return [
            top_k(np.concatenate([i for i, _ in f]), np.concatenate([s for _, s in f]), k, ties)
            if f
            else _NONE
            for f in found
        ]

    def score(
        self, query: ArrayLike, ids: ArrayLike, *, weights: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        """MaxSim of each passage, f32 [n]; -inf where it has no tokens or is in no segment."""
        wanted = np.asarray(ids, dtype=np.int64)
        scores = np.full(len(wanted), -np.inf, np.float32)
        if self._dim is None:
            return scores
        asked = prepare(query, self._dim, weights)
        if not len(asked):
            return scores
        for segment in self.segments:
            rows = segment.find(wanted)
            known = np.flatnonzero(rows >= 0)
            # so that neighbours are read together
            known = known[np.argsort(rows[known], kind="stable")]
            if len(known):
                scores[known] = _max_sim(segment, asked, rows[known])
        return scores

    def explain(self, query: ArrayLike, ids: ArrayLike) -> list[TokenMatches]:
        """For each passage, each query token's best token in it, from the stored vectors.

        Args:
            query: f32 [m, d].
            ids: i64 [n].

        Raises:
            InputError: a passage is in no segment.
        """
        wanted = np.asarray(ids, dtype=np.int64)
        found: list[TokenMatches | None] = [None] * len(wanted)
        for segment in self.segments:
            vectors = prepare(query, segment.dim).vectors
            rows = segment.find(wanted)
            for place in np.flatnonzero(rows >= 0):
                stored, _ = segment.vectors(rows[place : place + 1])
                found[place] = _matches(vectors, stored)
        for id, matches in zip(wanted.tolist(), found, strict=True):
            if matches is None:
                raise InputError(f"passage {id} is in no late segment; give ids of this index")
        return [matches for matches in found if matches is not None]

    def _exact(
        self, queries: Sequence[LateQuery], allowed: NDArray[np.bool_] | None
    ) -> Iterator[tuple[int, Found]]:
        """Every exact segment's scores, with the query's index; a batch shares one pass."""
        for segment in self.segments:
            if not isinstance(segment, ExactSegment) or not queries:
                continue
            rows = segment.rows(allowed)
            at_once = max(1, _SCORES_AT_ONCE // max(1, len(rows)))
            for first in range(0, len(queries), at_once):
                scores = segment.max_sim(queries[first : first + at_once], rows)
                for place, row in enumerate(scores, first):
                    yield place, (segment.ids[rows], row)


_NONE: Found = (np.empty(0, np.int64), np.empty(0, np.float32))


def _max_sim(
    segment: LateSegment, query: LateQuery, rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    if isinstance(segment, ExactSegment):
        scores: NDArray[np.float32] = segment.max_sim([query], rows)[0]
        return scores
    return segment.max_sim(query, rows)


def _matches(query: NDArray[np.float32], stored: NDArray[np.float32]) -> TokenMatches:
    if not len(stored):
        return TokenMatches(
            np.full(len(query), -1, np.int32), np.full(len(query), np.nan, np.float32)
        )
    dots = times(query, stored.T)
    best = dots.argmax(axis=1)
    return TokenMatches(best.astype(np.int32), dots[np.arange(len(query)), best])
