"""Clustering a sample of vectors: what dense and late indexes train centroids with.

The k-means is FAISS's, in two steps, since n vectors against K centroids cost n * K: a coarse one,
then one inside each coarse cluster. The clusters are distributed over threads, and FAISS gets one
thread in each: its own would spin, waiting for each other many thousands of times, which took 9 s
of processor time instead of 1 for 2,048 centroids where other processes used the same cores.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from retrieval.indexes.kernels import threads

if TYPE_CHECKING:
    import faiss

_FLAT = 1024  # up to so many centroids, one step is fast enough
_ROUNDS = 8
_ONE_THREAD = 1 << 30
"""Multiplications of an iteration up to which FAISS's own threads cost more than they save."""


def drawn(total: int, wanted: int, seed: int = 0) -> NDArray[np.int64]:
    """A random sample of range(total), at most `wanted`: i64, ascending.

    Stratified: one from each of as many equal ranges, so that every part is represented.
    """
    bounds = np.linspace(0, total, min(wanted, total) + 1).astype(np.int64)
    within = np.random.default_rng(seed).random(len(bounds) - 1) * np.diff(bounds)
    return bounds[:-1] + within.astype(np.int64)


def draw(
    blocks: Iterable[NDArray[np.int8]], vectors: int, wanted: int, dim: int
) -> NDArray[np.int8]:
    """A sample (see `drawn`) of vectors that come in blocks, `vectors` in all: i8 [s, dim]."""
    chosen = drawn(vectors, wanted)
    taken = np.empty((len(chosen), dim), np.int8)
    filled = seen = 0
    for block in blocks:
        until = int(np.searchsorted(chosen, seen + len(block)))
        taken[filled:until] = block[chosen[filled:until] - seen]
        filled, seen = until, seen + len(block)
    return taken[:filled]


def k_means(vectors: NDArray[np.float32] | NDArray[np.int8], count: int) -> NDArray[np.float32]:
    """Centroids f32 [count, d] of the vectors; i8 is converted to floats piece by piece."""
    if count <= _FLAT or len(vectors) <= count:
        return nearest_means(_floats(vectors), count)[0]
    groups = 1 << round(np.log2(count) / 2)
    part = vectors[:: max(1, len(vectors) // (groups * 256))]
    coarse, index = nearest_means(_floats(part), groups)
    labels = np.concatenate(
        [
            index.search(_floats(vectors[s : s + (1 << 16)]), 1)[1][:, 0]
            for s in range(0, len(vectors), 1 << 16)
        ]
    )
    order = np.argsort(labels, kind="stable")
    sizes = np.bincount(labels, minlength=len(coarse))
    members = np.split(order, np.cumsum(sizes)[:-1])
    shares = _shares(sizes, count)
    found: list[NDArray[np.float32]] = [_floats(vectors[:0])] * len(members)

    def divide(first: int, last: int) -> None:
        for place in range(first, last):
            if shares[place]:
                found[place] = nearest_means(_floats(vectors[members[place]]), shares[place])[0]

    threads.spread(divide, range(len(members) + 1), threads.count())
    return np.concatenate(found)


def _floats(vectors: NDArray[np.float32] | NDArray[np.int8]) -> NDArray[np.float32]:
    return np.ascontiguousarray(vectors, np.float32)


def nearest_means(
    vectors: NDArray[np.float32], count: int
) -> tuple[NDArray[np.float32], faiss.Index]:
    """Centroids f32 [count, d] by k-means in one step, and FAISS's index of them."""
    import faiss

    if len(vectors) <= count:
        # No more vectors than centroids: each is its own centroid, and the first is repeated.
        found = np.concatenate([vectors, np.repeat(vectors[:1], count - len(vectors), axis=0)])
        index: faiss.Index = faiss.IndexFlatL2(vectors.shape[1])
        index.add(found)
        return found, index
    clustering = faiss.Kmeans(
        vectors.shape[1],
        count,
        niter=_ROUNDS,
        seed=0,
        min_points_per_centroid=1,
        max_points_per_centroid=1 << 20,
    )
    with _threads_for(len(vectors) * count * vectors.shape[1]):
        clustering.train(vectors)
    return np.asarray(clustering.centroids), clustering.index


@contextmanager
def _threads_for(multiplications: int) -> Iterator[None]:
    """Limit FAISS to one thread for so little work, in the calling thread only."""
    import faiss

    usual = faiss.omp_get_max_threads()
    if multiplications <= _ONE_THREAD:
        faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(usual)


def _shares(sizes: NDArray[np.int64], count: int) -> list[int]:
    """How many of `count` each group gets: in proportion to its size, at most its size."""
    exact = sizes / sizes.sum() * count
    shares = np.minimum(np.floor(exact).astype(np.int64), sizes)
    # What rounding left over goes to the groups furthest below their share that have room.
    while (left := count - int(shares.sum())) > 0:
        missing = np.where(shares < sizes, exact - shares, -np.inf)
        shares[np.argsort(-missing, kind="stable")[:left]] += 1
        shares = np.minimum(shares, sizes)
    return [int(share) for share in shares]
