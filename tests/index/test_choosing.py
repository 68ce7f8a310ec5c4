"""What is chosen of a ranking: unlike passages, few of a document, what a reranker prefers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval.encoders import Precomputed
from retrieval.errors import EncoderError, InputError
from retrieval.index import Index
from retrieval.types import Document, Hybrid, Ranked

from .fake_encoder import FakeEncoder
from .samples import CAT, DOG, FOX, ids

TEXT = "Locks wait. Locks hold. Locks end. Rotary tables."
SPANS = [(0, 11), (12, 23), (24, 34), (35, len(TEXT))]


@pytest.fixture
def foreign(tmp_path: Path) -> Index:
    index = Index.create(tmp_path / "foreign", encoder=Precomputed(3))
    vectors = [[1, 0, 0], [0.999, 0.01, 0], [0.9, 0, 0.4], [0, 1, 0], None]
    index.add(
        [Document(name, f"text {name}") for name in "abcde"],
        embeddings=[None if v is None else np.array(v) / np.linalg.norm(v) for v in vectors],
    )
    return index


class Longest:
    """Prefers long texts."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def rerank(self, query: str, texts: Sequence[str], k: int | None = None) -> list[Ranked]:
        self.read += texts
        made = [Ranked(at, float(len(text)), text) for at, text in enumerate(texts)]
        return sorted(made, key=lambda one: -one.score)[:k]


# --- diversity ------------------------------------------------------------------------------------


def marginal(vectors: Any, relevance: Any, diversity: float) -> list[int]:
    """Maximal marginal relevance by its definition, in plain Python."""
    left, chosen = list(range(len(relevance))), []
    while left:

        def worth(at: int) -> float:
            alike = [max(0.0, float(vectors[at] @ vectors[other])) for other in chosen]
            return (1 - diversity) * relevance[at] - diversity * max(alike, default=0.0)

        best = max(left, key=worth)
        chosen.append(best)
        left.remove(best)
    return chosen


