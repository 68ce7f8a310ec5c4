"""Nodes added, got, deleted and opened again."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llama_index.core")

from llama_index.core import Document
from llama_index.core.schema import (
    ImageNode,
    IndexNode,
    MediaResource,
    Node,
    TextNode,
)
from llama_index.core.vector_stores.types import (
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
)

from retrieval.errors import (
    EncoderMismatch,
    IndexNotFound,
    InputError,
)
from retrieval.integrations.llama_index import IndexVectorStore
from tests.integrations.llama_index.nodes import VECTORS, nodes

pytestmark = pytest.mark.anyio


def test_nodes_come_out_as_they_were_added(store: IndexVectorStore) -> None:
    (out,) = store.get_nodes(["a"])
    (given,) = nodes("a")
    assert isinstance(out, TextNode)
    assert (out.text, out.metadata, out.relationships) == (
        given.text,
        given.metadata,
        given.relationships,
    )
    assert [node.node_id for node in store.get_nodes()] == ["a", "b", "c"]
    assert [node.node_id for node in store.get_nodes(["c", "none", "a", "c"])] == ["c", "a"]
    assert store.index.get("c").title == "Rotary"  # type: ignore[union-attr]


def test_embeddings_come_out_as_they_are_kept(
    store: IndexVectorStore, own: IndexVectorStore, tmp_path: Path
) -> None:
    for node in store.get_nodes():
        given = np.array(VECTORS[node.node_id])
        assert node.embedding == pytest.approx(given / np.linalg.norm(given), abs=5e-3)
    assert [one.embedding for one in own.get_nodes()] == [None] * 3
    copied = IndexVectorStore(tmp_path / "copied", embedding_dim=3)
    copied.add(store.get_nodes())  # without the model that made them
    asked = VectorStoreQuery(query_embedding=[1.0, 0.1, 0.0], similarity_top_k=3)
    assert copied.query(asked).ids == store.query(asked).ids
    copied.index.close()


def test_nothing_is_added(store: IndexVectorStore, own: IndexVectorStore) -> None:
    for one in (store, own):
        assert one.add([]) == [] and len(one.get_nodes()) == 3


def test_every_kind_of_node(store: IndexVectorStore) -> None:
    kinds: list[Any] = [
        ImageNode(id_="image", image="aGk=", embedding=[0.0, 0, 1]),
        IndexNode(id_="index", text="words", index_id="5", embedding=[0.0, 1, 1]),
        Node(id_="node", text_resource=MediaResource(text="media"), embedding=[1.0, 1, 1]),
        Document(id_="whole", text="a document", embedding=[1.0, 0, 1]),
    ]
    store.add(kinds)
    for node in kinds:
        (out,) = store.get_nodes([node.node_id])
        assert out.node_id == node.node_id and out.get_content() == node.get_content()
    assert isinstance(store.get_nodes(["image"])[0], ImageNode)
    assert store.get_nodes(["index"])[0].index_id == "5"  # type: ignore[attr-defined]
    image = store.query(VectorStoreQuery(query_embedding=[0.0, 0, 1], similarity_top_k=1))
    assert image.ids == ["image"]  # it has no text


def test_nodes_of_a_document_are_deleted(store: IndexVectorStore) -> None:
    store.add([TextNode(id_="a2", text="more", ref_doc_id="x", embedding=[0.0, 0, 1])])
    store.delete("doc-a")
    assert store.index.ids() == ["a2", "b", "c"]
    store.delete("none")
    year = MetadataFilters(filters=[MetadataFilter(key="year", value=2024)])
    assert [node.node_id for node in store.get_nodes(filters=year)] == ["b"]
    assert [node.node_id for node in store.get_nodes(["c", "b"], year)] == ["b"]
    store.delete_nodes(["a2", "b"], year)
    assert store.index.ids() == ["a2", "c"]
    store.delete_nodes(["a2"])
    store.clear()
    assert store.get_nodes() == []


def test_nothing_named_is_nothing_deleted(
    store: IndexVectorStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.delete_nodes()
    store.delete_nodes(filters=MetadataFilters(filters=[]))
    assert len(store.get_nodes()) == 3 and "deletes nothing" in caplog.text
    store.delete_nodes([])
    assert len(store.get_nodes()) == 3


async def test_all_can_be_awaited(store: IndexVectorStore) -> None:
    assert await store.async_add(nodes("a")) == ["a"]
    asked = VectorStoreQuery(query_embedding=[0.0, 1, 0], similarity_top_k=1)
    assert (await store.aquery(asked)).ids == ["b"]
    await store.adelete("doc-b")
    await store.adelete_nodes(["c"])
    assert [node.node_id for node in await store.aget_nodes()] == ["a"]
    await store.aclear()
    assert await store.aget_nodes() == []


def test_a_store_is_opened_again_and_told_from_others(tmp_path: Path) -> None:
    store = IndexVectorStore(tmp_path / "i", embedding_dim=3, embedding_model="one")
    store.add(nodes())
    store.persist(str(tmp_path / "x.json"))
    assert not (tmp_path / "x.json").exists()
    for again in (
        IndexVectorStore(tmp_path / "i"),
        pickle.loads(pickle.dumps(store)),
        IndexVectorStore.from_dict(store.to_dict()),
    ):
        assert (again.embedding_dim, again.embedding_model) == (3, "one")
        assert len(again.client) == 3 and again.is_embedding_query
        again.index.close()
    with pytest.raises(EncoderMismatch):
        IndexVectorStore(tmp_path / "i", embedding_dim=3, embedding_model="another")
    with pytest.raises(IndexNotFound):
        IndexVectorStore(tmp_path / "none", create=False)
    with pytest.raises(InputError, match="both encoder and embedding_dim"):
        IndexVectorStore(tmp_path / "i", encoder="x", embedding_dim=3)
    with pytest.raises(InputError, match="no index was given"):
        IndexVectorStore()
    with pytest.raises(TypeError, match="IndexVectorStore has no argument embeding_dim"):
        IndexVectorStore(tmp_path / "new", embeding_dim=3)
    assert not (tmp_path / "new").exists()
    store.index.close()
