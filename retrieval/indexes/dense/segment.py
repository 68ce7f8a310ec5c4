"""A dense segment: vectors of 8-bit integers, memory-mapped, and the search over them.

Files: `dense.ids.npy` i64 [n], `dense.codes.npy` i8 [r, D] with `dense.scales.npy` f32 [r], so
that a vector is codes * scale, and, where passages have several vectors or none,
`dense.offsets.npy` i64 [n + 1]: passage i owns rows offsets[i]:offsets[i + 1] and its score is that
of its best row; without the file each passage has one row. In a large segment the vectors are in
inverted lists, see `lists`, and only those in the lists nearest to a query are compared.
Plain arrays rather than a FAISS file: opening reads small headers at any size, every byte that is
    opened is checked (FAISS's reader was not written for hostile files), and a merge copies rows
    unchanged.
"""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrieval.errors import IndexCorrupted, InputError
from retrieval.indexes.arrays import (
    CURE,
    RowsById,
    check_k,
    check_query,
    chosen,
    mapping_of,
    offsets_problem,
    open_array,
)
from retrieval.indexes.dense.lists import PROBED, SHARE, Lists, open_lists
from retrieval.indexes.dense.products import Queries
from retrieval.indexes.dense.scan import Nearest, Scan
from retrieval.indexes.ids import distinct
from retrieval.indexes.ranking import TieOrder, top_k
from retrieval.ragged import offsets_of, rows_of

IDS = "dense.ids.npy"
CODES = "dense.codes.npy"
SCALES = "dense.scales.npy"
OFFSETS = "dense.offsets.npy"

_MORE = 16  # rows looked at beyond those requested
_AT_ONCE = 1 << 26  # products of a batch of queries that are kept in memory

