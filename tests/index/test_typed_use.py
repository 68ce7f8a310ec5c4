"""The types that a strict checker sees in a user's program; this file is one of those checked."""

from __future__ import annotations

import asyncio
from functools import cached_property
from pathlib import Path
from typing import assert_type

import numpy as np

from retrieval.encoders import Precomputed, load_encoder
from retrieval.encoders.embedded import embedded_folder
from retrieval.hits import Hits
from retrieval.index import AddReport, Index
from retrieval.types import Document, Embeddings, Encoder

TWO = [Document("a", "one"), Document("b", "two")]


def test_vectors_in_every_form_that_numpy_takes(tmp_path: Path) -> None:
    with Index.create(tmp_path / "i", encoder=Precomputed(dense_dim=2)) as index:
        assert index.add(TWO, embeddings=[[1, 0], [0.6, 0.8]]) == 2
        assert index.add(TWO, embeddings=[None, [1, 0]]) == 2
        assert index.add(TWO, embeddings=np.eye(2)) == 2
        assert index.add(TWO, embeddings=[np.ones(2), None]) == 2
        assert index.add(TWO, embeddings=[np.ones(2), np.array([0, 2])]) == 2
        (found, *_) = index.search(vector=[0, 1])
        assert found.document_id == "b"


def test_what_is_awaited_has_the_type_of_what_is_not(index: Index) -> None:
    async def use() -> None:
        assert_type(await index.aadd(TWO), int)
        assert_type(await index.aadd(TWO, on_error="skip"), AddReport)
        found = await index.asearch("one", k=1, retriever="lexical", where="id == 'a'")
        assert_type(found, Hits)
        assert [hit.document_id for hit in found] == ["a"]

    asyncio.run(use())
    assert_type(index.add(TWO), int)
    assert_type(index.add(TWO, on_error="skip"), AddReport)
    assert_type(index.similar("a", k=1, min_relevance=0.0), Hits)


def test_a_loaded_encoder_has_what_the_documentation_calls() -> None:
    encoder = load_encoder()
    made = encoder.encode_spans("one two", [(0, 3), (4, 7)])
    assert_type(made, Embeddings)
    assert len(made) == 2
    assert encoder.rerank("one", ["one", "two"], k=1)[0].text == "one"


def test_a_loaded_encoder_is_one_to_every_checker() -> None:
    """Pyright takes a cached_property for no property of a protocol, which mypy does."""
    encoder: Encoder = load_encoder()
    members = [name for name in dir(Encoder) if not name.startswith("_")]
    assert {"fingerprint", "name", "encode_documents"} <= set(members)
    for kind in type(encoder).__mro__:
        assert not [name for name in members if isinstance(vars(kind).get(name), cached_property)]


def test_an_encoder_is_named_by_a_path_or_by_text(tmp_path: Path) -> None:
    folder = embedded_folder()
    for number, source in enumerate((folder, str(folder))):
        with Index.create(tmp_path / str(number), encoder=source) as index:
            assert index.status().encoder_source == str(folder.resolve())
        Index.open(tmp_path / str(number), encoder=source).close()
