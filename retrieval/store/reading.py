"""Store: the contents of an index at one generation, read from SQLite."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import IndexCorrupted, StorageError
from retrieval.files.packed import unpacked
from retrieval.files.stored_json import parsed, whole
from retrieval.store import schema
from retrieval.store.documents import StoredDocument
from retrieval.store.files import SegmentRecord, segment_records
from retrieval.store.guard import sqlite_errors
from retrieval.store.listing import Listing, is_storable
from retrieval.store.passages import PassageReading
from retrieval.store.schema import JsonValue, Settings
from retrieval.store.sources import SourceReading
from retrieval.store.steps import StepLimit
from retrieval.types import Document

_DOCUMENT = "number, id, title, metadata, content_hash, source, checksum, reader"
_Columns: TypeAlias = tuple[int, str, str, str, str, str | None, str, str | None]


@dataclass(frozen=True, slots=True)
class Counts:
    """How much an index holds; `dead` are deleted passages that are still in segments."""

    documents: int
    passages: int
    dead: int
    sources: int


class Store(PassageReading, SourceReading, Listing):
    """The database of one index, pinned at the generation that was newest when it was opened.

    An open read transaction keeps that generation for as long as the store is open, whatever is
    committed meanwhile. There is one connection, guarded by a lock: any thread may use it.
    Every method raises IndexCorrupted if the database is damaged and StorageError if it cannot
    be read.
    """

    def __init__(
        self,
        folder: Path,
        *,
        pinned: bool = True,
        prepare: Callable[[sqlite3.Connection], object] = lambda connection: None,
    ) -> None:
        """Open the index at `folder`.

        Args:
            folder: the index's folder.
            pinned: pin the generation by a read transaction; a writer needs to see its own commits.
            prepare: called with the connection, to register the SQL functions that `matching`
                needs.
        """
        self.folder = folder
        self.path = folder / schema.DATABASE
        self._lock = threading.RLock()
        self._closed = False
        with sqlite_errors(self.path):
            self._connection, self._unlocked = schema.connect(folder, reading=pinned)
            self._limit = StepLimit(self._connection, self.path, cancellable=pinned)
            prepare(self._connection)
        try:
            with self._reading() as database:
                if pinned:
                    database.execute("PRAGMA query_only = ON")
                    database.execute("BEGIN")
                self._load(database)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release the generation and close the connection."""
        with self._lock, sqlite_errors(self.path):
            self._closed = True
            self._connection.close()

    def _load(self, database: sqlite3.Connection) -> None:
        """Read the generation's format, number, settings and segments."""
        self._dead: NDArray[np.int64] | None = None  # read on first use
        try:
            meta = {
                key: parsed(value)
                for key, value in database.execute("SELECT key, value FROM meta")
                if not key.startswith(schema.REMEMBERED)
            }
            (self.format_version,) = database.execute("PRAGMA user_version").fetchone()
            self.generation = whole(meta["generation"])
            self.next_document = whole(meta["next_document"])
            self.next_passage = whole(meta["next_passage"])
            self.next_segment = whole(meta["next_segment"])
            self.settings = Settings.from_values(meta)
        except (KeyError, ValueError, TypeError) as error:
            said = f"its table `meta` is not valid ({error!r:.200})"
            raise self._damaged(said) from error
        least, most = database.execute(
            "SELECT (SELECT min(id) FROM passages), (SELECT max(id) FROM passages)"
        ).fetchone()
        self.end = 0 if most is None else most + 1
        if least is not None and not 0 <= least < self.end <= self.next_passage:
            raise self._damaged(
                f"its passages are numbered {least} to {most}, and the next would be "
                f"{self.next_passage}"
            )
        self.segments = segment_records(database)

    def reload(self) -> None:
        """Read the newest generation's number and segments; only if the store is not pinned."""
        with self._reading() as database:
            self._load(database)

    def segment_folder(self, name: str) -> Path:
        """The folder of the segment with that name."""
        return self.folder / schema.SEGMENTS / name

    def of_kind(self, kind: str) -> list[SegmentRecord]:
        """The segments of one kind, oldest first."""
        return [segment for segment in self.segments if segment.kind == kind]

    def counts(self) -> Counts:
        """How many documents, passages, dead passages and source files there are."""
        with self._reading() as database:
            return Counts(
                *database.execute(
                    # Without the conditions SQLite counts in a single step, which has no limit.
                    "SELECT (SELECT count(*) FROM documents WHERE 1),"
                    " (SELECT count(*) FROM passages WHERE 1),"
                    " (SELECT count(*) FROM dead WHERE 1), (SELECT count(*) FROM sources WHERE 1)"
                ).fetchone()
            )

    def dead(self) -> NDArray[np.int64]:
        """Ids of the deleted passages that are still in segments, ascending; read-only."""
        with self._lock:
            if self._dead is None:
                self._dead = self._column("SELECT passage FROM dead ORDER BY passage")
                self._dead.flags.writeable = False
            return self._dead

    def documents(self, numbers: Sequence[int]) -> dict[int, StoredDocument]:
        """The rows of the documents with these numbers, by number."""
        rows = self._by_keys(f"SELECT {_DOCUMENT} FROM documents WHERE number IN", numbers)
        return {row[0]: self._document(row) for row in rows}

    def texts(self, numbers: Sequence[int]) -> dict[int, str]:
        """The texts of the documents with these numbers, by number; damaged ones are left out."""
        rows = self._by_keys("SELECT document, text FROM texts WHERE document IN", numbers)
        texts = ((number, unpacked(stored)) for number, stored in rows)
        return {number: text for number, text in texts if text is not None}

    def find(self, id: str) -> StoredDocument | None:
        """The row of the document with this id, or None."""
        return next(self._with_ids([id]), None)

    def get(self, id: str) -> Document | None:
        """The document with this id as it was added, or None."""
        return self.get_many([id]).get(id)

    def get_many(self, ids: Sequence[str]) -> dict[str, Document]:
        """The documents with these ids as they were added, by id; unknown ids are left out."""
        rows = list(self._with_ids(ids))
        texts = self.texts([row.number for row in rows])
        return {row.id: self.whole(row, texts.get(row.number)) for row in rows}

    def _with_ids(self, ids: Iterable[str]) -> Iterator[StoredDocument]:
        """The documents with these ids. SQLite would return the id from its index, which may be
        damaged and lead to another document; so each row is compared with its own id."""
        wanted = set(filter(is_storable, ids))
        numbers = self._by_keys("SELECT number FROM documents WHERE id IN", list(wanted))
        for document in self.documents([number for (number,) in numbers]).values():
            if document.id not in wanted:
                raise self._damaged(f"document {document.id!r} is where another should be")
            yield document

    def whole(self, row: StoredDocument, text: str | None) -> Document:
        """The document of a row and its text.

        Raises:
            IndexCorrupted: it was altered.
        """
        document = row.whole(text)
        if document is None:
            raise IndexCorrupted(
                f"{self.path} is damaged: document {row.id!r} was altered; "
                "delete that document and index it again"
            )
        return document

    def numbers(self) -> NDArray[np.int64]:
        """The numbers of all documents, ascending."""
        return self._column("SELECT number FROM documents ORDER BY number")

    def remembered(self, key: str) -> JsonValue:
        """The JSON value that a commit stored under this key, or None."""
        with self._reading() as database:
            row = database.execute(
                "SELECT value FROM meta WHERE key = ?", (f"{schema.REMEMBERED}{key}",)
            ).fetchone()
        try:
            found: JsonValue = None if row is None else parsed(row[0])
        except ValueError as error:
            raise self._damaged(f"what it remembers as {key!r} is not JSON") from error
        return found

    def integrity(self) -> Iterator[str]:
        """One line for each problem that SQLite's own check finds in the database."""
        with self._reading() as database:
            for (line,) in database.execute("PRAGMA integrity_check").fetchall():
                if line != "ok":  # possibly several lines below a heading
                    lines = [one for one in line.splitlines() if not one.startswith("***")]
                    first, *others = lines or [line]
                    more = f", and {len(others)} more like it" if others else ""
                    yield str(self._damaged(first + more))

    @contextmanager
    def _reading(self, size: int = 0) -> Iterator[sqlite3.Connection]:
        checked = self._unlocked.reading() if self._unlocked else nullcontext()
        with self._lock, checked, sqlite_errors(self.path), self._limit.reading(size):
            if self._closed:
                raise StorageError(f"the index at {self.folder} was closed; open it again")
            yield self._connection

    def _document(self, row: _Columns) -> StoredDocument:
        number, id, title, metadata, content_hash, source, checksum, reader = row
        try:
            fields = parsed(metadata)
        except ValueError as error:
            raise self._damaged(f"the metadata of document {id!r} is not JSON") from error
        return StoredDocument(number, id, title, fields, content_hash, source, checksum, reader)
