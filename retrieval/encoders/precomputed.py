"""An encoder without a model: for an index whose vectors come from elsewhere."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import EncoderError, InputError
from retrieval.numeric import is_whole, plain_number
from retrieval.types import Embeddings

_WORD = re.compile(r"\w+|[^\w\s]")


class Precomputed:
    """Says what vectors an index keeps, and makes none: they are given to `add` and `search`.

    An index that was made with one is opened again without naming an encoder. Two of the same
    dimensions and name are the same encoder; so a name tells apart what different models made.

    Attributes:
        name: a name for what makes the vectors, such as the model's and its version.
        dense_dim: D of the dense vectors, or None for none.
        token_dim: d of the token vectors, or None for none.
        max_tokens: the longest passage that an index may be made with.
    """

    max_tokens = 1 << 20

    def __init__(
        self,
        dense_dim: int | None = None,
        token_dim: int | None = None,
        name: str = "precomputed",
    ) -> None:
        """Say which vectors there will be.

        Raises:
            InputError: a dimension is not a number from 1, both are None, or the name is empty.
        """
        for what, dim in (("dense_dim", dense_dim), ("token_dim", token_dim)):
            if dim is not None and (not is_whole(dim) or dim < 1):
                raise InputError(
                    f"{what}={dim!r} is not a dimension; give a number from 1, or None"
                )
        if dense_dim is None and token_dim is None:
            raise InputError("neither dense_dim nor token_dim is given; give one or both")
        if not isinstance(name, str) or not name:
            raise InputError(f"name={name!r} is not a name; give a text that identifies the model")
        self.dense_dim = plain_number(dense_dim)
        self.token_dim = plain_number(token_dim)
        self.name = name

    @property
    def fingerprint(self) -> str:
        """Hex digest of the name and the dimensions."""
        told = json.dumps(["precomputed", self.name, self.dense_dim, self.token_dim])
        return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()

    def token_spans(self, text: str) -> NDArray[np.int64]:
        """Character spans of the text's words and signs: i64 [t, 2]."""
        spans = [match.span() for match in _WORD.finditer(text)]
        return np.array(spans, np.int64).reshape(-1, 2)

    def encode_documents(self, texts: Sequence[str]) -> Embeddings:
        """Raises EncoderError: there is no model."""
        self._refuse("the documents, as in add(documents, embeddings=...)")

    def encode_queries(self, texts: Sequence[str]) -> Embeddings:
        """Raises EncoderError: there is no model."""
        self._refuse("the query, as in search(vector=..., tokens=...), or search with lexical")

    def _refuse(self, what: str) -> NoReturn:
        raise EncoderError(
            f"encoder {self.name!r} has no model, its vectors come from elsewhere; give those of "
            f"{what}"
        )

    def __repr__(self) -> str:
        return (
            f"Precomputed(dense_dim={self.dense_dim}, token_dim={self.token_dim}, "
            f"name={self.name!r})"
        )
