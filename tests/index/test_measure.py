"""measure: its rankings held to brute force, its figures to what can be worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval import LateOptions
from retrieval.errors import EncoderError, InputError
from retrieval.eval import judge
from retrieval.index import Index, MeasureReport
from retrieval.indexes import LateSearcher
from retrieval.indexes.dense import lists
from retrieval.indexes.dense import segment as dense_segment
from retrieval.types import Document, ProgressUpdate

from .fake_encoder import FakeEncoder
from .promoted import documents
from .samples import FOX

RNG = np.random.default_rng(5)
DOCUMENTS = [
    Document(f"d{n}", " ".join(f"word{w}" for w in RNG.integers(0, 60, 12)), f"title{n % 3}")
    for n in range(40)
]
QUERIES = ["word1 word2 word3", "title1 word40", "word59 word7 word7"]


@pytest.fixture
def filled(index: Index) -> Index:
    index.add([*DOCUMENTS, Document("gone", "word1 word2 word3")])
    index.delete(["gone"])
    return index


def brute_force(encoder: FakeEncoder, query: str) -> dict[str, float]:
    """Each document's MaxSim by the encoder's own vectors, in float64, best first."""
    asked = encoder.encode_queries([query]).tokens
    assert asked is not None
    scores = {}
    for document in DOCUMENTS:
        stored = encoder.encode_documents([f"{document.title}\n{document.text}"]).tokens
        assert stored is not None
        scores[document.id] = float((asked.astype(float) @ stored.T).max(axis=1).sum())
    return dict(sorted(scores.items(), key=lambda item: -item[1]))


def same(found: Any, expected: dict[str, float], count: int) -> None:
    best = list(expected.items())[:count]
    assert list(found.values())[:count] == pytest.approx([score for _, score in best], abs=1e-4)
    for id, score in found.items():
        assert score == pytest.approx(expected[id], abs=1e-4)


def test_an_exact_index_misses_nothing(filled: Index, encoder: FakeEncoder) -> None:
    calls: list[ProgressUpdate] = []
    report = filled.measure(QUERIES, k=5, progress=calls.append)
    assert (report.queries, report.drawn, report.k, report.depth) == (3, False, 5, 100)
    assert (report.passages, report.regimes) == (40, {"exact": 40})
    assert report.recall_at_k == report.recall_at_depth == 1
    assert report.float_recall_at_k > 0.8
    assert report.tokens == 40 * 13 + 3  # the deleted one still stands in its segment
    assert 16 < report.bytes_per_token < 60
    assert 0 < report.p50_ms <= report.p95_ms
    assert 0 < report.exhaustive_p50_ms <= report.exhaustive_p95_ms
    assert report.dense_recall_at_k == 1
    assert report.dense_p50_ms is not None and report.dense_p95_ms is not None
    assert 0 < report.dense_p50_ms <= report.dense_p95_ms
    assert report.hybrid_recall_at_k == 1
    assert 0 < report.hybrid_p50_ms <= report.hybrid_p95_ms
    for query, found in zip(QUERIES, report.found["float"], strict=True):
        same(found, brute_force(encoder, query), 40)
    assert calls[0] == ProgressUpdate("searching", 0, 3, "queries")
    assert calls[2] == ProgressUpdate("searching", 2, 3, "queries")
    assert calls[-1] == ProgressUpdate("encoding", 40, 40, "passages")


def test_the_exact_ranking_knows_no_pooling(tmp_path: Path, encoder: FakeEncoder) -> None:
    late = LateOptions(pooling=4)
    with Index.create(tmp_path / "i", encoder=encoder, late=late) as index:
        index.add(DOCUMENTS)
        report = index.measure(QUERIES, k=3)
        assert report.tokens == 40 * 4
        assert report.recall_at_k == 1
        assert report.float_recall_at_k < 1
        for query, found in zip(QUERIES, report.found["float"], strict=True):
            same(found, brute_force(encoder, query), 40)


def test_sizes_are_of_the_generation_that_is_measured(filled: Index, encoder: FakeEncoder) -> None:
    with Index.open(filled.path, encoder=encoder) as reader:
        before = reader.measure(QUERIES).bytes_per_token
        filled.add([Document("more", "word1 word2")])
        filled.compact()
        assert before > 0
        assert reader.measure(QUERIES).bytes_per_token == before


@pytest.mark.parametrize("bits", [2, 4])
def test_a_compressed_index(tmp_path: Path, encoder: FakeEncoder, bits: Any) -> None:
    late = LateOptions(exact_passages=0, bits=bits)
    with Index.create(tmp_path / "i", encoder=encoder, late=late) as index:
        index.add(DOCUMENTS)
        report = index.measure(QUERIES, k=5)
        assert report.regimes == {"compressed": 40}
        assert report.tokens == 40 * 13
        assert 0.5 < report.recall_at_k <= 1
        assert report.recall_at_depth == 1
        for query, found in zip(QUERIES, report.found["float"], strict=True):
            same(found, brute_force(encoder, query), 40)


def search_that(change: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the search that is not exhaustive return something else."""
    real = LateSearcher.search

    def search(self: LateSearcher, queries: Any, k: int, *rest: Any, **more: Any) -> Any:
        found = real(self, queries, k + 1, *rest, **more)
        if more.get("exhaustive"):
            return [(ids[:k], scores[:k]) for ids, scores in found]
        return [change(ids, scores, k) for ids, scores in found]

    monkeypatch.setattr(LateSearcher, "search", search)


