"""Random histories of an index, held against a dictionary and brute force."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.index import Index
from retrieval.types import Document

from .fake_encoder import FakeEncoder

WORDS = ["amber", "birch", "cobalt", "dune", "ember", "fjord", "garnet", "harbor", "ivory"]
IDS = [f"d{n}" for n in range(12)]

Model = dict[str, Document]

documents = st.builds(
    lambda id, words, colour: Document(id, " ".join(words), metadata={"colour": colour}),
    st.sampled_from(IDS),
    st.lists(st.sampled_from(WORDS), max_size=6),
    st.sampled_from(["red", "blue"]),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.lists(documents, min_size=1, max_size=8)),
        st.tuples(st.just("delete"), st.lists(st.sampled_from(IDS), max_size=6)),
        st.tuples(st.sampled_from(["compact", "reopen"]), st.none()),
    ),
    min_size=1,
    max_size=9,
)


@settings(max_examples=50, deadline=None)
@given(
    steps=steps,
    query=st.lists(st.sampled_from(WORDS), min_size=1, max_size=3),
    waiting=st.sampled_from([1, 3, 16]),
)
def test_any_history_ends_in_what_brute_force_says(
    steps: list[tuple[str, Any]], query: list[str], waiting: int
) -> None:
    encoder = FakeEncoder()
    model: Model = {}
    # Few passages must be enough to merge segments and to commit in the middle of a call.
    with (
        tempfile.TemporaryDirectory() as folder,
        patch("retrieval.index.writing.merge_policy.FAN_IN", 2),
        patch("retrieval.index.writing.merge_policy.SMALLEST", 4),
        patch("retrieval.index.writing.lexical.WAITING_SHARE", waiting),
        patch("retrieval.index.writing.writer.COMMIT_CHANGES", 5),
        patch("retrieval.index.writing.encoding.BLOCK_CHARACTERS", 60),
    ):
        index = Index.create(Path(folder) / "i", encoder=encoder)
        try:
            for step, argument in steps:
                if step == "add":
                    index.add(argument)
                    model |= {document.id: document for document in argument}
                elif step == "delete":
                    known = {id for id in argument if model.pop(id, None)}
                    assert index.delete(argument) == len(known)
                elif step == "compact":
                    index.compact()
                    assert index.status().dead_passages == 0
                else:
                    index.close()
                    index = Index.open(Path(folder) / "i", encoder=encoder)
                assert index.verify() == []
                assert index.status().passages == sum(bool(d.text) for d in model.values())
            check(index, model, " ".join(query), encoder)
        finally:
            index.close()


def check(index: Index, model: Model, query: str, encoder: FakeEncoder) -> None:
    """Every stored document, and every retriever with and without a filter, at several k."""
    for id in IDS:
        assert index.get(id) == model.get(id)
    assert index.status().documents == len(model)
    asked = encoder.encode_queries([query])
    assert asked.dense is not None
    assert asked.tokens is not None
    for where, colours in ((None, {"red", "blue"}), ('colour == "red"', {"red"})):
        pool = {d.id: d for d in model.values() if d.text and d.metadata["colour"] in colours}
        held = encoder.encode_documents([d.text for d in pool.values()])
        assert held.dense is not None
        assert held.tokens is not None
        assert held.offsets is not None
        dense = dict(zip(pool, (held.dense @ asked.dense[0]).tolist(), strict=True))
        late = {
            id: float((asked.tokens @ held.tokens[start:stop].T).max(axis=1).sum())
            for id, start, stop in zip(pool, held.offsets[:-1], held.offsets[1:], strict=True)
        }
        lexical = {id for id, d in pool.items() if set(d.text.split()) & set(query.split())}
        for k in (1, 3, 50):
            found = index.search(query, k, retriever="lexical", copies=True, where=where)
            assert {hit.document_id for hit in found} <= lexical
            assert len(found) == min(k, len(lexical))
            best(index, query, k, where, "dense", dense, 0.01)
            best(index, query, k, where, "late", late, 0.01 * len(asked.tokens))
            hybrid = index.search(query, k, copies=True, where=where)
            assert len(hybrid) == min(k, len(pool))
            for hit in hybrid:
                assert hit.text == pool[hit.document_id].text
                assert ("lexical" in hit.scores) == (hit.document_id in lexical)
                assert np.isclose(hit.scores["dense"], dense[hit.document_id], atol=0.01)


def best(
    index: Index,
    query: str,
    k: int,
    where: str | None,
    name: Any,
    exact: dict[str, float],
    error: float,
) -> None:
    """The retriever's answer is a top k of the exact scores, up to its error."""
    hits = index.search(query, k, retriever=name, copies=True, where=where)
    ids = [hit.document_id for hit in hits]
    assert len(set(ids)) == len(ids) == min(k, len(exact))
    expected = sorted(exact.values(), reverse=True)
    for hit, score in zip(hits, expected, strict=False):
        assert abs(hit.score - exact[hit.document_id]) <= error
        assert abs(hit.score - score) <= error
