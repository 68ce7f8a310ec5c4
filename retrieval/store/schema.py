"""The tables of an index, its format version, and how its database is opened.

The format version is independent of releases: it changes when data on disk changes its meaning. It
    is in SQLite's `user_version`, where every release can read it.

1   `meta` has no `late` options: token vectors are 8-bit integers up to 10,000 passages
2   `meta.late` has the options, and token vectors may be compressed
3   passages have a context, a place and a hash of their text, documents and sources their reader,
    and the lexical index has a field for each part of the context
4   dense vectors are 8-bit integers, a text may be compressed, and compressed segments share a
    codec, which is a segment of its own
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from retrieval.errors import (
    IndexCorrupted,
    IndexFormatError,
    IndexFormatOutdated,
    IndexNotFound,
    StorageError,
    from_backup,
)
from retrieval.files.given import USUAL_FOLDER
from retrieval.files.stored_json import whole
from retrieval.store.guard import is_full
from retrieval.store.structure import to_json
from retrieval.store.tables import strange_object
from retrieval.store.unlocked import Unlocked
from retrieval.types import NO_CONTEXT, NO_PLACE, Context, LateOptions, Place

FORMAT_VERSION = 4
DATABASE = "store.sqlite"
DATABASE_SUFFIXES = ("", "-wal", "-shm", "-journal")
"""Suffixes of the database file and of the files that SQLite keeps beside it."""

SEGMENTS = "segments"
LOCK = "lock"

_APPLICATION_ID = 0x6D_62_72_74  # "mbrt", to recognise databases of other programs
BUSY_MS = 30_000
_MOST_DIMENSIONS = 1 << 20  # of a vector; those of encoders have thousands at most
_FROZEN = "mode=ro&immutable=1"

JsonValue: TypeAlias = (
    str | int | float | bool | Sequence["JsonValue"] | Mapping[str, "JsonValue"] | None
)
"""A JSON value."""

REMEMBERED = "remembered."
"""Prefix of the keys of `meta` that belong to callers, see `Store.remembered`."""

PACKED = "packed"
"""The key of `meta` that says that every text that can be compressed is; an index of an older
format gets it when its texts were packed."""

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE documents (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    metadata TEXT NOT NULL,      -- a JSON object
    content_hash TEXT NOT NULL,  -- Document.content_hash
    source TEXT,                 -- sources.path of the file it came from
    checksum TEXT NOT NULL,      -- over this row and its passages, see `checksum`
    reader TEXT                  -- what cut it into passages, see `index.context_builder.reading`
);
CREATE INDEX documents_source ON documents (source) WHERE source IS NOT NULL;
-- Apart from `documents`, so that a filter on metadata does not read the texts' pages. A text that
-- is compressed is a BLOB, see `retrieval.files.packed`.
CREATE TABLE texts (document INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE passages (
    id INTEGER PRIMARY KEY,      -- given out once, from meta.next_passage
    document INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    first_line INTEGER NOT NULL,
    last_line INTEGER NOT NULL,
    structure TEXT,              -- a JSON object of its context and its place, or NULL
    text_hash INTEGER            -- of its text, see `copies.text_hash`
);
CREATE INDEX passages_document ON passages (document);
CREATE INDEX passages_text_hash ON passages (text_hash);
-- Passages that were deleted and still stand in a vector segment, some in the lexical one too.
CREATE TABLE dead (passage INTEGER PRIMARY KEY);
CREATE TABLE sources (
    path TEXT PRIMARY KEY, size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,   -- SourceRecord.times
    hash TEXT NOT NULL,
    reader TEXT                  -- SourceRecord.reader
) WITHOUT ROWID;
CREATE TABLE segments (name TEXT PRIMARY KEY, kind TEXT NOT NULL, passages INTEGER NOT NULL);
CREATE TABLE files (
    segment TEXT NOT NULL, path TEXT NOT NULL, size INTEGER NOT NULL, digest TEXT NOT NULL,
    PRIMARY KEY (segment, path)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of an index that are fixed when it is created.

    Attributes:
        encoder_name: the encoder's name, for display.
        encoder_source: what to load it from; None for the embedded model.
        fingerprint: the encoder's fingerprint, to refuse other encoders.
        dense_dim: D of the dense vectors, or None.
        token_dim: d of the token vectors, or None.
        passage_tokens: the longest passage, in tokens.
        late: how token vectors are stored.
        long_context: whether the passages of a document are read together with their neighbours.
    """

    encoder_name: str
    encoder_source: str | None
    fingerprint: str
    dense_dim: int | None
    token_dim: int | None
    passage_tokens: int
    late: LateOptions = field(default_factory=LateOptions)
    long_context: bool = False

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Settings:
        """Those that JSON holds by their names; raises ValueError, KeyError or TypeError if none.

        Args:
            values: `long_context` may be missing, as of indexes that had no such choice.
        """
        name, source, fingerprint = (
            values[key] for key in ("encoder_name", "encoder_source", "fingerprint")
        )
        if not (isinstance(name, str) and isinstance(fingerprint, str)):
            raise TypeError(f"an encoder {name!r:.40} with the fingerprint {fingerprint!r:.40}")
        if not isinstance(source, str | None):
            raise TypeError(f"an encoder from {source!r:.40}")
        return cls(
            name,
            source,
            fingerprint,
            dense_dim=_dimension(values["dense_dim"]),
            token_dim=_dimension(values["token_dim"]),
            passage_tokens=whole(values["passage_tokens"], 1),
            late=LateOptions(**values["late"]),
            long_context=bool(values.get("long_context", False)),
        )


