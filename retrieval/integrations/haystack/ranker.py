"""Haystack's ranker: ranking documents by an encoder or a cross-encoder."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from haystack import Document, component, default_from_dict, default_to_dict

from retrieval.errors import InputError
from retrieval.integrations.haystack.documents import text_to_read
from retrieval.types import Reranker


@component
class EncoderRanker:
    """Ranks documents by how well they answer a query; higher scores are better.

    Scored by late interaction, or by cosine if the model has no token head; a cross-encoder reads
    query and document together.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        top_k: int | None = None,
        meta_fields_to_embed: list[str] | None = None,
    ) -> None:
        """Set the model, which is loaded on first use.

        Args:
            model: a folder or a Hub id, of an encoder or a cross-encoder; None is the embedded
                model.
            top_k: how many documents to return; None is all.
            meta_fields_to_embed: keys of the metadata whose values are read before the text.

        Raises:
            InputError: `top_k` is not at least 1.
        """
        if top_k is not None and top_k < 1:
            raise InputError(f"top_k must be at least 1 or None, not {top_k}")
        self.model = model
        self.top_k = top_k
        self.meta_fields_to_embed = list(meta_fields_to_embed or ())
        self._reranker: Reranker | None = None

    def to_dict(self) -> dict[str, Any]:
        """The component as a dict."""
        return default_to_dict(
            self,
            model=self.model,
            top_k=self.top_k,
            meta_fields_to_embed=self.meta_fields_to_embed,
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> EncoderRanker:
        """The component from the result of `to_dict`."""
        made: EncoderRanker = default_from_dict(cls, data)
        return made

    def warm_up(self) -> None:
        """Load the model, unless it is loaded.

        Raises:
            EncoderError: it cannot be loaded.
        """
        if self._reranker is None:
            from retrieval.encoders import load_reranker

            self._reranker = load_reranker(self.model)

    @component.output_types(documents=list[Document])
    def run(
        self, query: str, documents: list[Document], top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """Copies of the documents with their scores, best first; those without words come last.

        Args:
            query: a text of at least one word.
            documents: a retriever's documents.
            top_k: how many; None is the component's.
        """
        if not documents:
            return {"documents": []}
        self.warm_up()
        assert self._reranker is not None
        most = self.top_k if top_k is None else top_k
        texts = [text_to_read(document, self.meta_fields_to_embed) for document in documents]
        ranked = self._reranker.rerank(query, texts, most)
        return {"documents": [replace(documents[r.index], score=r.score) for r in ranked]}

    @component.output_types(documents=list[Document])
    async def run_async(
        self, query: str, documents: list[Document], top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """As `run`."""
        return await asyncio.to_thread(self.run, query, documents, top_k)
