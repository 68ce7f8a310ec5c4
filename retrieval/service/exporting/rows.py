"""Every passage of an index as one row."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.indexes import Where
from retrieval.service.opened import Opened

_NAMESPACE = uuid.UUID("7f0e8a1c-3f4e-5b0a-9d5c-2b6c1f7a4e11")
"""Of the ids of passages, so that the same passage has the same in every export."""


@dataclass(frozen=True, slots=True)
class Row:
    """A passage with what belongs to it.

    Attributes:
        document_id: of its document.
        ordinal: 0 for the document's first passage.
        text: its words.
        title: its document's.
        heading: the headings above it, outermost first, between ` > `.
        symbol: qualified name of the definition that it is a part of, or "".
        metadata: its document's.
        dense: f32 [D] of unit length; None if the encoder has none.
        tokens: f32 [t, d], one a token; None if the encoder has none.
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
        """The same id for systems that take UUIDs only."""
        return str(uuid.uuid5(_NAMESPACE, self.id))


def rows(index: Opened, where: Where | None = None) -> Iterator[Row]:
    """All passages, by document id and ordinal, each as it is kept.

    Args:
        index: what is read.
        where: of the documents and passages that fulfil it.

    Raises:
        FilterError: `where` cannot be parsed.
        StorageError: a document was deleted meanwhile; try again.
    """
    document = None
    for passage, embeddings in index.vectors(where):
        if document is None or document.id != passage.document_id:
            document = index.get(passage.document_id)
            assert document is not None, passage.document_id  # both are of one generation
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
    """The rows in lists of so many, the last perhaps shorter."""
    left = iter(rows)
    while some := list(islice(left, size)):
        yield some
