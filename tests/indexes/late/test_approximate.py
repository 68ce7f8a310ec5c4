"""What the approximate search of compressed segments misses, next to float64 and to no lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from retrieval.indexes import LateCodec, LateSearcher, LateSegment, train_codec
from retrieval.indexes.kernels import LIST_BLOCK
from retrieval.indexes.late.candidates import table
from retrieval.indexes.late.compressed import CompressedSegment
from retrieval.indexes.late.query import prepare

from .made import (
    Passages,
    clustered,
    compressed,
    exact,
    max_sim,
    offsets_of,
    queries_about,
    recall,
    uniform,
    unit,
)

DIM = 48


@pytest.fixture(scope="module")
def passages() -> Passages:
    return clustered(np.random.default_rng(0), 2000, DIM, longest=30)


@pytest.fixture(scope="module")
def codecs(tmp_path_factory: pytest.TempPathFactory, passages: Passages) -> dict[int, LateCodec]:
    sample = exact(tmp_path_factory.mktemp("sample"), passages)
    return {bits: train_codec([sample], bits=bits) for bits in (2, 4)}


@pytest.fixture(scope="module")
def truths(passages: Passages) -> list[tuple[NDArray[np.float32], NDArray[np.float64]]]:
    """Queries, and each passage's MaxSim with them in float64."""
    queries = queries_about(np.random.default_rng(1), passages, 20)
    return [(query, max_sim(query, passages.tokens, passages.offsets)) for query in queries]


def recall_of(searcher: LateSearcher, truths: Any, **options: Any) -> float:
    found = searcher.search([query for query, _ in truths], 10, **options)
    return float(
        np.mean(
            [recall(ids, truth, 10) for (ids, _), (_, truth) in zip(found, truths, strict=True)]
        )
    )


@pytest.mark.parametrize(("bits", "least", "error"), [(4, 0.9, 0.02), (2, 0.75, 0.15)])
@pytest.mark.parametrize("lists", [False, True])
def test_recall_next_to_float64(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    passages: Passages,
    codecs: dict[int, LateCodec],
    truths: Any,
    bits: int,
    least: float,
    error: float,
    lists: bool,
) -> None:
    monkeypatch.setattr("retrieval.indexes.late.narrowing.SCANNED", 0)
    monkeypatch.setattr("retrieval.indexes.late.narrowing.LISTED", 800)
    segment = compressed(tmp_path / "a", passages, codec=codecs[bits], lists=lists)
    assert segment.regime == ("lists" if lists else "compressed")
    assert 0 < segment.error < error  # type: ignore[union-attr]
    searcher = LateSearcher([segment])
    assert recall_of(searcher, truths, candidates=200) >= least
    assert recall_of(searcher, truths, exhaustive=True) >= least
    # Few candidates find less: so the figures above are not those of an exhaustive search.
    assert recall_of(searcher, truths, candidates=10) < recall_of(searcher, truths, candidates=200)


def test_as_many_are_decoded_as_coarse_centroids_ask_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passages: Passages, truths: Any
) -> None:
    """All, where that would be a sixth of them; else the best by their centroids."""
    sample = exact(tmp_path / "sample", passages)
    searcher = LateSearcher([compressed(tmp_path / "a", passages, codec=train_codec([sample]))])
    centroids = len(searcher.segments[0].narrowing.centroids)  # type: ignore[union-attr]
    decoded: list[int] = []
    whole = CompressedSegment.max_sim

    def max_sim(segment: CompressedSegment, query: Any, rows: Any) -> Any:
        decoded.append(len(rows))
        return whole(segment, query, rows)

    monkeypatch.setattr(CompressedSegment, "max_sim", max_sim)
    for times, expected in ((3, 2000), (2, 2000), (1, 250)):
        monkeypatch.setattr("retrieval.indexes.late.narrowing.FINE", times * centroids)
        searcher.search([truths[0][0]], 1, patient=False)
        assert sum(decoded) == expected
        decoded.clear()


