"""k-means: its centroids depend on no number of threads, and FAISS keeps its own number."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from retrieval.indexes.clustering import k_means


@pytest.mark.parametrize("count", [40, 1200])
def test_centroids_are_the_same_by_any_number_of_threads(
    monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    import faiss

    usual = faiss.omp_get_max_threads()
    vectors = np.random.default_rng(0).standard_normal((4000, 16)).astype(np.float32)
    made = []
    for threads in ("1", "3"):
        monkeypatch.setenv("RETRIEVAL_THREADS", threads)
        made.append(k_means(vectors.copy(), count))
        assert faiss.omp_get_max_threads() == usual
    assert made[0].shape == (count, 16)
    np.testing.assert_array_equal(*made)


@pytest.mark.parametrize("vectors", [1, 5, 6])
def test_more_centroids_than_vectors(monkeypatch: pytest.MonkeyPatch, vectors: int) -> None:
    monkeypatch.setattr("retrieval.indexes.clustering._FLAT", 1)
    given = np.random.default_rng(2).standard_normal((vectors, 8)).astype(np.float32)
    assert {tuple(row) for row in k_means(given, 6)} == {tuple(row) for row in given}


def test_two_steps_are_about_as_good_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(1).standard_normal((4000, 8)).astype(np.float32)

    def error(centroids: NDArray[np.float32]) -> float:
        distances = np.square(vectors[:, None] - centroids[None]).sum(axis=2)
        return float(distances.min(axis=1).mean())

    one = error(k_means(vectors, 256))
    monkeypatch.setattr("retrieval.indexes.clustering._FLAT", 1)
    assert error(k_means(vectors, 256)) < 1.2 * one
