"""Rescoring: the best passages of a compressed index in the order of uncompressed vectors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from retrieval import LateOptions
from retrieval.errors import InputError
from retrieval.index import Index
from retrieval.types import Document

from .fake_encoder import FakeEncoder
from .test_measure import DOCUMENTS, QUERIES, brute_force


@pytest.fixture
def compressed(tmp_path: Path, encoder: FakeEncoder) -> Iterator[Index]:
    late = LateOptions(exact_passages=0, bits=2, pooling=3)
    with Index.create(tmp_path / "i", encoder=encoder, late=late) as index:
        index.add(DOCUMENTS)
        yield index


def found(index: Index, query: str, k: int, rescore: int = 0) -> dict[str, float]:
    hits = index.search(query, k, retriever="late", rescore=rescore)
    assert [hit.ranks for hit in hits] == [{"late": place + 1} for place in range(len(hits))]
    assert all(hit.scores == {"late": hit.score} for hit in hits)
    return {hit.document_id: hit.score for hit in hits}


@pytest.mark.parametrize("query", QUERIES)
def test_the_best_come_in_the_order_of_brute_force(
    compressed: Index, encoder: FakeEncoder, query: str
) -> None:
    expected = brute_force(encoder, query)
    assert found(compressed, query, 40) != pytest.approx(expected, abs=1e-3)
    rescored = found(compressed, query, 40, rescore=40)
    assert rescored == pytest.approx(expected, abs=1e-4)
    assert list(rescored.values()) == sorted(rescored.values(), reverse=True)
    assert found(compressed, query, 40, rescore=1000) == rescored
    assert found(compressed, query, 5, rescore=40) == dict(list(rescored.items())[:5])


def test_those_behind_stay_as_they_are(compressed: Index, encoder: FakeEncoder) -> None:
    plain = list(found(compressed, QUERIES[0], 12).items())
    rescored = list(found(compressed, QUERIES[0], 12, rescore=8).items())
    assert {id for id, _ in rescored[:8]} == {id for id, _ in plain[:8]}
    assert rescored[8:] == plain[8:]
    expected = brute_force(encoder, QUERIES[0])
    for id, score in rescored[:8]:
        assert score == pytest.approx(expected[id], abs=1e-4)


def test_several_queries_are_rescored_together(compressed: Index) -> None:
    together = compressed.search_batch(QUERIES, 7, retriever="late", rescore=20)
    for query, hits in zip(QUERIES, together, strict=True):
        assert {hit.document_id: hit.score for hit in hits} == found(compressed, query, 7, 20)


def test_a_filter_holds(compressed: Index) -> None:
    hits = compressed.search(QUERIES[0], 5, retriever="late", where='title == "title1"', rescore=10)
    assert {hit.title for hit in hits} == {"title1"}
    nothing = compressed.search(QUERIES[0], retriever="late", where='title == "no"', rescore=10)
    assert nothing == []


def test_only_late_interaction_can_be_rescored(compressed: Index) -> None:
    for retriever in ("hybrid", "dense", "lexical"):
        with pytest.raises(
            InputError, match=f"rescore=5 is for late interaction, not for '{retriever}"
        ):
            compressed.search("word1", retriever=retriever, rescore=5)
    for wrong in (-1, True, 1.5, "5"):
        with pytest.raises(InputError, match="must be a whole number of at least"):
            compressed.search("word1", retriever="late", rescore=wrong)
    assert found(compressed, "word1", 3, rescore=np.int64(3))


def test_an_index_of_one_passage(tmp_path: Path, encoder: FakeEncoder) -> None:
    with Index.create(tmp_path / "one", encoder=encoder) as index:
        assert index.search("word1", retriever="late", rescore=5) == []
        index.add([Document("only", "word1 word2")])
        assert list(found(index, "word1", 10, rescore=5)) == ["only"]
