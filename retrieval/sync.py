"""sync: make an index mirror files and folders, touching only what changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from retrieval.documents import (
    MAX_BYTES,
    Discovery,
    ReadOptions,
    ReadResult,
    SourceFile,
    discover,
    is_current,
    read,
)
from retrieval.errors import DocumentError, InputError
from retrieval.index import Index
from retrieval.index.as_read import reader_read, reading
from retrieval.index.writing.writer import Writer
from retrieval.store import SourceRecord
from retrieval.types import COMPRESSING, ProgressUpdate

_RACY_NS = 2_000_000_000
"""A file changed so shortly before it was read may change again within one tick of its clock."""


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
        skipped: files and folders that were not read, by reason.
        problems: one line for each file, line or document that could not go in.
        passages: passages that were encoded.
        tokens: their tokens.
        seconds: the time it took.
    """

    added: int
    updated: int
    unchanged: int
    deleted: int
    skipped: Mapping[str, int]
    problems: list[str]
    passages: int
    tokens: int
    seconds: float


def sync(
    index: Index,
    paths: Sequence[Path],
    *,
    progress: Callable[[SyncProgress], object] | None = None,
    exclude: Sequence[Path] = (),
    max_bytes: int = MAX_BYTES,
    options: ReadOptions | None = None,
) -> SyncReport:
    """Bring the files under `paths` into the index, and out of it what is gone from there.

    A file whose size and times of change are known is not read, unless a newer version of its
    format, or other options, would read it otherwise. Of what is read, only passages whose text or
    context changed are encoded. Commits come every few seconds: after an interruption the next
    run goes on from there.

    - A file that is gone, ignored or too large now leaves the index with all its documents. So
      does one that changed and cannot be read as text any more: nothing stale is kept. A file or
      folder that the system refuses to open stays: nobody knows what is in it.
    - Of two files that give a document of the same id the first keeps it; the other's is a
      problem, and is tried again with every sync.

    Args:
        index: the index; ids of files are relative to the folder that it lies in.
        paths: files and folders.
        progress: called after every file, every batch of the encoder, and every block of token
            vectors that is compressed.
        exclude: files and folders to leave out; the index itself always is.
        max_bytes: files beyond this size are skipped.
        options: how files are read; a file that was read by other ones is read again.

    Raises:
        InputError: a path does not exist.
        IndexLocked: another process is writing to the index.
        StorageError: the disk is full; the message says what was kept.
    """
    started = time.monotonic()
    base = index.path.parent
    discovery = discover(paths, base, exclude=[index.path, *exclude], max_bytes=max_bytes)
    files = list(discovery)
    run = _Run(options or ReadOptions(), progress)
    with index.writing(progress=run.advance) as writer:
        run.forget(writer, _gone(writer, discovery, files))
        run.read_all(writer, files)
    return SyncReport(
        added=run.added,
        updated=run.updated,
        unchanged=run.unchanged,
        deleted=run.deleted,
        skipped=discovery.skipped,
        problems=[*discovery.problems, *run.problems],
        passages=writer.passages,
        tokens=writer.tokens,
        seconds=time.monotonic() - started,
    )


@dataclass(frozen=True, slots=True)
class _Refused:
    """Documents of a file that were not put, since their ids were another file's.

    Attributes:
        file: the file.
        content_hash: of what was read.
        ids: of the documents.
    """

    file: SourceFile
    content_hash: str
    ids: set[str]


