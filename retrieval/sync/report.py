"""How far a sync is, and what it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from retrieval.documents.walk import LeftOutType
from retrieval.types import ProgressUpdate


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncProgress(ProgressUpdate):
    """How far a sync is.

    While "encoding", `done` and `total` are bytes of the files that are new or seem changed; those
    of text that was read and is still to be encoded are not done. While "compressing" they are
    token vectors.

    Attributes:
        files: files read so far.
        files_total: files that are new or seem changed; the others are not read.
        passages: passages encoded.
        tokens: their tokens.
        seconds: since the first of them was read.
    """

    files: int
    files_total: int
    passages: int
    tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync did, in documents: a text file is one, a JSONL file has one on each line.

    Attributes:
        added: documents that were not there.
        updated: documents that changed.
        unchanged: documents that stayed as they were.
        deleted: documents that left, with their file or with their line.
        moved: documents whose file has another name now, or that another file holds, as they were.
        skipped: how many files and folders were not read, by reason.
        left_out: the same by reason and by type (`.png`, `node_modules/`), with examples.
        by_layout: documents in source code that were read and that no grammar could follow: too
            large, too deep, too slow, or not in their language. They were cut by their layout.
        problems: one line for each file, line or document that could not go in.
        passages: passages that were encoded.
        tokens: their tokens.
        seconds: the time it took.
    """

    added: int
    updated: int
    unchanged: int
    deleted: int
    moved: int
    skipped: Mapping[str, int]
    left_out: Mapping[str, Mapping[str, LeftOutType]]
    by_layout: int
    problems: list[str]
    passages: int
    tokens: int
    seconds: float

    @property
    def changed(self) -> bool:
        """Whether any document came, changed, moved or left."""
        return bool(self.added or self.updated or self.moved or self.deleted)
