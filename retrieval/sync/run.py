"""One sync in progress: files are read if need be, their documents put, their records updated."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from retrieval.documents import ReadOptions, ReadResult, SourceFile, read
from retrieval.errors import DocumentError, InputError
from retrieval.index.context_builder import reading
from retrieval.index.writing.writer import Writer
from retrieval.store import UNRELIABLE_TIMES, SourceRecord
from retrieval.sync.labels import Labeller
from retrieval.sync.remaining import Remaining
from retrieval.sync.report import SyncProgress
from retrieval.types import COMPRESSING, ProgressUpdate

_RACY_NS = 2_000_000_000
"""A file changed this shortly before it was read may change again with the same time stamp."""


@dataclass(frozen=True, slots=True)
class _Refused:
    """Documents of a file that were not put, because their ids belonged to another file.

    Attributes:
        file: the file.
        content_hash: hash of the file when read.
        ids: ids of the documents.
    """

    file: SourceFile
    content_hash: str
    ids: set[str]


class Run:
    """One sync in progress: its counts, and how it handles each file."""

    def __init__(
        self,
        options: ReadOptions,
        labeller: Labeller,
        progress: Callable[[SyncProgress], object] | None,
    ) -> None:
        self.added = self.updated = self.unchanged = self.deleted = self.moved = 0
        self.by_layout = 0
        self.problems: list[str] = []
        self._options, self._labeller = options, labeller
        self._progress = progress
        self._files = self._files_total = self._bytes = self._bytes_total = 0
        self._unput = self._done = 0  # characters read, not put; bytes shown as done
        self._writer: Writer | None = None
        self._moved: Mapping[str, str] = {}
        self._again = False
        self._started = time.monotonic()
        self._remaining = Remaining(())
        self._compressed = 0.0  # seconds
        self._compressing_since: float | None = None

    def advance(self, now: ProgressUpdate) -> None:
        """Report progress of the writer: encoding, or compressing token vectors."""
        self._report(now if now.stage == COMPRESSING and now.done != now.total else None)

    def forget(self, writer: Writer, paths: Iterable[str]) -> None:
        """Delete the documents of these files."""
        for path in paths:
            # First: deletions may be committed in between; then the file counts as not read.
            writer.note_source(path, None)
            for number in writer.store.ids_of_source(path).values():
                writer.delete(number)
                self.deleted += 1

    def read_all(
        self,
        writer: Writer,
        changed: Sequence[SourceFile],
        *,
        moved: Mapping[str, str],
        again: bool = False,
    ) -> None:
        """Read and put files.

        Args:
            writer: takes the documents.
            changed: the new and changed files.
            moved: for moved files the old id, by new id.
            again: put the documents of files that are unchanged too.
        """
        self._moved, self._again = moved, again
        self._files_total = len(changed)
        self._bytes_total = sum(file.size for file in changed)
        self._writer = writer
        self._started = time.monotonic()
        self._remaining = Remaining(changed)
        refused: list[_Refused] = []
        for file in changed:
            refused += self._read(writer, file)
            self._files += 1
            self._unput = 0
            self._report()
        # An id that belonged to another file may be free now that that one was read.
        for one in refused:
            self._read_again(writer, one)

    def _read(self, writer: Writer, file: SourceFile) -> list[_Refused]:
        """Put a file's documents and delete those it lost; returns what was refused."""
        read_ns = time.time_ns()
        before = writer.encoded + writer.pending
        self._remaining.read(file)
        try:
            result = read(file, self._options)
        except DocumentError as error:
            self.problems.append(str(error))
            self.forget(writer, [file.id, *filter(None, [self._moved.get(file.id)])])
            return []
        finally:
            self._bytes += file.size
        self._unput = min(file.size, sum(len(document.text) for document in result.documents))
        known = writer.store.source(file.id)
        as_it_was = known is not None and (known.hash, known.reader) == (
            result.content_hash,
            reading(result.reader),
        )
        if as_it_was and not self._again:
            self.unchanged += writer.store.count_of_source(file.id)
            self._remaining.gave(file, 0)
            writer.note_source(file.id, _record(file, result, read_ns))
            return []
        self.problems += result.problems
        self.by_layout += result.by_layout
        # Commits may happen in between, so the old record is removed first.
        writer.note_source(file.id, None)
        kept, refused = self._put(writer, file, result, only=None)
        self._remaining.gave(file, writer.encoded + writer.pending - before)
        for id, number in writer.store.ids_of_source(file.id).items():
            if id not in kept:
                writer.delete(number)
                self.deleted += 1
        moved_from = self._moved.get(file.id)
        if moved_from is not None:
            self._leave(writer, moved_from, kept, file.id)
        if refused:
            return [_Refused(file, result.content_hash, refused)]
        writer.note_source(file.id, _record(file, result, read_ns))
        return []

    def _leave(self, writer: Writer, before: str, kept: set[str], now: str) -> None:
        """Delete documents that a moved file had under its old name and has no more."""
        for id, number in writer.store.ids_of_source(before).items():
            if id not in kept and _renamed(id, before, now) not in kept:
                writer.delete(number)
                self.deleted += 1
        writer.note_source(before, None)

    def _read_again(self, writer: Writer, one: _Refused) -> None:
        """Put the refused documents of a file whose ids are free now."""
        file, read_ns = one.file, time.time_ns()
        try:
            result = read(file, self._options)
        except DocumentError as error:  # it was readable a moment ago; left to the next sync
            self.problems.append(str(error))
            return
        if result.content_hash != one.content_hash:  # changed meanwhile; left to the next sync
            return
        _, refused = self._put(writer, file, result, only=one.ids)
        for id in sorted(refused):
            self.problems.append(
                f"{file.id}: document id {id!r} already belongs to a document from "
                f"{writer.owner(id)}, which stays; give each document an id of its own"
            )
        if not refused:
            writer.note_source(file.id, _record(file, result, read_ns))

    def _put(
        self, writer: Writer, file: SourceFile, result: ReadResult, *, only: set[str] | None
    ) -> tuple[set[str], set[str]]:
        """Put a file's documents; returns the ids that are its own now, and those refused."""
        kept: set[str] = set()
        refused: set[str] = set()
        before = self._moved.get(file.id)
        earlier = {} if before is None else writer.store.ids_of_source(before)
        documents = self._labeller.label(result.documents)
        for document, outline in zip(documents, result.outlines, strict=True):
            if only is not None and document.id not in only:
                continue
            self._unput = max(0, self._unput - len(document.text))
            if writer.owner(document.id) not in (None, file.id, before):
                refused.add(document.id)
                continue
            was = None if before is None else _renamed(document.id, file.id, before)
            try:
                put = writer.put(
                    document,
                    file.id,
                    outline,
                    reader=result.reader,
                    moved_from=was if was in earlier else None,
                )
            except InputError as error:
                self.problems.append(f"{file.id}: {error}")
                continue
            kept.add(document.id)
            self.added += put == "added"
            self.updated += put == "updated"
            self.unchanged += put == "unchanged"
            self.moved += put == "moved"
        return kept, refused

    def _report(self, compressing: ProgressUpdate | None = None) -> None:
        writer = self._writer
        pending = self._unput + (writer.pending if writer else 0)
        self._done = max(self._done, self._bytes - pending)
        if self._progress is None:
            return
        seconds = time.monotonic() - self._started
        now = compressing or self._encoding(seconds, pending)
        if compressing and self._compressing_since is None:
            self._compressing_since = seconds
        self._progress(
            SyncProgress(
                stage=now.stage,
                done=now.done,
                total=now.total,
                unit=now.unit,
                seconds_left=now.seconds_left,
                files=self._files,
                files_total=self._files_total,
                passages=writer.passages if writer else 0,
                tokens=writer.tokens if writer else 0,
                seconds=seconds,
            )
        )

    def _encoding(self, seconds: float, pending: int) -> ProgressUpdate:
        """Progress of the encoding; its speed excludes the time spent on compressing."""
        if self._compressing_since is not None:
            self._compressed += seconds - self._compressing_since
            self._compressing_since = None
        encoded, tokens = (writer.encoded, writer.tokens) if (writer := self._writer) else (0, 0)
        left = self._remaining.seconds(seconds - self._compressed, encoded, tokens, pending)
        return ProgressUpdate("encoding", self._done, self._bytes_total, "bytes", left)


def _renamed(id: str, file: str, other: str) -> str:
    """A document's id if its file had the other name; unchanged if it does not contain the name."""
    return (
        other + id.removeprefix(file)
        if id == file or id.startswith((f"{file}#", f"{file}!/"))
        else id
    )


def _record(file: SourceFile, result: ReadResult, read_ns: int) -> SourceRecord:
    """A file's record; without its times if a later change might not alter them."""
    racy = read_ns - file.mtime_ns < _RACY_NS
    times = UNRELIABLE_TIMES if racy else file.times
    return SourceRecord(file.id, file.size, times, result.content_hash, reading(result.reader))
