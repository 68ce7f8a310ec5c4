"""What a search answers, and what it says to odd and wrong questions."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from retrieval.cancellation import CancelledError, cancelled_by
from retrieval.errors import (
    FilterError,
    InputError,
)
from retrieval.index import Index
from retrieval.index.reading import snapshot
from retrieval.store import steps
from retrieval.types import RETRIEVERS, Document, Hit, Passage

from .fake_encoder import FakeEncoder
from .samples import CAT, DOG, FOX, ids


def test_a_hit_says_where_it_comes_from(index: Index) -> None:
    assert index.add([FOX, DOG]) == 2
    (hit, *_) = index.search("brown fox", retriever="lexical")
    assert hit == Hit(
        document_id="fox.txt",
        passage=Passage("fox.txt", 0, 0, len(FOX.text)),
        text=FOX.text,
        title="Foxes",
        path="fox.txt",
        start_line=1,
        end_line=2,
        score=hit.score,
        scores={"lexical": hit.score},
        ranks={"lexical": 1},
        highlights=((10, 15), (16, 19)),
        metadata=FOX.metadata,
        context="Foxes",
        relevance=hit.relevance,
    )
    assert 0 < hit.relevance < 1
    assert index.search("sleeps", retriever="lexical")[0].path is None
    (bare, *_) = index.search("brown fox", retriever="lexical", highlights=False)
    assert bare == replace(hit, highlights=())


@pytest.mark.parametrize("retriever", RETRIEVERS)
def test_every_retriever_finds(index: Index, retriever: Any) -> None:
    index.add([FOX, DOG, CAT])
    assert ids(index.search("lazy dog", retriever=retriever))[0] == "dog.txt"
    assert ids(index.search("Katze", retriever=retriever))[0] == "cat.txt"
    assert ids(index.search("sleeps", 1, retriever=retriever)) == ["dog.txt"]


def test_hybrid_hits_carry_what_each_retriever_said(index: Index) -> None:
    index.add([FOX, DOG, CAT])
    hits = index.search("lazy dog")
    assert ids(hits)[:2] == ["dog.txt", "fox.txt"]
    alone = {name: index.search("lazy dog", retriever=name) for name in RETRIEVERS[:3]}
    for hit in hits:
        for name, found in alone.items():
            scores = {other.document_id: other.score for other in found}
            ranks = {other.document_id: at for at, other in enumerate(found, start=1)}
            assert hit.ranks.get(name) == ranks.get(hit.document_id)
            if name in hit.ranks:
                # Several scored at once and one alone round differently.
                assert hit.scores[name] == pytest.approx(scores[hit.document_id], rel=1e-5)
            assert (name in hit.scores) == (name in hit.ranks)
    assert set(hits[0].ranks) == {"lexical", "dense", "late"}
    assert "lexical" not in hits[2].ranks  # no word in common with the query


def test_hybrid_candidates_are_scored_by_every_retriever(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    from retrieval.index.reading import search

    monkeypatch.setattr(search, "HYBRID", replace(search.HYBRID, candidates=3))
    index.add(Document(f"d{n}", f"word{n} common " + "filler " * n) for n in range(40))
    hits = index.search("word7 common", k=3)
    assert ids(hits)[0] == "d7"
    for name in RETRIEVERS[:3]:
        exact = {
            hit.document_id: hit.score for hit in index.search("word7 common", 40, retriever=name)
        }
        for hit in hits:  # scored by each of them, whoever proposed it
            assert hit.scores[name] == pytest.approx(exact[hit.document_id], rel=1e-5)


def test_where_comes_before_the_top_k(index: Index) -> None:
    near = [Document(f"near{n}", "red apple", metadata={"kind": "near"}) for n in range(30)]
    far = Document("far", "red apple pie with much else in it", metadata={"kind": "far"})
    index.add([*near, far])
    for retriever in RETRIEVERS:
        assert ids(index.search("red apple", 1, retriever=retriever, where='kind == "far"')) == [
            "far"
        ]
        assert index.search("red apple", retriever=retriever, where='kind == "none"') == []
    assert ids(index.search("apple", where='id glob "near*" and id in ["near3", "far"]')) == [
        "near3"
    ]
    with pytest.raises(FilterError):
        index.search("apple", where="kind ==")


def test_a_batch_answers_as_single_searches_do(index: Index, encoder: FakeEncoder) -> None:
    index.add([FOX, DOG, CAT])
    queries = ["lazy dog", "Katze", "nothing of this", "fox"]
    for retriever in RETRIEVERS:
        before = encoder.queries
        batch = index.search_batch(queries, 2, retriever=retriever)
        assert encoder.queries - before == (retriever != "lexical")
        assert [ids(hits) for hits in batch] == [
            ids(index.search(query, 2, retriever=retriever)) for query in queries
        ]
    assert index.search_batch([]) == []


def test_wrong_questions(index: Index) -> None:
    index.add([FOX, DOG])
    for query in ("", " \n\t"):
        with pytest.raises(InputError, match="query is empty"):
            index.search(query)
    for k in (0, -1, True, 1.5, "3"):
        with pytest.raises(InputError, match="k must be a whole number"):
            index.search("fox", k)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="'sparse' is unknown; choose from lexical"):
        index.search("fox", retriever="sparse")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="one query"):
        index.search_batch("fox")
    with pytest.raises(InputError, match="not a text"):
        index.search(None)  # type: ignore[arg-type]
    with pytest.raises(FilterError, match="is not a text, a dict or a Filter"):
        index.search("fox", where=["year"])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="give a Hybrid"):
        index.search("fox", hybrid={"lexical": 0})  # type: ignore[arg-type]


def test_a_filter_that_takes_long_ends_where_nobody_wants_it(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "_LOOKED_EVERY", 1)
    monkeypatch.setattr(snapshot, "problems_of", lambda *_: pytest.fail("it was read for damage"))
    index.add([FOX, DOG])
    gone = threading.Event()
    with cancelled_by(gone):
        assert index.count("true") == 2
        gone.set()
        with pytest.raises(CancelledError):
            index.count("true")
        with pytest.raises(CancelledError):
            index.search_batch([FOX.text], where="true")
    assert index.count("true") == 2


def test_each_query_has_its_own_filter(index: Index) -> None:
    kinds = {"one": 1, "true": True, "text": "1"}
    index.add(Document(id, f"hello {id}", metadata={"y": value}) for id, value in kinds.items())
    wheres: list[Any] = ["y == 1", "y == true", {"y": "1"}, {"y": {"$in": [True]}}, None]
    found = index.search_batch(["hello"] * 5, where=wheres)
    assert [set(ids(hits)) for hits in found] == [{"one"}, {"true"}, {"text"}, {"true"}, {*kinds}]


@pytest.mark.parametrize("retriever", RETRIEVERS)
def test_odd_questions(index: Index, retriever: Any) -> None:
    assert index.search("fox", retriever=retriever) == []  # an empty index
    index.add([FOX, DOG])
    assert len(index.search("dog", 10**12, retriever=retriever)) <= 2
    endless = index.search("dog " * 500_000, retriever=retriever)
    assert "dog.txt" in ids(endless)
    punctuation = index.search("?!.", retriever=retriever)
    assert (punctuation == []) == (retriever == "lexical")
    assert index.search('") OR * AND [', retriever=retriever) is not None
