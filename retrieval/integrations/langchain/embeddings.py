"""An encoder's dense vectors as LangChain's Embeddings, and other embeddings for an index."""

from __future__ import annotations

import os

import numpy as np
from langchain_core.embeddings import Embeddings
from numpy.typing import NDArray

from retrieval.errors import EncoderError, EncoderMismatch, InputError
from retrieval.index import Index
from retrieval.integrations.precomputed import is_precomputed
from retrieval.types import Encoder


class EncoderEmbeddings(Embeddings):
    """The dense vectors of an encoder, of unit length: their inner product is their cosine.

    Attributes:
        encoder: the encoder; `encoder.fingerprint` can identify it in a cache of embeddings.
    """

    def __init__(self, model: Encoder | str | os.PathLike[str] | None = None) -> None:
        """Set or load the encoder.

        Args:
            model: an Encoder, a checkpoint's folder or a Hub id; None is the embedded model.

        Raises:
            EncoderError: it cannot be loaded, or has no dense head.
        """
        from retrieval.encoders import load_encoder

        if model is None or isinstance(model, str):
            self.encoder: Encoder = load_encoder(model)
        elif isinstance(model, os.PathLike):
            self.encoder = load_encoder(os.fspath(model))
        else:
            self.encoder = model
        if self.encoder.dense_dim is None:
            raise EncoderError(
                f"encoder {self.encoder.name!r} has no dense head; embeddings need one"
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.encoder.name!r})"

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """The dense vector of each text, of the document side; an empty list for no texts."""
        if not texts:
            return []
        return _rows(self.encoder.encode_documents(texts).dense)

    def embed_query(self, text: str) -> list[float]:
        """The dense vector of a query."""
        return _rows(self.encoder.encode_queries([text]).dense)[0]


def foreign(index: Index, embedding: Embeddings | None) -> Embeddings | None:
    """The embedding if it is not the index's own encoder, else None.

    Raises:
        EncoderMismatch: it is an encoder, and not the index's.
        InputError: the index has an encoder of its own.
    """
    if embedding is None:
        return None
    encoder = index.encoder
    if isinstance(embedding, EncoderEmbeddings):
        if embedding.encoder.fingerprint != encoder.fingerprint:
            raise EncoderMismatch(
                f"the index at {index.path} was built with encoder {encoder.name!r}, not with "
                f"{embedding.encoder.name!r}; leave the embedding out"
            )
        return None
    if not is_precomputed(encoder):
        raise InputError(
            f"the index at {index.path} has its own encoder {encoder.name!r}; leave the embedding "
            "out, or make an index with encoder=Precomputed(dense_dim, name=...)"
        )
    return embedding


def own_embeddings(index: Index) -> Embeddings | None:
    """The index's encoder as Embeddings; None if it has no dense head or no model."""
    encoder = index.encoder
    if encoder.dense_dim is None or is_precomputed(encoder):
        return None
    return EncoderEmbeddings(encoder)


def stand_in(embedding: Embeddings, vectors: list[list[float]] | None, name: str | None) -> Encoder:
    """The encoder to create an index with, if the embedding computes its vectors.

    Args:
        embedding: the embedding.
        vectors: some of its vectors; None computes one.
        name: name of its model; None is its class's name.
    """
    from retrieval.encoders import Precomputed

    row = vectors[0] if vectors else embedding.embed_query("how many numbers")
    return Precomputed(len(row), name=name or type(embedding).__name__)


def _rows(dense: NDArray[np.float32] | None) -> list[list[float]]:
    assert dense is not None  # the encoder has a dense head
    rows: list[list[float]] = dense.tolist()
    return rows
