"""DraftEncoder: encodes drafts' passages into the buffer, block by block."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import islice

import numpy as np

from retrieval.index.context_builder import ContextBuilder
from retrieval.index.encoder import EncoderSlot
from retrieval.index.given import of_encoder
from retrieval.index.long_context import PassageEncoder
from retrieval.index.vectors import VectorBuffer
from retrieval.index.writing.block_size import Pace
from retrieval.index.writing.blocks import Block, Started, pooled
from retrieval.index.writing.drafts import Draft
from retrieval.index.writing.session import Session
from retrieval.malloc import trim
from retrieval.store import PassageRow
from retrieval.types import Embeddings, ProgressCallback, ProgressUpdate

BLOCK_CHARACTERS = 1 << 18
"""Maximum text per encoding call."""

BLOCK_TOKENS = BLOCK_CHARACTERS >> 2
"""Maximum tokens per encoding call: numbers and base64 have few characters a token."""

SPILL_FLOATS = 1 << 24
"""Numbers held in memory before they are written as a segment: 64 MiB of f32."""

TRIM_FLOATS = SPILL_FLOATS >> 3
"""Size from which on it pays to have the C library return free memory before writing."""


class DraftEncoder:
    """Encodes the passages of drafts in blocks, and has their vectors written.

    While the encoder works on one block, the vectors of the block before are buffered.

    Attributes:
        passages: passages encoded so far.
        characters: characters of those.
        tokens: tokens of those, as the encoder counts them.
        spilled: whether vectors had to be written since the last `flush`.
    """

    def __init__(
        self, session: Session, encoder: EncoderSlot, progress: ProgressCallback | None
    ) -> None:
        settings = session.store.settings
        self.passages = self.characters = 0
        self.tokens = 0.0
        self.spilled = False
        self._session = session
        self._encoder = encoder
        self._progress = progress
        self._passage_tokens = settings.passage_tokens
        self._together = settings.long_context
        self._late = settings.late
        self._buffer = VectorBuffer(dense_dim=settings.dense_dim, token_dim=settings.token_dim)
        self._pace = Pace(BLOCK_CHARACTERS)
        self._started: Started | None = None
        self._context_builder: ContextBuilder | None = None
        self._passage_encoder: PassageEncoder | None = None

    @property
    def block_characters(self) -> int:
        """How much text the next block should have."""
        return self._pace.characters

    def context_builder(self) -> ContextBuilder:
        """How the encoder reads passages; raises like `EncoderSlot.get`."""
        if self._context_builder is None:
            self._context_builder = ContextBuilder.of(self._encoder.get(), self._passage_tokens)
        return self._context_builder

    def encode(self, drafts: Sequence[Draft]) -> None:
        """Encode the passages of these drafts; the last block is only started."""
        block, size = Block(), 0
        for draft in drafts:
            if draft.given is not None:
                if block.rows:
                    self._begin(block)
                    block, size = Block(), 0
                self._gather()  # passages are buffered in the order of their ids
                self._keep_given(draft, draft.given)
                continue
            # A document may have tens of thousands of passages: each is looked at once.
            rows, tokens_per_character = iter(draft.new), draft.tokens_per_character
            for texts in self._encoding().stretches(draft.texts(self.context_builder())):
                own = list(islice(rows, len(texts)))
                block.append(draft.document.id, own, texts, tokens_per_character)
                size += sum(map(len, texts))
                if size >= self._pace.characters or block.tokens >= BLOCK_TOKENS:
                    self._begin(block)
                    block, size = Block(), 0
        if block.rows:
            self._begin(block)

    def flush(self) -> None:
        """Write all vectors so far as segments for the next commit."""
        self._gather()
        if len(self._buffer):
            self._write()
        self.spilled = False

    def cancel(self) -> None:
        """Cancel the block that is being encoded; after `flush` there is none."""
        if self._started is not None:
            self._started.encoding.cancel()

    def _begin(self, block: Block) -> None:
        """Begin to encode a block, and buffer the block before meanwhile."""
        since = time.monotonic()
        started = Started(block, self._encoding().start(block.stretches), since)
        try:
            self._gather()
        except BaseException:
            started.encoding.cancel()
            raise
        self._started = started
        if not self._encoding().works_ahead:
            self._gather()

    def _encoding(self) -> PassageEncoder:
        if self._passage_encoder is None:
            self._passage_encoder = PassageEncoder(self._encoder.get(), long_context=self._together)
        return self._passage_encoder

    def _gather(self) -> None:
        """Wait for the block that is being encoded, and buffer its vectors."""
        if self._started is not None:
            made, name = self._started.encoding.result(), self._encoder.get().name
            embeddings = of_encoder(made, name, "document")
            started, self._started = self._started, None
            self._keep(started.block, embeddings, started.since)

    def _keep(self, block: Block, embeddings: Embeddings, since: float) -> None:
        self._pace.note(block.characters, time.monotonic() - since)
        self.passages += len(block.rows)
        self.characters += block.characters
        self.tokens += block.tokens
        if self._progress is not None:
            self._progress(ProgressUpdate("encoding", self.passages, None, "passages"))
        self._keep_vectors(block.rows, embeddings, block.names)

    def _keep_given(self, draft: Draft, embeddings: Embeddings) -> None:
        if draft.passages:  # a document with neither words nor a vector has none
            self._keep_vectors(
                draft.passages, embeddings, [draft.document.id] * len(draft.passages)
            )

    def _keep_vectors(
        self, rows: Sequence[PassageRow], embeddings: Embeddings, names: Sequence[str]
    ) -> None:
        ids = np.array([row.id for row in rows], np.int64)
        self._buffer.append(ids, pooled(embeddings, self._late), names)
        if self._buffer.floats >= SPILL_FLOATS:
            # Bounds memory even within one huge document, whose commit names several segments.
            self._write()
            self.spilled = True

    def _write(self) -> None:
        if self._buffer.floats >= TRIM_FLOATS:
            trim()  # free memory that encoding left, before a large block is needed
        self._session.write_vectors(self._buffer)
