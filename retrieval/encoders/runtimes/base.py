"""What the runtimes share: what an encoder says of itself, its two sides, and its results' arrays.

A runtime says only how batches of token ids become vectors.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from retrieval.encoders.comparing import Comparing
from retrieval.encoders.packing import Indices, batched
from retrieval.encoders.sides import Side, SideReader, TokenSequence, window_lengths
from retrieval.encoders.spans import read_spans
from retrieval.encoders.tokenization import leading, token_spans
from retrieval.errors import EncoderError, InputError
from retrieval.ragged import offsets_of, rows_of
from retrieval.types import Embeddings, EncoderSide

_READ_AT_ONCE = 256


class Runtime(Comparing):
    """The part of `retrieval.types.Encoder` that is the same whatever computes the vectors.

    Attributes:
        name: the model's own, or the folder or Hub id that it was loaded from.
        dense_dim: D of the dense vectors, or None without a dense head.
        token_dim: d of the token vectors, or None without a token head.
        max_tokens: the longest document that is read, in tokens, special ones included, a prompt
            not.
    """

    name: str
    dense_dim: int | None
    token_dim: int | None
    max_tokens: int

    def __init__(
        self, *, name: str, tokenizer: Tokenizer, fingerprint: str | Callable[[], str]
    ) -> None:
        """Name what is loaded.

        Args:
            tokenizer: without truncation and padding.
            fingerprint: or what computes it, on first use.
        """
        self.name = name
        self._tokenizer = tokenizer
        self._fingerprint = fingerprint

    @property  # a cached_property is none of `Encoder`'s to pyright
    def fingerprint(self) -> str:
        """Hex digest of all that decides the vectors, and of nothing else, such as a device."""
        if not isinstance(self._fingerprint, str):
            self._fingerprint = self._fingerprint()
        return self._fingerprint

    @property
    def left_out(self) -> tuple[int, ...]:
        """Ids of tokens whose vectors documents go without, as far as that is told."""
        return ()

    def token_spans(self, text: str) -> NDArray[np.int64]:
        """Character spans of the text's tokens: i64 [t, 2]; no special tokens, nothing cut off."""
        return token_spans(self._tokenizer, text)

    def encode_documents(self, texts: Sequence[str]) -> Embeddings:
        """Embeddings of the document side, in the order given.

        Raises:
            InputError: `texts` is not a list of texts.
        """
        return self._encode(checked_texts(texts), "document")

    def encode_queries(self, texts: Sequence[str]) -> Embeddings:
        """Embeddings of the query side, in the order given.

        Raises:
            InputError: `texts` is not a list of texts.
        """
        return self._encode(checked_texts(texts), "query")

    def encode_spans(self, text: str, spans: Sequence[tuple[int, int]]) -> Embeddings:
        """Embeddings of spans of one document that is read as a whole (`retrieval.types`).

        Raises:
            EncoderError: the model cannot; those that run on our own network can.
        """
        raise EncoderError(
            f"encoder {self.name!r} cannot read a document as a whole; encode its passages one by "
            "one, and leave long_context out"
        )

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Pickled, it is what it was loaded from: another process loads or shares it."""
        from retrieval.encoders.loading import load_again
        from retrieval.encoders.sharing import source_of

        origin = source_of(self)
        if origin is None:
            raise EncoderError(
                f"encoder {self.name!r} cannot be pickled, since nobody knows what it was loaded "
                "from; get it by load_encoder"
            )
        return load_again, (origin.source, origin.device, self.fingerprint)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self.fingerprint[:12]})"

    @abstractmethod
    def _encode(self, texts: Sequence[str], side: EncoderSide) -> Embeddings:
        """Embeddings of one side, in the order given."""


def checked_texts(texts: Iterable[str]) -> list[str]:
    """The texts as a list.

    Raises:
        InputError: they are one text, None, or not all texts.
    """
    if isinstance(texts, str):
        shown = texts if len(texts) <= 40 else f"{texts[:37]}..."
        raise InputError(f"one text, {shown!r}, was given; give a list of texts")
    if not isinstance(texts, Iterable):
        raise InputError(f"{texts!r} was given; give a list of texts")
    listed = list(texts)
    for at, text in enumerate(listed):
        if not isinstance(text, str):
            raise InputError(f"text {at} is {type(text).__name__}, not str; give a list of texts")
    return listed


class SequenceRuntime(Runtime):
    """A runtime of our own network: texts become token ids here, and ids vectors in `_run`."""

    def __init__(
        self,
        *,
        name: str,
        tokenizer: Tokenizer,
        fingerprint: str | Callable[[], str],
        document: Side,
        query: Side,
        dims: tuple[int | None, int | None],
    ) -> None:
        """Take the sides into use; `dims` are those of the dense and of the token vectors."""
        super().__init__(name=name, tokenizer=tokenizer, fingerprint=fingerprint)
        self.dense_dim, self.token_dim = dims
        self._document = SideReader(tokenizer, document)
        self._query = SideReader(tokenizer, query)
        self.max_tokens = self._document.text_tokens

    @property
    def left_out(self) -> tuple[int, ...]:
        """Ids of tokens that are read, and whose vectors documents go without."""
        return self._document.side.skipped

    def vector_spans(self, text: str, side: EncoderSide) -> NDArray[np.int64]:
        """Characters that each token vector of the text stands for: i64 [t, 2]."""
        reader = self._reader(side)
        return reader.spans(leading(self._tokenizer, text, reader.side.max_tokens))

    def encode_spans(self, text: str, spans: Sequence[tuple[int, int]]) -> Embeddings:
        """Embeddings of spans of one document that is read as a whole (`retrieval.types`)."""
        sequences = read_spans(self._document, self._tokenizer, text, spans)
        return self._run(self._document, sequences)

    @abstractmethod
    def _run(self, reader: SideReader, sequences: Sequence[TokenSequence]) -> Embeddings:
        """Sequences of one side through the network; results in the order given."""

    def _encode(self, texts: Sequence[str], side: EncoderSide) -> Embeddings:
        reader = self._reader(side)
        return self._run(reader, list(self._read(reader, texts)))

    def _reader(self, side: EncoderSide) -> SideReader:
        return self._query if side == "query" else self._document

    def _read(self, reader: SideReader, texts: Sequence[str]) -> Iterator[TokenSequence]:
        for run in batched(texts, _READ_AT_ONCE):
            yield from reader.read(run)

    def _output(self, reader: SideReader, sequences: Sequence[TokenSequence]) -> Output:
        return Output(sequences, self.dense_dim, self.token_dim, reader.side.window)


class Output:
    """The arrays of one run, filled batch by batch, from several threads if need be."""

    def __init__(
        self,
        sequences: Sequence[TokenSequence],
        dense_dim: int | None,
        token_dim: int | None,
        window: int | None,
    ) -> None:
        """Make room for the vectors of all sequences, or of their parts.

        Args:
            window: most tokens of a window with a dense vector of its own, or None.
        """
        self._dense = self._tokens = self._offsets = None
        self._windows = self._window_offsets = None
        # A sequence owns its parts, or stands for one text; each of these owns vectors.
        lengths = [sequence.lengths for sequence in sequences]
        self._texts = offsets_of([len(own) for own in lengths])
        self._read = np.array([length for own in lengths for length in own], np.int64)
        count = len(self._read)
        if dense_dim is not None:
            self._dense = np.zeros((count, dense_dim), np.float32)
        if dense_dim is not None and window is not None:
            self._window_offsets = offsets_of(
                [len(window_lengths(length, window)) for own in lengths for length in own]
            )
            self._windows = np.zeros((int(self._window_offsets[-1]), dense_dim), np.float32)
        if token_dim is not None:
            counts = [number for sequence in sequences for number in sequence.token_counts]
            self._offsets = offsets_of(counts)
            self._tokens = np.zeros((int(self._offsets[-1]), token_dim), np.float32)
        # All texts of a side have weights, or none has; a text whose weights are all 0 has none.
        self._weights = None
        if any(sequence.weights is not None for sequence in sequences):
            self._weights = np.concatenate([_factors(sequence) for sequence in sequences])

    def put(
        self,
        batch: Indices,
        dense: NDArray[np.float32] | None,
        tokens: NDArray[np.float32] | None,
        windows: NDArray[np.float32] | None,
    ) -> None:
        """Take the vectors of these sequences, one after another's: of what has room, all."""
        texts = rows_of(self._texts, batch)
        if self._dense is not None and dense is not None:
            self._dense[texts] = dense
        if self._windows is not None and self._window_offsets is not None and windows is not None:
            self._windows[rows_of(self._window_offsets, texts)] = windows
        if self._tokens is not None and self._offsets is not None and tokens is not None:
            rows = rows_of(self._offsets, texts)
            weights = None if self._weights is None else self._weights[rows, None]
            self._tokens[rows] = tokens if weights is None else tokens * weights

    @property
    def embeddings(self) -> Embeddings:
        """All of it, in the order of the sequences."""
        return Embeddings(
            self._dense,
            self._tokens,
            self._offsets,
            self._windows,
            self._window_offsets,
            self._read,
        )


def _factors(sequence: TokenSequence) -> NDArray[np.float32]:
    """What each token vector is scaled by."""
    factors = sequence.factors
    return np.ones(len(sequence.positions), np.float32) if factors is None else factors
