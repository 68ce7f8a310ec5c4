"""LlamaIndex's index and pipeline over the store, embedding, reranker and retriever."""

from __future__ import annotations

import importlib
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("llama_index.core")

from llama_index.core import Document, MockEmbedding, StorageContext, VectorStoreIndex
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import TokenTextSplitter
from llama_index.core.schema import (
    NodeWithScore,
    QueryBundle,
    TextNode,
)

import retrieval
from retrieval import Index
from retrieval.errors import (
    InputError,
    MissingDependency,
)
from retrieval.integrations.llama_index import (
    EncoderEmbedding,
    EncoderRerank,
    IndexRetriever,
    IndexVectorStore,
)
from tests.integrations.llama_index.nodes import TEXTS, nodes
from tests.test_public import HEAVY, loaded_by

pytestmark = pytest.mark.anyio


def test_their_index_stands_over_the_store(tmp_path: Path) -> None:
    store = IndexVectorStore(tmp_path / "i", embedding_dim=4)
    model = MockEmbedding(embed_dim=4)
    index = VectorStoreIndex.from_documents(
        [Document(id_=f"d{name}", text=text) for name, text in TEXTS.items()],
        storage_context=StorageContext.from_defaults(vector_store=store),
        embed_model=model,
    )
    found = index.as_retriever(similarity_top_k=3).retrieve("lock")
    assert {one.node.get_content() for one in found} == set(TEXTS.values())
    index.delete_ref_doc("da")
    assert len(store.index) == 2
    again = VectorStoreIndex.from_vector_store(store, embed_model=model)
    words = again.as_retriever(vector_store_query_mode="text_search", similarity_top_k=1)
    assert words.retrieve("rotary")[0].node.get_content() == TEXTS["c"]
    constrained = again.as_retriever(doc_ids=["db"], similarity_top_k=5).retrieve("anything")
    assert [one.node.ref_doc_id for one in constrained] == ["db"]
    store.index.close()


def test_their_index_over_an_index_with_an_encoder(index: Index) -> None:
    store = IndexVectorStore(index)
    made = VectorStoreIndex(
        nodes(),
        storage_context=StorageContext.from_defaults(vector_store=store),
        embed_model=MockEmbedding(embed_dim=1),
    )
    (best,) = made.as_retriever(similarity_top_k=1).retrieve("who takes the lock")
    assert best.node.node_id == "a" and best.score is not None and 0 <= best.score <= 1


def words(text: str) -> list[str]:
    """The splitter's tokens: LlamaIndex's own in a worker would be fetched from the network."""
    return text.split()


@pytest.mark.slow
def test_a_pipeline_with_two_workers(tmp_path: Path) -> None:
    embedding = EncoderEmbedding()
    store = IndexVectorStore(tmp_path / "i", embedding_dim=embedding.encoder.dense_dim)
    pipeline = IngestionPipeline(
        transformations=[
            TokenTextSplitter(chunk_size=9, chunk_overlap=0, tokenizer=words),
            embedding,
        ],
        vector_store=store,
        disable_cache=True,
    )
    numbered = enumerate(TEXTS.values())
    documents = [Document(id_=f"d{n}", text=f"{text} " * 3) for n, text in numbered]
    made = pipeline.run(documents=documents, num_workers=2)
    assert {node.node_id for node in made} == set(store.index.ids()) and len(made) >= 3
    expected = embedding.get_text_embedding(made[0].get_content(metadata_mode="embed"))  # type: ignore[arg-type]
    assert made[0].embedding == pytest.approx(expected, abs=1e-5)
    store.delete("d0")
    assert {node.ref_doc_id for node in store.get_nodes()} == {"d1", "d2"}
    store.index.close()


