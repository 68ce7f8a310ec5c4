"""Phrases, exclusions and pasted traces in every retriever."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from retrieval import Document, Index
from retrieval.types import RETRIEVERS, Embeddings, Retriever

from .fake_encoder import FakeEncoder


class Listener(FakeEncoder):
    """Keeps what it is asked to read as a query."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    def vector_spans(self, text: str, side: str) -> NDArray[np.int64]:
        return self.token_spans(text)

    def encode_queries(self, texts: Sequence[str]) -> Embeddings:
        self.heard += texts
        return super().encode_queries(texts)


TEXTS = {
    "boat": "the red kite sails behind a boat",
    "bird": "a kite that is red hovers over the field",
    "string": "kite string in red and blue",
    "field": "the field is green",
}


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with Index.create(tmp_path / "index", encoder=Listener()) as index:
        index.add(Document(id, text) for id, text in TEXTS.items())
        yield index


def found(index: Index, query: str, retriever: Retriever) -> set[str]:
    return {hit.document_id for hit in index.search(query, k=10, retriever=retriever)}


@pytest.mark.parametrize("retriever", RETRIEVERS)
def test_phrases_and_exclusions_hold_for_every_retriever(
    index: Index, retriever: Retriever
) -> None:
    assert found(index, '"red kite"', retriever) == {"boat"}
    assert found(index, '"kite red"', retriever) == set()
    every = {"boat", "bird", "string"}
    wanted = every if retriever == "lexical" else {*every, "field"}
    assert found(index, "red kite", retriever) == wanted
    assert found(index, "red kite -string", retriever) == wanted - {"string"}
    assert found(index, 'kite -"the field"', retriever) == wanted - {"bird", "field"}
    assert found(index, "--kite -string", retriever) == wanted


def test_queries_with_and_without_syntax_in_one_batch(index: Index) -> None:
    queries = ["red kite -string", "red kite", '"red kite"', "red kite"]
    together = index.search_batch(queries, k=10)
    assert together == [index.search(query, k=10) for query in queries]
    assert [len(hits) for hits in together] == [3, 4, 1, 4]


def test_a_filter_and_a_phrase_hold_together(tmp_path: Path) -> None:
    with Index.create(tmp_path / "index", encoder=FakeEncoder()) as index:
        index.add(
            Document(id, f"a red kite {id}", metadata={"n": n}) for n, id in enumerate("abcd")
        )
        hits = index.search('"red kite" -blue', where="n > 1", k=10)
        assert {hit.document_id for hit in hits} == {"c", "d"}


def test_the_encoder_reads_what_is_asked_for(index: Index) -> None:
    encoder = index.encoder
    assert isinstance(encoder, Listener)
    index.search('"red kite" over -string the field', retriever="dense")
    assert encoder.heard == ["red kite over the field"]
    hits = index.search("red kite -string")
    (match, *_) = index.explain("red kite -string", hits[:1])[0]
    assert match.query_token == "red" and match.query_span == (0, 3)


def test_of_a_trace_the_encoder_reads_the_line_that_the_index_speaks_of(tmp_path: Path) -> None:
    encoder = Listener()
    trace = "Traceback (most recent call last):\n"
    for number in range(9):
        trace += f'  File "/srv/kite/run{number}.py", line {number}, in step\n    sail(boat)\n'
    trace += "WindError: gust of 31 knots tears the string"
    with Index.create(tmp_path / "index", encoder=encoder) as index:
        index.add(Document(id, text) for id, text in TEXTS.items())
        index.add([Document("cause", "When a gust tears the string a WindError is raised.")])
        index.add([Document("sail", "sail the boat run step file line in srv")])
        for retriever in RETRIEVERS:
            assert index.search(trace, k=1, retriever=retriever)[0].document_id == "cause"
    assert set(encoder.heard) == {"WindError: gust of 31 knots tears the string"}
