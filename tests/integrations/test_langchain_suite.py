"""The adapters to LangChain under LangChain's own tests (package langchain-tests)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("langchain_core")
pytest.importorskip("langchain_tests")

from langchain_core.indexing.base import DocumentIndex
from langchain_core.vectorstores import VectorStore
from langchain_tests.integration_tests import (
    EmbeddingsIntegrationTests,
    RetrieversIntegrationTests,
    VectorStoreIntegrationTests,
)
from langchain_tests.integration_tests.indexer import (
    AsyncDocumentIndexTestSuite,
    DocumentIndexerTestSuite,
)
from langchain_tests.unit_tests import EmbeddingsUnitTests

from retrieval import Document, Index
from retrieval.encoders import Precomputed
from retrieval.integrations.langchain import (
    EncoderEmbeddings,
    IndexDocumentIndex,
    IndexRetriever,
    IndexVectorStore,
)
from tests.index.fake_encoder import FakeEncoder

pytestmark = pytest.mark.anyio


class TestVectorStore(VectorStoreIntegrationTests):
    """With LangChain's embeddings, whose vectors the index is given."""

    @pytest.fixture
    def vectorstore(self, tmp_path: Path) -> Iterator[VectorStore]:
        embedding = self.get_embeddings()
        encoder = Precomputed(len(embedding.embed_query("a")), name="deterministic")
        with Index.create(tmp_path / "index", encoder=encoder) as index:
            yield IndexVectorStore(index, embedding)


class TestVectorStoreWithTheIndexsEncoder(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, index: Index) -> VectorStore:
        return IndexVectorStore(index)


class TestVectorStoreFromTexts(VectorStoreIntegrationTests):
    """Over a temporary index, which is made for the embeddings."""

    @pytest.fixture
    def vectorstore(self) -> Iterator[VectorStore]:
        store = IndexVectorStore.from_texts([], self.get_embeddings())
        with store.index:
            yield store


class TestRetriever(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def filled(self, index: Index) -> None:
        texts = ("Locks and waiting.", "Locks that time out.", "Locks of files.", "Snapshots.")
        index.add(Document(str(number), text) for number, text in enumerate(texts))
        self.index = index

    @property
    def retriever_constructor(self) -> type[IndexRetriever]:
        return IndexRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"index": self.index}

    @property
    def retriever_query_example(self) -> str:
        return "who waits for locks"


class OfAnEncoder:
    @property
    def embeddings_class(self) -> type[EncoderEmbeddings]:
        return EncoderEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"model": FakeEncoder()}


class TestEmbeddings(OfAnEncoder, EmbeddingsIntegrationTests):
    pass


class TestEmbeddingsAreMade(OfAnEncoder, EmbeddingsUnitTests):
    pass


class OverAnIndex:
    @pytest.fixture
    def index(self, index: Index) -> DocumentIndex:
        return IndexDocumentIndex(index=index)


class TestDocumentIndex(OverAnIndex, DocumentIndexerTestSuite):
    pass


class TestDocumentIndexAwaited(OverAnIndex, AsyncDocumentIndexTestSuite):
    pass
