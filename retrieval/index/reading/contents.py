"""The contents that can be listed: of one snapshot, or of all shards of a collection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from retrieval.index.reading.searched_snapshot import passage_of
from retrieval.index.reading.snapshot import Snapshot, condition_of
from retrieval.indexes import Filter
from retrieval.store import Listed, ValueCount
from retrieval.types import Document, Passage


class Contents(Protocol):
    """The documents of one generation; methods raise the same errors as `Index`."""

    def holds(self, id: str) -> bool:
        """Whether there is a document with this id."""

    def get_many(self, ids: Sequence[str]) -> dict[str, Document]:
        """The existing documents with these ids, by id."""

    def passages(self, id: str) -> list[Passage]:
        """The passages of a document, in order; none if there is no such document."""

    def ids(self, where: Filter | None, after: str, most: int) -> list[str]:
        """Ids of documents after `after`, in order: at most `most`, -1 for all."""

    def listed(self, where: Filter | None) -> list[Listed]:
        """Documents without their texts: first those without a file, then by file."""

    def count(self, where: Filter | None) -> int:
        """How many documents there are."""

    def values(self, key: str, where: Filter | None, exact: bool) -> list[ValueCount]:
        """The values of a key and how many documents have each, the most frequent first."""

    def metadata_keys(self, where: Filter | None) -> dict[str, dict[str, int]]:
        """The keys of metadata, and how many documents have a value of each kind."""


class SnapshotContents:
    """Implements `Contents` for a snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Args: the snapshot, which has to stay open during use."""
        self._snapshot = snapshot
        self._store = snapshot.store

    def holds(self, id: str) -> bool:
        """As the protocol says."""
        with self._snapshot.guarded():
            return self._store.find(id) is not None

    def get_many(self, ids: Sequence[str]) -> dict[str, Document]:
        """As the protocol says."""
        with self._snapshot.guarded():
            return self._store.get_many(ids)

    def passages(self, id: str) -> list[Passage]:
        """As the protocol says."""
        with self._snapshot.guarded():
            document = self._store.find(id)
            if document is None:
                return []
            return [passage_of(row, document) for row in self._store.passages_of(document.number)]

    def ids(self, where: Filter | None, after: str, most: int) -> list[str]:
        """As the protocol says."""
        with self._snapshot.guarded():
            return self._store.ids(condition_of(where), after=after, most=most)

    def listed(self, where: Filter | None) -> list[Listed]:
        """As the protocol says."""
        with self._snapshot.guarded():
            return self._store.listed(condition_of(where))

    def count(self, where: Filter | None) -> int:
        """As the protocol says."""
        with self._snapshot.guarded():
            return self._store.count(condition_of(where))

    def values(self, key: str, where: Filter | None, exact: bool) -> list[ValueCount]:
        """As the protocol says."""
        with self._snapshot.guarded():
            return self._snapshot.values(key, where, exact=exact)

    def metadata_keys(self, where: Filter | None) -> dict[str, dict[str, int]]:
        """As the protocol says."""
        with self._snapshot.guarded():
            return self._store.metadata_keys(condition_of(where))
