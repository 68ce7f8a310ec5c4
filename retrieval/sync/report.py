"""Reports: the progress of a sync, and its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from retrieval.documents.walk import LeftOutType
from retrieval.types import ProgressUpdate


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncProgress(ProgressUpdate):
    """The progress of a sync.

    While "encoding", `done` and `total` are bytes of the files that are new or seem changed; text
    that was read but not encoded yet is not counted as done. While "compressing" they are token
    vectors.

    Attributes:
        files: files read so far.
        files_total: files that are new or seem changed; the others are not read.
        passages: passages encoded.
        tokens: tokens of those passages.
        seconds: since the first file was read.
    """

    files: int
    files_total: int
    passages: int
    tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync did, in documents: a text file is one, a JSONL file has one per line.

    Attributes:
        added: new documents.
        updated: documents that changed.
        unchanged: documents that stayed as they were.
        deleted: documents that left, with their file or with their line.
        moved: unchanged documents whose file was renamed, or that moved to another file.
        skipped: how many files and folders were not read, by reason.
        left_out: what was not read, by reason and by type (`.png`, `node_modules/`), with examples.
        by_layout: documents of source code that no grammar could parse: too large, too deep, too
            slow, or not in their language. They were cut by their layout.
        problems: one line for each file, line or document that could not be indexed.
        passages: passages that were encoded.
        tokens: tokens of those passages.
        seconds: duration.
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
        """Whether any document was added, updated, moved or deleted."""
        return bool(self.added or self.updated or self.moved or self.deleted)
