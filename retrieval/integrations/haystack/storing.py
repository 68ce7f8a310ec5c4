"""The document store's methods, over an index."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from haystack import default_from_dict, default_to_dict
from haystack.dataclasses import Document
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy
from numpy.typing import ArrayLike

from retrieval import types
from retrieval.errors import InputError
from retrieval.index import Index
from retrieval.index.ready import of_each
from retrieval.indexes import Filter, Where
from retrieval.integrations.haystack.documents import (
    as_passage,
    as_written,
    field_type,
    to_store,
    updated,
)
from retrieval.integrations.haystack.filters import as_filter, metadata_key
from retrieval.integrations.precomputed import is_precomputed, new_encoder
from retrieval.integrations.returning import Returns, search_options
from retrieval.types import Encoder, Hit, Retriever

if TYPE_CHECKING:
    from retrieval.index.writing.writer import Writer

Filters: TypeAlias = dict[str, Any]
"""Haystack's filters."""


class Storing:
    """The synchronous methods of `IndexDocumentStore`."""

    def __init__(
        self,
        index: Index | str | os.PathLike[str],
        *,
        encoder: Encoder | str | None = None,
        embedding_dim: int | None = None,
        embedding_model: str = "precomputed",
        create: bool = True,
        timeout: float = 10.0,
    ) -> None:
        """Set the index.

        Args:
            index: a folder, whose index is opened on first use and closed by `close`; or an open
                index, which its owner closes.
            encoder: encoder of a new index: an Encoder, a folder or a Hub id; None is the embedded
                model.
            embedding_dim: number of dimensions of the documents' embeddings; None if they have
                none.
            embedding_model: a name for the model of the embeddings, by which the index
                distinguishes them from others.
            create: create the index in the folder if there is none.
            timeout: seconds to wait for another writing process.

        Raises:
            InputError: both an encoder and a number of dimensions were given.
        """
        new_encoder(encoder, embedding_dim, embedding_model)  # raises errors early
        self.encoder = encoder
        self.embedding_dim = embedding_dim
        self.embedding_model = embedding_model
        self.create = create
        self.timeout = timeout
        self._lock = threading.Lock()
        self._index: Index | None = index if isinstance(index, Index) else None
        self._owned = self._index is None
        self.path = index.path if isinstance(index, Index) else Path(index).absolute()

    @property
    def index(self) -> Index:
        """The index, opened on first use.

        Raises:
            IndexNotFound: there is none, and `create` is false.
            EncoderMismatch: it was built with another encoder.
        """
        with self._lock:
            if self._index is None:
                self._index = Index.open(
                    self.path, encoder=self._new_encoder(), create=self.create, timeout=self.timeout
                )
            return self._index

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    def close(self) -> None:
        """Close the index if the store opened it; it is opened again when needed."""
        with self._lock:
            if self._owned and self._index is not None:
                self._index.close()
                self._index = None

    def to_dict(self) -> dict[str, Any]:
        """The store as a dict; the documents stay in the folder.

        Raises:
            InputError: the encoder is an object that cannot be loaded by name.
        """
        if not isinstance(self.encoder, str | None):
            raise InputError(
                f"encoder {self.encoder.name!r} is an object, which cannot be saved; give the "
                "folder or the Hub id that it is loaded from"
            )
        return default_to_dict(
            self,
            index=str(self.path),
            encoder=self.encoder,
            embedding_dim=self.embedding_dim,
            embedding_model=self.embedding_model,
            create=self.create and self._owned,
            timeout=self.timeout,
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The store from the result of `to_dict`."""
        made: Self = default_from_dict(cls, data)
        return made

    def count_documents(self) -> int:
        """How many documents there are."""
        return self.index.count()

    def filter_documents(self, filters: Filters | None = None) -> list[Document]:
        """The documents that match the filters, all if there are none, in the order of their ids.

        Embeddings are those stored: 8 bits, unit length.
        """
        where = as_filter(filters)
        vectors = self._embeddings(where)
        return [as_written(one, vectors.get(one.id)) for one in self.index.documents(where)]

    def write_documents(
        self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE
    ) -> int:
        """Write documents; returns how many.

        Args:
            documents: what to write.
            policy: what to do if an id exists: with `FAIL`, and also with `NONE`, nothing at all is
                written then.

        Raises:
            DuplicateDocumentError: an id exists already, or occurs twice, and the policy is to
                fail.
            InputError: a document cannot be stored, or has an embedding that the store does not
                keep.
        """
        given = _checked(documents)
        if not given:
            return 0
        with self._writing() as writer:
            if policy != DuplicatePolicy.OVERWRITE:
                given = self._new_of(given, skip=policy == DuplicatePolicy.SKIP)
            self._write(writer, given)
        return len(given)

    def delete_documents(self, document_ids: list[str]) -> None:
        """Delete the documents with these ids; unknown ids are ignored."""
        self.index.delete(document_ids)

    def delete_all_documents(self, recreate_index: bool = False) -> None:
        """Delete all documents.

        Args:
            recreate_index: also free the space that they used.
        """
        self.index.clear()
        if recreate_index:
            self.index.compact()

    def delete_by_filter(self, filters: Filters) -> int:
        """Delete the documents that match the filters; returns how many."""
        where = as_filter(filters)
        return self.index.clear() if where is None else self.index.delete(where=where)

    def update_by_filter(self, filters: Filters, meta: dict[str, Any]) -> int:
        """Set these values in the metadata of the documents that match the filters.

        Returns:
            How many documents match.
        """
        where = as_filter(filters)
        with self._writing() as writer:
            vectors = self._embeddings(where)
            found = [updated(one, meta) for one in self.index.documents(where)]
            self._put(writer, found, [vectors.get(one.id) for one in found])
        return len(found)

    def count_documents_by_filter(self, filters: Filters) -> int:
        """How many documents match the filters."""
        return self.index.count(as_filter(filters))

    def count_unique_metadata_by_filter(
        self, filters: Filters, metadata_fields: list[str]
    ) -> dict[str, int]:
        """How many different values each field has in the documents that match the filters.

        Each element of a list is a value.
        """
        where = as_filter(filters)
        return {
            field.removeprefix("meta."): len(
                self.index.values(metadata_key(field), where, exact=True)
            )
            for field in metadata_fields
        }

    def get_metadata_fields_info(self) -> dict[str, dict[str, str]]:
        """For each metadata field a dict with its `type`: keyword, int, float or boolean."""
        found = self.index.metadata_keys()
        kinds = {name: {k: n for k, n in own.items() if k != "null"} for name, own in found.items()}
        numbers = [name for name, own in kinds.items() if set(own) == {"number"}]
        values = {
            name: [one for one, _ in self.index.values(metadata_key(name), exact=True)]
            for name in numbers
        }
        return {
            name: {"type": field_type(own, values.get(name, ()))}
            for name, own in kinds.items()
            if own
        }

    def get_metadata_field_min_max(self, metadata_field: str) -> dict[str, Any]:
        """The minimum and maximum of a field as `min` and `max`; None if it has no values.

        Only numbers are compared; texts are, if the field has no numbers.
        """
        found = [value for value, _ in self.index.values(metadata_key(metadata_field))]
        numbers = [value for value in found if not isinstance(value, str)]
        texts = [value for value in found if isinstance(value, str)]
        if numbers:
            return {"min": min(numbers), "max": max(numbers)}
        return {"min": min(texts, default=None), "max": max(texts, default=None)}

    def get_metadata_field_unique_values(
        self,
        metadata_field: str,
        search_term: str | None = None,
        from_: int = 0,
        size: int = 10,
        filters: Filters | None = None,
    ) -> tuple[list[Any], int]:
        """The distinct values of a field, in the order of their texts, and their number.

        Args:
            metadata_field: the field, with or without `meta.` in front.
            search_term: only values whose text contains it, ignoring case.
            from_: how many to skip.
            size: maximum number to return.
            filters: only values of documents that match.
        """
        found = [
            value
            for value, _ in self.index.values(
                metadata_key(metadata_field), as_filter(filters), exact=True
            )
        ]
        if search_term:
            part = search_term.casefold()
            found = [value for value in found if part in str(value).casefold()]
        found.sort(key=lambda value: (str(value), type(value).__name__))
        return found[from_ : from_ + size], len(found)

    def search(
        self,
        query: str | None,
        embedding: ArrayLike | None = None,
        *,
        filters: Filters | None = None,
        top_k: int = 10,
        retriever: Retriever | None = None,
        returns: Returns = "document",
        scale_score: bool = True,
        return_embedding: bool = False,
        **options: Any,
    ) -> list[Document]:
        """The best documents or passages, with their scores; for retrievers.

        Args:
            query: any text, or None.
            embedding: [D], the query's dense vector, or None.
            filters: Haystack's filters.
            top_k: maximum number.
            retriever: `hybrid`, `lexical`, `dense` or `late`; None is the best available: `hybrid`,
                or `lexical` for a text without a vector.
            returns: `document` returns documents as written, each once; `passage` the passages that
                were found.
            scale_score: whether scores are the relevance, from 0 to 1, or the scores of the
                ranking.
            return_embedding: whether to include the documents' embeddings.
            options: other options of `Index.search`.
        """
        if top_k == 0:
            return []
        if retriever is None:
            without_model = query is not None and embedding is None and self._keeps_embeddings()
            retriever = "lexical" if without_model else "hybrid"
        hits: list[Hit] = self.index.search(
            query,
            top_k,
            vector=embedding,
            where=as_filter(filters),
            retriever=retriever,
            **search_options(returns) | options,
        )
        scores = [hit.relevance if scale_score else hit.score for hit in hits]
        if returns == "passage":
            return [as_passage(hit, score) for hit, score in zip(hits, scores, strict=True)]
        ids = [hit.document_id for hit in hits]
        vectors = self._embeddings(Filter.of_ids(ids)) if return_embedding else {}
        return [
            as_written(one, vectors.get(one.id), score)
            for one, score in zip(self.index.get_many(ids), scores, strict=True)
            if one is not None  # deleted since the search
        ]

    def _new_encoder(self) -> Encoder | str | None:
        return new_encoder(self.encoder, self.embedding_dim, self.embedding_model)

    def _keeps_embeddings(self) -> bool:
        """Whether vectors come with the documents rather than from an encoder."""
        return is_precomputed(self.index.encoder)

    @contextmanager
    def _writing(self) -> Iterator[Writer]:
        """Writes what depends on the documents that there are: no other process changes them."""
        with self.index.writing() as writer:
            self.index.refresh()
            yield writer

    def _new_of(self, documents: list[Document], *, skip: bool) -> list[Document]:
        """The documents whose ids are new; an id that is not is an error, or skipped."""
        ids = [document.id for document in documents]
        there = {one.id for one in self.index.get_many(ids) if one is not None}
        fresh: dict[str, Document] = {}
        for document in documents:
            if document.id not in there and document.id not in fresh:
                fresh[document.id] = document
            elif not skip:
                raise DuplicateDocumentError(
                    f"a document with the id {document.id!r} already exists; write with "
                    "policy OVERWRITE or SKIP"
                )
        return list(fresh.values())

    def _write(self, writer: Writer, documents: list[Document]) -> None:
        given = [to_store(document) for document in documents]
        for document in documents:
            if document.embedding is not None and not self._keeps_embeddings():
                raise InputError(
                    f"document {document.id!r} has an embedding, but the index's own encoder makes "
                    "the vectors; leave it out, or make a store with embedding_dim="
                    f"{len(document.embedding)}"
                )
        self._put(writer, given, [document.embedding for document in documents])

    def _put(
        self, writer: Writer, given: list[types.Document], vectors: list[list[float] | None]
    ) -> None:
        """Write documents, with their embeddings if the store keeps them."""
        made = vectors if self._keeps_embeddings() else None
        for document, own in zip(
            given, of_each(given, None, made, writer.store.settings), strict=True
        ):
            writer.put(document, ready=own)

    def _embeddings(self, where: Where | None) -> dict[str, list[float]]:
        """The stored embeddings, by document id."""
        if not self._keeps_embeddings():
            return {}
        return {
            passage.document_id: own.dense[0].tolist()
            for passage, own in self.index.vectors(where)
            if own.dense is not None
        }


def _checked(documents: Any) -> list[Document]:
    listed = list(documents) if isinstance(documents, Iterable) else [documents]
    for one in listed:
        if not isinstance(one, Document):
            raise InputError(f"{documents!r:.60} was given; give a list of haystack.Document")
    return listed
