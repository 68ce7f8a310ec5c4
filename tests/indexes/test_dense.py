"""The dense index against brute force in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from retrieval.errors import IndexCorrupted, InputError
from retrieval.indexes import DenseSegment, merge_dense, search_dense, write_dense
from retrieval.indexes.arrays import write_array


def unit(rng: np.random.Generator, n: int, dim: int) -> NDArray[np.float32]:
    rows = rng.standard_normal((n, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def stored(segment: DenseSegment, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The segment's vectors: those written, within half a step of 127 but for their length.

    Each has the length that it was given, to which its rounded components are stretched.
    """
    kept = segment.vectors(segment.ids)
    steps = np.abs(vectors).max(axis=1, initial=0, keepdims=True) / 127
    assert (np.abs(kept - vectors) <= steps * 0.501 + 0.02 * np.abs(vectors)).all()
    lengths = np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(np.linalg.norm(kept, axis=1), lengths, rtol=1e-5)
    return kept


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(0, 60),
    dim=st.sampled_from([1, 3, 8, 9, 16, 24, 1032, 2048]),
    q=st.integers(0, 30),
    k=st.integers(1, 70),
    share=st.sampled_from([None, 0.0, 0.1, 0.5, 1.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_search_is_brute_force(
    tmp_path_factory: pytest.TempPathFactory,
    n: int,
    dim: int,
    q: int,
    k: int,
    share: float | None,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    ids = rng.permutation(3 * n)[:n]
    vectors, queries = unit(rng, n, dim), unit(rng, q, dim)
    vectors[n // 2 :] = vectors[: n - n // 2]  # every second one is a duplicate: ties
    allowed = None if share is None else rng.random(2 * n + 1) < share  # shorter than the ids
    folder = tmp_path_factory.mktemp("dense")
    write_dense(folder, ids, vectors)
    segment = DenseSegment.open(folder)
    assert (len(segment), segment.dim) == (n, dim)
    vectors = stored(segment, vectors)
    answers = segment.search(queries, k, allowed)
    assert len(answers) == q

    open_to = np.array([allowed is None or (i < len(allowed) and bool(allowed[i])) for i in ids])
    products = queries.astype(np.float64) @ vectors.astype(np.float64).T
    row_of = {int(i): row for row, i in enumerate(ids)}
    expected = min(k, int(open_to.sum()))
    for query, (best, scores) in enumerate(answers):
        assert (best.dtype, scores.dtype) == (np.int64, np.float32)
        assert len(best) == len(scores) == len(set(best.tolist())) == expected
        rows = [row_of[int(i)] for i in best]
        assert all(open_to[row] for row in rows)
        top = np.sort(products[query][open_to])[::-1][:expected] if n else np.empty(0)
        np.testing.assert_allclose(scores, top, atol=1e-6)
        np.testing.assert_allclose(scores, products[query][rows], atol=1e-6)
        pairs = list(zip((-scores).tolist(), best.tolist(), strict=True))
        assert pairs == sorted(pairs)
        assert scores.tolist() == segment.score(queries[query], best).tolist()
        # Alone or among others, and whatever k is: the same passages in the same order.
        ((more, _),) = segment.search(queries[query : query + 1], 70, allowed)
        assert best.tolist() == more[:k].tolist()


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    windows=st.integers(1, 3),
    dim=st.sampled_from([3, 16, 24]),
    k=st.integers(1, 60),
    share=st.sampled_from([None, 0.0, 0.3]),
    seed=st.integers(0, 2**32 - 1),
)
def test_segments_together_are_searched_as_one(
    tmp_path_factory: pytest.TempPathFactory,
    sizes: list[int],
    windows: int,
    dim: int,
    k: int,
    share: float | None,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    n = sum(sizes)
    ids = rng.permutation(3 * n)[:n]
    vectors, queries = unit(rng, n * windows, dim), unit(rng, 4, dim)
    vectors[::2] = vectors[0]  # ties, in several segments
    allowed = None if share is None else rng.random(3 * n) < share
    folder = tmp_path_factory.mktemp("dense")
    write_dense(folder / "all", ids, vectors, np.arange(n + 1) * windows)
    whole = DenseSegment.open(folder / "all")
    parts, first = [], 0
    for size in sizes:
        own = vectors[first * windows : (first + size) * windows]
        part = folder / f"from {first}"
        write_dense(part, ids[first : first + size], own, np.arange(size + 1) * windows)
        parts.append(DenseSegment.open(part))
        first += size
    found = search_dense(parts, queries, k, allowed)
    for (own, scores), (best, expected) in zip(
        found, whole.search(queries, k, allowed), strict=True
    ):
        assert own.tolist() == best.tolist()
        assert scores.tolist() == expected.tolist()


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(1, 9), min_size=1, max_size=40),
    k=st.integers(1, 50),
    share=st.sampled_from([None, 0.0, 0.1, 0.5]),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_passage_counts_as_the_best_of_its_vectors(
    tmp_path_factory: pytest.TempPathFactory,
    counts: list[int],
    k: int,
    share: float | None,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    n, offsets = len(counts), np.cumsum([0, *counts])
    ids = rng.permutation(3 * n)[:n]
    centres = unit(rng, n, 6)  # a passage's vectors lie close together, as windows of a text do
    vectors = np.repeat(centres, counts, axis=0) + 0.1 * unit(rng, int(offsets[-1]), 6)
    queries = unit(rng, 5, 6)
    allowed = None if share is None else rng.random(3 * n) < share
    folder = tmp_path_factory.mktemp("dense")
    write_dense(folder, ids, vectors, offsets)
    segment = DenseSegment.open(folder)
    vectors = stored(segment, vectors)
    answers = segment.search(queries, k, allowed)
    best = np.maximum.reduceat(queries.astype(np.float64) @ vectors.T, offsets[:-1], axis=1)
    for query, (found, scores) in enumerate(answers):
        row = segment.score(queries[query], ids)
        np.testing.assert_allclose(row, best[query], atol=1e-6)
        inside = np.flatnonzero(allowed[ids]) if allowed is not None else np.arange(n)
        expected = inside[np.argsort(-best[query][inside])][:k]
        assert found.tolist() == ids[expected].tolist()
        np.testing.assert_allclose(scores, best[query][expected], atol=1e-6)


def test_several_vectors_a_passage_are_merged_bit_for_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    a, b = unit(rng, 5, 3), unit(rng, 2, 3)
    write_dense(tmp_path / "a", [5, 1, 8], a, [0, 2, 3, 5])
    write_dense(tmp_path / "b", [3, 0], b)
    segments = [DenseSegment.open(tmp_path / name) for name in "ab"]
    allowed = np.ones(10, dtype=np.bool_)
    allowed[1] = False
    merge_dense(tmp_path / "c", segments, allowed)
    merged = DenseSegment.open(tmp_path / "c")
    assert merged.ids.tolist() == [5, 8, 3, 0]
    assert merged.offsets.tolist() == [0, 2, 4, 5, 6]
    assert np.array_equal(merged.vectors([8, 3]), copies(segments[0], [8], segments[1], [3]))
    allowed[[5, 8]] = False
    merge_dense(tmp_path / "d", segments, allowed)
    assert not (tmp_path / "d" / "dense.offsets.npy").exists()
    assert np.array_equal(
        DenseSegment.open(tmp_path / "d").vectors([3, 0]), segments[1].vectors([3, 0])
    )


@pytest.mark.parametrize(
    ("offsets", "message"),
    [
        ([0, 2], "2 passages"),
        ([0, 1, 2], "0 to 3"),
        ([1, 2, 3], "0 to 3"),
        ([0, 4, 3], "offsets fall, expected ascending ones"),
    ],
)
def test_wrong_offsets(tmp_path: Path, offsets: list[int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        write_dense(tmp_path / "a", [1, 2], np.ones((3, 2)), offsets)
    write_dense(tmp_path / "b", [1, 2], np.ones((3, 2)), [0, 1, 3])
    write_array(tmp_path / "b" / "dense.offsets.npy", "<i8", (len(offsets),), [np.array(offsets)])
    with pytest.raises(IndexCorrupted, match=r"dense\.offsets.*" + message):
        DenseSegment.open(tmp_path / "b")


def test_passages_without_a_vector_are_never_found(tmp_path: Path) -> None:
    vectors = np.eye(3, 4, dtype=np.float32)
    write_dense(tmp_path / "a", [5, 8, 2], vectors, [0, 0, 3, 3])  # as many rows as passages
    segment = DenseSegment.open(tmp_path / "a")
    ((ids, scores),) = segment.search(vectors[1:2], 10)
    assert (ids.tolist(), scores.tolist()) == ([8], [1.0])
    assert segment.score(vectors[0], [2, 8, 5, 7]).tolist() == [-np.inf, 1, -np.inf, -np.inf]
    assert segment.vectors([5, 2]).shape == (0, 4)
    write_dense(tmp_path / "b", [7], np.empty((0, 4), np.float32), [0, 0])
    other = DenseSegment.open(tmp_path / "b")
    assert len(other.search(vectors, 2)[0][0]) == 0 and other.score(vectors[0], [7]) == -np.inf
    merge_dense(tmp_path / "c", [segment, other])
    merged = DenseSegment.open(tmp_path / "c")
    assert (merged.ids.tolist(), merged.offsets.tolist()) == ([5, 8, 2, 7], [0, 0, 3, 3, 3])
    assert np.array_equal(merged.vectors([8]), vectors)


def test_lost_offsets_are_noticed(tmp_path: Path) -> None:
    write_dense(tmp_path, [1, 2], np.ones((3, 2)), [0, 1, 3])
    (tmp_path / "dense.offsets.npy").unlink()
    with pytest.raises(IndexCorrupted, match="3 rows for 2 passage ids"):
        DenseSegment.open(tmp_path)


def test_vectors_and_scores_of_given_passages(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    vectors = unit(rng, 5, 4)
    write_dense(tmp_path, [7, 3, 9, 0, 4], vectors)
    segment = DenseSegment.open(tmp_path)
    vectors = stored(segment, vectors)
    assert np.array_equal(segment.vectors([9, 7, 9]), vectors[[2, 0, 2]])
    scores = segment.score(vectors[1], [3, 100, 0])
    expected = [vectors[1] @ vectors[1], -np.inf, vectors[1] @ vectors[3]]
    np.testing.assert_allclose(scores, expected, atol=1e-6)
    with pytest.raises(InputError, match="passage 100"):
        segment.vectors([7, 100])


def test_merge_keeps_the_allowed_bit_for_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    a, b = unit(rng, 4, 3), unit(rng, 3, 3)
    write_dense(tmp_path / "a", [5, 1, 8, 2], a)
    write_dense(tmp_path / "b", [3, 0, 9], b)
    allowed = np.ones(10, dtype=np.bool_)
    allowed[[1, 9]] = False
    segments = [DenseSegment.open(tmp_path / name) for name in "ab"]
    merge_dense(tmp_path / "c", segments, allowed)
    merged = DenseSegment.open(tmp_path / "c")
    assert merged.ids.tolist() == [5, 8, 2, 3, 0]
    assert np.array_equal(
        merged.vectors(merged.ids), copies(segments[0], [5, 8, 2], segments[1], [3, 0])
    )
    merge_dense(tmp_path / "d", segments, np.zeros(10, dtype=np.bool_))
    assert len(DenseSegment.open(tmp_path / "d")) == 0
    with pytest.raises(InputError, match="given twice"):
        merge_dense(tmp_path / "e", [segments[0], segments[0]])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_vector_that_is_not_finite_is_refused_by_name(tmp_path: Path, value: float) -> None:
    vectors = np.ones((3, 2), dtype=np.float32)
    vectors[1, 1] = value
    with pytest.raises(InputError, match="passage 77"):
        write_dense(tmp_path, [5, 77, 6], vectors)
    assert not list(tmp_path.iterdir())
    write_dense(tmp_path, [1], np.ones((1, 2)))
    with pytest.raises(InputError, match="NaN"):
        DenseSegment.open(tmp_path).search([[value, 0.0]], 1)


@pytest.mark.parametrize(
    ("ids", "vectors", "message"),
    [
        ([1], np.ones((2, 3)), "1 passage ids for 2"),
        ([1, 1], np.ones((2, 3)), "passage id 1 is given twice"),
        ([1, -2], np.ones((2, 3)), "-2 is negative"),
        ([[1]], np.ones((1, 3)), "2-d"),
        ([1], np.ones(3), "1-d"),
        ([0.5], np.ones((1, 3)), "float64"),
    ],
)
def test_wrong_input(tmp_path: Path, ids: object, vectors: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        write_dense(tmp_path, ids, vectors)  # type: ignore[arg-type]


def test_wrong_queries(tmp_path: Path) -> None:
    write_dense(tmp_path, [1], np.ones((1, 3)))
    segment = DenseSegment.open(tmp_path)
    with pytest.raises(InputError, match="4 dimensions, the segment has 3"):
        segment.search(np.ones((1, 4)), 1)
    with pytest.raises(InputError, match="k is 0"):
        segment.search(np.ones((1, 3)), 0)


@pytest.mark.parametrize("name", ["dense.ids.npy", "dense.codes.npy", "dense.scales.npy"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    write_dense(tmp_path, [1, 2], np.ones((2, 3)))
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[:-1])
    with pytest.raises(IndexCorrupted, match=name):
        DenseSegment.open(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(IndexCorrupted, match=name):
        DenseSegment.open(tmp_path)


def test_files_of_different_segments_do_not_open(tmp_path: Path) -> None:
    write_dense(tmp_path / "a", [1, 2], np.ones((2, 3)))
    write_dense(tmp_path / "b", [1], np.ones((1, 3)))
    (tmp_path / "a" / "dense.ids.npy").replace(tmp_path / "b" / "dense.ids.npy")
    with pytest.raises(IndexCorrupted, match="1 rows for 2"):
        DenseSegment.open(tmp_path / "b")


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_a_damaged_scale_is_named(tmp_path: Path, value: float) -> None:
    write_dense(tmp_path, [1, 2, 3], np.eye(3))
    write_array(tmp_path / "dense.scales.npy", "<f4", (3,), [np.array([1, value, 1])])
    with pytest.raises(IndexCorrupted, match=r"dense\.scales\.npy holds NaN"):
        DenseSegment.open(tmp_path)


def test_a_query_is_not_rounded_to_8_bits(tmp_path: Path) -> None:
    """Two vectors whose order a query of 8 bits would turn."""
    query = np.full(8, 0.5, np.float32)
    query[0], query[1] = 127.0, 0.501
    vectors = np.zeros((2, 8), np.float32)
    vectors[0, 2] = vectors[1, 1] = 1
    write_dense(tmp_path, [5, 6], vectors)
    ((ids, scores),) = DenseSegment.open(tmp_path).search([query], 2)
    assert ids.tolist() == [6, 5]
    np.testing.assert_allclose(scores, [0.501, 0.5], rtol=1e-6)


@pytest.mark.parametrize("size", [1e-30, 1e-15, 1e15, 1e36])
def test_vectors_of_any_length_are_kept(tmp_path: Path, size: float) -> None:
    """Also where the square of a component is no number of 32 bits."""
    vectors = (unit(np.random.default_rng(0), 5, 16) * size).astype(np.float32)
    write_dense(tmp_path, np.arange(5), vectors)
    kept = DenseSegment.open(tmp_path).vectors(np.arange(5)).astype(np.float64)
    assert (np.abs(kept - vectors) <= 0.01 * size).all()
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    np.testing.assert_allclose(np.linalg.norm(kept, axis=1), lengths, rtol=1e-6)


def copies(*parts: object) -> NDArray[np.float32]:
    """Vectors of passages of several segments, in turn: a segment and ids, again and again."""
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return np.concatenate([segment.vectors(ids) for segment, ids in pairs])  # type: ignore[attr-defined]
