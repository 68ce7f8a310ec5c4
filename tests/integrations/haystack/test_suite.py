"""The adapters to Haystack under Haystack's own tests (its module haystack.testing)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("haystack")

from haystack.dataclasses import Document
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy
from haystack.testing.document_store import (
    CountDocumentsByFilterTest,
    CountUniqueMetadataByFilterTest,
    DocumentStoreBaseExtendedTests,
    GetMetadataFieldMinMaxTest,
    GetMetadataFieldsInfoTest,
    GetMetadataFieldUniqueValuesTest,
    create_filterable_docs,
)
from haystack.testing.document_store_async import (
    CountDocumentsAsyncTest,
    CountDocumentsByFilterAsyncTest,
    CountUniqueMetadataByFilterAsyncTest,
    DeleteAllAsyncTest,
    DeleteByFilterAsyncTest,
    DeleteDocumentsAsyncTest,
    FilterDocumentsAsyncTest,
    GetMetadataFieldMinMaxAsyncTest,
    GetMetadataFieldsInfoAsyncTest,
    GetMetadataFieldUniqueValuesAsyncTest,
    UpdateByFilterAsyncTest,
    WriteDocumentsAsyncTest,
)

from retrieval import Index
from retrieval.integrations.haystack import IndexDocumentStore
from tests.index.fake_encoder import FakeEncoder

# The second is for static methods, which the first alone would run once for each event loop.
pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("anyio_backend")]


class WrittenAsTheyCome:
    """What Haystack's tests leave to each store to say.

    A policy of none is to fail, and documents come in the order of their ids, with embeddings in 8
    bits and of unit length. All else is as it was written.
    """

    @staticmethod
    def assert_documents_are_equal(received: list[Document], expected: list[Document]) -> None:
        in_order = sorted(expected, key=lambda document: document.id)
        assert [replace(one, embedding=None) for one in received] == [
            replace(one, embedding=None) for one in in_order
        ]
        for one, other in zip(received, in_order, strict=True):
            assert (one.embedding is None) == (other.embedding is None)
            if one.embedding is not None and other.embedding is not None:
                unit = np.array(other.embedding) / np.linalg.norm(other.embedding)
                # An index keeps 8 bits of each component, in steps of the largest's.
                np.testing.assert_allclose(one.embedding, unit, atol=np.abs(unit).max() / 100)


class Plain(
    WrittenAsTheyCome,
    DocumentStoreBaseExtendedTests,
    CountDocumentsByFilterTest,
    CountUniqueMetadataByFilterTest,
    GetMetadataFieldsInfoTest,
    GetMetadataFieldMinMaxTest,
    GetMetadataFieldUniqueValuesTest,
):
    """All tests of plain calls."""

    def test_write_documents(self, document_store: IndexDocumentStore) -> None:
        given = [Document(id="1", content="a text"), Document(id="2", content="another")]
        assert document_store.write_documents(given) == 2
        with pytest.raises(DuplicateDocumentError):
            document_store.write_documents(given[:1], DuplicatePolicy.NONE)
        self.assert_documents_are_equal(document_store.filter_documents(), given)


class Awaited(
    WrittenAsTheyCome,
    CountDocumentsAsyncTest,
    WriteDocumentsAsyncTest,
    DeleteDocumentsAsyncTest,
    DeleteAllAsyncTest,
    DeleteByFilterAsyncTest,
    UpdateByFilterAsyncTest,
    FilterDocumentsAsyncTest,
    CountDocumentsByFilterAsyncTest,
    CountUniqueMetadataByFilterAsyncTest,
    GetMetadataFieldsInfoAsyncTest,
    GetMetadataFieldMinMaxAsyncTest,
    GetMetadataFieldUniqueValuesAsyncTest,
):
    """All tests of awaited calls."""

    async def test_write_documents_async(self, document_store: IndexDocumentStore) -> None:
        given = [Document(id="1", content="a text")]
        assert await document_store.write_documents_async(given) == 1
        with pytest.raises(DuplicateDocumentError):
            await document_store.write_documents_async(given, DuplicatePolicy.NONE)
        self.assert_documents_are_equal(await document_store.filter_documents_async(), given)


class KeepsEmbeddings:
    """Over an index without a model: embeddings are the documents' own, and some have none."""

    @pytest.fixture
    def document_store(self, tmp_path: Path) -> Iterator[IndexDocumentStore]:
        store = IndexDocumentStore(tmp_path / "index", embedding_dim=768)
        yield store
        store.close()


class MakesVectors:
    """Over an index whose encoder makes the vectors: documents have none of their own."""

    @pytest.fixture
    def document_store(self, tmp_path: Path) -> Iterator[IndexDocumentStore]:
        with Index.create(tmp_path / "index", encoder=FakeEncoder()) as index:
            yield IndexDocumentStore(index)

    @pytest.fixture
    def filterable_docs(self) -> list[Document]:
        return [replace(document, embedding=None) for document in create_filterable_docs()]


class TestWithEmbeddings(KeepsEmbeddings, Plain):
    pass


class TestWithEmbeddingsAwaited(KeepsEmbeddings, Awaited):
    pass


class TestWithAnEncoder(MakesVectors, Plain):
    pass


class TestWithAnEncoderAwaited(MakesVectors, Awaited):
    pass
