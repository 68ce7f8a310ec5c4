"""StoreWriter: the one transaction that makes a commit."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.files.packed import packed
from retrieval.store.copies import text_hash
from retrieval.store.files import SegmentRecord
from retrieval.store.guard import sqlite_errors
from retrieval.store.reading import Store
from retrieval.store.schema import (
    BUSY_MS,
    PACKED,
    REMEMBERED,
    JsonValue,
    PassageRow,
    SourceRecord,
    checksum,
)
from retrieval.types import Document


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document to add, with all its passages.

    Attributes:
        number: its number; never used before.
        document: the document itself; its metadata are JSON.
        source: path of the file that it came from, or None.
        passages: its passages, with new ids or the ids of passages that it takes over from a
            document that is deleted.
        reader: what cut it into passages.
        taken: ids of the passages that it takes over.
    """

    number: int
    document: Document
    source: str | None
    passages: Sequence[PassageRow]
    reader: str | None = None
    taken: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Relabel:
    """A change of a stored document's metadata or source only, not of its title or text."""

    number: int
    document: Document
    source: str | None
    reader: str | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """All changes from one generation to the next.

    Attributes:
        delete: numbers of documents to delete, with their passages.
        add: documents to add.
        relabel: documents that change in their metadata or source only.
        sources: the new record of each file by path; None removes it.
        remember: JSON values to store by key, see `Store.remembered`.
        add_segments: segments to add; their files are already on disk.
        drop_segments: names of segments to remove.
        buried: ids of dead passages that are no longer in any segment, i64 [n].
        next_segment: the next number for a segment's name.
    """

    delete: Sequence[int] = ()
    add: Sequence[NewDocument] = ()
    relabel: Sequence[Relabel] = ()
    sources: Mapping[str, SourceRecord | None] = field(default_factory=dict)
    remember: Mapping[str, JsonValue] = field(default_factory=dict)
    add_segments: Sequence[SegmentRecord] = ()
    drop_segments: Sequence[str] = ()
    buried: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    next_segment: int = 1


