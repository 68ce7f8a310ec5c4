"""What is to become of a collection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from retrieval.sharded.sources.remote import NO_FILES, RemoteFiles
from retrieval.sharded.spool import Incoming


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to become of a collection.

    Attributes:
        documents: that are added, or replace those with their ids.
        remote: files of a storage, which are read by whoever builds; their documents as well.
        mirror: whether every other document leaves.
        unreadable: asked once the documents are read: ids of files and folders whose documents stay
            all the same.
        delete: ids of documents that leave.
        compact: whether all shards are written anew, without what was deleted.
    """

    documents: Iterable[Incoming] = ()
    remote: RemoteFiles = NO_FILES
    mirror: bool = False
    unreadable: Callable[[], Sequence[str]] = tuple
    delete: Sequence[str] = ()
    compact: bool = False
