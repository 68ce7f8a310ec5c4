"""Reports on an index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from retrieval.types import LateOptions


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """What an index contains, at one generation.

    Attributes:
        path: absolute path of its folder, links resolved.
        format_version: version of its format.
        generation: number of its commits.
        documents: number of documents.
        passages: number of passages that can be found.
        dead_passages: deleted passages that still take space; `compact` drops them.
        files: number of source files.
        segments: number of folders that a search reads.
        bytes: size on disk.
        bytes_by_part: size of each part: `dense`, `late`, `lexical`, `store` (the texts and records
            of documents and files) and `other`.
        encoder: the encoder's name.
        encoder_source: what the encoder is loaded from; None for the embedded model.
        fingerprint: the encoder's fingerprint.
        dense_dim: D of the dense vectors, or None.
        token_dim: d of the token vectors, or None.
        passage_tokens: maximum length of passages, in tokens.
        late: how token vectors are stored.
        regimes: how many passages late interaction searches in each regime: `exact`, `compressed`,
            `lists`; empty if the encoder has no token head.
        late_error: squared distance of the compressed token vectors from the true ones, relative to
            their squared length, as measured when they were written; None if none is compressed.
        late_trained_error: the same when the centroids in use were trained. `compact` trains new
            ones once `late_error` has risen a fifth above it.
        long_context: whether passages are read together with their neighbours.
    """

    path: Path
    format_version: int
    generation: int
    documents: int
    passages: int
    dead_passages: int
    files: int
    segments: int
    bytes: int
    bytes_by_part: Mapping[str, int]
    encoder: str
    encoder_source: str | None
    fingerprint: str
    dense_dim: int | None
    token_dim: int | None
    passage_tokens: int
    late: LateOptions
    regimes: Mapping[str, int]
    late_error: float | None = None
    late_trained_error: float | None = None
    long_context: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """A document that could not be stored.

    Attributes:
        place: its position among the documents, from 0.
        id: its id, if it has one.
        reason: one line with what was found and what was expected.
    """

    place: int
    id: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class AddReport:
    """The result of `Index.add` with `on_error="skip"`.

    Attributes:
        added: number of new documents.
        updated: number that replaced a document with the same id.
        unchanged: number that were already there unchanged.
        refused: documents that could not be stored.

    A document whose id was given several times in the call counts once.
    """

    added: int
    updated: int
    unchanged: int
    refused: tuple[Refused, ...]


@dataclass(frozen=True, slots=True)
class CompactReport:
    """What `compact` did: segments and bytes before and after, dead passages that were dropped."""

    segments_before: int
    segments_after: int
    bytes_before: int
    bytes_after: int
    dropped_passages: int
