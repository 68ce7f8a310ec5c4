"""An encoder's dense vectors as LlamaIndex's embedding."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import Field, PrivateAttr
from numpy.typing import NDArray

from retrieval.errors import EncoderError
from retrieval.types import Encoder


class EncoderEmbedding(BaseEmbedding, extra="forbid"):
    """The dense vectors of an encoder, of unit length: their inner product is their cosine.

    It can be pickled, as for the workers of an `IngestionPipeline`, which load the model from the
    same source.
    """

    model: str | None = Field(
        default=None, description="A checkpoint's folder or a Hub id; None is the embedded model."
    )
    _encoder: Encoder | None = PrivateAttr(default=None)

    def __init__(self, model: str | None = None, **options: Any) -> None:
        """Set the model, which is loaded on first use.

        Args:
            model: a checkpoint's folder or a Hub id; None is the embedded model.
            options: options of LlamaIndex's `BaseEmbedding`, such as `embed_batch_size`.
        """
        fields: dict[str, Any] = {"model": model, "model_name": model or "embedded"}
        super().__init__(**fields | options)

    @classmethod
    def class_name(cls) -> str:
        """The class's name, as LlamaIndex stores it."""
        return "EncoderEmbedding"

    @property
    def encoder(self) -> Encoder:
        """The encoder, loaded on first use.

        Raises:
            EncoderError: it cannot be loaded, or has no dense head.
        """
        if self._encoder is None:
            from retrieval.encoders import load_encoder

            encoder = load_encoder(self.model)
            if encoder.dense_dim is None:
                raise EncoderError(
                    f"encoder {encoder.name!r} has no dense head; embeddings need one"
                )
            self._encoder = encoder
        return self._encoder

    def _get_query_embedding(self, query: str) -> list[float]:
        return _rows(self.encoder.encode_queries([query]).dense)[0]

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return _rows(self.encoder.encode_documents(texts).dense)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return await asyncio.to_thread(self._get_query_embedding, query)

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return await asyncio.to_thread(self._get_text_embedding, text)

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await asyncio.to_thread(self._get_text_embeddings, texts)


def _rows(dense: NDArray[np.float32] | None) -> list[list[float]]:
    assert dense is not None  # the encoder has a dense head
    rows: list[list[float]] = dense.tolist()
    return rows
