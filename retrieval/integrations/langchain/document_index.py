"""An index as LangChain's document index: a retriever that documents are written to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.documents import Document
from langchain_core.indexing import UpsertResponse
from langchain_core.indexing.base import DeleteResponse, DocumentIndex

from retrieval.errors import InputError
from retrieval.integrations.langchain.documents import got, put
from retrieval.integrations.langchain.retriever import IndexRetriever
from retrieval.integrations.returning import Returns


class IndexDocumentIndex(IndexRetriever, DocumentIndex):
    """A retriever over an index that can also add, return and delete documents.

    LangChain calls this interface new and subject to change. Raises the same errors as `Index`.
    """

    returns: Returns = "document"

    def upsert(self, items: Sequence[Document], /, **kwargs: Any) -> UpsertResponse:
        """Add documents, or replace those with the same ids; one without an id gets a random one.

        Args:
            items: documents whose metadata an index can store, see `retrieval.Document`.
            kwargs: what the indexing API passes; not used.
        """
        return {"succeeded": put(self.index, items), "failed": []}

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> DeleteResponse:
        """Delete the documents with these ids; unknown ids are ignored.

        Raises:
            InputError: no ids were given.
        """
        if ids is None:
            raise InputError("no ids were given to delete; give a list of them")
        there = [document.id for document in got(self.index, ids)]
        deleted = self.index.delete(ids)
        succeeded = [id for id in there if id is not None]
        return {"num_deleted": deleted, "num_failed": 0, "succeeded": succeeded, "failed": []}

    def get(self, ids: Sequence[str], /, **kwargs: Any) -> list[Document]:
        """The documents with these ids, as they were added; unknown ids are left out."""
        return got(self.index, ids)
