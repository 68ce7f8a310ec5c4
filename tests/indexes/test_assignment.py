"""Nearest centroids: all are compared for few vectors, those of a group for many."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from retrieval.indexes import assignment
from retrieval.indexes.assignment import Assigner


def test_groups_are_made_for_many_vectors_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assignment, "_FLAT", 500)
    monkeypatch.setattr(assignment, "_FEW", 1000)
    made: list[int] = []
    groups = assignment._groups

    def noted(content: bytes, dim: int) -> tuple[NDArray[np.int8], NDArray[np.uint16]]:
        made.append(len(content) // dim)
        return groups(content, dim)

    monkeypatch.setattr(assignment, "_groups", noted)
    rng = np.random.default_rng(0)
    centroids = rng.integers(-100, 100, (1024, 16)).astype(np.int8)
    near = rng.integers(1024, size=3000)
    noise = rng.integers(-20, 21, (3000, 16))
    vectors = np.clip(centroids[near] + noise, -127, 127).astype(np.int8)
    wide = centroids.astype(np.int64)
    distances = np.square(wide).sum(axis=1) - 2 * (vectors.astype(np.int64) @ wide.T)
    assign = Assigner(centroids)
    few = assign(vectors[:1000])
    assert made == []
    # The kernel halves squared lengths in whole numbers: a centroid one step farther is as near.
    best = distances.min(axis=1)
    assert (distances[np.arange(1000), few] <= best[:1000] + 1).all()
    many = assign(vectors)
    assert assign(vectors).tolist() == many.tolist()
    assert made == [1024]
    assert (distances[np.arange(3000), many] <= best + 1).mean() > 0.95
