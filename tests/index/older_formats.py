"""Indexes as earlier releases left them, made of what this release writes."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tantivy

from retrieval.files.packed import unpacked
from retrieval.index import Index
from retrieval.indexes import DenseSegment
from retrieval.indexes.arrays import write_array
from retrieval.store.files import seal
from retrieval.types import Document

from .fake_encoder import FakeEncoder

_FIELDS = ("title", "text")
_COLUMNS = {
    "documents": (
        "number INTEGER PRIMARY KEY",
        "id TEXT NOT NULL UNIQUE",
        "title TEXT NOT NULL",
        "metadata TEXT NOT NULL",
        "content_hash TEXT NOT NULL",
        "source TEXT",
        "checksum TEXT NOT NULL",
    ),
    "passages": (
        "id INTEGER PRIMARY KEY",
        "document INTEGER NOT NULL",
        "ordinal INTEGER NOT NULL",
        "start INTEGER NOT NULL",
        '"end" INTEGER NOT NULL',
        "first_line INTEGER NOT NULL",
        "last_line INTEGER NOT NULL",
    ),
    "sources": (
        "path TEXT PRIMARY KEY",
        "size INTEGER NOT NULL",
        "mtime_ns INTEGER NOT NULL",
        "hash TEXT NOT NULL",
    ),
}
"""Tables that have other columns now; what the indexes on them are does not matter here."""


def of_format(version: int, folder: Path, documents: list[Document], encoder: FakeEncoder) -> Path:
    """An index of these documents in format 1, 2 or 3.

    Before format 4 dense vectors are f32 and texts as they are, before 3 the lexical index has two
    fields.
    """
    with Index.create(folder, encoder=encoder) as index:
        index.add(documents)
        status = index.status()
    assert status.dead_passages == 0
    database = sqlite3.connect(folder / "store.sqlite", isolation_level=None)
    texts = [(unpacked(text), n) for n, text in database.execute("SELECT * FROM texts")]
    database.executemany("UPDATE texts SET text = ? WHERE document = ?", texts)
    database.execute("DELETE FROM meta WHERE key = 'packed'")
    for (name,) in database.execute("SELECT name FROM segments WHERE kind = 'vectors'").fetchall():
        _write_floats(folder / "segments" / name / "dense")
        _name_again(database, folder, name)
    database.execute(f"PRAGMA user_version = {version}")
    if version == 3:
        database.close()
        return folder
    (name,) = database.execute("SELECT name FROM segments WHERE kind = 'lexical'").fetchone()
    _write_lexical(folder / "segments" / name, _passages(database))
    database.execute("DELETE FROM files WHERE segment = ?", (name,))
    for table, columns in _COLUMNS.items():
        names = ", ".join(column.partition(" ")[0] for column in columns)
        without = " WITHOUT ROWID" if table == "sources" else ""
        database.execute(f"ALTER TABLE {table} RENAME TO newer")
        database.execute(f"CREATE TABLE {table} ({', '.join(columns)}){without}")
        database.execute(f"INSERT INTO {table} SELECT {names} FROM newer")
        database.execute("DROP TABLE newer")
    if version == 1:
        database.execute("DELETE FROM meta WHERE key = 'late'")
    database.close()
    return folder


def _write_floats(folder: Path) -> None:
    """The dense half of a segment as it was: f32 [r, D]."""
    segment = DenseSegment.open(folder)
    vectors = segment.vectors(segment.ids)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for name in ("dense.codes.npy", "dense.scales.npy"):
        (folder / name).unlink()
    write_array(folder / "dense.vectors.npy", "<f4", vectors.shape, [vectors])


def _name_again(database: sqlite3.Connection, folder: Path, name: str) -> None:
    """Have the database know a segment's files as they are now."""
    database.execute("DELETE FROM files WHERE segment = ?", (name,))
    files = seal(folder / "segments" / name, previous=None, known={}, rights=0o600)
    database.executemany(
        "INSERT INTO files VALUES (?, ?, ?, ?)",
        [(name, path, file.size, file.digest) for path, file in files.items()],
    )


def _passages(database: sqlite3.Connection) -> Iterator[tuple[int, str, str]]:
    for id, start, end, title, text in database.execute(
        'SELECT p.id, p.start, p."end", d.title, t.text FROM passages AS p'
        " JOIN documents AS d ON d.number = p.document JOIN texts AS t ON t.document = d.number"
    ):
        yield id, title, text[start:end]


def _write_lexical(folder: Path, passages: Iterator[tuple[int, str, str]]) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    builder = tantivy.SchemaBuilder().add_integer_field("id", indexed=True, fast=True)
    for field in _FIELDS:
        builder.add_text_field(field, index_option="freq")
    index = tantivy.Index(builder.build(), str(folder))
    writer = index.writer(num_threads=1)
    for id, title, text in passages:
        writer.add_document(tantivy.Document(id=id, title=title, text=text))
    writer.commit()
    writer.wait_merging_threads()
