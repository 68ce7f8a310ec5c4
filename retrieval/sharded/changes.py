"""Changes to make to a collection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from retrieval.sharded.sources.remote import NO_FILES, RemoteFiles
from retrieval.sharded.spool import Incoming


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes to make to a collection.

    Attributes:
        documents: documents to add, or to replace those with the same ids.
        remote: files in object storage, read by the build tasks, whose documents are also added.
        mirror: whether all other documents are deleted.
        unreadable: called after the documents were read; returns ids of files and folders whose
            documents are kept nevertheless.
        delete: ids of documents to delete, except those that are added.
        compact: whether to rewrite all shards without deleted passages.
    """

    documents: Iterable[Incoming] = ()
    remote: RemoteFiles = NO_FILES
    mirror: bool = False
    unreadable: Callable[[], Sequence[str]] = tuple
    delete: Sequence[str] = ()
    compact: bool = False