async def test_an_embedding_gives_the_encoders_vectors() -> None:
    embedding = EncoderEmbedding(embed_batch_size=2)
    texts = list(TEXTS.values())
    dense = embedding.encoder.encode_documents(texts).dense
    query = embedding.encoder.encode_queries(["lock"]).dense
    assert dense is not None and query is not None
    np.testing.assert_allclose(embedding.get_text_embedding_batch(texts), dense, atol=1e-6)
    np.testing.assert_allclose(embedding.get_query_embedding("lock"), query[0], atol=1e-6)
    awaited = await embedding.aget_text_embedding_batch(texts)
    np.testing.assert_allclose(awaited, dense, atol=1e-6)
    assert await embedding.aget_query_embedding("lock") == embedding.get_query_embedding("lock")
    assert await embedding.aget_text_embedding("x") == embedding.get_text_embedding("x")
    again = pickle.loads(pickle.dumps(embedding))
    assert again.get_query_embedding("lock") == embedding.get_query_embedding("lock")
    assert EncoderEmbedding.from_dict(embedding.to_dict()).embed_batch_size == 2
    with pytest.raises(ValueError, match="batch_size"):
        EncoderEmbedding(batch_size=2)


async def test_nodes_are_ranked() -> None:
    rerank = EncoderRerank(top_n=2)
    found = [NodeWithScore(node=node, score=0.5) for node in nodes()]
    ranked = rerank.postprocess_nodes(found, query_str="rotary positions")
    assert len(ranked) == 2 and ranked[0].node.node_id == "c"
    assert (ranked[0].score or 0) > (ranked[1].score or 0)
    awaited = await rerank.apostprocess_nodes(found, query_str="rotary positions")
    assert [one.node.node_id for one in awaited] == [one.node.node_id for one in ranked]
    assert rerank.postprocess_nodes([], query_str="x") == []
    assert EncoderRerank.from_dict(rerank.to_dict()).top_n == 2
    with pytest.raises(ValueError, match="top_k"):
        EncoderRerank(top_k=2)  # type: ignore[call-arg]
    with pytest.raises(InputError, match="no query was given to rank by"):
        rerank.postprocess_nodes(found)


async def test_a_retriever_gives_passages_or_documents(own: IndexVectorStore) -> None:
    retriever = IndexRetriever(own.index, k=2)
    assert repr(retriever) == f"IndexRetriever({own.index!r}, k=2)"
    (best, *_) = retriever.retrieve("who takes the lock")
    assert best.node.ref_doc_id == "a" and best.node.get_content() == TEXTS["a"]
    assert isinstance(best.node, TextNode) and best.node.start_char_idx == 0
    assert best.node.metadata["year"] == 2021 and best.node.metadata["start_line"] == 1
    assert not any(key.startswith("_") for key in best.node.metadata)
    whole = IndexRetriever(own.index, returns="document", retriever="lexical", where="year > 2000")
    (one,) = await whole.aretrieve(QueryBundle("snapshot"))
    assert one.node.node_id == "b" and one.node.ref_doc_id == "doc-b"
    with pytest.raises(InputError, match="returns='all' is unknown"):
        IndexRetriever(own.index, returns="all")  # type: ignore[arg-type]


def test_nodes_of_what_llama_index_did_not_write(index: Index) -> None:
    index.add([retrieval.Document("x", "plain words", metadata={"k": 1})])
    (node,) = IndexVectorStore(index).get_nodes()
    assert (node.node_id, node.get_content(), node.metadata) == ("x", "plain words", {"k": 1})


@pytest.mark.slow
def test_importing_the_adapters_loads_no_model() -> None:
    ours = loaded_by("import retrieval.integrations.llama_index", after="import llama_index.core")
    assert "retrieval" in ours
    assert not ours.intersection(HEAVY)


def test_without_llama_index_the_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours = "retrieval.integrations.llama_index"
    for name in [name for name in sys.modules if name.startswith(ours)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "llama_index.core", None)
    with pytest.raises(
        MissingDependency, match=r"pip install 'modernbert-retrieval\[llama-index\]'"
    ):
        importlib.import_module(ours)
