"""The document store, beyond what Haystack's own tests ask."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("haystack")

from haystack.dataclasses import ByteStream, Document
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy

import retrieval
from retrieval import Index
from retrieval.encoders import Precomputed
from retrieval.errors import EncoderMismatch, IndexNotFound, InputError
from retrieval.integrations.haystack import IndexDocumentStore
from tests.integrations.haystack.notes import NOTES


def test_documents_come_out_as_they_were_written(store: IndexDocumentStore) -> None:
    assert store.filter_documents() == NOTES
    assert store.index.get("a").title == "Locks"  # type: ignore[union-attr]
    blank = Document(id="blank", meta={"x": 1})
    store.write_documents([blank])
    (out,) = store.filter_documents({"field": "id", "operator": "==", "value": "blank"})
    assert out == replace(blank, content="")
    assert store.filter_documents({"field": "content", "operator": "==", "value": ""}) == [out]
    held = store.filter_documents({"field": "content", "operator": "==", "value": NOTES[0].content})
    assert held == NOTES[:1]


def test_what_an_index_does_not_keep_is_refused(store: IndexDocumentStore) -> None:
    for wrong, message in (
        (Document(id="x", blob=ByteStream(b"1")), "document 'x' has a blob, but an index has"),
        (Document(id="x", content="y", embedding=[1.0, 2]), "store with embedding_dim=2"),
        (Document(id="x", content="y", meta={"z": {1, 2}}), "cannot be stored as JSON"),
    ):
        with pytest.raises(InputError, match=message):
            store.write_documents([wrong])
    assert store.count_documents() == 3


def test_policies_write_all_or_nothing(store: IndexDocumentStore) -> None:
    new, old = Document(id="new", content="n"), Document(id="a", content="changed")
    for documents in ([new, old], [new, new]):
        with pytest.raises(DuplicateDocumentError, match="already exists; write with policy"):
            store.write_documents(documents, DuplicatePolicy.FAIL)
        assert store.count_documents() == 3
    assert store.write_documents([new, old, new], DuplicatePolicy.SKIP) == 1
    assert store.index.get("a").text == NOTES[0].content  # type: ignore[union-attr]
    assert store.write_documents([old, new], DuplicatePolicy.OVERWRITE) == 2
    assert store.index.get("a").text == "changed"  # type: ignore[union-attr]
    assert store.write_documents([]) == 0


def test_a_folder_is_opened_when_it_is_needed_and_made_if_need_be(tmp_path: Path) -> None:
    store = IndexDocumentStore(tmp_path / "i", embedding_dim=3, embedding_model="one")
    assert not (tmp_path / "i").exists()
    assert store.count_documents() == 0
    store.close()
    assert store.count_documents() == 0  # opened again
    store.close()
    other = IndexDocumentStore(tmp_path / "i", embedding_dim=3, embedding_model="another")
    with pytest.raises(EncoderMismatch):
        other.count_documents()
    with pytest.raises(IndexNotFound):
        IndexDocumentStore(tmp_path / "none", create=False).count_documents()
    with pytest.raises(InputError, match="both encoder and embedding_dim were given"):
        IndexDocumentStore(tmp_path / "i", encoder="x", embedding_dim=3)


def test_an_open_index_stays_its_owners(store: IndexDocumentStore) -> None:
    store.close()
    assert store.count_documents() == 3


def test_embeddings_are_kept_through_updates(kept: IndexDocumentStore) -> None:
    assert [document.embedding for document in kept.filter_documents()] == [
        [1, 0, 0],
        [0, 1, 0],
        None,
    ]
    assert kept.update_by_filter({"field": "year", "operator": ">", "value": 1}, {"seen": 1}) == 2
    seen = kept.filter_documents({"field": "meta.seen", "operator": "==", "value": 1})
    assert [document.embedding for document in seen] == [[1, 0, 0], [0, 1, 0]]
    assert kept.delete_by_filter({}) == 3 and kept.count_documents() == 0


def test_an_update_of_the_metadata_leaves_the_title(store: IndexDocumentStore) -> None:
    store.index.add([retrieval.Document("x", "text", title="Titled", metadata={"k": 1})])
    chosen = {"field": "meta.k", "operator": "==", "value": 1}
    assert store.update_by_filter(chosen, {"seen": 1}) == 1
    document = store.index.get("x")
    assert document is not None and document.title == "Titled"
    assert document.metadata == {"k": 1, "seen": 1}
    store.update_by_filter(chosen, {"title": "Another"})
    document = store.index.get("x")
    assert document is not None and document.title == document.metadata["title"] == "Another"


def test_fields_of_the_metadata(store: IndexDocumentStore) -> None:
    meta = {"rate": 0.5, "on": True, "n": None}
    store.write_documents([Document(id="d", content="d", meta=meta)])
    assert store.get_metadata_fields_info() == {
        "on": {"type": "boolean"},
        "rate": {"type": "float"},
        "tags": {"type": "keyword"},
        "title": {"type": "keyword"},
        "year": {"type": "int"},
    }
    assert store.get_metadata_field_min_max("meta.year") == {"min": 2021, "max": 2024}
    assert store.get_metadata_field_min_max("title") == {"min": "Locks", "max": "Locks"}
    assert store.get_metadata_field_unique_values("tags", search_term="ROP") == (["rope"], 1)
    assert store.count_unique_metadata_by_filter({}, ["meta.tags"]) == {"tags": 2}


def test_a_store_over_an_index_of_ours(tmp_path: Path) -> None:
    with Index.create(tmp_path / "i", encoder=Precomputed(2)) as index:
        index.add([retrieval.Document("x", "text")], embeddings=[[1, 0]])
        (out,) = IndexDocumentStore(index).filter_documents()
        assert (out.id, out.content, out.embedding) == ("x", "text", [1, 0])


def test_another_writer_in_between_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written by what there is, is written while no other process can change that."""
    store = IndexDocumentStore(tmp_path / "index", embedding_dim=2)
    store.write_documents([Document(id=id, content="old", embedding=[1.0, 0.0]) for id in "ab"])
    usual = Index.writing

    def writing(self: Index, **options: Any) -> Any:
        monkeypatch.setattr(Index, "writing", usual)
        with Index.open(store.path) as other:
            other.delete(["b"])
            other.add(
                [retrieval.Document(id, "new") for id in "ac"], embeddings=[[0.0, 1.0], [1.0, 0.0]]
            )
        return usual(self, **options)

    monkeypatch.setattr(Index, "writing", writing)
    assert store.update_by_filter({}, {"seen": True}) == 2
    found = store.filter_documents()
    assert [(one.id, one.content, one.meta) for one in found] == [
        ("a", "new", {"seen": True}),
        ("c", "new", {"seen": True}),
    ]
    assert found[0].embedding == pytest.approx([0.0, 1.0])
    store.delete_all_documents()
    monkeypatch.setattr(Index, "writing", writing)
    with pytest.raises(DuplicateDocumentError):
        store.write_documents([Document(id="a", content="mine", embedding=[1.0, 0.0])])
    assert [one.content for one in store.filter_documents()] == ["new", "new"]
