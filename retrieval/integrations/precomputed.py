"""Indexes that store another model's vectors, and the encoder that they are created with."""

from __future__ import annotations

from retrieval.errors import InputError
from retrieval.types import Encoder


def new_encoder(
    encoder: Encoder | str | None, embedding_dim: int | None, embedding_model: str
) -> Encoder | str | None:
    """The encoder to open or create an index with; None is its own, or the embedded model.

    Args:
        encoder: computes the vectors; None if an `embedding_dim` was given.
        embedding_dim: number of dimensions of precomputed vectors; None if there are none.
        embedding_model: a name for their model.

    Raises:
        InputError: both an encoder and a number of dimensions were given.
    """
    from retrieval.encoders import Precomputed

    if embedding_dim is None:
        return encoder
    if encoder is not None:
        raise InputError("both encoder and embedding_dim were given; give one of them")
    return Precomputed(embedding_dim, name=embedding_model)


def is_precomputed(encoder: Encoder) -> bool:
    """Whether vectors are precomputed, and the encoder computes none."""
    from retrieval.encoders import Precomputed

    return isinstance(encoder, Precomputed)
