"""Vectors that another model makes: indexes that keep them, and what such an index is made with."""

from __future__ import annotations

from retrieval.errors import InputError
from retrieval.types import Encoder


def new_encoder(
    encoder: Encoder | str | None, embedding_dim: int | None, embedding_model: str
) -> Encoder | str | None:
    """What an index is opened or made with; None is its own, or the embedded model.

    Args:
        encoder: makes the vectors; None if an `embedding_dim` was given.
        embedding_dim: how many numbers vectors from elsewhere have; None if there are none.
        embedding_model: a name for what makes them.

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
    """Whether vectors come from elsewhere, and the encoder makes none."""
    from retrieval.encoders import Precomputed

    return isinstance(encoder, Precomputed)
