"""explain: each query token's best token of a passage, held to a scan of the encoder's vectors."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from retrieval import LateOptions
from retrieval.errors import EncoderError, InputError
from retrieval.index import Index
from retrieval.types import Document, EncoderSide, Hit, Retriever, TokenMatch

from .fake_encoder import FakeEncoder
from .samples import DOG, FOX

QUERY = "fast brown foxes jumps"


class TracingEncoder(FakeEncoder):
    """Says which characters its vectors stand for."""

    def vector_spans(self, text: str, side: EncoderSide) -> NDArray[np.int64]:
        return self.token_spans(text)[: self.max_tokens]


@pytest.fixture
def encoder() -> FakeEncoder:
    return TracingEncoder()


def expected(encoder: FakeEncoder, query: str, read: str) -> list[tuple[int, float]]:
    """For each query token, the passage's best token and its score, from unquantised vectors."""
    asked, stored = encoder.encode_queries([query]).tokens, encoder.encode_documents([read]).tokens
    assert asked is not None
    assert stored is not None
    dots = asked @ stored.T
    return list(zip(dots.argmax(axis=1).tolist(), dots.max(axis=1).tolist(), strict=True))


@pytest.mark.parametrize("retriever", ["late", "hybrid", "lexical"])
def test_matches_are_the_best_tokens(
    index: Index, encoder: FakeEncoder, retriever: Retriever
) -> None:
    index.add([FOX, DOG])
    hits = index.search(QUERY, retriever=retriever)
    assert hits
    for hit, matches in zip(hits, index.explain(QUERY, hits), strict=True):
        read = f"Foxes\n{hit.text}" if hit.title else hit.text
        spans = encoder.token_spans(read).tolist()
        best = expected(encoder, QUERY, read)
        assert [match.query_token for match in matches] == QUERY.split()
        for match, (token, score) in zip(matches, best, strict=True):
            assert match.query_span is not None
            assert QUERY[slice(*match.query_span)] == match.query_token
            assert match.passage_token == read[slice(*spans[token])]
            assert match.score == pytest.approx(score, abs=0.02)
            assert match.passage_span is not None
            if match.passage_span != (0, 0):
                assert hit.text[slice(*match.passage_span)] == match.passage_token
        if "late" in hit.scores:
            assert sum(match.score for match in matches) == pytest.approx(
                hit.scores["late"], abs=0.05
            )


def test_matches_are_of_the_vectors_as_stored(tmp_path: Path, encoder: FakeEncoder) -> None:
    documents = [Document(f"d{n}", f"word{n} word{n + 1} word{n + 2}") for n in range(30)]
    late = LateOptions(exact_passages=5, bits=2)
    with Index.create(tmp_path / "i", encoder=encoder, late=late) as index:
        index.add(documents)
        assert index.status().regimes == {"compressed": 30}
        hit = index.search("word11 word9", 1, retriever="late")[0]
        (matches,) = index.explain("word11 word9", [hit])
        assert [match.passage_token for match in matches] == ["word11", "word9"]
        assert sum(match.score for match in matches) == pytest.approx(hit.score, abs=0.02)


def test_a_token_of_the_title_is_none_of_the_passage(index: Index) -> None:
    index.add([FOX])
    (hit,) = index.search("foxes", retriever="late")
    ((match,),) = index.explain("foxes", [hit])
    assert (match.query_token, match.query_span) == ("foxes", (0, 5))
    assert (match.passage_token, match.passage_span) == ("Foxes", (0, 0))
    ((match,),) = index.explain("quick", [hit])
    assert (match.passage_token, match.passage_span) == ("quick", (4, 9))
    assert match.score == pytest.approx(1, abs=0.01)


def test_a_passage_within_a_document(tmp_path: Path, encoder: FakeEncoder) -> None:
    words = [f"word{n}" for n in range(20)]
    with Index.create(tmp_path / "i", encoder=encoder, passage_tokens=6) as index:
        index.add([Document("d", " ".join(words), "A title")])
        for word in ("word2", "word13", "word19"):
            hit = index.search(word, 1, retriever="late")[0]
            ((match,),) = index.explain(word, [hit])
            assert match.passage_span is not None
            assert hit.text[slice(*match.passage_span)] == word


def test_an_encoder_that_does_not_say(tmp_path: Path) -> None:
    with Index.create(tmp_path / "i", encoder=FakeEncoder()) as index:
        index.add([DOG])
        hits = index.search("lazy cat")
        (matches,) = index.explain("lazy cat", hits)
        assert matches[0].score == pytest.approx(1, abs=0.01)
        assert [dataclasses.astuple(match)[:4] for match in matches] == [("", None, "", None)] * 2


def test_an_encoder_whose_spans_are_not_those_of_its_vectors(tmp_path: Path) -> None:
    class Lying(TracingEncoder):
        def vector_spans(self, text: str, side: EncoderSide) -> NDArray[np.int64]:
            return super().vector_spans(text, side)[:1]

    with Index.create(tmp_path / "i", encoder=Lying()) as index:
        index.add([DOG])
        (matches,) = index.explain("lazy dog", index.search("lazy dog"))
        assert [match.query_span for match in matches] == [None, None]
        assert [match.passage_span for match in matches] == [None, None]


def test_pooled_tokens_have_no_place(tmp_path: Path, encoder: FakeEncoder) -> None:
    late = LateOptions(pooling=2)
    with Index.create(tmp_path / "i", encoder=encoder, late=late) as index:
        index.add([FOX])
        (matches,) = index.explain("quick", index.search("quick", retriever="late"))
        ((asked, span, answer, place, _),) = map(dataclasses.astuple, matches)
        assert (asked, span, answer, place) == ("quick", (0, 5), "", None)


def test_white_space_is_none_of_a_token(tmp_path: Path) -> None:
    class Spaced(TracingEncoder):
        def vector_spans(self, text: str, side: EncoderSide) -> NDArray[np.int64]:
            spans = super().vector_spans(text, side)
            return np.stack([np.maximum(spans[:, 0] - 1, 0), spans[:, 1]], axis=1)

    with Index.create(tmp_path / "i", encoder=Spaced()) as index:
        index.add([DOG])
        hits = index.search("the lazy", retriever="late")
        (matches,) = index.explain("the lazy", hits)
        lazy = matches[1]
        assert (lazy.query_token, lazy.query_span) == ("lazy", (4, 8))
        assert (lazy.passage_token, lazy.passage_span) == ("lazy", (2, 6))


def test_what_cannot_be_explained(index: Index, tmp_path: Path) -> None:
    index.add([FOX, DOG])
    hits = index.search("dog", retriever="late")
    assert index.explain("dog", []) == []
    with pytest.raises(InputError, match="the query is empty"):
        index.explain(" ", hits)
    wrong: Any = ["dog.txt"]
    with pytest.raises(InputError, match=r"'dog\.txt' is not a Hit; give hits"):
        index.explain("dog", wrong)
    index.delete(["dog.txt"])
    index.add([Document("fox.txt", FOX.text, "Other title")])
    for hit in hits:
        with pytest.raises(InputError, match="is not in the index as the hit shows it; search"):
            index.explain("dog", [hit])
    with Index.create(tmp_path / "dense", encoder=FakeEncoder(32, None)) as dense:
        dense.add([FOX])
        with pytest.raises(EncoderError, match=r"need a token head, .* 'fake-words'"):
            dense.explain("fox", dense.search("fox"))


def test_an_empty_index_explains_nothing(index: Index) -> None:
    answer: list[tuple[TokenMatch, ...]] = index.explain("dog", [])
    nothing: list[Hit] = index.search("dog")
    assert answer == nothing == []
