"""One opened shard: what a collection asks of it, and its answers as values that can be sent.

It knows passages by their ids in the shard, and takes filters, whose masks it caches.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import EncoderMismatch
from retrieval.index.encoder import EncoderSlot
from retrieval.index.reading.contents import SnapshotContents
from retrieval.index.reading.retrievers import Mask
from retrieval.index.reading.runs import Proposal, Query
from retrieval.index.reading.searched import Copies, Ids, Likeness, Mark
from retrieval.index.reading.searched_snapshot import SearchedSnapshot
from retrieval.index.reading.snapshot import Snapshot, open_newest
from retrieval.index.reading.stored import stored_vectors
from retrieval.index.segments import OpenedSegments
from retrieval.indexes import Counts, Filter, LexicalPart, LexicalTotals
from retrieval.sharded.described import Descriptions, packed_descriptions
from retrieval.sharded.local import ShardCache
from retrieval.sharded.manifest import ShardRecord
from retrieval.sharded.packed import Packed, pack, proposals_of
from retrieval.store import Settings
from retrieval.types import Embeddings, Hit, Hybrid, Passage, Single, TokenMatch

_MASKS = 8
"""Number of filters whose masks are cached."""

ProposedHere = tuple[Packed, Descriptions | None]
"""The proposals and, if requested, the descriptions of their passages."""

ShownHere = tuple[dict[int, Hit], list[list[int]], dict[int, Copies]]
"""See `Shown`: hits; for each mark the alternating starts and ends of its spans; copies, but for
texts that only a shown hit has."""


class OpenShard(SnapshotContents):
    """A shard as a part of its collection; it stays open until `close`."""

    def __init__(self, snapshot: Snapshot, slot: EncoderSlot) -> None:
        """Args: a snapshot that was opened as a part of the collection; use `open_shard`."""
        super().__init__(snapshot)
        self._searched = SearchedSnapshot(snapshot)
        self._slot = slot
        self._masks: OrderedDict[Filter, Mask] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot that it reads."""
        return self._snapshot

    def close(self) -> None:
        """Close it as soon as nobody uses it."""
        self._snapshot.retire()

    def counts(self, queries: Sequence[str]) -> list[bytes]:
        """How many of its passages contain each term of each query, u32; empty without passages."""
        with self._snapshot.guarded():
            found = self._searched.counts(queries)
        return [b"" if own is None else own.astype("<u4").tobytes() for own in found]

    def best(self, query: str, counts: Counts) -> float:
        """The BM25 score of the best passage for a query; 0 if none matches."""
        with self._snapshot.guarded():
            return self._searched.best(query, counts)

    def find(
        self,
        retriever: Single,
        queries: Sequence[Query],
        k: int,
        where: Filter | None,
        first: int,
        described: bool,
    ) -> ProposedHere:
        """The `first` of the k best of one retriever for each query.

        Args:
            described: whether to send their descriptions as well.
        """
        with self._snapshot.guarded():
            runs = self._searched.find(retriever, queries, k, self._allowed(where))
        return self._proposed(proposals_of(runs, first), described)

    def propose(
        self,
        queries: Sequence[Query],
        depth: int,
        names: Sequence[Single],
        hybrid: Hybrid,
        where: Filter | None,
        first: int,
        described: bool,
    ) -> ProposedHere:
        """The `first` of the `depth` best of each retriever for each query, scored by all.

        Args:
            described: see `find`.
        """
        with self._snapshot.guarded():
            allowed = self._allowed(where)
            found = self._searched.propose(queries, depth, names, hybrid, allowed, first)
        return self._proposed(found, described)

    def _proposed(self, proposals: Sequence[Proposal], described: bool) -> ProposedHere:
        if not described:
            return pack(proposals), None
        ids = {id for one in proposals for id in one.ids.tolist()}
        return pack(proposals), self.described(ids)

    def scores(self, retriever: Single, query: Query, ids: Ids) -> NDArray[np.float32]:
        """One retriever's own scores of passages, f32 [n]."""
        with self._snapshot.guarded():
            return self._searched.scores(retriever, query, ids)

    def fresh_scores(
        self, queries: Sequence[NDArray[np.float32]], candidates: Sequence[Ids]
    ) -> list[NDArray[np.float32]]:
        """Scores by newly encoded vectors, see `rescoring.scores`."""
        with self._snapshot.guarded():
            return self._searched.fresh_scores(self._slot.get(), queries, candidates)

    def described(self, ids: Collection[int]) -> Descriptions:
        """What is needed to order, fold and group these passages."""
        listed = sorted(ids)
        with self._snapshot.guarded():
            rows = self._searched.described(listed) if listed else []
        return packed_descriptions(listed, rows)

    def mean_vectors(self, ids: Ids) -> NDArray[np.float32]:
        """The mean of each passage's dense vectors, of unit length, f32 [n, D]."""
        with self._snapshot.guarded():
            return self._searched.mean_vectors(ids)

    def stored(self, ids: Sequence[int]) -> dict[int, Hit]:
        """These passages as hits without query-dependent parts."""
        with self._snapshot.guarded():
            return self._searched.stored(ids)

    def shown(
        self, ids: Sequence[int], marks: Sequence[Mark], hashes: Ids, where: Filter | None
    ) -> ShownHere | None:
        """What is shown of these passages; None if it has neither them nor those texts."""
        with self._snapshot.guarded():
            found = self._searched.shown(ids, marks, hashes, self._allowed(where))
        spans = [[end for span in one for end in span] for one in found.spans]
        shown = {id(hit.passage) for hit in found.hits.values()}
        copies = {
            hash: one
            for hash, one in found.copies.items()
            if one.count > 1 or (one.count == 1 and id(one.first[0]) not in shown)
        }
        return (found.hits, spans, copies) if ids or copies else None

    def vectors(self, ids: Sequence[str], where: Filter | None) -> list[tuple[Passage, Embeddings]]:
        """The passages of these documents that match the filter, each with its embeddings."""
        named = Filter.of_ids(ids)
        with self._snapshot.guarded():
            mask = self._searched.allowed(named if where is None else where & named)
        return list(stored_vectors(self._snapshot, mask))

    def likeness(self, id: str) -> Likeness | None:
        """The vectors to compare a document by; None if there is no such document."""
        with self._snapshot.guarded():
            return self._searched.likeness(id)

    def explain(self, query: Query, hits: Sequence[Hit]) -> list[tuple[TokenMatch, ...]]:
        """For each hit the best match of each query token."""
        return self._searched.explain(self._slot.get(), query, hits)

    def _allowed(self, where: Filter | None) -> Mask:
        if where is None:
            return self._searched.allowed(None)
        with self._lock:
            if where in self._masks:
                self._masks.move_to_end(where)
                return self._masks[where]
        mask = self._searched.allowed(where)
        with self._lock:
            self._masks[where] = mask
            while len(self._masks) > _MASKS:
                self._masks.popitem(last=False)
        return mask


def open_shard(
    number: int,
    record: ShardRecord,
    collection: LexicalTotals,
    settings: Settings,
    cache: ShardCache,
    slot: EncoderSlot,
) -> OpenShard:
    """Open a shard, downloaded if need be, as a part of its collection.

    Args:
        number: the shard's number.
        record: the record of a non-empty shard.
        collection: the totals of the whole collection.
        settings: the collection's settings.
        cache: the cache of copies of its shards.
        slot: the slot of the collection's encoder.

    Raises:
        EncoderMismatch: the shard was built differently from the collection.
        IndexCorrupted: it does not match the manifest.
        StorageError: it cannot be downloaded.
    """
    assert record.files is not None
    copy = cache.copy(record.files)
    part = LexicalPart(record.lexical, collection, cache.padding(record.files, collection))
    snapshot = open_newest(copy, OpenedSegments(part))
    if snapshot.store.settings != settings:
        snapshot.retire()
        raise EncoderMismatch(
            f"shard {number} of the collection was built with "
            f"{snapshot.store.settings.encoder_name!r} and settings other than the "
            "collection's; build it again"
        )
    return OpenShard(snapshot, slot)
