"""An encoder's dense vectors as Haystack's embedders."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from haystack import Document, component, default_from_dict, default_to_dict

from retrieval.errors import EncoderError
from retrieval.integrations.haystack.documents import text_to_read
from retrieval.types import Encoder


class _Encoding:
    """The base of both embedders: a model that is loaded on first use."""

    def __init__(self, model: str | None = None) -> None:
        """Set the model.

        Args:
            model: a checkpoint's folder or a Hub id; None is the embedded model.
        """
        self.model = model
        self._encoder: Encoder | None = None

    def warm_up(self) -> None:
        """Load the model, if it is not yet.

        Raises:
            EncoderError: it cannot be loaded, or has no dense head.
        """
        if self._encoder is not None:
            return
        from retrieval.encoders import load_encoder

        encoder = load_encoder(self.model)
        if encoder.dense_dim is None:
            raise EncoderError(f"encoder {encoder.name!r} has no dense head; embeddings need one")
        self._encoder = encoder

    @property
    def encoder(self) -> Encoder:
        """The encoder, loaded if it is not yet."""
        self.warm_up()
        assert self._encoder is not None
        return self._encoder

    def _meta(self) -> dict[str, Any]:
        return {"model": self.encoder.name, "fingerprint": self.encoder.fingerprint}


@component
class EncoderTextEmbedder(_Encoding):
    """The dense vector of a query, of unit length."""

    def to_dict(self) -> dict[str, Any]:
        """The component as a dict."""
        return default_to_dict(self, model=self.model)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> EncoderTextEmbedder:
        """The component from the result of `to_dict`."""
        made: EncoderTextEmbedder = default_from_dict(cls, data)
        return made

    @component.output_types(embedding=list[float], meta=dict[str, Any])
    def run(self, text: str) -> dict[str, Any]:
        """The text's vector, [D], of the query side, and the model's name.

        Raises:
            TypeError: it is not a text.
        """
        if not isinstance(text, str):
            raise TypeError(
                f"{type(text).__name__} was given; give a text, or use EncoderDocumentEmbedder"
            )
        dense = self.encoder.encode_queries([text]).dense
        assert dense is not None
        return {"embedding": dense[0].tolist(), "meta": self._meta()}

    @component.output_types(embedding=list[float], meta=dict[str, Any])
    async def run_async(self, text: str) -> dict[str, Any]:
        """As `run`."""
        return await asyncio.to_thread(self.run, text)


@component
class EncoderDocumentEmbedder(_Encoding):
    """The dense vectors of documents, of unit length."""

    def __init__(
        self,
        model: str | None = None,
        *,
        meta_fields_to_embed: list[str] | None = None,
        embedding_separator: str = "\n",
    ) -> None:
        """Name the model.

        Args:
            model: a checkpoint's folder or a Hub id; None is the embedded model.
            meta_fields_to_embed: keys of the metadata whose values are read before the text.
            embedding_separator: put between them.
        """
        # `component` replaces the class, so `super()` does not work
        _Encoding.__init__(self, model)
        self.meta_fields_to_embed = list(meta_fields_to_embed or ())
        self.embedding_separator = embedding_separator

    def to_dict(self) -> dict[str, Any]:
        """The component as a dict."""
        return default_to_dict(
            self,
            model=self.model,
            meta_fields_to_embed=self.meta_fields_to_embed,
            embedding_separator=self.embedding_separator,
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> EncoderDocumentEmbedder:
        """The component from the result of `to_dict`."""
        made: EncoderDocumentEmbedder = default_from_dict(cls, data)
        return made

    @component.output_types(documents=list[Document], meta=dict[str, Any])
    def run(self, documents: list[Document]) -> dict[str, Any]:
        """Copies of the documents with their vectors, [D], and the model's name.

        Raises:
            TypeError: it is not a list of documents.
        """
        if not isinstance(documents, list) or not all(isinstance(d, Document) for d in documents):
            raise TypeError(
                "no list of Documents was given; give one, or use EncoderTextEmbedder for a text"
            )
        if not documents:
            return {"documents": [], "meta": self._meta()}
        fields, separator = self.meta_fields_to_embed, self.embedding_separator
        texts = [text_to_read(document, fields, separator) for document in documents]
        dense = self.encoder.encode_documents(texts).dense
        assert dense is not None
        made = [
            replace(document, embedding=row.tolist())
            for document, row in zip(documents, dense, strict=True)
        ]
        return {"documents": made, "meta": self._meta()}

    @component.output_types(documents=list[Document], meta=dict[str, Any])
    async def run_async(self, documents: list[Document]) -> dict[str, Any]:
        """As `run`."""
        return await asyncio.to_thread(self.run, documents)
