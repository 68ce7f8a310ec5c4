"""Any sequence of calls on an index gives what a dictionary and an exact search give."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from retrieval import LateOptions
from retrieval.index import Index
from retrieval.types import Document

from .fake_encoder import FakeEncoder

IDS = st.sampled_from([f"d{n}" for n in range(40)])
WORDS = ("ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen")
TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join)
YEARS = st.integers(2000, 2003)
EARLY = LateOptions(exact_passages=15, list_passages=30)


class AnySequence(RuleBasedStateMachine):
    """An index beside a dictionary that holds what it must hold."""

    def __init__(self) -> None:
        super().__init__()
        self.place = tempfile.TemporaryDirectory(
            dir="/dev/shm" if Path("/dev/shm").is_dir() else None
        )
        self.folder = Path(self.place.name) / "index"
        self.expected: dict[str, Document] = {}
        self.encoder = FakeEncoder()

    @initialize(promotes=st.booleans())
    def make(self, promotes: bool) -> None:
        late = EARLY if promotes else None
        self.index = Index.create(self.folder, encoder=self.encoder, late=late)

    @rule(made=st.lists(st.tuples(IDS, TEXTS, YEARS), min_size=1, max_size=12))
    def add(self, made: list[tuple[str, str, int]]) -> None:
        documents = [Document(id, text, metadata={"year": year}) for id, text, year in made]
        self.index.add(documents)
        self.expected |= {document.id: document for document in documents}

    @rule(ids=st.lists(IDS, max_size=6))
    def delete(self, ids: list[str]) -> None:
        gone = {id for id in ids if id in self.expected}
        assert self.index.delete(ids) == len(gone)
        self.expected = {id: it for id, it in self.expected.items() if id not in gone}

    @rule(year=YEARS)
    def delete_where(self, year: int) -> None:
        kept = {id: it for id, it in self.expected.items() if it.metadata["year"] != year}
        assert self.index.delete(where=f"year == {year}") == len(self.expected) - len(kept)
        self.expected = kept

    @rule()
    def compact(self) -> None:
        self.index.compact()

    @rule()
    def open_again(self) -> None:
        self.index.close()
        self.index = Index.open(self.folder, encoder=self.encoder)

    @precondition(lambda self: self.expected)
    @rule(words=TEXTS, year=YEARS)
    def search_dense(self, words: str, year: int) -> None:
        """Ranked by the cosine of the encoder's vectors, over those that fulfil the filter."""
        among = [it for it in self.expected.values() if it.metadata["year"] >= year]
        hits = self.index.search(words, 5, retriever="dense", where=f"year >= {year}", copies=True)
        assert len(hits) == min(5, len(among))
        query = self.encoder.encode_queries([words]).dense
        stored = self.encoder.encode_documents([it.text for it in among]).dense
        assert query is not None
        assert stored is not None
        scores = np.sort(stored @ query[0])[::-1][: len(hits)] if among else np.empty(0)
        np.testing.assert_allclose([hit.score for hit in hits], scores, atol=0.02)

    @rule(word=st.sampled_from(WORDS))
    def search_words(self, word: str) -> None:
        hits = self.index.search(word, 100, retriever="lexical", copies=True)
        having = {id for id, it in self.expected.items() if word in it.text.split()}
        assert {hit.document_id for hit in hits} == having

    @invariant()
    def holds_what_it_must(self) -> None:
        if hasattr(self, "index"):
            assert self.index.ids() == sorted(self.expected)
            assert list(self.index.documents()) == [it for _, it in sorted(self.expected.items())]

    def teardown(self) -> None:
        if hasattr(self, "index"):
            assert self.index.verify() == []
            self.index.close()
        self.place.cleanup()


TestAnySequence = AnySequence.TestCase
TestAnySequence.settings = settings(max_examples=12, stateful_step_count=25)
