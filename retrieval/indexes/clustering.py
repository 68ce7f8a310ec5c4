"""Clustering a sample of vectors: what dense and late indexes train centroids with.

The k-means are FAISS's, in two steps, since n vectors against K centroids cost n * K: a coarse
one, then one inside each coarse cluster.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FLAT = 1024  # up to so many centroids, one step is fast enough
_ROUNDS = 8


def draw(
    blocks: Iterable[NDArray[np.float32]], tokens: int, wanted: int, dim: int, seed: int = 0
) -> NDArray[np.float32]:
    """A random part of about `wanted` of the `tokens` vectors that come in blocks: f32 [s, dim]."""
    rng = np.random.default_rng(seed)
    taken = np.empty((min(wanted, tokens), dim), np.float32)
    filled = seen = 0
    for block in blocks:
        # As many of each block as keep the share even; so every part of the corpus is in it.
        seen += len(block)
        due = round(len(taken) * seen / max(1, tokens)) - filled
        chosen = rng.permutation(len(block))[: max(0, due)]
        chosen.sort()
        taken[filled : filled + len(chosen)] = block[chosen]
        filled += len(chosen)
    return taken[:filled]


def k_means(vectors: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Centroids f32 [count, d] of the vectors."""
    if count <= _FLAT:
        return _faiss(vectors, count)[0]
    groups = 1 << round(np.log2(count) / 2)
    part = vectors[:: max(1, len(vectors) // (groups * 256))]
    coarse, index = _faiss(np.ascontiguousarray(part), groups)
    labels = np.concatenate(
        [
            index.search(vectors[s : s + (1 << 16)], 1)[1][:, 0]
            for s in range(0, len(vectors), 1 << 16)
        ]
    )
    order = np.argsort(labels, kind="stable")
    sizes = np.bincount(labels, minlength=len(coarse))
    found = []
    for members, share in zip(
        np.split(order, np.cumsum(sizes)[:-1]), _shares(sizes, count), strict=True
    ):
        if share:
            found.append(_faiss(vectors[members], share)[0])
    return np.concatenate(found)


def _faiss(vectors: NDArray[np.float32], count: int) -> tuple[NDArray[np.float32], Any]:
    import faiss

    if len(vectors) <= count:
        # No more vectors than centroids: each is its own, and the first stands for what lacks.
        found = np.concatenate([vectors, np.repeat(vectors[:1], count - len(vectors), axis=0)])
        index = faiss.IndexFlatL2(vectors.shape[1])
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
    clustering.train(vectors)
    return np.asarray(clustering.centroids), clustering.index


def _shares(sizes: NDArray[np.int64], count: int) -> list[int]:
    """How many of `count` each group gets: by its size, no more than it has members."""
    exact = sizes / sizes.sum() * count
    shares = np.minimum(np.floor(exact).astype(np.int64), sizes)
    # What rounding left goes where it is missed most, and where there is room.
    while (left := count - int(shares.sum())) > 0:
        missing = np.where(shares < sizes, exact - shares, -np.inf)
        shares[np.argsort(-missing, kind="stable")[:left]] += 1
        shares = np.minimum(shares, sizes)
    return [int(share) for share in shares]
