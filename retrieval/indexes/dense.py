"""The dense index: one vector a passage or one a window of it, exact inner product through FAISS.

A segment is memory-mapped files: `dense.ids.npy` i64 [n], `dense.vectors.npy` f32 [r, D] and, where
passages have several vectors or none, `dense.offsets.npy` i64 [n + 1]: passage i owns rows
offsets[i]:offsets[i + 1] and scores as the best of them; without the file there is one row each.
Plain arrays rather than a FAISS file: opening costs two small headers at any size, what is opened
is checked to the byte (FAISS's reader was not written for hostile files), and a merge copies rows
without change. f32 rather than f16 because FAISS can then search the mapped pages as they lie;
`IndexFlatIP` would copy them into memory first, so its kernel `knn_inner_product` is called
directly. Beside the token vectors the doubled size is small.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrieval.errors import IndexCorrupted, InputError
from retrieval.indexes.arrays import (
    CURE,
    RowsById,
    check_ids,
    check_k,
    check_query,
    check_vectors,
    chosen,
    first_bad_row,
    make_folder,
    open_array,
    sync_folder,
    write_array,
)
from retrieval.indexes.ranking import TieOrder, top_k
from retrieval.ragged import offsets_of, rows_of

IDS = "dense.ids.npy"
VECTORS = "dense.vectors.npy"
OFFSETS = "dense.offsets.npy"

_MERGE_PASSAGES = 1 << 13
_MORE = 16  # rows that are fetched beyond those asked for, since FAISS rounds otherwise than we do
_ROUNDING = 1e-5


def write_dense(
    folder: Path, ids: ArrayLike, vectors: ArrayLike, offsets: ArrayLike | None = None
) -> None:
    """Write a segment into `folder` (made if need be) and fsync it.

    Args:
        folder: where the files go.
        ids: i64 [n], not negative, all different.
        vectors: f32 [r, D], unit length as encoders return them.
        offsets: i64 [n + 1]; passage i owns vectors[offsets[i]:offsets[i + 1]]. None: one each.

    Raises:
        InputError: shapes disagree, or a vector holds NaN or infinity (its passage is named).
        StorageError: a file cannot be written.
    """
    names = check_ids(ids)
    rows = check_vectors(vectors, "dense vectors")
    bounds = np.arange(len(names) + 1) if offsets is None else np.asarray(offsets, np.int64)
    if offsets is None and len(names) != len(rows):
        raise InputError(f"{len(names)} passage ids for {len(rows)} dense vectors")
    problem = _offsets_problem(bounds, len(names), len(rows))
    if problem:
        raise InputError(f"dense vectors: {problem}")
    bad = first_bad_row(rows)
    if bad is not None:
        passage = names[np.searchsorted(bounds, bad, "right") - 1]
        raise InputError(f"the dense vector of passage {passage} holds NaN or infinity")
    make_folder(folder)
    _write(folder, names, bounds, rows.shape, [rows])


def merge_dense(
    folder: Path, segments: Sequence[DenseSegment], allowed: NDArray[np.bool_] | None = None
) -> None:
    """Write one segment out of the allowed passages of several, in order, copying vectors as is.

    Args:
        folder: where the new segment goes; not one of the old ones'.
        segments: at least one, all of one dimension, with no passage in two of them.
        allowed: bool by passage id; None keeps all.
    """
    dims = {segment.dim for segment in segments}
    if len(dims) != 1:
        raise InputError(f"cannot merge dense segments of dimensions {sorted(dims)}; expected one")
    kept = [np.flatnonzero(chosen(segment.ids, allowed)) for segment in segments]
    pairs = list(zip(segments, kept, strict=True))
    ids = check_ids(np.concatenate([segment.ids[places] for segment, places in pairs]))
    counts = np.concatenate([np.diff(segment.offsets)[places] for segment, places in pairs])
    offsets = offsets_of(counts)

    def blocks() -> Iterator[NDArray[np.float32]]:
        for segment, places in pairs:
            for start in range(0, len(places), _MERGE_PASSAGES):
                yield segment.vectors(segment.ids[places[start : start + _MERGE_PASSAGES]])

    make_folder(folder)
    _write(folder, ids, offsets, (int(offsets[-1]), dims.pop()), blocks())


def _write(
    folder: Path,
    ids: NDArray[np.int64],
    offsets: NDArray[np.int64],
    shape: tuple[int, ...],
    vectors: Iterable[NDArray[np.float32]],
) -> None:
    write_array(folder / IDS, "<i8", ids.shape, [ids])
    write_array(folder / VECTORS, "<f4", shape, vectors)
    if not (np.diff(offsets) == 1).all():
        write_array(folder / OFFSETS, "<i8", offsets.shape, [offsets])
    sync_folder(folder)


def _offsets_problem(offsets: NDArray[np.int64], passages: int, rows: int) -> str | None:
    if offsets.shape != (passages + 1,):
        return f"{offsets.shape} offsets for {passages} passages, expected {(passages + 1,)}"
    if offsets[0] != 0 or offsets[-1] != rows:
        return f"offsets run from {offsets[0]} to {offsets[-1]}, expected 0 to {rows}"
    if not (offsets[1:] >= offsets[:-1]).all():
        return "offsets fall, expected ascending ones"
    return None


class DenseSegment:
    """A memory-mapped dense segment; any number of threads may read it at once.

    Attributes:
        ids: i64 [n], its passages, read-only.
        offsets: i64 [n + 1]; passage i owns rows offsets[i]:offsets[i + 1].
        dim: D.
    """

    __slots__ = ("_owners", "_rows", "_vectors", "dim", "ids", "offsets")

    def __init__(
        self,
        ids: NDArray[np.int64],
        vectors: NDArray[np.float32],
        offsets: NDArray[np.int64] | None,
        rows: RowsById,
    ):
        self.ids = ids
        self.dim = int(vectors.shape[1])
        self.offsets = np.arange(len(ids) + 1) if offsets is None else offsets
        self._owners = None if offsets is None else np.repeat(ids, np.diff(offsets))
        self._vectors = vectors
        self._rows = rows

    @classmethod
    def open(cls, folder: Path) -> DenseSegment:
        """Map the segment in `folder`; IndexCorrupted names the file that is missing or damaged."""
        ids = open_array(folder / IDS, "<i8", ndim=1)
        vectors = open_array(folder / VECTORS, "<f4", ndim=2)
        offsets = None
        if (folder / OFFSETS).exists():
            offsets = open_array(folder / OFFSETS, "<i8", ndim=1)
            problem = _offsets_problem(offsets, len(ids), len(vectors))
            if problem:
                raise IndexCorrupted(f"{folder / OFFSETS}: {problem}; {CURE}")
        elif len(ids) != len(vectors):
            raise IndexCorrupted(
                f"{folder / VECTORS} has {len(vectors)} rows for {len(ids)} passage ids; {CURE}"
            )
        return cls(ids, vectors, offsets, RowsById(ids, folder / IDS))

    def __len__(self) -> int:
        return len(self.ids)

    def search(
        self,
        queries: ArrayLike,
        k: int,
        allowed: NDArray[np.bool_] | None = None,
        *,
        ties: TieOrder | None = None,
    ) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """The k allowed passages of largest inner product for each query.

        Args:
            queries: f32 [q, D].
            k: at least 1; may exceed what there is.
            allowed: bool by passage id, applied before the top k is taken; None allows all.
            ties: the order of passages with equal scores; None is by ascending id.

        Returns:
            For each query ids i64 [h] and scores f32 [h], h <= k, those that `score` gives; scores
            descend.
        """
        asked = check_query(queries, "dense query vectors", dim=self.dim)
        check_k(k)
        mask = None if allowed is None else chosen(self.ids, allowed)
        if mask is not None:
            mask = mask if self._owners is None else np.repeat(mask, np.diff(self.offsets))
        rows = len(self._vectors) if mask is None else int(mask.sum())
        if rows == 0 or len(asked) == 0:
            return [(np.empty(0, np.int64), np.empty(0, np.float32)) for _ in asked]
        # A passage's rows are seldom far apart in rank: few more rows than passages will do.
        spread = 1 if self._owners is None else 2
        most = 1 if self._owners is None else int(np.diff(self.offsets).max())
        wide = min(rows, spread * k + max(most, _MORE))
        found: dict[int, tuple[NDArray[np.int64], NDArray[np.float32]]] = {}
        left = np.arange(len(asked))
        while len(left):
            at, rough = _nearest(asked[left], self._vectors, wide, mask)
            for place, near, products in zip(left.tolist(), at, rough, strict=True):
                near = near[near >= 0]  # a damaged file may hold NaN, which FAISS never returns
                ids = self.ids[near] if self._owners is None else np.unique(self._owners[near])
                ids, scores = top_k(ids, self.score(asked[place], ids), k, ties)
                # What FAISS did not return scores no more than the last that it did.
                unseen = float(products[-1]) + _ROUNDING * max(1.0, abs(float(products[0])))
                if wide == rows or (len(ids) == k and scores[-1] > unseen):
                    found[place] = ids, scores
            left = np.array([place for place in left.tolist() if place not in found], np.int64)
            wide = min(rows, 4 * wide)
        return [found[place] for place in range(len(asked))]

    def score(self, query: ArrayLike, ids: ArrayLike) -> NDArray[np.float32]:
        """Inner product of one query f32 [D] with each passage, f32 [n].

        It is -inf for unknown ids and passages without a vector.

        Equal vectors have equal scores, which is not so in products of matrices: there a row's
        sum may be taken in another order than that of its neighbour.
        """
        row = check_query(np.atleast_2d(np.asarray(query)), "dense query vectors", dim=self.dim)
        at = self._rows.find(ids)
        scores = np.full(len(at), -np.inf, dtype=np.float32)
        known = at >= 0
        if self._owners is not None:
            known[known] = np.diff(self.offsets)[at[known]] > 0
        if known.any():
            rows, starts = self._rows_of(at[known])
            products = np.einsum("rd,d->r", self._vectors[rows], row[0])
            scores[known] = np.maximum.reduceat(products, starts)
        return scores

    def find(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The place of each passage id among `ids`, i64 [n]; -1 where it is not here."""
        return self._rows.find(ids)

    def vectors(self, ids: ArrayLike) -> NDArray[np.float32]:
        """Copies of the passages' vectors, f32 [r, D], passage after passage.

        Raises:
            InputError: an id is not in the segment.
        """
        at = self._rows.find(ids)
        if (at < 0).any():
            missing = np.asarray(ids)[at < 0][0]
            raise InputError(f"passage {missing} is not in this segment")
        return self._vectors[self._rows_of(at)[0]]

    def _rows_of(self, places: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The rows of these passages, one passage's after another's, and where each begins."""
        if self._owners is None:
            return places, np.arange(len(places))
        begins = offsets_of(np.diff(self.offsets)[places])[:-1]
        return rows_of(self.offsets, places), begins


def _nearest(
    queries: NDArray[np.float32],
    vectors: NDArray[np.float32],
    k: int,
    mask: NDArray[np.bool_] | None,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rows of the k largest inner products, i64 [q, k] (-1 where none), and the products."""
    import faiss

    rows = np.empty((len(queries), k), dtype=np.int64)
    scores = np.empty((len(queries), k), dtype=np.float32)
    selector = bits = None
    if mask is not None:
        bits = np.packbits(mask, bitorder="little")  # FAISS keeps a pointer: bits must outlive it
        selector = faiss.IDSelectorBitmap(bits.size, faiss.swig_ptr(bits))
    faiss.knn_inner_product(
        faiss.swig_ptr(queries),
        faiss.swig_ptr(vectors),
        vectors.shape[1],
        len(queries),
        len(vectors),
        k,
        faiss.swig_ptr(scores),
        faiss.swig_ptr(rows),
        selector,
    )
    return rows, scores
