"""Deleting documents in such a way that `sync` brings back those from files."""

from __future__ import annotations

from collections.abc import Iterable

from retrieval.index.writing.writer import Writer
from retrieval.store import Condition, StoredDocument


def delete(writer: Writer, ids: Iterable[str] | None, condition: Condition | None) -> int:
    """Delete the documents with these ids, or all, that fulfil the condition.

    Returns:
        How many were deleted.
    """
    numbers = None if condition is None else set(writer.store.numbers_of(condition))
    if ids is None:
        ids = writer.store.ids(condition or Condition())
    deleted = 0
    for id in dict.fromkeys(ids):
        stored = writer.store.find(id)
        if stored is not None and (numbers is None or stored.number in numbers):
            _delete(writer, stored)
            deleted += 1
    return deleted


def clear(writer: Writer) -> int:
    """Delete all documents and forget all files; returns how many documents there were."""
    for _, _, path, _ in writer.store.file_rows():
        writer.note_source(path, None)
    return delete(writer, None, None)


def _delete(writer: Writer, stored: StoredDocument) -> None:
    # First, since the deletion may be committed at once, and sync should bring it back.
    if stored.source is not None:
        writer.note_source(stored.source, None)
    writer.delete(stored.number)
