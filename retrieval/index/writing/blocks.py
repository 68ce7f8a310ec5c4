"""Blocks: passages of several documents that are encoded in one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from retrieval.indexes.pooling import pool, pool_windows
from retrieval.store import PassageRow
from retrieval.types import Embeddings, LateOptions, PendingEmbeddings


@dataclass(slots=True)
class Block:
    """Passages that are encoded in one call.

    Attributes:
        rows: the passages' rows to store.
        stretches: the texts to read, grouped by what is read together.
        names: the passages' document ids.
        characters: characters of all passages.
        tokens: tokens of all passages, as shares of their documents' tokens.
    """

    rows: list[PassageRow] = field(default_factory=list)
    stretches: list[list[str]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    characters: int = 0
    tokens: float = 0.0

    def append(
        self,
        id: str,
        rows: Sequence[PassageRow],
        texts: list[str],
        tokens_per_character: float,
    ) -> None:
        """Add passages of the document with that id that are read together."""
        own = sum(row.end - row.start for row in rows)
        self.rows += rows
        self.stretches.append(texts)
        self.names += [id] * len(rows)
        self.characters += own
        self.tokens += tokens_per_character * own


@dataclass(frozen=True, slots=True)
class Started:
    """A block that is being encoded, its pending result, and when it began (seconds)."""

    block: Block
    encoding: PendingEmbeddings
    since: float


def pooled(embeddings: Embeddings, options: LateOptions) -> Embeddings:
    """The embeddings with vectors merged, if the options say so.

    Invalid vectors are left as they are, for a later check.

    Args:
        embeddings: of passages.
        options: the index's; only `pooling` and `pooling_distance` matter.
    """
    if options.pooling == 1:
        return embeddings
    tokens, offsets = embeddings.tokens, embeddings.offsets
    if tokens is not None and offsets is not None and np.isfinite(tokens).all():
        tokens, offsets = pool(tokens, offsets, options.pooling, options.pooling_distance)
    windows, bounds = embeddings.windows, embeddings.window_offsets
    if windows is not None and bounds is not None and np.isfinite(windows).all():
        windows, bounds = pool_windows(windows, bounds)
    return replace(
        embeddings, tokens=tokens, offsets=offsets, windows=windows, window_offsets=bounds
    )
