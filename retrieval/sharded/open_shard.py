"""One shard, opened: what a collection asks of it, and what it answers, in values that can be sent.

It knows passages by their ids in the shard, and filters instead of masks: those it keeps.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

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
from retrieval.sharded.described import Descriptions
from retrieval.sharded.local import ShardCache
from retrieval.sharded.manifest import ShardRecord
from retrieval.sharded.packed import Packed, pack, proposals_of
from retrieval.store import Settings
from retrieval.types import Embeddings, Hit, Hybrid, Passage, Single, TokenMatch

_MASKS = 8
"""Of so many filters it is kept which passages fulfil them."""

ProposedHere = tuple[Packed, tuple[list[int], Descriptions] | None]
"""What is proposed and, if that is asked for, the passages' ids with what describes them."""

ShownHere = tuple[dict[int, Hit], list[list[int]], dict[int, Copies]]
"""See `Shown`: hits; of each mark where its spans begin and end, in turns; copies if there are."""


class OpenShard(SnapshotContents):
    """A shard as a part of its collection; it stays open until `close`."""

    def __init__(self, snapshot: Snapshot, slot: EncoderSlot) -> None:
        """Take a snapshot, which was opened as a part of the collection; use `open_shard`."""
        super().__init__(snapshot)
        self._searched = SearchedSnapshot(snapshot)
        self._slot = slot
        self._masks: OrderedDict[Filter, Mask] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def snapshot(self) -> Snapshot:
        """What it reads."""
        return self._snapshot

    def close(self) -> None:
        """Let go of it as soon as nobody uses it."""
        self._snapshot.retire()

    def counts(self, queries: Sequence[str]) -> list[bytes]:
        """How many of its passages hold each term of each query, u32; nothing if it has none."""
        with self._snapshot.guarded():
            found = self._searched.counts(queries)
        return [b"" if own is None else own.astype("<u4").tobytes() for own in found]

    def best(self, query: str, counts: Counts) -> float:
        """The score by BM25 of the passage that answers a query best; 0 if none does."""
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
        """Of the k best of one retriever for each query the `first` best.

        Args:
            described: whether it is told what describes them, as well.
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
        """Of the `depth` best of each retriever for each query the `first`, scored by all.

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
        ids = sorted({id for one in proposals for id in one.ids.tolist()})
        return pack(proposals), (ids, self.described(ids))

    def scores(self, retriever: Single, query: Query, ids: Ids) -> NDArray[np.float32]:
        """One retriever's own scores of passages, f32 [n]."""
        with self._snapshot.guarded():
            return self._searched.scores(retriever, query, ids)

    def fresh_scores(
        self, queries: Sequence[NDArray[np.float32]], candidates: Sequence[Ids]
    ) -> list[NDArray[np.float32]]:
        """Scores by vectors fresh from the encoder, see `rescoring.scores`."""
        with self._snapshot.guarded():
            return self._searched.fresh_scores(self._slot.get(), queries, candidates)

    def described(self, ids: Sequence[int]) -> Descriptions:
        """What orders, folds and groups these passages."""
        with self._snapshot.guarded():
            rows = self._searched.described(ids) if ids else []
        documents, ordinals, hashes, owners = zip(*rows, strict=True) if rows else ((),) * 4
        return list(documents), list(ordinals), list(hashes), list(owners)

    def mean_vectors(self, ids: Ids) -> NDArray[np.float32]:
        """The mean of each passage's dense vectors, of unit length, f32 [n, D]."""
        with self._snapshot.guarded():
            return self._searched.mean_vectors(ids)

    def stored(self, ids: Sequence[int]) -> dict[int, Hit]:
        """These passages as hits without what depends on a query."""
        with self._snapshot.guarded():
            return self._searched.stored(ids)

    def shown(
        self, ids: Sequence[int], marks: Sequence[Mark], hashes: Ids, where: Filter | None
    ) -> ShownHere | None:
        """What is shown of these passages; None if it has neither them nor those texts."""
        with self._snapshot.guarded():
            found = self._searched.shown(ids, marks, hashes, self._allowed(where))
        spans = [[end for span in one for end in span] for one in found.spans]
        copies = {hash: one for hash, one in found.copies.items() if one.count}
        return (found.hits, spans, copies) if ids or copies else None

    def vectors(self, ids: Sequence[str], where: Filter | None) -> list[tuple[Passage, Embeddings]]:
        """The passages of these documents that fulfil the filter, each with its embeddings."""
        named = Filter.parse({"id": {"$in": list(ids)}})
        with self._snapshot.guarded():
            mask = self._searched.allowed(named if where is None else where & named)
        return list(stored_vectors(self._snapshot, mask))

    def likeness(self, id: str) -> Likeness | None:
        """What a document is compared with others by; None if there is no such document."""
        with self._snapshot.guarded():
            return self._searched.likeness(id)

    def explain(self, query: Query, hits: Sequence[Hit]) -> list[tuple[TokenMatch, ...]]:
        """For each hit what each token of the query matched best."""
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
    """Bring a shard here if it is not, and open it as a part of its collection.

    Args:
        number: the shard's.
        record: of a shard that holds something.
        collection: the totals of the whole.
        settings: of the collection.
        cache: of copies of its shards.
        slot: of the collection's encoder.

    Raises:
        EncoderMismatch: the shard was built otherwise than the collection.
        IndexCorrupted: it is not what the manifest says.
        StorageError: it cannot be brought here.
    """
    assert record.files is not None
    copy = cache.copy(record.files)
    part = LexicalPart(record.lexical, collection, cache.padding(record.files, collection))
    snapshot = open_newest(copy, OpenedSegments(part))
    if snapshot.store.settings != settings:
        snapshot.retire()
        raise EncoderMismatch(
            f"shard {number} of the collection was built with "
            f"{snapshot.store.settings.encoder_name!r} and other settings than the "
            "collection; build it again"
        )
    return OpenShard(snapshot, slot)
