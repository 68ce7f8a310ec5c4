"""Ready-made passages and vectors that come with documents."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Protocol, TypeAlias, cast

from numpy.typing import ArrayLike, NDArray

from retrieval.errors import InputError
from retrieval.index.encoder import PRECOMPUTED
from retrieval.index.given import each, of_documents, reader_of, without_vectors
from retrieval.numeric import is_whole
from retrieval.store import Settings
from retrieval.types import Document, Embeddings

Spans: TypeAlias = Iterable[tuple[int, int]]
"""Where a document's passages begin and end in its text, in characters, in order."""


class _AsArray(Protocol):
    """An object that numpy can convert to an array, such as a tensor."""

    def __array__(self, *args: Any, **options: Any) -> NDArray[Any]: ...


Given: TypeAlias = Embeddings | _AsArray | Sequence[ArrayLike | None]
"""Vectors of texts: Embeddings, dense vectors [n, D], or a list with None for missing ones."""

_READER = "passages:"


@dataclass(frozen=True, slots=True)
class Ready:
    """The ready-made parts of one document.

    Attributes:
        spans: its passages; None if they are to be cut or, if embeddings are given, for one passage
            that is the whole document.
        embeddings: the embeddings of its passages; None if they are to be computed.
    """

    spans: tuple[tuple[int, int], ...] | None = None
    embeddings: Embeddings | None = None

    def reader(self, reader: str | None) -> str | None:
        """The document's reader to store, instead of the reader of its file."""
        if self.embeddings is not None:
            return reader_of(self.embeddings, self.spans)
        if self.spans is not None:
            return _READER + hashlib.sha256(repr(self.spans).encode()).hexdigest()[:32]
        return reader


NOTHING = Ready()


def of_each(
    documents: Sequence[Document],
    passages: Iterable[Spans | None] | None,
    embeddings: Given | None,
    settings: Settings,
) -> Iterator[Ready]:
    """The ready-made parts of each document.

    Args:
        documents: the documents.
        passages: the passages of each document, None for one that is to be cut; None if all are.
        embeddings: the vectors of all passages, document by document; for a document whose passages
            are not given, of the whole document.
        settings: of the index.

    Raises:
        InputError: there are more or fewer passages than documents, or vectors than passages, or
            they do not match the index.
    """
    spans = [None] * len(documents) if passages is None else [_spans(some) for some in passages]
    if len(spans) != len(documents):
        raise InputError(
            f"passages of {len(spans)} documents were given for {len(documents)} documents; give "
            "a list of spans for each, or None"
        )
    if embeddings is None:
        return (Ready(own) for own in spans)
    if not documents and isinstance(embeddings, Sized) and not len(embeddings):
        return iter(())  # no documents need no vectors, whatever the index stores
    counts = [1 if own is None else len(own) for own in spans]
    if not isinstance(embeddings, Embeddings) and any(row is None for row in _rows(embeddings)):
        made = _some(list(_rows(embeddings)), counts, settings)
    else:
        made = each(of_documents(cast("ArrayLike", embeddings), sum(counts), settings), counts)
    return (Ready(*pair) for pair in zip(spans, made, strict=True))


def checked(document: Document, spans: Sequence[tuple[int, int]]) -> None:
    """Refuse invalid passages of a document.

    Raises:
        InputError: one is outside of the text, is blank, or begins before the previous one.
    """
    last = 0
    for start, end in spans:
        if not (last <= start < end <= len(document.text) and document.text[start:end].strip()):
            raise InputError(
                f"passage ({start}, {end}) of document {document.id!r} is not a part of its "
                f"{len(document.text)} characters; give (start, end) of parts that are not blank, "
                "in the order of their starts"
            )
        last = start


def _spans(given: Any) -> tuple[tuple[int, int], ...] | None:
    if given is None:
        return None
    try:
        pairs = tuple((start, end) for start, end in given)
    except (TypeError, ValueError):
        pairs = ((None, None),)
    if not all(is_whole(number) for pair in pairs for number in pair):
        raise InputError(
            f"{ascii(given)[:60]} is not a list of passages; give (start, end) character pairs"
        )
    return tuple((int(start), int(end)) for start, end in pairs)


def _rows(given: Any) -> Sequence[Any]:
    return given if isinstance(given, list | tuple) else ()


def _some(rows: list[Any], counts: list[int], settings: Settings) -> Iterator[Embeddings | None]:
    """Vectors for some documents; the others are encoded if there is a model, else have none."""
    if len(rows) != sum(counts):
        raise InputError(f"{len(rows)} dense vectors were given for {sum(counts)} passages")
    there = [row for row in rows if row is not None]
    made = iter(each(of_documents(there, len(there), settings), repeat(1)) if there else ())
    has_model = settings.encoder_source != PRECOMPUTED
    at = 0
    for count in counts:
        own = rows[at : at + count]
        at += count
        known = [None if row is None else next(made) for row in own]
        if has_model and not any(known):
            yield None
        elif has_model and not all(known):
            raise InputError(
                "vectors were given for some passages of a document; give them for all or for none"
            )
        else:
            yield without_vectors(known, settings)
