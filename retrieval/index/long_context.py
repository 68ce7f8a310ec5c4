"""Long context: encoding passages of one document together.

In an index with long context the encoder reads neighbouring passages in one pass, each with its own
context in front, and each passage's vectors are taken from that pass, so that they reflect the
surrounding text. docs/decisions/long-context.md has the gains and costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import EncoderError
from retrieval.ragged import offsets_of, rows_of
from retrieval.threads import ThreadPool
from retrieval.types import (
    Embeddings,
    Encoder,
    EncodesAhead,
    PendingEmbeddings,
    SpanEncoder,
    VectorLocator,
)

STRETCH_TOKENS = 1024
"""Maximum tokens read together; a token then costs a third more than in a single passage."""

_SPECIAL_TOKENS = 4  # tokens that an encoder may put around a text
_SEPARATOR = "\n"


class PassageEncoder:
    """Encodes passages, separately or together with their neighbours.

    Attributes:
        works_ahead: whether `start` encodes in the background.
    """

    def __init__(self, encoder: Encoder, *, long_context: bool) -> None:
        """Set the encoder.

        Raises:
            EncoderError: `long_context` is wanted, but the encoder does not support it.
        """
        self._encoder = encoder
        self._spans: SpanEncoder | None = None
        if long_context:
            if not isinstance(encoder, SpanEncoder):
                raise EncoderError(
                    f"encoder {encoder.name!r} cannot read a document as a whole: it has no "
                    "encode_spans; leave long_context out"
                )
            encoder.encode_spans("", [])  # an encoder that cannot do it raises here
            self._spans = encoder
        self.works_ahead = long_context or isinstance(encoder, EncodesAhead)

    def stretches(self, texts: Iterable[str]) -> Iterator[list[str]]:
        """Divide a document's passages into runs to read together, of about equal token counts.

        Args:
            texts: the passages' texts with their contexts. Passages that are encoded separately are
                taken one by one, so that not all the texts of a huge document are in memory.
        """
        if self._spans is None:
            yield from ([text] for text in texts)
            return
        texts = list(texts)
        if not texts:
            return
        most = min(STRETCH_TOKENS, self._encoder.max_tokens) - _SPECIAL_TOKENS
        ends = [0, *accumulate(len(self._encoder.token_spans(text)) + 1 for text in texts)]
        share = -(-ends[-1] // -(-ends[-1] // most))
        first = 0
        for at in range(1, len(texts)):
            if ends[at] - ends[first] >= share or ends[at + 1] - ends[first] > most:
                yield texts[first:at]
                first = at
        yield texts[first:]

    def start(self, stretches: Sequence[Sequence[str]]) -> PendingEmbeddings:
        """Begin to encode passages' texts; the result is in the order given."""
        alone = [at for at, texts in enumerate(stretches) if len(texts) == 1]
        started: list[PendingEmbeddings] = []
        if alone or not stretches:
            texts = [stretches[at][0] for at in alone]
            if isinstance(self._encoder, EncodesAhead):
                started.append(self._encoder.start_documents(texts))
            else:
                started.append(_Done(self._encoder.encode_documents(texts)))
        together = [at for at, texts in enumerate(stretches) if len(texts) > 1]
        started += [_THREADS.here().submit(self._together, stretches[at]) for at in together]
        if len(started) == 1:
            return started[0]
        places = offsets_of([len(texts) for texts in stretches])
        return _Gathered(started, rows_of(places, np.array([*alone, *together], np.int64)))

    def encode(self, stretches: Sequence[Sequence[str]]) -> Embeddings:
        """Embeddings of passages' texts, in the order given."""
        return self.start(stretches).result()

    def vector_spans(self, stretch: Sequence[str], at: int) -> NDArray[np.int64] | None:
        """The characters of a passage's text, context included, that each token vector stands for.

        Args:
            stretch: the texts of the passages that are read together.
            at: index of the passage.

        Returns:
            i64 [t, 2], with empty spans for other tokens; None if the encoder does not say.
        """
        if not isinstance(self._encoder, VectorLocator):
            return None
        if len(stretch) == 1:
            return np.asarray(self._encoder.vector_spans(stretch[0], "document"), np.int64)
        from retrieval.encoders.sides import parts_of

        text, spans = _joined(stretch)
        rows = np.asarray(self._encoder.vector_spans(text, "document"), np.int64)
        start, end = spans[at]
        found = rows[parts_of(rows, np.array(spans, np.int64))[at]].clip(start, end) - start
        return np.where((found[:, 0] < found[:, 1])[:, None], found, 0)

    def _together(self, texts: Sequence[str]) -> Embeddings:
        assert self._spans is not None
        return self._spans.encode_spans(*_joined(texts))


class _Done:
    """Finished embeddings, as PendingEmbeddings."""

    def __init__(self, embeddings: Embeddings) -> None:
        self._embeddings = embeddings

    def result(self) -> Embeddings:
        return self._embeddings

    def cancel(self) -> None:
        """Nothing to cancel."""


class _Gathered:
    """Combines the results of several encodings."""

    def __init__(self, parts: Sequence[PendingEmbeddings], places: NDArray[np.int64]) -> None:
        """Args: the parts; the position of each of their texts in the result, i64 [n]."""
        self._parts, self._places = parts, places

    def result(self) -> Embeddings:
        """Wait for all of them."""
        made = [part.result() for part in self._parts]
        return _selected(_concatenated(made), np.argsort(self._places))

    def cancel(self) -> None:
        """Cancel what has not begun."""
        for part in self._parts:
            part.cancel()


def _joined(texts: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """Texts joined into one, and each one's span in it."""
    starts = offsets_of([len(text) + len(_SEPARATOR) for text in texts]).tolist()
    spans = [(start, start + len(text)) for start, text in zip(starts, texts, strict=False)]
    return _SEPARATOR.join(texts), spans


def _concatenated(parts: Sequence[Embeddings]) -> Embeddings:
    """Concatenate the embeddings of several calls of one encoder."""

    def rows(name: str) -> NDArray[np.float32] | None:
        arrays = [getattr(part, name) for part in parts]
        return None if arrays[0] is None else np.concatenate(arrays)

    def offsets(name: str) -> NDArray[np.int64] | None:
        arrays = [getattr(part, name) for part in parts]
        if arrays[0] is None:
            return None
        return offsets_of(np.concatenate([np.diff(array) for array in arrays]))

    return Embeddings(
        dense=rows("dense"),
        tokens=rows("tokens"),
        offsets=offsets("offsets"),
        windows=rows("windows"),
        window_offsets=offsets("window_offsets"),
    )


def _selected(embeddings: Embeddings, texts: NDArray[np.int64]) -> Embeddings:
    """The embeddings of these texts, i64 [n], in this order."""

    def ragged(
        rows: NDArray[np.float32] | None, offsets: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.float32] | None, NDArray[np.int64] | None]:
        if rows is None or offsets is None:
            return None, None
        return rows[rows_of(offsets, texts)], offsets_of(np.diff(offsets)[texts])

    dense = embeddings.dense
    return Embeddings(
        None if dense is None else dense[texts],
        *ragged(embeddings.tokens, embeddings.offsets),
        *ragged(embeddings.windows, embeddings.window_offsets),
    )


_THREADS = ThreadPool("retrieval-stretch")
"""One thread per core: a pass over a stretch uses one core."""
