"""An index as LangChain's vector store."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.runnables.config import run_in_executor
from langchain_core.vectorstores import VectorStore

from retrieval.errors import InputError
from retrieval.index import Index
from retrieval.index.ready import Given
from retrieval.indexes import Where
from retrieval.integrations.langchain.documents import Found, found_documents, got, put
from retrieval.integrations.langchain.embeddings import (
    EncoderEmbeddings,
    foreign,
    own_embeddings,
    stand_in,
)
from retrieval.integrations.langchain.marginal_relevance import unlike
from retrieval.integrations.returning import Returns, checked_returns, search_options
from retrieval.types import Encoder, Retriever


class IndexVectorStore(VectorStore):
    """An index as a vector store, for writing and searching.

    Every search also accepts the options of `Index.search`, such as `retriever` or `min_relevance`.
    Methods raise the errors of `Index`'s methods.

    Attributes:
        index: an open index, which its owner closes.
        embedding: computes the vectors; None is the index's own encoder.
        retriever: `hybrid`, `lexical`, `dense` or `late`.
        returns: `document` returns documents as they were added, each once; `passage` returns
            passages, as `IndexRetriever` does, possibly several of one document.
    """

    def __init__(
        self,
        index: Index,
        embedding: Embeddings | None = None,
        *,
        retriever: Retriever = "hybrid",
        returns: Returns = "document",
    ) -> None:
        """Set the open index and options.

        Args:
            index: if there is an `embedding`, one that was created with
                `encoder=Precomputed(dense_dim, name=...)`.
            embedding: computes the vectors of documents and queries; None is the index's encoder,
                which gives token vectors too.
            retriever: see the class.
            returns: see the class.

        Raises:
            EncoderMismatch: the embedding is an encoder, and not the index's.
            InputError: it is not an embedding, or the index has its own encoder; or
                `returns` is unknown.
        """
        self.index = index
        self.embedding = foreign(index, embedding)
        self.retriever: Retriever = retriever
        self.returns: Returns = checked_returns(returns)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.index!r})"

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings | None = None,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        path: str | os.PathLike[str] | None = None,
        name: str | None = None,
        retriever: Retriever = "hybrid",
        returns: Returns = "document",
        **options: Any,
    ) -> IndexVectorStore:
        """A new index of these texts, as a vector store.

        Args:
            texts: what to add.
            embedding: computes the vectors; None is the embedded model.
            metadatas: metadata of each text.
            ids: an id for each text; None makes random ones.
            path: a folder for the index that contains none yet; None is a temporary one, deleted
                when `index` is closed.
            name: name of the embedding's model, by which the index distinguishes it from others;
                None is its class's name.
            retriever: see the class.
            returns: see the class.
            options: other options of `Index.create`.
        """
        encoder: Encoder | None = None
        vectors: list[list[float]] | None = None
        if isinstance(embedding, EncoderEmbeddings):
            encoder = embedding.encoder
        elif embedding is not None:
            vectors = embedding.embed_documents(texts) if texts else None
            encoder = stand_in(embedding, vectors, name)
        if path is None:
            index = Index.from_documents([], encoder=encoder, **options)
        else:
            index = Index.create(path, encoder=encoder, **options)
        store = cls(index, embedding, retriever=retriever, returns=returns)
        store.add_texts(texts, metadatas, ids=ids, embeddings=vectors)
        return store

    @property
    def embeddings(self) -> Embeddings | None:
        """Computes the vectors; None if neither the index nor the store has a model."""
        if self.embedding is not None:
            return self.embedding
        return own_embeddings(self.index)

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        embeddings: Given | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Add texts, or replace those with the same ids; returns their ids.

        Args:
            texts: what to add.
            metadatas: metadata of each text, which an index can store; a `title` that is a text
                also becomes the document's title.
            ids: an id for each text; None, or a None in it, makes random ones.
            embeddings: [n, D], the texts' dense vectors, if already computed.
            kwargs: what the indexing API passes; not used.

        Raises:
            InputError: the numbers of metadatas or ids and texts differ, or a text cannot be
                stored.
        """
        return self.add_documents(_documents(texts, metadatas), ids=ids, embeddings=embeddings)

    def add_documents(
        self,
        documents: list[Document],
        *,
        ids: Sequence[str | None] | None = None,
        embeddings: Given | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Like `add_texts`; `ids` override documents' own ids."""
        if embeddings is None and self.embedding is not None:
            embeddings = self.embedding.embed_documents([one.page_content for one in documents])
        return put(self.index, documents, ids, embeddings)

    async def aadd_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        embeddings: Given | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Like `add_texts`, with vectors from the embedding's asynchronous method."""
        documents = _documents(texts, metadatas)
        return await self.aadd_documents(documents, ids=ids, embeddings=embeddings)

    async def aadd_documents(
        self,
        documents: list[Document],
        *,
        ids: Sequence[str | None] | None = None,
        embeddings: Given | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Like `add_documents`, with vectors from the embedding's asynchronous method."""
        if embeddings is None and self.embedding is not None:
            texts = [one.page_content for one in documents]
            embeddings = await self.embedding.aembed_documents(texts)
        return await run_in_executor(None, put, self.index, documents, ids, embeddings)

    def delete(
        self, ids: Iterable[str] | None = None, *, filter: Where | None = None, **kwargs: Any
    ) -> bool:
        """Delete the documents with these ids or that match a filter; all, if neither is given.

        Args:
            ids: ids of documents; unknown ids are ignored.
            filter: see `where` of `Index.search`.
            kwargs: not used.

        Returns:
            True.
        """
        if ids is None and filter is None:
            self.index.clear()
        else:
            self.index.delete(ids, where=filter)
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents with these ids, as they were added; unknown ids are left out."""
        return got(self.index, ids)

    def similarity_search(
        self, query: str, k: int = 4, *, filter: Where | None = None, **kwargs: Any
    ) -> list[Document]:
        """The k documents, or passages, that answer the query best.

        Args:
            query: any text.
            k: at least 1.
            filter: see `where` of `Index.search`: a dict such as `{"year": {"$gte": 2020}}`, a
                text or a Filter.
            kwargs: other options of `Index.search`.
        """
        return _alone(self._find(query, self._embed(query, kwargs), k, filter, kwargs))

    async def asimilarity_search(
        self, query: str, k: int = 4, *, filter: Where | None = None, **kwargs: Any
    ) -> list[Document]:
        """As `similarity_search`."""
        return _alone(await self._afind(query, k, filter, kwargs))

    def similarity_search_with_score(
        self, query: str, k: int = 4, *, filter: Where | None = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Like `similarity_search`, with the scores of the ranking: higher is better."""
        return _scored(self._find(query, self._embed(query, kwargs), k, filter, kwargs))

    async def asimilarity_search_with_score(
        self, query: str, k: int = 4, *, filter: Where | None = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """As `similarity_search_with_score`."""
        return _scored(await self._afind(query, k, filter, kwargs))

    def _similarity_search_with_relevance_scores(
        self, query: str, k: int = 4, *, filter: Where | None = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """The scores for `score_threshold`: `Hit.relevance`, from 0 to 1."""
        return _relevant(self._find(query, self._embed(query, kwargs), k, filter, kwargs))

    async def _asimilarity_search_with_relevance_scores(
        self, query: str, k: int = 4, *, filter: Where | None = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        return _relevant(await self._afind(query, k, filter, kwargs))

    def similarity_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        *,
        filter: Where | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """As `similarity_search`, by a dense vector [D]."""
        return _alone(self._find(None, embedding, k, filter, kwargs))

    def similarity_search_with_score_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        *,
        filter: Where | None = None,
        **kwargs: Any,
    ) -> list[tuple[Document, float]]:
        """As `similarity_search_by_vector`, with the cosines."""
        return _scored(self._find(None, embedding, k, filter, kwargs))

    def max_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        *,
        filter: Where | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Choose k of the `fetch_k` best results such that they differ from each other.

        Args:
            query: any text.
            k: at least 1.
            fetch_k: how many to choose from.
            lambda_mult: 1 considers only similarity to the query, 0 only difference from each
                other; both are cosines of dense vectors.
            filter: see `similarity_search`.
            kwargs: other options of `Index.search`.

        Raises:
            InputError: there is no model for the query's dense vector.
        """
        vector = self._needed().embed_query(query)
        given = None if self.embedding is None else vector
        found = self._find(query, given, max(k, fetch_k), filter, kwargs)
        return unlike(self.index, vector, found, k, lambda_mult)

    async def amax_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        *,
        filter: Where | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """As `max_marginal_relevance_search`."""
        vector = await self._needed().aembed_query(query)
        given = None if self.embedding is None else vector
        most = max(k, fetch_k)
        found = await run_in_executor(None, self._find, query, given, most, filter, kwargs)
        return await run_in_executor(None, unlike, self.index, vector, found, k, lambda_mult)

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        *,
        filter: Where | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """As `max_marginal_relevance_search`, by a dense vector [D]."""
        found = self._find(None, embedding, max(k, fetch_k), filter, kwargs)
        return unlike(self.index, embedding, found, k, lambda_mult)

    def _asked_embedding(self, options: dict[str, Any]) -> Embeddings | None:
        """The embedding, if the retriever needs a vector from it."""
        words_alone = options.get("retriever", self.retriever) == "lexical"
        return None if words_alone else self.embedding

    def _embed(self, query: str, options: dict[str, Any]) -> list[float] | None:
        embedding = self._asked_embedding(options)
        return None if embedding is None else embedding.embed_query(query)

    async def _afind(
        self, query: str, k: int, filter: Where | None, options: dict[str, Any]
    ) -> Found:
        embedding = self._asked_embedding(options)
        vector = None if embedding is None else await embedding.aembed_query(query)
        return await run_in_executor(None, self._find, query, vector, k, filter, options)

    def _find(
        self,
        query: str | None,
        vector: list[float] | None,
        k: int,
        filter: Where | None,
        options: dict[str, Any],
    ) -> Found:
        retriever: Retriever = "dense" if query is None else self.retriever
        asked = search_options(self.returns) | {"retriever": retriever} | options
        hits = self.index.search(query, k, where=filter, vector=vector, **asked)
        return found_documents(self.index, hits, self.returns)

    def _needed(self) -> Embeddings:
        made = self.embeddings
        if made is None:
            raise InputError(
                "there is no model for the query's dense vector; give the store an embedding, or "
                "search by vector"
            )
        return made


def _documents(texts: Iterable[str], metadatas: list[dict[str, Any]] | None) -> list[Document]:
    given = list(texts)
    told = [{} for _ in given] if metadatas is None else metadatas
    if len(told) != len(given):
        raise InputError(f"{len(told)} metadatas were given for {len(given)} texts")
    return [
        Document(page_content=text, metadata=metadata)
        for text, metadata in zip(given, told, strict=True)
    ]


def _alone(found: Found) -> list[Document]:
    return [document for document, _ in found]


def _scored(found: Found) -> list[tuple[Document, float]]:
    return [(document, hit.score) for document, hit in found]


def _relevant(found: Found) -> list[tuple[Document, float]]:
    return [(document, hit.relevance) for document, hit in found]
