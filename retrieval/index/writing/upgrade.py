"""Upgrading an index of an older format to this release's, in place, keeping its contents.

Each step to the next format is one transaction. If it is interrupted, the index is entirely the old
one or the new one; files written for it but not named are swept by the next writer.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from retrieval.errors import IndexCorrupted, IndexFormatError, from_backup
from retrieval.files.lock import WriterLock
from retrieval.files.stored_json import parsed, whole
from retrieval.files.whole import link, sync_folder
from retrieval.index import vectors
from retrieval.index.context_builder import lexical_fields, path_of
from retrieval.index.segments import LEXICAL
from retrieval.indexes import FLOATS, write_from_floats, write_lexical
from retrieval.store.copies import text_hash
from retrieval.store.files import SegmentRecord, damage, seal, segment_records, sweep
from retrieval.store.guard import disk_errors, sqlite_errors
from retrieval.store.rights import rights_of
from retrieval.store.schema import DATABASE, FORMAT_VERSION, LOCK, SEGMENTS, connect
from retrieval.store.steps import StepLimit
from retrieval.types import Context, Document, LateOptions

_READ_WHOLE = ("documents", "texts", "passages", "sources", "segments", "files")
_EXACT_PASSAGES = 10_000  # the limit of an index of format 1, whatever the default is now


def upgrade(folder: Path) -> None:
    """Upgrade the index at `folder` to this release's format, if it has an older one.

    Nothing is encoded. Files of an index of format 1 or 2 count as read by an older release, so
    that the next sync reads them again, and encodes what changes through their structure.

    Raises:
        IndexNotFound: there is no index.
        IndexCorrupted: a file that has to be rewritten is damaged.
        IndexLocked: another process is writing.
        IndexFormatError: the format is old and the folder cannot be written.
        StorageError: the disk is full or fails.
    """
    if not os.access(folder, os.W_OK):
        raise IndexFormatError(
            f"the index at {folder} has an older format and cannot be upgraded to format "
            f"{FORMAT_VERSION}: its folder is not writable; open it once as a user who may write"
        )
    with (
        disk_errors(folder),
        WriterLock(folder / LOCK),
        sqlite_errors(folder / DATABASE),
        closing(connect(folder, oldest=1)[0]) as database,
    ):
        (version,) = database.execute("PRAGMA user_version").fetchone()
        database.execute("PRAGMA synchronous = FULL")
        with StepLimit(database, folder / DATABASE, cancellable=False).reading():
            for table in _READ_WHOLE:
                database.execute(f"SELECT count(*) FROM {table} WHERE 1").fetchone()
        if version < 3:
            _with_structure(folder, database, version)
        if version < 4:
            _with_integers(folder, database)
        sweep(folder / SEGMENTS, {segment.name for segment in segment_records(database)})


@contextmanager
def _next_format(database: sqlite3.Connection, version: int, next_segment: int) -> Iterator[None]:
    """The transaction that changes the format, and counts as a generation."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        for key, value in (("next_segment", next_segment), ("generation", None)):
            database.execute(
                "UPDATE meta SET value = coalesce(?, value + 1) WHERE key = ?", (value, key)
            )
        database.execute(f"PRAGMA user_version = {version}")
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def _next_segment(database: sqlite3.Connection) -> int:
    (number,) = database.execute("SELECT value FROM meta WHERE key = 'next_segment'").fetchone()
    return whole(_value(number))


def _value(text: str) -> Any:
    try:
        return parsed(text)
    except ValueError as error:
        raise IndexCorrupted(
            f"the index has a value that cannot be read ({error}); {from_backup()}"
        ) from error


