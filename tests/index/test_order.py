"""A ranking is one list: k takes its first, and nothing but ids and texts decides its order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from retrieval import Document, Hit, Hybrid, Index, LateOptions
from retrieval.index.reading import proposing
from retrieval.index.reading.retrievers import SINGLE
from retrieval.types import RETRIEVERS, Retriever

from .fake_encoder import FakeEncoder

WORDS = "hen fox egg barn hay corn dog cat cow pig duck goose straw milk well gate"
QUERIES = ("hen egg", "fox in the barn", "straw straw gate milk", "cow", "goose dog unheard")


def sentences(seed: int, count: int, least: int = 3) -> list[str]:
    drawn, words = random.Random(seed), WORDS.split()
    return [" ".join(drawn.choices(words, k=drawn.randrange(least, 12))) for _ in range(count)]


def ids(hits: Sequence[Hit]) -> list[str]:
    return [hit.document_id for hit in hits]


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Index:
    """Three hundred short texts, many of them equal, in several segments."""
    index = Index.create(tmp_path_factory.mktemp("farm") / "index", encoder=FakeEncoder())
    texts = sentences(1, 280) + sentences(2, 20) * 3
    for first in range(0, len(texts), 60):
        index.add(
            [
                Document(f"d{i * 7 % 400:03}", text, metadata={"even": i % 2 == 0})
                for i, text in enumerate(texts[first : first + 60], first)
            ]
        )
    return index


@pytest.mark.parametrize("copies", [True, False])
@pytest.mark.parametrize("where", [None, "even == true"])
@pytest.mark.parametrize("retriever", RETRIEVERS)
def test_the_first_hits_do_not_depend_on_k(
    farm: Index, retriever: Retriever, where: str | None, copies: bool
) -> None:
    for query in QUERIES:
        deepest = farm.search(query, 400, retriever=retriever, where=where, copies=copies)
        scores = [hit.score for hit in deepest]
        assert scores == sorted(scores, reverse=True)
        for k in (1, 2, 7, 10, 99, 100, 101, 250):
            hits = farm.search(query, k, retriever=retriever, where=where, copies=copies)
            assert hits == deepest[:k]


@pytest.mark.parametrize("fusion", ["minmax", "rrf", "zscore"])
@pytest.mark.parametrize("candidates", [1, 5, 40])
def test_nor_does_a_fusion_of_few_candidates(farm: Index, fusion: str, candidates: int) -> None:
    hybrid = Hybrid(candidates=candidates, fusion=fusion)  # type: ignore[arg-type]
    for query in QUERIES:
        deepest = farm.search(query, 400, hybrid=hybrid, copies=True)
        assert len(set(ids(deepest))) == farm.status().passages
        scores = [hit.score for hit in deepest]
        assert scores == sorted(scores, reverse=True)
        for k in (1, 4, 20, 130):
            assert farm.search(query, k, hybrid=hybrid, copies=True) == deepest[:k]


@pytest.mark.parametrize("retriever", RETRIEVERS)
def test_a_query_is_answered_alike_alone_and_among_others(
    farm: Index, retriever: Retriever
) -> None:
    together = farm.search_batch(QUERIES * 9, 20, retriever=retriever)
    for query, hits in zip(QUERIES * 9, together, strict=True):
        assert farm.search(query, 20, retriever=retriever) == hits


@pytest.mark.parametrize("retriever", RETRIEVERS)
def test_equal_passages_stand_by_document_and_ordinal(tmp_path: Path, retriever: Retriever) -> None:
    """Whatever the order in which they came, however many segments they are in."""
    documents = [Document(f"d{i:02}", "the same words in all of them") for i in range(40)]
    documents.append(Document("c", "the same words in all of them. " * 8))  # of many passages
    orders = [documents, documents[::-1], random.Random(5).sample(documents, 41)]
    found = []
    for number, order in enumerate(orders):
        path = tmp_path / str(number)
        with Index.create(path, encoder=FakeEncoder(), passage_tokens=8) as index:
            for first in range(0, len(order), (3, 7, 41)[number]):
                index.add(order[first : first + (3, 7, 41)[number]])
            hits = index.search("same words", 60, retriever=retriever, copies=True)
            found.append([(hit.document_id, hit.passage.ordinal, hit.score) for hit in hits])
            for k in (1, 2, 10, 39):
                some = index.search("same words", k, retriever=retriever, copies=True)
                assert some == hits[:k]
            for one, after in pairwise(hits):
                if one.score == after.score:
                    places = [(h.document_id, h.passage.ordinal) for h in (one, after)]
                    assert places == sorted(places)
            index.compact()
            again = index.search("same words", 60, retriever=retriever, copies=True)
            assert [(h.document_id, h.passage.ordinal, h.score) for h in again] == found[-1]
    assert found[0] == found[1] == found[2]


def test_the_order_of_ties_is_looked_up_for_few_and_read_once_for_many(farm: Index) -> None:
    with farm._using() as snapshot:
        every = snapshot.store.passage_ids()
        few = np.random.default_rng(0).permutation(every)[:5]
        assert len(few) * 16 < len(every)
        looked_up = snapshot.store.ranks(few)
        read = snapshot.store.order()
        assert np.argsort(looked_up).tolist() == np.argsort(read[few]).tolist()
        rows = snapshot.store.passages(every.tolist())
        documents = snapshot.store.documents([row.document for row in rows.values()])
        by_name = sorted(every, key=lambda id: (documents[rows[id].document].id, rows[id].ordinal))
        assert every[np.argsort(read[every])].tolist() == by_name


def test_late_alone_does_not_depend_on_k_where_it_looks_at_a_part(tmp_path: Path) -> None:
    """Compressed passages are narrowed, the less so the more are asked for."""
    late = LateOptions(exact_passages=0, list_passages=0, bits=2)
    with Index.create(tmp_path, encoder=FakeEncoder(), late=late) as index:
        index.add([Document(f"d{i:04}", text) for i, text in enumerate(sentences(3, 1500))])
        index.compact()
        with index._using() as snapshot:
            assert snapshot.late.narrows
        for query in QUERIES:
            deepest = index.search(query, 300, retriever="late")
            scores = [hit.score for hit in deepest]
            assert scores == sorted(scores, reverse=True)
            for k in (1, 10, 16, 17, 64, 100, 256):
                assert index.search(query, k, retriever="late") == deepest[:k]
            fused = index.search(query, 600)
            for k in (1, 10, 100, 300):
                assert index.search(query, k) == fused[:k]


def test_a_retriever_without_weight_is_not_run(
    farm: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []

    class Spy:
        def __init__(self, name: str) -> None:
            self.name = name

        def __getattr__(self, asked: str) -> object:
            if asked == "find":
                ran.append(self.name)
            return getattr(SINGLE[self.name], asked)

    monkeypatch.setattr(proposing, "SINGLE", {name: Spy(name) for name in SINGLE})
    hits = farm.search("hen egg", 5, hybrid=Hybrid(dense=0))
    assert ran == ["lexical", "late"]
    assert all(set(hit.scores) <= {"lexical", "late"} for hit in hits)
    encoder = farm.encoder
    assert isinstance(encoder, FakeEncoder)
    before = encoder.queries
    words = farm.search("hen egg", 5, hybrid=Hybrid(dense=0, late=0))
    assert encoder.queries == before  # words alone need no encoder
    assert ids(words) == ids(farm.search("hen egg", 5, retriever="lexical"))