Found = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Passage ids i64 [h] and their scores f32 [h], best first."""


class DenseSegment:
    """A memory-mapped dense segment; any number of threads may read it at once.

    Attributes:
        ids: i64 [n], its passages, read-only.
        offsets: i64 [n + 1]; passage i owns rows offsets[i]:offsets[i + 1].
        dim: D.
        lists: its inverted lists, if it has any.
    """

    __slots__ = (
        "_codes",
        "_longest",
        "_most",
        "_rows",
        "_scales",
        "_single",
        "dim",
        "ids",
        "lists",
        "offsets",
    )

    def __init__(
        self,
        ids: NDArray[np.int64],
        codes: NDArray[np.int8],
        scales: NDArray[np.float32],
        offsets: NDArray[np.int64] | None,
        rows: RowsById,
        lists: Lists | None = None,
    ):
        self.ids = ids
        self.dim = int(codes.shape[1])
        self.offsets = np.arange(len(ids) + 1) if offsets is None else offsets
        self._single = offsets is None
        self._most = 1 if offsets is None else int(np.diff(offsets).max(initial=1))
        self._longest = float(scales.max(initial=0.0)) * 127 * self.dim**0.5
        self._codes = codes
        self._scales = scales
        self._rows = rows
        self.lists = lists

    @classmethod
    def open(cls, folder: Path) -> DenseSegment:
        """Map the segment in `folder`; IndexCorrupted names the file that is missing or damaged."""
        ids = open_array(folder / IDS, "<i8", ndim=1)
        codes = open_array(folder / CODES, "|i1", ndim=2)
        scales = open_array(folder / SCALES, "<f4", ndim=1)
        if len(scales) != len(codes):
            raise IndexCorrupted(
                f"{folder / SCALES} holds {len(scales)} scales for {len(codes)} vectors; {CURE}"
            )
        # One comparison that NaN, infinity and a negative number all fail.
        if not ((scales >= 0) & (scales < np.inf)).all():
            raise IndexCorrupted(
                f"{folder / SCALES} holds NaN, infinity or a negative scale; {CURE}"
            )
        offsets = None
        if (folder / OFFSETS).exists():
            offsets = open_array(folder / OFFSETS, "<i8", ndim=1)
            problem = offsets_problem(offsets, len(ids), len(codes))
            if problem:
                raise IndexCorrupted(f"{folder / OFFSETS}: {problem}; {CURE}")
        elif len(ids) != len(codes):
            raise IndexCorrupted(
                f"{folder / CODES} has {len(codes)} rows for {len(ids)} passage ids; {CURE}"
            )
        lists = open_lists(folder, len(codes), len(ids), codes.shape[1])
        return cls(ids, codes, scales, offsets, RowsById(ids, folder / IDS), lists)

    @property
    def largest(self) -> float:
        """The largest absolute component of a vector."""
        return float(self._longest / self.dim**0.5)

    def __len__(self) -> int:
        return len(self.ids)

    def search(
        self,
        queries: ArrayLike | Queries,
        k: int,
        allowed: NDArray[np.bool_] | None = None,
        *,
        ties: TieOrder | None = None,
        exhaustive: bool = False,
        least: NDArray[np.float32] | None = None,
    ) -> list[Found]:
        """The k allowed passages of largest inner product for each query.

        With lists, only passages that have a vector in one of the lists looked at are found; enough
        lists are looked at to find k, if there are as many.

        Args:
            queries: f32 [q, D], or `Queries` made from them.
            k: at least 1; may exceed the number of passages.
            allowed: bool by passage id, applied before the top k is taken; None allows all.
            ties: the order of passages with equal scores; None is by ascending id.
            exhaustive: look at all lists.
            least: f32 [q], passages with a lower score may be left out; None leaves none out.

        Returns:
            For each query ids i64 [h] and scores f32 [h], h <= k, the same as from `score`; scores
            descend.
        """
        asked = queries if isinstance(queries, Queries) else self.queries(queries)
        check_k(k)
        floors = [-np.inf] * len(asked) if least is None else least.tolist()
        places = None
        if allowed is not None:
            places = self._places(np.flatnonzero(chosen(self.ids, allowed)))[0]
        scan = Scan(self._codes, self._scales, places)
        count = len(self._codes) if places is None else len(places)
        if self.lists is not None and not exhaustive and count > PROBED:
            return [
                self._listed(asked.one(place), scan, count, k, ties, floor)
                for place, floor in enumerate(floors)
            ]
        found: list[Found] = []
        batch = max(1, _AT_ONCE // max(1, len(scan)))
        for start in range(0, len(asked), batch):
            some = asked if len(asked) <= batch else asked.part(slice(start, start + batch))
            for place, near in enumerate(scan.of(some, self._longest), start):
                found.append(self._best(near, k, ties, floors[place]))
        return found

    def queries(self, vectors: ArrayLike) -> Queries:
        """Queries f32 [q, D] in the form a segment compares; InputError if they cannot be used."""
        return Queries(check_query(vectors, "dense query vectors", dim=self.dim))

    def _listed(
        self,
        query: Queries,
        scan: Scan,
        count: int,
        k: int,
        ties: TieOrder | None,
        least: float,
    ) -> Found:
        """The k best of the passages in the lists nearest to a query; `count` rows are allowed."""
        assert self.lists is not None
        rows = len(self._codes)
        # Scaled up so that as many allowed vectors are compared as without a filter.
        vectors = max(PROBED, rows // SHARE) * rows // count
        while True:
            near = scan.among(query, self._longest, self.lists.groups(query, vectors))
            found = self._best(near, k, ties, least)
            if least > -np.inf or len(found[0]) == k or vectors >= rows:
                return found
            vectors *= 4

    def _best(self, near: Nearest, k: int, ties: TieOrder | None, least: float) -> Found:
        """The k best, by score, of the passages that own a row that was compared."""
        query = near.query.vectors[0]
        # A passage's rows are seldom far apart in rank, so few more rows than passages are needed.
        wide = (1 if self._most == 1 else 2) * k + max(self._most, _MORE)
        while True:
            places, unseen = near.first(wide, least)
            ids, scores = np.empty(0, np.int64), np.empty(0, np.float32)
            if len(places):
                owners = self._owners(places)
                ids, scores = top_k(self.ids[owners], self._scores(query, owners), k, ties)
            if unseen is None or unseen < least or (len(ids) == k and scores[-1] > unseen):
                return ids, scores
            wide *= 4

    def score(self, query: ArrayLike, ids: ArrayLike) -> NDArray[np.float32]:
        """Inner product of one query f32 [D] with each passage, f32 [n].

        The score is -inf for unknown ids and passages without a vector.
        """
        row = check_query(np.atleast_2d(np.asarray(query)), "dense query vectors", dim=self.dim)
        at = self._rows.find(ids)
        scores = np.full(len(at), -np.inf, dtype=np.float32)
        known = at >= 0
        known[known] = self._counts(at[known]) > 0
        if known.any():
            scores[known] = self._scores(row[0], at[known])
        return scores

    def _scores(self, query: NDArray[np.float32], at: NDArray[np.int64]) -> NDArray[np.float32]:
        """Inner product of one query with these passages, which have vectors: f32 [n].

        Equal vectors have equal scores. A matrix product does not guarantee that: it may sum
        neighbouring rows in different orders.
        """
        where, starts = self._places(at)
        sums = np.einsum("rd,d->r", self._codes[where].astype(np.float32), query)
        scores: NDArray[np.float32] = np.maximum.reduceat(sums * self._scales[where], starts)
        return scores

    def find(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The place of each passage id among `ids`, i64 [n]; -1 if it is not in the segment."""
        return self._rows.find(ids)

    def vectors(self, ids: ArrayLike) -> NDArray[np.float32]:
        """The passages' vectors as stored, f32 [r, D], passage by passage.

        Raises:
            InputError: an id is not in the segment.
        """
        at = self._rows.find(ids)
        if (at < 0).any():
            missing = np.asarray(ids)[at < 0][0]
            raise InputError(f"passage {missing} is not in this segment")
        codes, scales = self.stored(at)
        return codes * scales[:, None]

    def stored(self, at: NDArray[np.int64]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
        """Codes i8 [r, D] and scales f32 [r] of these passages, passage by passage."""
        return self.stored_at(self.places(at))

    def stored_at(self, places: NDArray[np.int64]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
        """Codes i8 [r, D] and scales f32 [r] at these places."""
        return self._codes[places], self._scales[places]

    def release(self) -> None:
        """Release the pages that were read; they are mapped again when needed."""
        mapped = mapping_of(self._codes)
        if mapped is not None:
            mapped.madvise(mmap.MADV_DONTNEED)

    def places(self, at: NDArray[np.int64]) -> NDArray[np.int64]:
        """The places of these passages' vectors, passage by passage: i64 [r]."""
        return self._places(at)[0]

    def _places(self, at: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The places of these passages' vectors, passage by passage; where each passage begins."""
        if self._single:
            rows, begins = at, np.arange(len(at))
        else:
            begins = offsets_of(self._counts(at))[:-1]
            rows = rows_of(self.offsets, at)
        return rows if self.lists is None else self.lists.places_of(rows), begins

    def _counts(self, at: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many vectors each of these passages has, i64 [n]."""
        counts: NDArray[np.int64] = self.offsets[at + 1] - self.offsets[at]
        return counts

    def _owners(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """The passages that own the vectors at these places, distinct and ascending: i64."""
        if self.lists is not None:
            return distinct(self.lists.owners_of(places))
        if self._single:
            return np.sort(places)
        return distinct(np.searchsorted(self.offsets, places, "right") - 1)