def _with_integers(folder: Path, database: sqlite3.Connection) -> None:
    """To format 4: dense vectors become 8-bit integers; other files of segments are linked."""
    number = _next_segment(database)
    written: list[tuple[SegmentRecord, str]] = []
    for old in segment_records(database):
        source = folder / SEGMENTS / old.name
        if old.kind != vectors.KIND or not (source / vectors.DENSE / FLOATS).exists():
            continue
        dense = {p: f for p, f in old.files.items() if p.startswith(f"{vectors.DENSE}/")}
        for line in damage(source, replace(old, files=dense)):  # new checksums would hide damage
            raise IndexCorrupted(line)
        target = folder / SEGMENTS / f"{number:08d}-{vectors.KIND}"
        number += 1
        shutil.rmtree(target, ignore_errors=True)  # left by an interrupted attempt
        write_from_floats(target / vectors.DENSE, source / vectors.DENSE)
        for path in old.files.keys() - dense.keys():
            link(source / path, target / path)
        for linked in target.iterdir():
            sync_folder(linked)
        files = seal(target, previous=source, known=old.files, rights=rights_of(folder))
        written.append((replace(old, name=target.name, files=files), old.name))
    if written:
        sync_folder(folder / SEGMENTS)
    with _next_format(database, 4, number):
        for segment, before in written:
            _forget(database, before)
            _name(database, segment)


def _name(database: sqlite3.Connection, segment: SegmentRecord) -> None:
    database.execute(
        "INSERT INTO segments VALUES (?, ?, ?)", (segment.name, segment.kind, segment.passages)
    )
    database.executemany(
        "INSERT INTO files VALUES (?, ?, ?, ?)",
        [(segment.name, path, file.size, file.digest) for path, file in segment.files.items()],
    )


def _forget(database: sqlite3.Connection, name: str) -> None:
    database.execute("DELETE FROM files WHERE segment = ?", (name,))
    database.execute("DELETE FROM segments WHERE name = ?", (name,))


def _with_structure(folder: Path, database: sqlite3.Connection, version: int) -> None:
    """To format 3: more columns for passages, and a lexical index with fields."""
    number = _next_segment(database)
    target = folder / SEGMENTS / f"{number:08d}-{LEXICAL}"
    (passages,) = database.execute("SELECT count(*) FROM passages").fetchone()
    if passages:
        if target.is_symlink():  # of unknown origin, and files there would be deleted
            target.unlink()
        write_lexical(target, add=_passages(database))
        files = seal(target, previous=None, known={}, rights=rights_of(folder))
        sync_folder(folder / SEGMENTS)
    with _next_format(database, 3, number + 1):
        if version < 2:
            late = json.dumps(asdict(LateOptions(exact_passages=_EXACT_PASSAGES)))
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
        # An altered text gets no hash, so that no hit shows it.
        database.executemany(
            "UPDATE passages SET text_hash = NULL WHERE document = ?", _altered(database)
        )
        database.execute("CREATE INDEX passages_text_hash ON passages (text_hash)")
        for old in segment_records(database):
            if old.kind == LEXICAL:
                _forget(database, old.name)
        if passages:
            _name(database, SegmentRecord(target.name, LEXICAL, passages, files))


def _altered(database: sqlite3.Connection) -> Iterator[tuple[int]]:
    """Numbers of the documents that were altered."""
    for number, id, title, metadata, content_hash, text in database.execute(
        "SELECT d.number, d.id, d.title, d.metadata, d.content_hash, t.text FROM documents AS d"
        " JOIN texts AS t ON t.document = d.number"
    ):
        if Document(id, text, title, _value(metadata)).content_hash != content_hash:
            yield (number,)


def _passages(database: sqlite3.Connection) -> Iterator[tuple[int, Mapping[str, str]]]:
    """The id and lexical fields of every stored passage."""
    for id, start, end, title, metadata, text in database.execute(
        'SELECT p.id, p.start, p."end", d.title, d.metadata, t.text FROM passages AS p'
        " JOIN documents AS d ON d.number = p.document JOIN texts AS t ON t.document = d.number"
    ):
        path = path_of(_value(metadata))
        yield id, lexical_fields(title, path, Context(), text[start:end])
