"""An index of an older format, raised to this release's in place; what it holds stays."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from retrieval.errors import IndexFormatError
from retrieval.files.lock import WriterLock
from retrieval.files.whole import sync_folder
from retrieval.index.as_read import lexical_fields, path_of
from retrieval.index.segments import LEXICAL
from retrieval.indexes import write_lexical
from retrieval.store.copies import text_hash
from retrieval.store.files import seal
from retrieval.store.guard import disk_errors, sqlite_errors
from retrieval.store.rights import rights_of
from retrieval.store.schema import DATABASE, FORMAT_VERSION, LOCK, SEGMENTS, connect
from retrieval.types import Context, Document, LateOptions


def upgrade(folder: Path) -> None:
    """Raise the index at `folder` to this release's format, if it has an older one.

    The lexical index is written anew, with the fields of this format, from the stored texts; then
    one transaction adds the columns and names it. Whatever stops it, the index is the old one or
    the new one, whole. Vectors stay. Files count as read by an older release, so that the next
    sync reads them again, and encodes what their structure changes.

    Raises:
        IndexNotFound: there is no index.
        IndexLocked: another process is writing.
        IndexFormatError: the format is old and the folder cannot be written.
        StorageError: the disk is full or fails.
    """
    if not os.access(folder, os.W_OK):
        raise IndexFormatError(
            f"the index at {folder} has an older format and cannot be raised to format "
            f"{FORMAT_VERSION}, since its folder cannot be written; open it once as someone who may"
        )
    with (
        disk_errors(folder),
        WriterLock(folder / LOCK),
        sqlite_errors(folder / DATABASE),
        closing(connect(folder, oldest=1)[0]) as database,
    ):
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version < FORMAT_VERSION:
            _raise(folder, database, version)


def _raise(folder: Path, database: sqlite3.Connection, version: int) -> None:
    (next_segment,) = database.execute(
        "SELECT value FROM meta WHERE key = 'next_segment'"
    ).fetchone()
    number = int(json.loads(next_segment))
    target = folder / SEGMENTS / f"{number:08d}-{LEXICAL}"
    (passages,) = database.execute("SELECT count(*) FROM passages").fetchone()
    if passages:
        if target.is_symlink():  # of nobody knows whom, and its files would be deleted
            target.unlink()
        write_lexical(target, add=_passages(database))
        files = seal(target, previous=None, known={}, rights=rights_of(folder))
        sync_folder(folder / SEGMENTS)
    database.execute("PRAGMA synchronous = FULL")
    database.execute("BEGIN IMMEDIATE")
    try:
        if version < 2:
            late = json.dumps(asdict(LateOptions()))
            database.execute("INSERT OR REPLACE INTO meta VALUES ('late', ?)", (late,))
        for table, column in (
            ("documents", "reader"),
            ("passages", "structure"),
            ("sources", "reader"),
        ):
            database.execute(f"ALTER TABLE {table} ADD COLUMN {column} TEXT")
        database.execute("ALTER TABLE passages ADD COLUMN text_hash INTEGER")
        database.create_function(
            "text_hash", 3, lambda text, start, end: text_hash(text[start:end]), deterministic=True
        )
        database.execute(
            'UPDATE passages SET text_hash = (SELECT text_hash(t.text, start, "end")'
            " FROM texts AS t WHERE t.document = passages.document)"
        )
        # A text that is not what was stored keeps none, so that no hit shows it.
        database.executemany(
            "UPDATE passages SET text_hash = NULL WHERE document = ?", _altered(database)
        )
        database.execute("CREATE INDEX passages_text_hash ON passages (text_hash)")
        database.execute(
            "DELETE FROM files WHERE segment IN (SELECT name FROM segments WHERE kind = ?)",
            (LEXICAL,),
        )
        database.execute("DELETE FROM segments WHERE kind = ?", (LEXICAL,))
        if passages:
            database.execute(
                "INSERT INTO segments VALUES (?, ?, ?)", (target.name, LEXICAL, passages)
            )
            database.executemany(
                "INSERT INTO files VALUES (?, ?, ?, ?)",
                [(target.name, path, file.size, file.digest) for path, file in files.items()],
            )
        for key, value in (("next_segment", number + 1), ("generation", None)):
            database.execute(
                "UPDATE meta SET value = coalesce(?, value + 1) WHERE key = ?", (value, key)
            )
        database.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def _altered(database: sqlite3.Connection) -> Iterator[tuple[int]]:
    """Numbers of the documents that are not what was stored."""
    for number, id, title, metadata, content_hash, text in database.execute(
        "SELECT d.number, d.id, d.title, d.metadata, d.content_hash, t.text FROM documents AS d"
        " JOIN texts AS t ON t.document = d.number"
    ):
        if Document(id, text, title, json.loads(metadata)).content_hash != content_hash:
            yield (number,)


def _passages(database: sqlite3.Connection) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Every stored passage as the lexical index takes it."""
    for id, start, end, title, metadata, text in database.execute(
        'SELECT p.id, p.start, p."end", d.title, d.metadata, t.text FROM passages AS p'
        " JOIN documents AS d ON d.number = p.document JOIN texts AS t ON t.document = d.number"
    ):
        path = path_of(json.loads(metadata))
        yield id, lexical_fields(title, path, Context(), text[start:end])
