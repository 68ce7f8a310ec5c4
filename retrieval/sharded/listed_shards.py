"""All shards of a collection as something to list, with the results of a single index."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from retrieval.indexes import Filter
from retrieval.sharded.asking import Shards
from retrieval.sharded.partition import shard_of
from retrieval.store import Listed, ValueCount
from retrieval.types import Document, Embeddings, Passage


class ListedShards:
    """Implements `Contents` for the shards of one generation."""

    def __init__(self, shards: Shards) -> None:
        """Args: the shards."""
        self._shards = shards

    def holds(self, id: str) -> bool:
        """As the protocol says."""
        return bool(self._owner("holds", id, nothing=False))

    def get_many(self, ids: Sequence[str]) -> dict[str, Document]:
        """As the protocol says."""
        given = {n: (own,) for n, own in self._by_owner(ids).items()}
        found: dict[str, Document] = {}
        for several in self._shards.ask("get_many", given).values():
            found |= several
        return found

    def passages(self, id: str) -> list[Passage]:
        """As the protocol says."""
        found: list[Passage] = self._owner("passages", id, nothing=[])
        return found

    def ids(self, where: Filter | None, after: str, most: int) -> list[str]:
        """As the protocol says."""
        merged = heapq.merge(*self._every("ids", where, after, most))
        return list(merged if most < 0 else itertools.islice(merged, most))

    def listed(self, where: Filter | None) -> list[Listed]:
        """As the protocol says; within a file, and without one, ordered by id."""
        found = itertools.chain.from_iterable(self._every("listed", where))
        return sorted(found, key=lambda one: (one.source or "", one.id))

    def count(self, where: Filter | None) -> int:
        """As the protocol says."""
        return sum(self._every("count", where))

    def values(self, key: str, where: Filter | None, exact: bool) -> list[ValueCount]:
        """As the protocol says."""
        counts: Counter[tuple[str, Any]] = Counter()
        for several in self._every("values", key, where, exact):
            for value, count in several:
                counts[_kind(value, exact=exact), value] += count
        ranked = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
        return [(value, count) for (_, value), count in ranked]

    def metadata_keys(self, where: Filter | None) -> dict[str, dict[str, int]]:
        """As the protocol says."""
        found: dict[str, Counter[str]] = {}
        for several in self._every("metadata_keys", where):
            for key, kinds in several.items():
                found.setdefault(key, Counter()).update(kinds)
        return {key: dict(found[key]) for key in sorted(found)}

    def vectors(
        self, ids: Sequence[str], where: Filter | None
    ) -> Iterator[tuple[Passage, Embeddings]]:
        """The passages of these documents that match the filter, in this order."""
        given = {n: (own, where) for n, own in self._by_owner(ids).items()}
        of: dict[str, list[tuple[Passage, Embeddings]]] = {}
        for several in self._shards.ask("vectors", given).values():
            for passage, made in several:
                of.setdefault(passage.document_id, []).append((passage, made))
        for id in ids:
            yield from of.get(id, ())

    def _by_owner(self, ids: Iterable[str]) -> dict[int, list[str]]:
        """Ids of documents by the number of their shard, without empty shards."""
        of_shards: dict[int, list[str]] = {}
        for id in ids:
            of_shards.setdefault(shard_of(id, self._shards.total), []).append(id)
        return {number: own for number, own in of_shards.items() if number in self._shards.numbers}

    def _every(self, method: str, *arguments: Any) -> list[Any]:
        given = dict.fromkeys(self._shards.numbers, arguments)
        return list(self._shards.ask(method, given).values())

    def _owner(self, method: str, id: str, *, nothing: Any) -> Any:
        """The answer of a document's shard; `nothing` if the shard is empty."""
        number = shard_of(id, self._shards.total)
        if number not in self._shards.numbers:
            return nothing
        return self._shards.ask(method, {number: (id,)})[number]


def _kind(value: object, *, exact: bool) -> str:
    """The type of a value, as the store names and orders it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "text"
    return "real" if exact and isinstance(value, float) else "integer"
