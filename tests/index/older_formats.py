"""Indexes as earlier releases left them, made of what this release writes."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import tantivy

from retrieval.index import Index
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
    """An index of these documents in format 1 or 2, its lexical index with two fields."""
    with Index.create(folder, encoder=encoder) as index:
        index.add(documents)
        status = index.status()
    assert status.dead_passages == 0
    database = sqlite3.connect(folder / "store.sqlite", isolation_level=None)
    (name,) = database.execute("SELECT name FROM segments WHERE kind = 'lexical'").fetchone()
    _write_lexical(folder / "segments" / name, _passages(database))
    database.execute("DELETE FROM files WHERE segment = ?", (name,))
    for table, columns in _COLUMNS.items():
        names = ", ".join(column.partition(" ")[0] for column in columns)
        database.execute(f"CREATE TABLE old ({', '.join(columns)})")
        database.execute(f"INSERT INTO old SELECT {names} FROM {table}")
        database.execute(f"DROP TABLE {table}")
        database.execute(f"ALTER TABLE old RENAME TO {table}")
    if version == 1:
        database.execute("DELETE FROM meta WHERE key = 'late'")
    database.execute(f"PRAGMA user_version = {version}")
    database.close()
    return folder


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