def test_recall_over_segments_of_several_codecs(
    tmp_path: Path, passages: Passages, codecs: dict[int, LateCodec], truths: Any
) -> None:
    """Candidates of all segments compete, though each codec has a table and a step of its own."""
    segments = []
    for number, codec in enumerate([codecs[4], codecs[4], None, codecs[2]]):
        rows = np.arange(len(passages) // 4 * number, len(passages) // 4 * (number + 1))
        offsets = passages.offsets[rows[0] : rows[-1] + 2]
        part = Passages(rows, passages.tokens[offsets[0] : offsets[-1]], offsets - offsets[0])
        segments.append(compressed(tmp_path / str(number), part, codec=codec))
    assert len({segment.codec.key for segment in segments}) == 3  # type: ignore[union-attr]
    searcher = LateSearcher(segments)
    best = recall_of(searcher, truths, exhaustive=True)
    assert best >= 0.8
    assert recall_of(searcher, truths, candidates=200) >= best - 0.04


def test_dimensions_and_bits_take_the_bytes_they_should(tmp_path: Path, passages: Passages) -> None:
    few = Passages(
        passages.ids[:50], passages.tokens[: passages.offsets[50]], passages.offsets[:51]
    )
    for bits in (2, 4):
        compressed(tmp_path / str(bits), few, bits=bits)
        tokens = len(few.tokens)
        sizes = {path.name: path.stat().st_size for path in (tmp_path / str(bits)).iterdir()}
        assert sizes["late.codes.npy"] == 128 + 2 * tokens
        assert sizes["late.residuals.npy"] == 128 + DIM * bits // 8 * tokens


@pytest.mark.parametrize("dim", [16, 24, 40, 96, 128, 256])
@pytest.mark.parametrize("bits", [2, 4])
def test_every_dimension_is_found_again(tmp_path: Path, dim: int, bits: int) -> None:
    """Each passage is the best for its own tokens, though all that is stored are a few bits."""
    rng = np.random.default_rng(dim)
    passages = uniform(rng, [8] * 60, dim)
    searcher = LateSearcher([compressed(tmp_path / "a", passages, bits=bits)])
    queries = [passages.of(row) for row in range(60)]
    for row, (ids, _) in enumerate(searcher.search(queries, 1, candidates=20)):
        assert ids.tolist() == [passages.ids[row]]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[LateSegment, LateSegment]:
    """The same passages by the same codec, with lists and without; some have no token."""
    rng = np.random.default_rng(5)
    made = uniform(rng, rng.choice([0, 1, 2, 9], 900).tolist(), 16)
    folder = tmp_path_factory.mktemp("pair")
    codec = train_codec([exact(folder / "sample", made)])
    return (
        compressed(folder / "plain", made, codec=codec),
        compressed(folder / "listed", made, codec=codec, lists=True),
    )


def test_all_lists_read_are_a_scan(
    pair: tuple[LateSegment, LateSegment], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every centroid probed, no passage can be missed."""
    rng = np.random.default_rng(6)
    plain, listed = pair
    monkeypatch.setattr("retrieval.indexes.late.narrowing.SCANNED", 0)
    monkeypatch.setattr("retrieval.indexes.late.candidates.PROBES", 1 << 16)
    monkeypatch.setattr("retrieval.indexes.late.narrowing.LISTED", 600)
    for size in (1, 2, 17, 40):
        query = unit(rng, size, 16)
        for allowed in (None, rng.random(1800) < 0.6):
            answers = [
                LateSearcher([segment]).search([query], 20, allowed, candidates=40)[0]
                for segment in (plain, listed)
            ]
            assert answers[0][0].tolist() == answers[1][0].tolist()
            assert answers[0][1].tolist() == answers[1][1].tolist()


@pytest.mark.parametrize("size", [1, 16, 33, 300])
def test_a_table_says_what_each_centroid_is_worth(
    pair: tuple[LateSegment, LateSegment], size: int
) -> None:
    """To half a step, above the mean; the best there can be is not cut, and few steps lie idle."""
    rng = np.random.default_rng(size)
    codec = pair[0].codec  # type: ignore[union-attr]
    vectors = unit(rng, size, 16)
    longest = codec.centroids[np.square(codec.centroids, dtype=np.int32).sum(axis=1).argmax()]
    vectors[0] = codec.rotation @ (longest / np.linalg.norm(longest))
    query = prepare(vectors, 16, np.r_[1, rng.random(size - 1)])
    found = table(query, codec)
    turned = query.turned(codec.rotation)
    dots = codec.centroids.astype(np.float64) @ turned.codes.T
    worth = dots * turned.factors * codec.unit
    lowest = worth.mean(axis=0)
    steps = np.maximum(worth - lowest, 0) / found.step
    assert len(found.values) == 1 << 16
    assert np.abs(found.values[: found.centroids, :size] - steps).max() <= 0.5001
    assert not found.values[found.centroids :].any()
    assert 128 <= found.values.max() <= min(255, 65_535 // size)
    assert not found.values[:, size:].any()
    assert found.base == pytest.approx(float(codec.constant(query)) + lowest.sum(), abs=1e-3)


@pytest.mark.parametrize("share", [None, 0.5])
def test_lists_do_not_lose_hits(
    pair: tuple[LateSegment, LateSegment], monkeypatch: pytest.MonkeyPatch, share: float | None
) -> None:
    """As many passages as are asked for come back, even if few stand in the lists that are read."""
    rng = np.random.default_rng(7)
    monkeypatch.setattr("retrieval.indexes.late.narrowing.SCANNED", 0)
    monkeypatch.setattr("retrieval.indexes.late.candidates.PROBES", 2)
    _, listed = pair
    searcher = LateSearcher([listed])
    allowed = None if share is None else rng.random(1800) < share
    rows = listed.rows(allowed)
    filled = int((listed.lengths[rows] > 0).sum())
    assert filled < len(rows)
    query = unit(rng, 1, 16)
    for weights in (None, [np.zeros(1)]):
        for k in (1, 10, 100, filled - 1, filled, 5000):
            ((ids, scores),) = searcher.search([query], k, allowed, weights=weights, candidates=1)
            assert len(ids) == min(k, filled)
            assert set(ids.tolist()) <= set(listed.ids[rows].tolist())
            assert np.isfinite(scores).all()


def test_several_blocks_of_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    count = LIST_BLOCK + 3000
    lengths = rng.integers(0, 3, count)
    made = Passages(
        rng.permutation(count), unit(rng, int(lengths.sum()), 16), offsets_of(lengths.tolist())
    )
    sample = exact(tmp_path / "sample", uniform(rng, [4] * 500, 16, first=count))
    segment: Any = compressed(tmp_path / "a", made, codec=train_codec([sample]), lists=True)
    owners = np.repeat(np.arange(count), lengths)
    for centroid in (0, 7, len(segment.codec.centroids) - 1):
        own = np.unique(owners[segment.codes == centroid])
        for block in (0, 1):
            first, last = segment.lists.starts[block, centroid : centroid + 2]
            rows = segment.lists.postings[first:last].astype(np.int64) + block * LIST_BLOCK
            assert rows.tolist() == own[own // LIST_BLOCK == block].tolist()
    monkeypatch.setattr("retrieval.indexes.late.narrowing.SCANNED", 1000)
    searcher = LateSearcher([segment])
    for row in (5, LIST_BLOCK - 1, LIST_BLOCK, count - 1):
        row = int(np.flatnonzero(lengths[: row + 1])[-1])
        query = made.of(row)
        ((ids, scores),) = searcher.search([query], 5, candidates=20_000)
        ((every, _),) = searcher.search([query], 5, exhaustive=True)
        assert ids[0] == every[0]
        assert recall(ids, searcher.score(query, np.arange(count)), 5) >= 0.8
        assert scores.tolist() == searcher.score(query, ids).tolist()


def test_a_filter_costs_no_hit(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    passages: Passages,
    codecs: dict[int, LateCodec],
    truths: Any,
) -> None:
    """One in a hundred allowed: found is what the exhaustive search finds among these."""
    rng = np.random.default_rng(9)
    monkeypatch.setattr("retrieval.indexes.late.narrowing.SCANNED", 200)
    for lists in (False, True):
        segment = compressed(tmp_path / f"{lists}", passages, codec=codecs[4], lists=lists)
        searcher = LateSearcher([segment])
        allowed = np.zeros(len(passages), np.bool_)
        allowed[rng.permutation(len(passages))[: len(passages) // 100]] = True
        for query, truth in truths[:10]:
            ((ids, scores),) = searcher.search([query], 10, allowed)
            ((every, full),) = searcher.search([query], 10, allowed, exhaustive=True)
            assert allowed[ids].all()
            assert len(ids) == 10
            assert ids.tolist() == every.tolist()
            assert scores.tolist() == full.tolist()
            assert recall(ids, np.where(allowed, truth, -np.inf), 10) >= 0.8
        forbidden = np.zeros(len(passages), np.bool_)
        assert len(searcher.search([truths[0][0]], 10, forbidden)[0][0]) == 0


def test_what_is_forbidden_is_not_looked_at(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    passages: Passages,
    codecs: dict[int, LateCodec],
    truths: Any,
) -> None:
    """The kernels are handed the allowed passages' rows, and only those."""
    from retrieval.indexes import kernels

    asked: list[int] = []

    def spy(name: str, place: int) -> None:
        real = getattr(kernels, name)

        def call(*arguments: Any) -> Any:
            asked.extend(arguments[place].tolist())
            return real(*arguments)

        monkeypatch.setattr(kernels, name, call)

    spy("max_sim", 3)
    spy("centroid_max", 3)
    allowed = np.zeros(len(passages), np.bool_)
    allowed[[3, 40, 41, 1999]] = True
    segments = [
        exact(tmp_path / "exact", passages),
        compressed(
            tmp_path / "a",
            Passages(passages.ids + len(passages), passages.tokens, passages.offsets),
            codec=codecs[4],
        ),
    ]
    LateSearcher(segments).search([truths[0][0]], 3, np.tile(allowed, 2), candidates=2)
    assert sorted(asked) == [3, 3, 40, 40, 41, 41, 1999, 1999]
