"""Nearest centroids: all are compared for few vectors, those of a group for many."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from retrieval.indexes import assignment
from retrieval.indexes.assignment import Assigner, nearest_to
from retrieval.indexes.late.coarse import CoarseCodes
from retrieval.indexes.late.codec import Codec


def test_groups_are_made_for_many_vectors_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assignment, "_FLAT", 500)
    monkeypatch.setattr(assignment, "_FEW", 1000)
    monkeypatch.setattr(assignment, "_kept", OrderedDict())
    made: list[int] = []
    make = assignment._made

    def noted(centroids: NDArray[np.int8]) -> Any:
        made.append(len(centroids))
        return make(centroids)

    monkeypatch.setattr(assignment, "_made", noted)
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
    # Whoever is compared with the same centroids later uses the groups that there are.
    assert Assigner(centroids.copy())(vectors[:50]).tolist() == many[:50].tolist()
    assert made == [1024]
    for n in range(1, 4):
        Assigner(np.roll(centroids, n, axis=0))(vectors)
    assert made == [1024] * 4
    assert len(assignment._kept) == 2, "the last two"


def clustered(rng: np.random.Generator, count: int, dim: int) -> NDArray[np.float32]:
    """Unit vectors in clusters of very different sizes and widths, as those of words are."""
    centres = rng.standard_normal((40, dim))
    sizes = rng.dirichlet(np.full(40, 0.3))
    of = rng.choice(40, count, p=sizes)
    widths = rng.uniform(0.1, 1.0, 40)[of, None]
    made = centres[of] + widths * rng.standard_normal((count, dim))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def test_what_is_found_is_hardly_farther_than_the_nearest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(assignment, "_FEW", 1000)
    rng = np.random.default_rng(1)
    vectors = clustered(rng, 20_000 + 8192, 32)
    units = np.clip(np.rint(vectors * 200), -127, 127).astype(np.int8)
    centroids, units = units[:8192], units[8192:]
    distances = [
        np.square(row.astype(np.int64) - centroids.astype(np.int64)).sum(axis=1)
        for row in units[:400]
    ]
    found = Assigner(centroids)(units)[:400]
    lost = sum(own[code] for own, code in zip(distances, found.tolist(), strict=True))
    assert lost <= 1.03 * sum(own.min() for own in distances)


def test_the_nearest_to_a_centre_are_named_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assignment, "_BLOCK", 100)  # a few centres at a time
    rng = np.random.default_rng(2)
    centres = rng.integers(-100, 100, (7, 8)).astype(np.int8)
    centroids = rng.integers(-100, 100, (30, 8)).astype(np.int8)
    distances = np.square(centres[:, None].astype(np.int64) - centroids).sum(axis=2)
    near = nearest_to(centres, centroids, 5)
    for row, own in zip(near, distances, strict=True):
        assert sorted(row.tolist()) == row.tolist()
        assert sorted(own[row]) == sorted(own)[:5]
    assert nearest_to(centres, centroids, 99).tolist() == [list(range(30))] * 7


def codec_of(vectors: NDArray[np.float32], rng: np.random.Generator) -> Codec:
    """A codec whose centroids are these vectors, about a mean and turned."""
    dim = vectors.shape[1]
    mean = vectors.mean(axis=0)
    rotation = np.linalg.qr(rng.standard_normal((dim, dim)))[0].astype(np.float32)
    centroids = np.clip(np.rint((vectors - mean) @ rotation / 0.01), -127, 127).astype(np.int8)
    levels = np.array([[-6, -2, 2, 6]], np.int8)
    classes = np.zeros(len(vectors), np.uint8)
    return Codec.of(mean, rotation, 0.01, centroids, classes, levels)


def test_a_known_code_tells_which_coarse_centroids_can_be_near(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("retrieval.indexes.late.coarse._NEAR", 64)
    rng = np.random.default_rng(3)
    vectors = clustered(rng, 5000, 16)
    stored, coarse = codec_of(vectors[::10], rng), codec_of(vectors[1::5], rng)
    codes = Assigner(stored.centroids)(stored.frame.units(vectors))
    exactly = CoarseCodes(coarse, stored)(vectors[:900], codes[:900])  # too few to make lists
    turned = (vectors - coarse.mean) @ coarse.rotation / coarse.unit
    distances = np.square(turned[:, None] - coarse.centroids[None].astype(np.float32)).sum(axis=2)
    best = distances.min(axis=1)
    own = np.arange(len(vectors))
    assert (distances[own[:900], exactly] <= best[:900] * 1.05 + 30).all()
    found = CoarseCodes(coarse, stored)(vectors, codes)
    assert distances[own, found].sum() <= 1.03 * best.sum()
