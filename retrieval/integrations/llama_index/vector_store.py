"""An index as LlamaIndex's vector store."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryResult,
)

from retrieval.errors import InputError
from retrieval.index import Index
from retrieval.integrations.llama_index.filters import SOURCE, as_filter
from retrieval.integrations.llama_index.nodes import as_added, has_direction, to_store
from retrieval.integrations.llama_index.querying import answered
from retrieval.integrations.precomputed import is_precomputed, new_encoder
from retrieval.types import Encoder

_LOG = logging.getLogger(__name__)


class IndexVectorStore(BasePydanticVectorStore):
    """An index as a vector store, for writing and searching; it stores texts and metadata too.

    With `embedding_dim` it stores the nodes' embeddings from LlamaIndex's `embed_model`. Without,
    the index's own encoder computes the vectors, several per node, and queries are texts: vectors
    of an `embed_model` are not used then. Methods raise the errors of `Index`'s methods.
    """

    stores_text: bool = True
    is_embedding_query: bool = True
    flat_metadata: bool = False

    path: str
    embedding_dim: int | None = None
    embedding_model: str = "precomputed"
    create: bool = True
    timeout: float = 10.0

    _index: Index = PrivateAttr()

    def __init__(
        self,
        index: Index | str | os.PathLike[str] | None = None,
        *,
        encoder: Encoder | str | None = None,
        embedding_dim: int | None = None,
        embedding_model: str = "precomputed",
        create: bool = True,
        timeout: float = 10.0,
        **told: Any,
    ) -> None:
        """Set the index.

        Args:
            index: an open index, which its owner closes; or a folder, whose index is opened.
            encoder: encoder of a new index: an Encoder, a folder or a Hub id; None is the embedded
                model.
            embedding_dim: for a new index: number of dimensions of the nodes' embeddings; None lets
                the encoder compute the vectors.
            embedding_model: a name for the model of the embeddings, by which the index
                distinguishes them from others.
            create: create the index in the folder if there is none.
            timeout: seconds to wait for another writing process.
            told: what LlamaIndex stored of it; its `path` is the index's.

        Raises:
            InputError: both an encoder and a number of dimensions were given, or no index.
            TypeError: an argument is unknown.
        """
        strange = sorted(set(told).difference(type(self).model_fields))
        if strange:
            raise TypeError(f"IndexVectorStore has no argument {', '.join(strange)}")
        made = new_encoder(encoder, embedding_dim, embedding_model)
        index = told.get("path") if index is None else index
        if index is None:
            raise InputError("no index was given; give one, or its folder")
        if not isinstance(index, Index):
            index = Index.open(Path(index), encoder=made, create=create, timeout=timeout)
        keeps = is_precomputed(index.encoder)
        fields: dict[str, Any] = {
            "is_embedding_query": keeps,
            "path": str(index.path),
            "embedding_dim": index.encoder.dense_dim if keeps else None,
            "embedding_model": index.encoder.name if keeps else embedding_model,
            "create": create,
            "timeout": timeout,
        }
        super().__init__(**fields)
        self._index = index

    @classmethod
    def class_name(cls) -> str:
        """The class's name, as LlamaIndex stores it."""
        return "IndexVectorStore"

    @property
    def client(self) -> Index:
        """The index."""
        return self._index

    @property
    def index(self) -> Index:
        """The index."""
        return self._index

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Add nodes, or replace those with the same ids; returns their ids.

        Raises:
            InputError: a node cannot be stored, or its embedding has another number of dimensions.
        """
        documents = list(map(to_store, nodes))
        if self.is_embedding_query:
            vectors = [node.embedding if has_direction(node.embedding) else None for node in nodes]
            self._index.add(documents, embeddings=vectors)
        else:
            self._index.add(documents)
        return [document.id for document in documents]

    def delete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Delete all nodes of a document."""
        self._index.delete(where={SOURCE: ref_doc_id})

    def delete_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        **delete_kwargs: Any,
    ) -> None:
        """Delete nodes by their ids, by filters, or by both, which then both have to match.

        If neither is given nothing is deleted, which is logged: `clear` deletes all.
        """
        where = as_filter(filters, node_ids)
        if where is None:
            _LOG.warning("delete_nodes was given neither ids nor filters and deletes nothing")
            return
        self._index.delete(where=where)

    def clear(self) -> None:
        """Delete all nodes."""
        self._index.clear()

    def get_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> list[BaseNode]:
        """The nodes with these ids, in their order, or that match the filters; all by default.

        Unknown ids are left out. An embedding that was added is returned as stored: unit length, 8
        bits.
        """
        where = as_filter(filters, node_ids)
        found = {one.id: as_added(one) for one in self._index.documents(where)}
        if self.is_embedding_query:
            for passage, kept in self._index.vectors(where):
                if passage.document_id in found and kept.dense is not None and len(kept.dense):
                    found[passage.document_id].embedding = kept.dense[0].tolist()
        if node_ids is None:
            return list(found.values())
        return [found[id] for id in dict.fromkeys(node_ids) if id in found]

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """The nodes that answer best; all of LlamaIndex's modes are supported.

        Args:
            query: LlamaIndex's query. An embedding alone is answered by cosine; a text by words, by
                the encoder's vectors if the index has an encoder, and by an accompanying embedding.
                Filters or ids alone list the nodes that match, without similarities.
            kwargs: `mmr_threshold`, `mmr_prefetch_k` or `mmr_prefetch_factor`; and other options of
                `Index.search`.

        Raises:
            InputError: the mode needs something that the query or the index lacks.
        """
        return answered(self._index, query, kwargs)

    def persist(self, persist_path: str, fs: Any = None) -> None:
        """Do nothing: added nodes are already on disk, in the index's folder."""

    async def async_add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """As `add`."""
        return await asyncio.to_thread(self.add, nodes)

    async def adelete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """As `delete`."""
        await asyncio.to_thread(self.delete, ref_doc_id)

    async def adelete_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        **delete_kwargs: Any,
    ) -> None:
        """As `delete_nodes`."""
        await asyncio.to_thread(self.delete_nodes, node_ids, filters)

    async def aclear(self) -> None:
        """As `clear`."""
        await asyncio.to_thread(self.clear)

    async def aget_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> list[BaseNode]:
        """As `get_nodes`."""
        return await asyncio.to_thread(self.get_nodes, node_ids, filters)

    async def aquery(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """As `query`."""
        return await asyncio.to_thread(self.query, query, **kwargs)
