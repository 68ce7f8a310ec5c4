"""Blocks: passages of several documents that are encoded in one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from retrieval.index.writing.drafts import Draft
from retrieval.indexes.pooling import pool
from retrieval.store import PassageRow
from retrieval.types import Embeddings, PendingEmbeddings


@dataclass(slots=True)
class Block:
    """Passages that are encoded in one call.

    Attributes:
        rows: as they are stored.
        stretches: what is read of each, those that are read together.
        names: their documents' ids.
        characters: of all of them.
        tokens: of all of them, each having its share of its document's.
    """

    rows: list[PassageRow] = field(default_factory=list)
    stretches: list[list[str]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    characters: int = 0
    tokens: float = 0.0

    def append(self, draft: Draft, rows: Sequence[PassageRow], texts: list[str]) -> None:
        """Add passages of a document that are read together."""
        own = sum(row.end - row.start for row in rows)
        self.rows += rows
        self.stretches.append(texts)
        self.names += [draft.document.id] * len(rows)
        self.characters += own
        self.tokens += draft.tokens_per_character * own


@dataclass(frozen=True, slots=True)
class Started:
    """A block under way, its encoding, and when it began (seconds)."""

    block: Block
    encoding: PendingEmbeddings
    since: float


def pooled(embeddings: Embeddings, factor: int) -> Embeddings:
    """The embeddings with similar token vectors merged; what cannot be stored is left as it is."""
    tokens, offsets = embeddings.tokens, embeddings.offsets
    if factor == 1 or tokens is None or offsets is None or not np.isfinite(tokens).all():
        return embeddings
    merged, bounds = pool(tokens, offsets, factor)
    return replace(embeddings, tokens=merged, offsets=bounds)
