"""An index as Haystack's retrievers: by a text, and by an embedding."""

from __future__ import annotations

import asyncio
from typing import Any

from haystack import Document, component, default_from_dict, default_to_dict
from haystack.document_stores.types import FilterPolicy, apply_filter_policy

from retrieval.errors import InputError
from retrieval.integrations.haystack.document_store import IndexDocumentStore
from retrieval.integrations.returning import Returns, checked_returns
from retrieval.types import Retriever


class _Searching:
    """The base of both retrievers."""

    def __init__(
        self,
        document_store: IndexDocumentStore,
        filters: dict[str, Any] | None = None,
        top_k: int = 10,
        *,
        returns: Returns = "document",
        scale_score: bool = True,
        return_embedding: bool = False,
        filter_policy: FilterPolicy | str = FilterPolicy.REPLACE,
        search_options: dict[str, Any] | None = None,
    ) -> None:
        """Set the document store and options.

        Args:
            document_store: where to search.
            filters: Haystack's filters.
            top_k: maximum number of documents or passages.
            returns: `document` returns documents as written, each once; `passage` the passages that
                were found.
            scale_score: whether scores are the relevance, from 0 to 1, or the scores of the
                ranking.
            return_embedding: whether to include the documents' embeddings.
            filter_policy: whether filters of a run replace these, or are combined with them.
            search_options: other options of `Index.search`, such as `min_relevance`.

        Raises:
            TypeError: it is not an IndexDocumentStore.
            InputError: `top_k` is not at least 1, or `returns` is unknown.
        """
        if not isinstance(document_store, IndexDocumentStore):
            raise TypeError(
                f"document_store is a {type(document_store).__name__}; give an IndexDocumentStore"
            )
        if top_k < 1:
            raise InputError(f"top_k must be at least 1, not {top_k}")
        self.document_store = document_store
        self.filters = filters
        self.top_k = top_k
        self.returns = checked_returns(returns)
        self.scale_score = scale_score
        self.return_embedding = return_embedding
        self.filter_policy = (
            FilterPolicy.from_str(filter_policy)
            if isinstance(filter_policy, str)
            else filter_policy
        )
        self.search_options = dict(search_options or {})

    def _told(self) -> dict[str, Any]:
        return {
            "document_store": self.document_store.to_dict(),
            "filters": self.filters,
            "top_k": self.top_k,
            "returns": self.returns,
            "scale_score": self.scale_score,
            "return_embedding": self.return_embedding,
            "filter_policy": str(self.filter_policy),
            "search_options": self.search_options,
        }

    def _found(
        self,
        query: str | None,
        embedding: list[float] | None,
        filters: dict[str, Any] | None,
        top_k: int | None,
        retriever: Retriever | None,
    ) -> dict[str, list[Document]]:
        chosen = self.top_k if top_k is None else top_k
        if chosen < 0:
            raise InputError(f"top_k must be at least 0, not {chosen}")
        documents = self.document_store.search(
            query,
            embedding,
            filters=apply_filter_policy(self.filter_policy, self.filters, filters),
            top_k=chosen,
            retriever=retriever,
            returns=self.returns,
            scale_score=self.scale_score,
            return_embedding=self.return_embedding,
            **self.search_options,
        )
        return {"documents": documents}


@component
class IndexTextRetriever(_Searching):
    """Finds documents by a text: words, dense vectors and late interaction together.

    If the store keeps embeddings, no model here computes a text's vector: documents are found by
    words alone, or by both if the run is given the text's embedding as well.
    """

    def __init__(
        self,
        document_store: IndexDocumentStore,
        filters: dict[str, Any] | None = None,
        top_k: int = 10,
        *,
        retriever: Retriever | None = None,
        returns: Returns = "document",
        scale_score: bool = True,
        return_embedding: bool = False,
        filter_policy: FilterPolicy | str = FilterPolicy.REPLACE,
        search_options: dict[str, Any] | None = None,
    ) -> None:
        """Set the document store and options.

        Args:
            retriever: `hybrid`, `lexical`, `dense` or `late`; None is the best available.

        Other arguments and errors are those of `IndexEmbeddingRetriever`.
        """
        _Searching.__init__(  # `component` replaces the class, so `super()` does not work
            self,
            document_store,
            filters,
            top_k,
            returns=returns,
            scale_score=scale_score,
            return_embedding=return_embedding,
            filter_policy=filter_policy,
            search_options=search_options,
        )
        self.retriever: Retriever | None = retriever

    def to_dict(self) -> dict[str, Any]:
        """The component as a dict."""
        return default_to_dict(self, retriever=self.retriever, **self._told())

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> IndexTextRetriever:
        """The component from the result of `to_dict`."""
        made: IndexTextRetriever = default_from_dict(cls, data)
        return made

    @component.output_types(documents=list[Document])
    def run(
        self,
        query: str,
        filters: dict[str, Any] | None = None,
        top_k: int | None = None,
        query_embedding: list[float] | None = None,
    ) -> dict[str, list[Document]]:
        """Find documents.

        Args:
            query: any text.
            filters: Haystack's; see `filter_policy`.
            top_k: how many; None is the component's.
            query_embedding: [D], the text's vector by the model that made the documents'.
        """
        return self._found(query, query_embedding, filters, top_k, self.retriever)

    @component.output_types(documents=list[Document])
    async def run_async(
        self,
        query: str,
        filters: dict[str, Any] | None = None,
        top_k: int | None = None,
        query_embedding: list[float] | None = None,
    ) -> dict[str, list[Document]]:
        """As `run`."""
        return await asyncio.to_thread(self.run, query, filters, top_k, query_embedding)


@component
class IndexEmbeddingRetriever(_Searching):
    """Finds documents by the cosine of their dense vectors and that of a query."""

    def to_dict(self) -> dict[str, Any]:
        """The component as a dict."""
        return default_to_dict(self, **self._told())

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> IndexEmbeddingRetriever:
        """The component from the result of `to_dict`."""
        made: IndexEmbeddingRetriever = default_from_dict(cls, data)
        return made

    @component.output_types(documents=list[Document])
    def run(
        self,
        query_embedding: list[float],
        filters: dict[str, Any] | None = None,
        top_k: int | None = None,
    ) -> dict[str, list[Document]]:
        """Find documents.

        Args:
            query_embedding: [D].
            filters: Haystack's; see `filter_policy`.
            top_k: how many; None is the component's.
        """
        return self._found(None, query_embedding, filters, top_k, "dense")

    @component.output_types(documents=list[Document])
    async def run_async(
        self,
        query_embedding: list[float],
        filters: dict[str, Any] | None = None,
        top_k: int | None = None,
    ) -> dict[str, list[Document]]:
        """As `run`."""
        return await asyncio.to_thread(self.run, query_embedding, filters, top_k)