class _Run:
    """One sync under way: its counts, and what it does with each file."""

    def __init__(
        self, options: ReadOptions, progress: Callable[[SyncProgress], object] | None
    ) -> None:
        self.added = self.updated = self.unchanged = self.deleted = 0
        self.problems: list[str] = []
        self._options = options
        self._progress = progress
        self._files = self._files_total = self._bytes = self._bytes_total = 0
        self._unput = self._done = 0  # characters read, not put; bytes shown as done
        self._writer: Writer | None = None
        self._started = time.monotonic()

    def advance(self, now: ProgressUpdate) -> None:
        """Report what the writer does: it encodes, or compresses token vectors."""
        self._report(now if now.stage == COMPRESSING and now.done != now.total else None)

    def forget(self, writer: Writer, paths: Iterable[str]) -> None:
        """Delete the documents of these files."""
        for path in paths:
            # First: deletions may be committed on the way, and the file then counts as not read.
            writer.note_source(path, None)
            for number in writer.store.ids_of_source(path).values():
                writer.delete(number)
                self.deleted += 1

    def read_all(self, writer: Writer, files: Iterable[SourceFile]) -> None:
        """Read and put every file that is not as it was."""
        changed = []
        for file in files:
            known = writer.store.source(file.id)
            if known and known.matches(file.size, _times(file)) and self._is_current(known, file):
                self.unchanged += writer.store.count_of_source(file.id)
            else:
                changed.append(file)
        self._files_total = len(changed)
        self._bytes_total = sum(file.size for file in changed)
        self._writer = writer
        self._started = time.monotonic()
        refused: list[_Refused] = []
        for file in changed:
            refused += self._read(writer, file)
            self._files += 1
            self._unput = 0
            self._report()
        # An id that was another file's may be free now that the other was read, too.
        for one in refused:
            self._read_again(writer, one)

    def _is_current(self, known: SourceRecord, file: SourceFile) -> bool:
        """Whether a file would be read now as it was then."""
        reader = reader_read(known.reader)
        return reader is not None and is_current(reader, file.id, self._options)

    def _read(self, writer: Writer, file: SourceFile) -> list[_Refused]:
        """Put a file's documents and delete those it lost; what was refused of it, if anything."""
        read_ns = time.time_ns()
        try:
            result = read(file, self._options)
        except DocumentError as error:
            self.problems.append(str(error))
            self.forget(writer, [file.id])
            return []
        finally:
            self._bytes += file.size
        self._unput = min(file.size, sum(len(document.text) for document in result.documents))
        known = writer.store.source(file.id)
        if known is not None and (known.hash, known.reader) == (
            result.content_hash,
            reading(result.reader),
        ):
            self.unchanged += writer.store.count_of_source(file.id)
            writer.note_source(file.id, _record(file, result, read_ns))
            return []
        self.problems += result.problems
        # Commits may fall due on the way: what was known of the file holds no longer.
        writer.note_source(file.id, None)
        kept, refused = self._put(writer, file, result, only=None)
        for id, number in writer.store.ids_of_source(file.id).items():
            if id not in kept:
                writer.delete(number)
                self.deleted += 1
        if refused:
            return [_Refused(file, result.content_hash, refused)]
        writer.note_source(file.id, _record(file, result, read_ns))
        return []

    def _read_again(self, writer: Writer, one: _Refused) -> None:
        """Put those documents of a file that were refused, where nobody has their id now."""
        file, read_ns = one.file, time.time_ns()
        try:
            result = read(file, self._options)
        except DocumentError as error:  # it went in a moment ago: the next sync looks into it
            self.problems.append(str(error))
            return
        if result.content_hash != one.content_hash:  # the next sync reads it whole
            return
        _, refused = self._put(writer, file, result, only=one.ids)
        for id in sorted(refused):
            self.problems.append(
                f"{file.id}: document id {id!r} is already that of a document from "
                f"{writer.owner(id)}, which stays; give each document an id of its own"
            )
        if not refused:
            writer.note_source(file.id, _record(file, result, read_ns))

    def _put(
        self, writer: Writer, file: SourceFile, result: ReadResult, *, only: set[str] | None
    ) -> tuple[set[str], set[str]]:
        """Put a file's documents; ids that are its own now, and ids that are another file's."""
        kept: set[str] = set()
        refused: set[str] = set()
        for document, outline in zip(result.documents, result.outlines, strict=True):
            if only is not None and document.id not in only:
                continue
            self._unput = max(0, self._unput - len(document.text))
            if writer.owner(document.id) not in (None, file.id):
                refused.add(document.id)
                continue
            try:
                put = writer.put(document, file.id, outline, reader=result.reader)
            except InputError as error:
                self.problems.append(f"{file.id}: {error}")
                continue
            kept.add(document.id)
            self.added += put == "added"
            self.updated += put == "updated"
            self.unchanged += put == "unchanged"
        return kept, refused

    def _report(self, compressing: ProgressUpdate | None = None) -> None:
        writer = self._writer
        pending = self._unput + (writer.pending if writer else 0)
        self._done = max(self._done, self._bytes - pending)
        if self._progress is None:
            return
        seconds = time.monotonic() - self._started
        done, total = self._done, self._bytes_total
        left = seconds * (total - done) / done if done and seconds > 0 else None
        now = compressing or ProgressUpdate("encoding", done, total, "bytes", left)
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


def _gone(writer: Writer, discovery: Discovery, files: Iterable[SourceFile]) -> list[str]:
    """Paths of files that the index knows under the roots and that are to be found no more."""
    found = {file.id for file in files}
    return [
        path
        for path in writer.store.source_paths()
        if path not in found
        and any(_is_under(path, root) for root in discovery.roots)
        and not any(_is_under(path, folder) for folder in discovery.unreadable)
    ]


def _is_under(path: str, root: str) -> bool:
    if root == ".":
        return path != ".." and not path.startswith(("../", "/"))
    return path == root or path.startswith(f"{root}/")


def _record(file: SourceFile, result: ReadResult, read_ns: int) -> SourceRecord:
    """What is known of a file; without a time if that cannot tell the next change from this."""
    racy = read_ns - file.mtime_ns < _RACY_NS
    times = -1 if racy else _times(file)
    return SourceRecord(file.id, file.size, times, result.content_hash, reading(result.reader))


def _times(file: SourceFile) -> int:
    """Both times of change as one number: a program that writes may set the first as it likes."""
    return (31 * file.mtime_ns + file.ctime_ns) % 2**63