def test_what_a_search_misses_is_counted(filled: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    search_that(lambda ids, scores, k: (ids[1 : k + 1], scores[1 : k + 1]), monkeypatch)
    whole = [document.text for document in DOCUMENTS[:3]]  # so long that no two score the same
    report = filled.measure(whole, k=5, depth=20)
    assert report.recall_at_k == pytest.approx(4 / 5)
    assert report.recall_at_depth == pytest.approx(19 / 20)
    for least, exhaustive in zip(report.found["search"], report.found["exhaustive"], strict=True):
        assert list(least)[:19] == list(exhaustive)[1:]


def test_equally_good_passages_count_as_each_other(
    tmp_path: Path, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Index.create(tmp_path / "i", encoder=encoder) as index:
        index.add([Document(f"twin{n}", "word1 word2") for n in range(6)])
        search_that(lambda ids, scores, k: (ids[::-1][:k], scores[::-1][:k]), monkeypatch)
        report = index.measure(["word1"], k=2)
        assert report.recall_at_k == report.float_recall_at_k == 1


def test_queries_are_drawn_from_the_passages(filled: Index) -> None:
    first, second = filled.measure(sample=7), filled.measure(sample=7)
    assert (first.queries, first.drawn) == (7, True)
    assert first.found == second.found
    assert filled.measure(sample=9).found != first.found
    assert filled.measure(sample=10**6).queries == 40
    # A passage's own sentence finds it.
    assert all(next(iter(found.values())) > 11.5 for found in first.found["search"])


def test_drawn_queries_are_sentences(tmp_path: Path) -> None:
    class Listening(FakeEncoder):
        asked: Sequence[str] = ()

        def encode_queries(self, texts: Sequence[str]) -> Any:
            self.asked = texts
            return super().encode_queries(texts)

    encoder = Listening()
    with Index.create(tmp_path / "i", encoder=encoder, passage_tokens=500) as index:
        index.add([Document("a", "# Head\n\nThe first one is here. " + "many " * 90 + "words.")])
        index.add([Document("b", "Only this"), Document("c", "...")])
        report = index.measure()
        expected = {"The first one is here.", " ".join(["many"] * 32), "Only this"}
        assert len(encoder.asked) == report.queries == 2
        assert set(encoder.asked) <= expected


def test_depth_is_k_at_least(filled: Index) -> None:
    report = filled.measure(QUERIES, k=30, depth=4)
    assert (report.k, report.depth) == (30, 30)
    assert len(report.found["float"][0]) == 30


def test_what_cannot_be_measured(index: Index, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is empty; add documents first"):
        index.measure()
    index.add([Document("a", "..."), FOX])
    index.delete(["fox.txt"])
    with pytest.raises(InputError, match="no query to measure with; add some with words"):
        index.measure()
    index.add([FOX])
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"k": 0}, "k must be a whole number of at least 1, not 0"),
        ({"sample": 0}, "sample=0 measures nothing"),
        ({"depth": 1.5}, r"depth=1\.5 measures nothing"),
        ({"queries": []}, "no query to measure with; give at least one"),
        ({"queries": ["fox", " "]}, "the query is empty"),
        ({"queries": "fox"}, "one query, 'fox', was given"),
    ]
    for arguments, said in wrong:
        with pytest.raises(InputError, match=said):
            index.measure(**arguments)
    with Index.create(tmp_path / "dense", encoder=FakeEncoder(32, None)) as dense:
        dense.add([FOX])
        with pytest.raises(EncoderError, match="'late' needs a token head"):
            dense.measure()


def test_it_can_be_interrupted(filled: Index) -> None:
    def stop(now: ProgressUpdate) -> None:
        if now.stage == "encoding":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        filled.measure(QUERIES, progress=stop)
    assert filled.measure(QUERIES, k=1).recall_at_k == 1


def test_judgements(filled: Index) -> None:
    report: MeasureReport = filled.measure(QUERIES)
    best = [next(iter(found)) for found in report.found["search"]]
    qrels = {"q1": {best[0]: 1}, "q3": {"not there": 1}, "never asked": {"d1": 1}}
    judged = judge(report, ["q1", "q2", "q3"], qrels, ["nDCG@10", "R@100"])
    assert judged["search"] == {"nDCG@10": pytest.approx(0.5), "R@100": pytest.approx(0.5)}
    assert set(judged) == {"search", "exhaustive", "float"}


def test_what_dense_search_misses_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "FEWEST", 100)
    monkeypatch.setattr(dense_segment, "PROBED", 20)
    with Index.create(tmp_path / "i", encoder=FakeEncoder()) as index:
        index.add(documents(0, 400))
        index.compact()
        report = index.measure([document.text for document in documents(0, 20)])
        assert report.dense_recall_at_k is not None
        assert 0.1 < report.dense_recall_at_k < 1
    with Index.create(tmp_path / "tokens", encoder=FakeEncoder(dense_dim=None)) as index:
        index.add(documents(0, 5))
        assert index.measure(["shared"]).dense_recall_at_k is None