@dataclass(frozen=True, slots=True)
class PassageRow:
    """A passage as stored.

    Attributes:
        id: its number in every segment; never reused.
        document: its document's number.
        ordinal: 0 for the document's first.
        start, end: its span in the document's text, in characters.
        first_line, last_line: 1-based lines of its first and last character.
        context: its context: headings, definition, table header.
        place: page, cell, row, time or part where it begins.
    """

    id: int
    document: int
    ordinal: int
    start: int
    end: int
    first_line: int
    last_line: int
    context: Context = NO_CONTEXT
    place: Place = NO_PLACE

    @property
    def structure(self) -> str | None:
        """Its context and place in stored form."""
        return to_json(self.context, self.place)


UNRELIABLE_TIMES = -1
"""`SourceRecord.times` of a file that was written so shortly before it was read that a later change
may leave its times as they are."""


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """A file as it was when its documents were read.

    Attributes:
        path: its path, as in its documents.
        size: in bytes.
        times: a number computed from its modification times, or `UNRELIABLE_TIMES`.
        hash: hash of its content.
        reader: what read it: a format, its version and the relevant options; None if an older
            release did.
    """

    path: str
    size: int
    times: int
    hash: str
    reader: str | None = None

    def matches(self, size: int, times: int) -> bool:
        """Whether a file of this size and with these times is unchanged."""
        return (self.size, self.times) == (size, times)


def checksum(id: str, content_hash: str, source: str | None, passages: Iterable[PassageRow]) -> str:
    """BLAKE2b-128 (hex) over a document's row and passages; `verify` computes it again."""
    rows = [
        [row.id, row.ordinal, row.start, row.end, row.first_line, row.last_line]
        + ([] if row.structure is None else [row.structure])
        for row in passages
    ]
    parts = json.dumps([id, content_hash, source, rows])
    return hashlib.blake2b(parts.encode("utf-8"), digest_size=16).hexdigest()


def connect(
    folder: Path, *, oldest: int = FORMAT_VERSION, reading: bool = False
) -> tuple[sqlite3.Connection, Unlocked | None]:
    """A connection to the database of an index that exists, in autocommit mode.

    The second value is given if locks are not possible: then read within its blocks.

    Args:
        folder: the index's folder.
        oldest: the oldest format that the caller can handle.
        reading: whether nothing will be written; then a full disk does no harm.

    Raises:
        IndexNotFound: there is none, or its creation was interrupted.
        IndexFormatError: a newer release wrote it.
        IndexFormatOutdated: its format is older than `oldest`.
        IndexCorrupted: the file is damaged, or contains something that no index has, such as views.
    """
    path = folder / DATABASE
    if (folder / SEGMENTS).is_symlink():  # a writer deletes unknown files there
        raise IndexCorrupted(
            f"{folder / SEGMENTS} is a link, but an index's segments have to be in its own folder; "
            f"delete {folder} and index again"
        )
    if not _is_file(path):
        # It may be being created just now, so look a second time.
        if path.exists() and not path.is_dir() and not _is_file(path):
            raise IndexCorrupted(f"{path} is not a regular file; delete {folder} and index again")
        if _has_segments(folder):
            raise IndexCorrupted(f"{path} is missing; {from_backup(folder)}")
        raise not_found(folder)
    writable = os.access(folder, os.W_OK)
    # Where there is no write-ahead log, SQLite has to be told that it cannot create one here.
    frozen = not writable and not path.with_name(f"{path.name}-wal").exists()
    unlocked = Unlocked(path) if frozen else None
    connection = _connect(path, "mode=rw" if writable else _FROZEN if frozen else "mode=ro")
    try:
        try:
            made = _is_made(connection)
        except sqlite3.OperationalError:
            # SQLite may have no room for the files that it keeps beside an open database.
            if not (reading and not frozen and is_full(folder) and _log_is_empty(path)):
                raise
            connection.close()
            unlocked = Unlocked(path)
            connection = _connect(path, _FROZEN)
            made = _is_made(connection)
        if not made:
            if _has_segments(folder):
                raise IndexCorrupted(f"{path} is damaged: it is empty; {from_backup(folder)}")
            raise not_found(folder)
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if application != _APPLICATION_ID:
            raise IndexCorrupted(
                f"{path} is not the database of an index (application id {application:#x} "
                f"instead of {_APPLICATION_ID:#x}); give the folder of an index"
            )
        if version > FORMAT_VERSION:
            raise IndexFormatError(
                f"the index at {folder} has format {version}, this release reads up to "
                f"{FORMAT_VERSION}; install a newer release, or delete it and index again"
            )
        if 1 <= version < oldest:
            raise IndexFormatOutdated(
                f"the index at {folder} has format {version} and has to be upgraded to format "
                f"{FORMAT_VERSION} first; `retrieval status --index {folder}` does it in place"
            )
        if version < 1:
            raise IndexCorrupted(
                f"{path} is damaged: it has format {version}; {from_backup(folder)}"
            )
        if strange := strange_object(connection, SCHEMA):
            raise IndexCorrupted(
                f"{path} is not as it was written: {strange}; "
                f"copy the index back from a backup, or delete {folder} and index again"
            )
    except BaseException:
        connection.close()
        raise
    return connection, unlocked


