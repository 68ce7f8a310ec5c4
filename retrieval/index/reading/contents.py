"""What listings ask of what they list: one snapshot, or all shards of a collection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from retrieval.index.reading.searched_snapshot import passage_of
from retrieval.index.reading.snapshot import Snapshot, condition_of
from retrieval.indexes import Filter
from retrieval.store import Listed, ValueCount
from retrieval.types import Document, Passage


class Contents(Protocol):
    """The documents of one generation; every method raises what `Index` does."""

    def holds(self, id: str) -> bool:
        """Whether there is a document with this id."""

    def get_many(self, ids: Sequence[str]) -> dict[str, Document]:
        """The documents with these ids that there are, by id."""

    def passages(self, id: str) -> list[Passage]:
        """The passages of a document, in order; none if there is no such document."""

    def ids(self, where: Filter | None, after: str, most: int) -> list[str]:
        """Ids of documents in their order: at most so many, -1 for all, that come after this."""

    def listed(self, where: Filter | None) -> list[Listed]:
        """Documents without their texts, those of no file first, then by file."""

    def count(self, where: Filter | None) -> int:
        """How many documents there are."""

    def values(self, key: str, where: Filter | None, exact: bool) -> list[ValueCount]:
        """The values of a key and how many documents have each, the most frequent first."""

    def metadata_keys(self, where: Filter | None) -> dict[str, dict[str, int]]:
        """The keys of metadata, and how many documents have a value of each kind there."""


class SnapshotContents:
    """A snapshot behind the protocol `Contents`."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Take the snapshot, which stays open for as long as it is asked."""
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
