"""Dense segments with inverted lists, against brute force over what they store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from retrieval.errors import IndexCorrupted
from retrieval.indexes import DenseSegment, merge_dense, write_dense
from retrieval.indexes.arrays import write_array
from retrieval.indexes.dense import merging
from retrieval.indexes.dense import segment as segments
from retrieval.ragged import offsets_of

from .mapped import on_linux, watched

FILES = ["centroids", "centroid_scales", "starts", "places", "owners"]


def clustered(rng: np.random.Generator, n: int, dim: int, clusters: int) -> NDArray[np.float32]:
    """Unit vectors around so many directions."""
    centres = rng.standard_normal((clusters, dim))
    rows = centres[rng.integers(clusters, size=n)] + 0.3 * rng.standard_normal((n, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def build(
    folder: Path, vectors: NDArray[np.float32], counts: NDArray[np.int64], first: int = 0
) -> DenseSegment:
    """A segment with lists, of passages with so many vectors each, their ids in disorder."""
    ids = first + np.random.default_rng(1).permutation(len(counts))
    write_dense(folder / "flat", ids, vectors, offsets_of(counts))
    merge_dense(folder / "listed", [DenseSegment.open(folder / "flat")], listed=1)
    return DenseSegment.open(folder / "listed")


def brute(
    segment: DenseSegment, query: NDArray[np.float32], allowed: NDArray[np.bool_] | None
) -> dict[int, float]:
    """The score of every passage that may be found."""
    return {
        int(id): float((segment.vectors([id]).astype(np.float64) @ query).max())
        for id in segment.ids
        if allowed is None or allowed[id]
        if len(segment.vectors([id]))
    }


@settings(max_examples=40, deadline=None)
@given(
    counts=st.lists(st.integers(0, 4), min_size=1, max_size=60).filter(any),
    dim=st.sampled_from([8, 12, 16]),
    k=st.integers(1, 70),
    share=st.sampled_from([None, 0.05, 0.5]),
    probed=st.sampled_from([1, 5, 30, 1000]),
    seed=st.integers(0, 2**32 - 1),
)
def test_what_is_found_is_of_the_lists_and_has_its_score(
    tmp_path_factory: pytest.TempPathFactory,
    counts: list[int],
    dim: int,
    k: int,
    share: float | None,
    probed: int,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    vectors = clustered(rng, sum(counts), dim, 5)
    folder = tmp_path_factory.mktemp("dense")
    segment = build(folder, vectors, np.array(counts))
    flat = DenseSegment.open(folder / "flat")
    assert segment.lists is not None
    assert np.array_equal(segment.vectors(segment.ids), flat.vectors(flat.ids))
    queries = clustered(rng, 3, dim, 5)
    allowed = None if share is None else rng.random(len(counts)) < share
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "PROBED", probed)
        found = segment.search(queries, k, allowed)
        alone = [segment.search([query], k, allowed)[0] for query in queries]
    every = segment.search(queries, k, allowed, exhaustive=True)
    for query, (ids, scores), (again, _), (best, best_scores) in zip(
        queries, found, alone, every, strict=True
    ):
        true = brute(segment, query, allowed)
        assert len(ids) == len(best) == min(k, len(true))
        assert ids.tolist() == again.tolist()
        assert (np.diff(scores) <= 0).all() if len(scores) else True
        np.testing.assert_allclose(scores, [true[id] for id in ids.tolist()], atol=1e-6)
        np.testing.assert_allclose(best_scores, sorted(true.values())[::-1][:k], atol=1e-6)
        if probed == 1000:  # all lists are looked at
            assert ids.tolist() == best.tolist()


def test_the_lists_nearest_to_a_query_hold_nearly_all_of_the_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(3)
    segment = build(tmp_path, clustered(rng, 6000, 16, 60), np.full(3000, 2))
    monkeypatch.setattr(segments, "PROBED", 1500)
    queries = clustered(rng, 50, 16, 60)
    for share in (None, 0.6):
        allowed = None if share is None else rng.random(3000) < share
        exact = segment.search(queries, 10, allowed, exhaustive=True)
        found = segment.search(queries, 10, allowed)
        kept = [np.isin(a, b).mean() for (a, _), (b, _) in zip(exact, found, strict=True)]
        assert np.mean(kept) > 0.95
        assert allowed is None or all(allowed[ids].all() for ids, _ in found)


def test_a_merge_keeps_the_centroids_and_drops_the_dead(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    one = build(tmp_path / "one", clustered(rng, 900, 8, 9), np.full(300, 3))
    write_dense(tmp_path / "two", np.arange(300, 500), clustered(rng, 200, 8, 9))
    two = DenseSegment.open(tmp_path / "two")
    alive = np.ones(500, np.bool_)
    alive[::7] = False
    merge_dense(tmp_path / "both", [one, two], alive, listed=1)
    both = DenseSegment.open(tmp_path / "both")
    assert one.lists is not None
    assert both.lists is not None
    assert both.lists.centroids.same(one.lists.centroids)
    kept = [id for s in (one, two) for id in s.ids.tolist() if alive[id]]
    assert both.ids.tolist() == kept
    expected = [s.vectors(np.array(s.ids)[alive[s.ids]]) for s in (one, two)]
    assert np.array_equal(both.vectors(kept), np.concatenate(expected))
    sizes = np.diff(both.lists.starts)
    assert sizes.sum() == len(both.vectors(kept))
    merge_dense(tmp_path / "few", [both], alive, listed=10_000)
    assert DenseSegment.open(tmp_path / "few").lists is None
    # Sixteen times as many vectors as the centroids are enough for: new ones.
    write_dense(tmp_path / "many", np.arange(500, 16_500), clustered(rng, 16_000, 8, 9))
    merge_dense(tmp_path / "all", [both, DenseSegment.open(tmp_path / "many")], listed=1)
    grown = DenseSegment.open(tmp_path / "all").lists
    assert grown is not None
    assert len(grown.centroids.codes) > len(one.lists.centroids.codes)


@on_linux
def test_what_a_merge_reads_does_not_stay_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(3)
    vectors = rng.standard_normal((40_000, 384), dtype=np.float32)
    write_dense(tmp_path / "flat", np.arange(len(vectors)), vectors)
    flat = DenseSegment.open(tmp_path / "flat")
    build(tmp_path / "small", vectors[:100], np.full(100, 1))  # libraries are mapped by then
    monkeypatch.setattr(merging, "BLOCK", 256)
    monkeypatch.setattr(merging, "_MAPPED", 1 << 20)
    monkeypatch.setattr(merging, "_AT_ONCE", 1 << 21)
    mapped = watched(monkeypatch, DenseSegment, "stored_at")
    merge_dense(tmp_path / "listed", [flat], listed=1)
    assert max(mapped) - mapped[0] < 6, "of 15 that the vectors take"
    monkeypatch.undo()
    listed = DenseSegment.open(tmp_path / "listed")
    assert np.array_equal(listed.vectors(listed.ids), flat.vectors(flat.ids))


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_the_lists_that_is_missing_or_cut_is_named(tmp_path: Path, name: str) -> None:
    build(tmp_path, clustered(np.random.default_rng(5), 40, 8, 3), np.full(20, 2))
    file = tmp_path / "listed" / f"dense.{name}.npy"
    data = file.read_bytes()
    file.write_bytes(data[:-1])
    with pytest.raises(IndexCorrupted, match=name):
        DenseSegment.open(tmp_path / "listed")
    file.unlink()
    with pytest.raises(IndexCorrupted, match=name):
        DenseSegment.open(tmp_path / "listed")


def test_lists_that_name_what_there_is_not_are_damaged(tmp_path: Path) -> None:
    segment = build(tmp_path, clustered(np.random.default_rng(6), 40, 8, 3), np.full(20, 2))
    folder = tmp_path / "listed"
    assert segment.lists is not None
    for name, values in (("places", [40]), ("places", [-1]), ("owners", [20]), ("owners", [-1])):
        kept = (folder / f"dense.{name}.npy").read_bytes()
        bad = np.array(values * 40)
        write_array(folder / f"dense.{name}.npy", "<i4", bad.shape, [bad])
        with pytest.raises(
            IndexCorrupted, match=rf"dense\.{name}\.npy contains out-of-range entries"
        ):
            DenseSegment.open(folder).search(np.ones((1, 8)), 3)
        (folder / f"dense.{name}.npy").write_bytes(kept)
    for starts in ([0, 41], [1, 40], [0, 30, 20, 40]):
        shape = (len(segment.lists.starts),)
        bad = np.resize(np.array(starts), shape)
        write_array(folder / "dense.starts.npy", "<i8", shape, [bad])
        with pytest.raises(IndexCorrupted, match=r"lists .* do not match its vectors"):
            DenseSegment.open(folder)