def _dimension(value: object) -> int | None:
    found = None if value is None else whole(value, 1)
    if found is not None and found > _MOST_DIMENSIONS:
        raise ValueError(f"vectors of {found:,} dimensions")
    return found


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except PermissionError as error:
        raise StorageError(
            f"the index at {path.parent} may not be read; its owner can share it with "
            f"`retrieval index --shared --index {path.parent}`"
        ) from error


def not_found(folder: Path) -> IndexNotFound:
    """The error for a folder without an index."""
    first = folder.parts[0] if folder.parts else ""
    if first.endswith(":") and len(first) > 2:  # "s3://bucket" as a path; "C:" is a drive
        url = ("///" if first == "file:" else "//").join((first, "/".join(folder.parts[1:])))
        return IndexNotFound(
            f"there is no folder {folder}; a collection in shards is named by its URL, {url}, in "
            "commands, and opened by ShardedIndex in Python"
        )
    within = folder / USUAL_FOLDER
    if (within / DATABASE).exists():
        return IndexNotFound(f"no index at {folder}; did you mean {within}, where one is?")
    if (folder / "CURRENT").is_file() and (folder / "manifests").is_dir():
        return IndexNotFound(
            f"no index at {folder}, which holds a collection in shards; name it by its URL, "
            f"{folder.absolute().as_uri()}"
        )
    return IndexNotFound(f"no index at {folder}; create one with `retrieval index PATH`")


def create(folder: Path, settings: Settings) -> None:
    """Create the database of a new index, atomically."""
    connection = sqlite3.connect(folder / DATABASE, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN IMMEDIATE")
        for statement in SCHEMA.split(";\n"):
            connection.execute(statement)
        values: dict[str, Any] = {
            "generation": 0,
            "next_document": 1,
            "next_passage": 0,
            "next_segment": 1,
            "encoder_name": settings.encoder_name,
            "encoder_source": settings.encoder_source,
            "fingerprint": settings.fingerprint,
            "dense_dim": settings.dense_dim,
            "token_dim": settings.token_dim,
            "passage_tokens": settings.passage_tokens,
            "late": asdict(settings.late),
            "long_context": settings.long_context,
            PACKED: True,
        }
        connection.executemany(
            "INSERT INTO meta VALUES (?, ?)",
            [(key, json.dumps(value)) for key, value in values.items()],
        )
        connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
        connection.execute("COMMIT")
    finally:
        connection.close()


def exists(folder: Path) -> bool:
    """Whether there is an index, of any format and state, and not an unfinished one."""
    if not (folder / DATABASE).exists():
        return _has_segments(folder)
    connection = sqlite3.connect(folder / DATABASE, isolation_level=None)
    try:
        return _is_made(connection) or _has_segments(folder)
    finally:
        connection.close()


def _is_made(connection: sqlite3.Connection) -> bool:
    """Whether the database has tables, which are all created in one transaction."""
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return bool(tables)


def _log_is_empty(path: Path) -> bool:
    """Whether all commits are in the database itself, not in the log."""
    try:
        return path.with_name(f"{path.name}-wal").stat().st_size == 0
    except FileNotFoundError:
        return True


def _connect(path: Path, how: str) -> sqlite3.Connection:
    uri = f"{path.resolve().as_uri()}?{how}"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    # A database that came from elsewhere calls none of our functions by its definitions.
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def _has_segments(folder: Path) -> bool:
    segments = folder / SEGMENTS
    return segments.is_dir() and any(segments.iterdir())