class StoreWriter(Store):
    """The store of the one process that writes: it sees its own commits at once.

    The caller holds the index's WriterLock for as long as this is open.
    """

    def __init__(
        self,
        folder: Path,
        *,
        prepare: Callable[[sqlite3.Connection], object] = lambda connection: None,
    ) -> None:
        super().__init__(folder, pinned=False, prepare=prepare)
        try:
            with self._reading() as database:
                # FULL makes commits survive a power failure, not only the end of the process.
                database.execute("PRAGMA synchronous = FULL")
        except BaseException:
            self.close()
            raise

    def commit(self, change: Commit) -> None:
        """Make `change` the next generation: all of it, or, if anything fails, nothing."""
        with self._lock, sqlite_errors(self.path):
            self._whole(lambda: self._change(change))
            self._load(self._connection)

    def _change(self, change: Commit) -> None:
        self._take_over([id for new in change.add for id in new.taken])
        self._delete(change.delete)
        self._add(change.add)
        for relabel in change.relabel:
            self._relabel(relabel)
        self._note_sources(change.sources)
        self._remember(change.remember)
        self._name_segments(change)
        self._set("generation", self.generation + 1)
        self._set("next_segment", change.next_segment)

    def _whole(self, change: Callable[[], object]) -> None:
        """Make a change in one transaction.

        It is no context manager, since an interrupt can fall between the block and its end.
        """
        database = self._connection
        database.execute("BEGIN IMMEDIATE")
        try:
            change()
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise

    def vacuum(self) -> None:
        """Remove the pages of deleted rows from the database, and compress older texts."""
        with self._reading() as database:
            if database.execute("SELECT 1 FROM meta WHERE key = ?", (PACKED,)).fetchone() is None:
                self._whole(self._pack)
            database.execute("VACUUM")

    def _pack(self) -> None:
        database = self._connection
        database.create_function("packed", 1, packed, deterministic=True)
        database.execute("UPDATE texts SET text = packed(text) WHERE typeof(text) = 'text'")
        database.execute("INSERT INTO meta VALUES (?, 'true')", (PACKED,))

    def log_bytes(self) -> int:
        """Size of the write-ahead log."""
        try:
            return self.path.with_name(f"{self.path.name}-wal").stat().st_size
        except FileNotFoundError:
            return 0

    def checkpoint(self, *, truncate: bool = False) -> None:
        """Copy the log into the database, as far as no reader still needs the old pages.

        Args:
            truncate: also empty the log, if no reader reads from it.
        """
        with self._reading() as database:
            database.execute("PRAGMA busy_timeout = 0")  # do not wait for readers
            database.execute(f"PRAGMA wal_checkpoint({'TRUNCATE' if truncate else 'PASSIVE'})")
            database.execute(f"PRAGMA busy_timeout = {BUSY_MS}")

    def _take_over(self, ids: Sequence[int]) -> None:
        """Remove passages that another document takes over and adds again."""
        self._connection.executemany("DELETE FROM passages WHERE id = ?", [(id,) for id in ids])

    def _delete(self, numbers: Sequence[int]) -> None:
        keys = [(number,) for number in numbers]
        run = self._connection.executemany
        run("INSERT INTO dead SELECT id FROM passages WHERE document = ?", keys)
        run("DELETE FROM passages WHERE document = ?", keys)
        run("DELETE FROM texts WHERE document = ?", keys)
        run("DELETE FROM documents WHERE number = ?", keys)

    def _add(self, documents: Sequence[NewDocument]) -> None:
        run = self._connection.executemany
        run(
            "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    new.number,
                    new.document.id,
                    new.document.title,
                    _json(new.document),
                    hash,
                    new.source,
                    checksum(new.document.id, hash, new.source, new.passages),
                    new.reader,
                )
                for new in documents
                for hash in (new.document.content_hash,)
            ],
        )
        run(
            "INSERT INTO texts VALUES (?, ?)",
            [(new.number, packed(new.document.text)) for new in documents],
        )
        run(
            "INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    *(p.id, p.document, p.ordinal, p.start, p.end, p.first_line, p.last_line),
                    p.structure,
                    text_hash(new.document.text[p.start : p.end]),
                )
                for new in documents
                for p in new.passages
            ],
        )
        if documents:
            self._set("next_document", max(new.number for new in documents) + 1)
        last = max((p.id for new in documents for p in new.passages), default=None)
        if last is not None and last >= self.next_passage:
            self._set("next_passage", last + 1)

    def _relabel(self, relabel: Relabel) -> None:
        document, hash = relabel.document, relabel.document.content_hash
        tie = checksum(document.id, hash, relabel.source, self.passages_of(relabel.number))
        self._connection.execute(
            "UPDATE documents SET metadata = ?, content_hash = ?, source = ?, reader = ?,"
            " checksum = ? WHERE number = ?",
            (_json(document), hash, relabel.source, relabel.reader, tie, relabel.number),
        )

    def _note_sources(self, sources: Mapping[str, SourceRecord | None]) -> None:
        self._connection.executemany(
            "DELETE FROM sources WHERE path = ?",
            [(path,) for path, source in sources.items() if source is None],
        )
        self._connection.executemany(
            "INSERT OR REPLACE INTO sources VALUES (?, ?, ?, ?, ?)",
            [
                (s.path, s.size, s.times, s.hash, s.reader)
                for s in sources.values()
                if s is not None
            ],
        )

    def _remember(self, values: Mapping[str, JsonValue]) -> None:
        self._connection.executemany(
            "INSERT OR REPLACE INTO meta VALUES (?, ?)",
            [(f"{REMEMBERED}{key}", json.dumps(value)) for key, value in values.items()],
        )

    def _name_segments(self, change: Commit) -> None:
        run = self._connection.executemany
        for name in change.drop_segments:
            self._connection.execute("DELETE FROM files WHERE segment = ?", (name,))
            self._connection.execute("DELETE FROM segments WHERE name = ?", (name,))
        for segment in change.add_segments:
            run(
                "INSERT INTO segments VALUES (?, ?, ?)",
                [(segment.name, segment.kind, segment.passages)],
            )
            run(
                "INSERT INTO files VALUES (?, ?, ?, ?)",
                [(segment.name, path, f.size, f.digest) for path, f in segment.files.items()],
            )
        run("DELETE FROM dead WHERE passage = ?", [(int(id),) for id in change.buried])

    def _set(self, key: str, value: int) -> None:
        self._connection.execute(
            "UPDATE meta SET value = ? WHERE key = ?", (json.dumps(value), key)
        )


def _json(document: Document) -> str:
    return json.dumps(dict(document.metadata), ensure_ascii=False, allow_nan=False)
