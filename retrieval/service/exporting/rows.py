"""Every passage of an index as one row."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import StorageError
from retrieval.indexes import Where
from retrieval.service.opened import Opened

_NAMESPACE = uuid.UUID("7f0e8a1c-3f4e-5b0a-9d5c-2b6c1f7a4e11")
"""Namespace of passage ids, so that a passage has the same id in every export."""


@dataclass(frozen=True, slots=True)
class Row:
    """A passage with its metadata and vectors.

    Attributes:
        document_id: id of its document.
        ordinal: 0 for the document's first passage.
        text: its text.
        title: its document's title.
        heading: the headings above it, outermost first, joined by ` > `.
        symbol: qualified name of the definition that it is a part of, or "".
        metadata: its document's metadata.
        dense: f32 [D] of unit length; None without a dense head.
        tokens: f32 [t, d], one per token; None without a token head.
    """

    document_id: str
    ordinal: int
    text: str
    title: str
    heading: str
    symbol: str
    metadata: Mapping[str, Any]
    dense: NDArray[np.float32] | None
    tokens: NDArray[np.float32] | None

    @property
    def id(self) -> str:
        """`document_id#ordinal`."""
        return f"{self.document_id}#{self.ordinal}"

    @property
    def uuid(self) -> str:
        """The same id for systems that take only UUIDs."""
        return str(uuid.uuid5(_NAMESPACE, self.id))


def rows(index: Opened, where: Where | None = None) -> Iterator[Row]:
    """All passages as stored, ordered by document id and ordinal.

    Args:
        index: the index to read.
        where: only documents and passages that match.

    Raises:
        FilterError: `where` cannot be parsed.
        StorageError: the index moved to another generation meanwhile; try again.
    """
    document = None
    generation = index.generation
    for passage, embeddings in index.vectors(where):
        if document is None or document.id != passage.document_id:
            document = index.get(passage.document_id)
            if document is None or index.generation != generation:
                raise StorageError("the index was changed meanwhile; export it again")
        dense = embeddings.dense
        yield Row(
            passage.document_id,
            passage.ordinal,
            document.text[passage.start : passage.end],
            document.title,
            " > ".join(passage.context.headings),
            passage.context.symbol,
            document.metadata,
            None if dense is None or not len(dense) else dense[0],
            embeddings.tokens,
        )


def in_batches(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    """The rows in lists of `size`; the last may be shorter."""
    left = iter(rows)
    while some := list(islice(left, size)):
        yield some