@pytest.mark.parametrize("diversity", [0.3, 0.5, 0.9, 1.0])
def test_unlike_passages_come_first(tmp_path: Path, diversity: float) -> None:
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(40, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with Index.create(tmp_path / "i", encoder=Precomputed(4)) as index:
        names = [f"d{n:02}" for n in range(40)]
        index.add([Document(name, f"text {name}") for name in names], embeddings=vectors)
        asked = vectors[0] + 0.3 * vectors[1]
        plain = index.search(vector=asked, k=40)
        order = [names.index(hit.document_id) for hit in plain]
        scores = np.array([hit.score for hit in plain])
        relevance = (scores - scores[-1]) / (scores[0] - scores[-1])
        kept = np.concatenate([made.dense for _, made in index.vectors() if made.dense is not None])
        kept /= np.linalg.norm(kept, axis=1, keepdims=True)  # rounded to 8 bits
        expected = [order[at] for at in marginal(kept[order], relevance, diversity)]
        found = index.search(vector=asked, k=40, diversity=diversity)
        assert [names.index(hit.document_id) for hit in found] == expected
        values = [hit.score for hit in found]
        assert values == sorted(values, reverse=True)
        assert ids(index.search(vector=asked, k=7, diversity=diversity)) == ids(found)[:7]
        page = index.search(vector=asked, k=3, offset=4, diversity=diversity)
        assert page == found[4:7]
        assert {hit.document_id: hit.relevance for hit in found} == {
            hit.document_id: hit.relevance for hit in plain
        }


def test_a_copy_in_other_words_waits(foreign: Index) -> None:
    assert ids(foreign.search(vector=[1, 0.1, 0])) == ["b", "a", "c", "d"]
    assert ids(foreign.search(vector=[1, 0.1, 0], diversity=0.6))[:2] == ["b", "d"]
    assert ids(foreign.search(vector=[1, 0.1, 0], diversity=0)) == ["b", "a", "c", "d"]
    by_words = foreign.search("text", retriever="lexical", diversity=0.5, copies=True)
    assert sorted(ids(by_words)) == ["a", "b", "c", "d", "e"]  # e has no vector


def test_diversity_is_a_share_and_needs_dense_vectors(tmp_path: Path, index: Index) -> None:
    index.add([FOX])
    for wrong in (-0.1, 1.1, True, "much", float("nan")):
        with pytest.raises(InputError, match="must be a number from 0 to 1"):
            index.search("fox", diversity=wrong)  # type: ignore[arg-type]
    with Index.create(tmp_path / "t", encoder=FakeEncoder(dense_dim=None)) as other:
        other.add([FOX])
        with pytest.raises(EncoderError, match="diversity compares dense vectors"):
            other.search("fox", diversity=0.5)


# --- so many of a document ------------------------------------------------------------------------


def test_so_many_passages_of_a_document(index: Index) -> None:
    index.add([Document("a", TEXT), Document("b", "Locks of files.")], passages=[SPANS, None])
    plain = index.search("locks", retriever="lexical", k=10)
    assert sorted(ids(plain)) == ["a", "a", "a", "b"]
    one = index.search("locks", retriever="lexical", k=10, per_group=1)
    assert sorted(ids(one)) == ["a", "b"] and one[0] == plain[0]
    two = index.search("locks", retriever="lexical", k=2, offset=1, per_group=2)
    assert len(two) == 2
    grouped = index.search("locks", retriever="lexical", group="document", per_group=2)
    (of_a,) = [hit for hit in grouped if hit.document_id == "a"]
    assert len(of_a.others) == 1
    (alone,) = [
        hit
        for hit in index.search("locks", retriever="lexical", group="document", per_group=1)
        if hit.document_id == "a"
    ]
    assert alone.others == ()
    for wrong in (0, -1, True, 1.5):
        with pytest.raises(InputError, match="must be a whole number of at least"):
            index.search("locks", per_group=wrong)  # type: ignore[arg-type]


# --- rerankers ------------------------------------------------------------------------------------


def test_a_reranker_orders_the_best(index: Index) -> None:
    index.add([FOX, DOG, CAT])
    reranker = Longest()
    found = index.search("lazy dog", reranker=reranker)
    assert ids(found) == [FOX.id, CAT.id, DOG.id]
    lengths = [float(len(text_of(reranker, hit.document_id))) for hit in found]
    assert [hit.score for hit in found] == lengths == sorted(lengths, reverse=True)
    assert any(text.startswith("Foxes") and "brown fox" in text for text in reranker.read)
    assert ids(index.search("lazy dog", reranker=reranker, k=1)) == [FOX.id]
    plain = index.search("lazy dog")
    one = index.search("lazy dog", reranker=reranker, rerank=1)
    assert ids(one) == ids(plain) and one[0].score > one[1].score
    relevances = [hit.relevance for hit in found]
    assert relevances == sorted(relevances, reverse=True)
    batch = index.search_batch(["lazy dog", "fox"], reranker=reranker)
    assert ids(batch[0]) == ids(found)


def text_of(reranker: Longest, name: str) -> str:
    part = {FOX.id: "brown fox", DOG.id: "lazy dog sleeps", CAT.id: "Katze"}[name]
    return next(text for text in reranker.read if part in text)


def test_an_encoder_is_a_reranker(index: Index) -> None:
    from retrieval.encoders import load_encoder

    index.add([FOX, DOG, CAT])
    encoder = load_encoder()
    found = index.search("a sleeping animal", reranker=encoder, k=3)
    texts = [hit.text if not hit.context else f"{hit.context}\n{hit.text}" for hit in found]
    expected = encoder.rerank("a sleeping animal", texts)
    assert [one.index for one in expected] == [0, 1, 2]
    assert [hit.score for hit in found] == pytest.approx([one.score for one in expected])


class Wrong:
    def __init__(self, *ranked: Ranked) -> None:
        self.ranked = list(ranked)

    def rerank(self, query: str, texts: Sequence[str], k: int | None = None) -> list[Ranked]:
        return self.ranked


class Scores:
    """A reranker that returns what is no Ranked."""

    def __init__(self, made: Any) -> None:
        self.made = made

    def rerank(self, query: str, texts: Sequence[str], k: int | None = None) -> Any:
        return self.made


def test_what_is_no_reranker_is_told(index: Index) -> None:
    index.add([FOX, DOG])
    with pytest.raises(InputError, match=r"has no method rerank\(query, texts, k\)"):
        index.search("dog", reranker=object())  # type: ignore[arg-type]
    for ranked in (Ranked(5, 1.0, ""), Ranked(0, float("nan"), ""), Ranked(-1, 1.0, "")):
        with pytest.raises(InputError, match="the reranker Wrong gave text"):
            index.search("dog", reranker=Wrong(ranked))
    for made in ([0.5, 0.2], [(0, 0.5)], None, 0.5):
        with pytest.raises(InputError, match=r"the reranker Scores returned .* give a list of"):
            index.search("dog", reranker=Scores(made))
    only = index.search("dog", reranker=Wrong(Ranked(1, 3.0, "")))  # the other stays behind it
    assert len(only) == 2 and only[0].score == 3.0 and only[1].score < 3.0
    with pytest.raises(InputError, match="rerank must be a whole number of at least 1, not 0"):
        index.search("dog", reranker=Longest(), rerank=0)
    vector = FakeEncoder()._encode(["dog"])
    with pytest.raises(InputError, match="a reranker reads the query's text"):
        index.search(vector=vector.dense, reranker=Longest())


def test_shares_and_counts_may_be_numpys(index: Index) -> None:
    index.add([FOX, DOG])
    told = index.search("dog", min_relevance=np.float32(0), diversity=np.float32(0.5))  # type: ignore[arg-type]
    assert ids(told)[0] == "dog.txt"
    assert index.ids(limit=np.int64(1)) == ["dog.txt"]  # type: ignore[arg-type]
    weighted = index.search("dog", hybrid=Hybrid(lexical=np.float32(2)))  # type: ignore[arg-type]
    assert ids(weighted)[0] == "dog.txt"


def test_a_vector_alone_is_no_question_for_the_others(foreign: Index, index: Index) -> None:
    with pytest.raises(InputError, match="retriever 'lexical' needs words, but none was given"):
        foreign.search(vector=[1, 0, 0], retriever="lexical")
    with pytest.raises(InputError, match=r"retriever \['dense'\] is unknown; choose from"):
        foreign.search(vector=[1, 0, 0], retriever=["dense"])  # type: ignore[arg-type]
    index.add([DOG])
    made = FakeEncoder()._encode(["dog"])
    assert made.dense is not None and made.tokens is not None
    with pytest.raises(InputError, match="'late' needs token vectors"):
        index.search(vector=made.dense[0], retriever="late")
    with pytest.raises(InputError, match="'dense' needs a dense vector"):
        index.search(tokens=made.tokens, retriever="dense")
    assert ids(index.search(tokens=made.tokens, retriever="late")) == ["dog.txt"]


# --- similar documents ----------------------------------------------------------------------------


def test_similar_documents_without_itself(foreign: Index) -> None:
    assert ids(foreign.similar("a")) == ["b", "c", "d"]
    assert ids(foreign.similar("a", 1)) == ["b"]
    assert ids(foreign.similar("a", where='id != "b"', offset=1)) == ["d"]
    assert ids(foreign.similar("a", where="id == :x", params={"x": "c"})) == ["c"]
    assert foreign.similar("e") == []  # it has no vector
    with pytest.raises(InputError, match="there is no document 'z'"):
        foreign.similar("z")
    with pytest.raises(InputError, match="is not a text"):
        foreign.similar(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("dims", [(32, 16), (None, 16), (32, None)])
def test_similar_by_the_vectors_that_there_are(
    tmp_path: Path, dims: tuple[int | None, int | None]
) -> None:
    encoder = FakeEncoder(dense_dim=dims[0], token_dim=dims[1])
    with Index.create(tmp_path / "i", encoder=encoder) as index:
        index.add([FOX, DOG, CAT, Document("like", "A brown fox jumps."), Document("blank", "")])
        found = index.similar(FOX.id)
        assert ids(found)[0] == "like" and FOX.id not in ids(found)
        assert index.similar("blank") == []


# --- many queries ---------------------------------------------------------------------------------


def test_a_bad_query_costs_only_itself(index: Index, caplog: pytest.LogCaptureFixture) -> None:
    index.add([FOX, DOG, CAT])
    asked: Any = ["brown fox", "", None, "lazy dog", " \n"]
    with caplog.at_level(logging.WARNING, "retrieval"):
        found = index.search_batch(iter(asked), k=1, where=[None, None, None, None, "year < 1"])
    assert [ids(hits) for hits in found] == [[FOX.id], [], [], [DOG.id], []]
    told = [one.getMessage() for one in caplog.records]
    assert len(told) == 3 and "query 1 of 5 has no hits: the query is empty" in told[0]
    assert "query None is not a text" in told[1]
    assert index.search_batch(["", " "]) == [[], []]
    for wrong in ("", " ", None, 3):
        with pytest.raises(InputError):
            index.search(wrong)  # type: ignore[arg-type]


# --- vectors of passages --------------------------------------------------------------------------


def test_vectors_of_single_passages(index: Index) -> None:
    index.add([Document("a", TEXT), DOG], passages=[SPANS, None])
    every = {(p.document_id, p.ordinal): made for p, made in index.vectors()}
    hits = index.search("rotary", k=2, retriever="dense")
    found = list(index.vectors(passages=[hit.passage for hit in hits]))
    assert {(p.document_id, p.ordinal) for p, _ in found} == {
        (hit.document_id, hit.passage.ordinal) for hit in hits
    }
    for passage, made in found:
        own = every[passage.document_id, passage.ordinal]
        assert np.array_equal(made.dense, own.dense)  # type: ignore[arg-type]
    assert list(index.vectors(passages=[])) == []
    some = list(index.vectors('id == "a"', passages=[hit.passage for hit in hits] + [found[0][0]]))
    assert all(passage.document_id == "a" for passage, _ in some)
    with pytest.raises(InputError, match=r"give Passages, as `hit\.passage` is"):
        index.vectors(passages=["a"])  # type: ignore[list-item]
