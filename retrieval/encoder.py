"""The protocols of encoders and rerankers (the one that an index needs and the optional ones), and
what an encoder returns."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:  # numpy takes longer to import than all the rest of `import retrieval`
    import numpy as np
    from numpy.typing import NDArray

EncoderSide = Literal["query", "document"]

TokenSpans: TypeAlias = "Callable[[str], NDArray[np.int64]]"
"""Text in, character spans of its tokens out: i64 [t, 2] (start, end), without special tokens."""


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """What an encoder returns for n texts. Two are equal if they are the same object.

    Attributes:
        dense: f32 [n, D], unit length; None if the encoder has no dense head.
        tokens: f32 [T, d], unit length, but for the query side, where the lengths may be weights;
            None if the encoder has no token head.
        offsets: i64 [n + 1]; text i owns `tokens[offsets[i]:offsets[i + 1]]`.
        windows: f32 [w, D], unit length: dense vectors of parts of each text, which an index keeps
            instead of `dense`; None if the encoder makes none.
        window_offsets: i64 [n + 1]; text i owns `windows[window_offsets[i]:window_offsets[i + 1]]`,
            one or more, or none if dense search is not to find the text.
        tokens_read: i64 [n]; how many tokens of each text the encoder read, special ones and a
            prompt included, possibly more than there are token vectors; None if it does not say.
    """

    dense: NDArray[np.float32] | None
    tokens: NDArray[np.float32] | None
    offsets: NDArray[np.int64] | None
    windows: NDArray[np.float32] | None = None
    window_offsets: NDArray[np.int64] | None = None
    tokens_read: NDArray[np.int64] | None = None

    def __repr__(self) -> str:
        arrays = (("dense", self.dense), ("tokens", self.tokens), ("windows", self.windows))
        told = [f"{name} {list(rows.shape)}" for name, rows in arrays if rows is not None]
        return f"Embeddings({', '.join(told)})"

    def has_vectors(self) -> bool:
        """Whether any text has a vector; vectors supplied from outside may be empty."""
        kept = self.dense if self.windows is None else self.windows
        return any(rows is not None and len(rows) > 0 for rows in (kept, self.tokens))

    def __len__(self) -> int:
        if self.dense is not None:
            return int(self.dense.shape[0])
        return 0 if self.offsets is None else int(self.offsets.shape[0]) - 1


@runtime_checkable
class Encoder(Protocol):
    """Text in, Embeddings out: the three methods and five attributes that an index needs.

    What more an encoder can do, it offers through `VectorLocator`, `EncodesAhead` and
    `SpanEncoder`.
    Methods may be called from several threads.
    """

    @property
    def name(self) -> str:
        """A name for display: the embedded model's, a folder's or a Hub id."""

    @property
    def fingerprint(self) -> str:
        """Hex digest of everything that determines the vectors; an index refuses other encoders."""

    @property
    def dense_dim(self) -> int | None:
        """D of the dense vectors, or None without a dense head."""

    @property
    def token_dim(self) -> int | None:
        """d of the token vectors, or None without a token head."""

    @property
    def max_tokens(self) -> int:
        """Maximum length of a document in tokens, special tokens included, a prompt not."""

    def token_spans(self, text: str) -> NDArray[np.int64]:
        """Character spans of the text's tokens: i64 [t, 2]; no special tokens, no truncation."""

    def encode_documents(self, texts: Sequence[str]) -> Embeddings:
        """Embeddings of the document side, in the order given."""

    def encode_queries(self, texts: Sequence[str]) -> Embeddings:
        """Embeddings of the query side, in the order given."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A text that was ranked.

    Attributes:
        index: its place among the texts that were given.
        score: the score that texts are ordered by, higher is better; -inf for a text without words.
        text: the text.
    """

    index: int
    score: float
    text: str


EncoderSource: TypeAlias = Encoder | str | os.PathLike[str]
"""An encoder, or the name it is loaded by: a folder, as text or as a path, or a Hub id."""


@runtime_checkable
class Reranker(Protocol):
    """Ranks texts: an encoder that compares them, a cross-encoder, or an object of your own."""

    def rerank(self, query: str, texts: Sequence[str], k: int | None = None) -> list[Ranked]:
        """The k texts, or all, that answer a query best, best first."""


@runtime_checkable
class VectorLocator(Protocol):
    """An encoder that says where in a text its token vectors are, so that matches can be shown."""

    def vector_spans(self, text: str, side: EncoderSide) -> NDArray[np.int64]:
        """Characters of the text that each of its token vectors stands for: i64 [t, 2].

        A row for each vector of that side's encoding, in order; special tokens, and others that
        stand for nothing in the text, have an empty span.
        """


class PendingEmbeddings(Protocol):
    """Texts that are being encoded while their caller does other work.

    A `concurrent.futures.Future` of Embeddings is one.
    """

    def result(self) -> Embeddings:
        """Wait for them."""

    def cancel(self) -> object:
        """Cancel what has not begun."""


@runtime_checkable
class EncodesAhead(Protocol):
    """An encoder with threads of its own, so that an index cuts passages while it encodes."""

    def start_documents(self, texts: Sequence[str]) -> PendingEmbeddings:
        """Begin to encode texts of the document side; `token_spans` is called meanwhile."""


@runtime_checkable
class SpanEncoder(Protocol):
    """An encoder that reads a document as a whole, so that each passage knows its neighbours."""

    def encode_spans(self, text: str, spans: Sequence[tuple[int, int]]) -> Embeddings:
        """Embeddings of the document side of spans of one text, in the order given.

        Each span's vectors are taken from one pass over the text, as far as `max_tokens` allows; a
        longer text is read in stretches, each of which begins where a span does. A token belongs to
        every span that has a character of it; tokens put before the text belong to the first span,
        tokens put after it to the last. So one span over the whole of a text that fits gives the
        same as `encode_documents`.

        Args:
            spans: character spans (start, end) in the order of their starts.

        Raises:
            InputError: a span is not within the text, or they are not in order.
            EncoderError: the model's dense vectors are not computed from all tokens.
        """
