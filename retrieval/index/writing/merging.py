"""Merging: which vector segments a writing call rewrites as fewer, and doing so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import IndexCorrupted
from retrieval.index import vectors
from retrieval.index.vectors import VectorSegment
from retrieval.index.writing.compressing import Compressing
from retrieval.index.writing.merge_policy import Candidate, plan, to_join, to_promote
from retrieval.index.writing.segment_folders import SegmentFolders
from retrieval.indexes.masks import mask_without
from retrieval.store import SegmentRecord, StoreWriter
from retrieval.store.files import damage

NO_IDS: NDArray[np.int64] = np.empty(0, np.int64)

Groups: TypeAlias = Sequence[Sequence[str]]
"""Names of segments; each group is merged into one."""


@dataclass(frozen=True, slots=True)
class Merge:
    """The result of a merge.

    Attributes:
        written: names of the new segments.
        dropped: names of the merged segments.
        buried: ids of dead passages that are no longer in any segment.
    """

    written: Sequence[str]
    dropped: Sequence[str]
    buried: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Living:
    """The vector segments before a merge.

    Attributes:
        segments: by name, including those of the next commit.
        alive: bool by passage id.
    """

    segments: dict[str, VectorSegment]
    alive: NDArray[np.bool_]

    def candidates(self) -> list[Candidate]:
        """The segments as the policy sees them."""
        return [
            Candidate(name, len(segment.ids), int(self.alive[segment.ids].sum()), segment.exact)
            for name, segment in self.segments.items()
        ]


class Merging:
    """The merges of one writing call.

    Attributes:
        compressing: decides how token vectors are stored.
        brought: passages that the call has added so far.
    """

    def __init__(self, store: StoreWriter, folders: SegmentFolders, compressing: Compressing):
        self._store = store
        self._folders = folders
        self.compressing = compressing
        self.brought = 0

    def living(self, gone: NDArray[np.int64] = NO_IDS) -> Living:
        """The present segments, without these passages."""
        segments = self._folders.vectors()
        first_unused = 1 + max(
            (int(s.ids.max()) for s in segments.values() if len(s.ids)), default=-1
        )
        held = [segment.ids for segment in segments.values()]
        without = np.concatenate([self._store.dead(), gone])
        alive = mask_without(first_unused, without, held, self._store.path)
        return Living(segments, alive)

    def steps(self, *, ended: bool) -> Iterator[Callable[[Living], Groups]]:
        """The merges that are separate commits, in order.

        Exact segments that are too large are compressed; those whose codec is outgrown are
        compressed again; and at the end of a writing call that added many passages, the small ones
        are merged.
        """
        yield partial(self._exact, ended=ended)
        yield self._outgrown
        yield partial(self._small, ended=ended)

    def merge(self, gone: NDArray[np.int64], *, ended: bool) -> Merge:
        """Merge segments according to the policy.

        Args:
            gone: ids of the passages that this commit deletes.
            ended: whether the writing call ends with this commit.
        """
        living = self.living(gone)
        # Segments that one of `steps` will merge are left alone: it may fail without losing
        # changes.
        waiting = {
            name for step in self.steps(ended=ended) for group in step(living) for name in group
        }
        groups = plan(living.candidates(), ended=ended)
        return self.rewrite(
            [group for group in groups if waiting.isdisjoint(group)], living, ended=ended
        )

    def rewrite(self, groups: Groups, living: Living, *, ended: bool) -> Merge:
        """Merge each group of segments into one, without dead passages."""
        segments, alive = living.segments, living.alive
        written: list[str] = []
        buried = [NO_IDS]
        for group in groups:
            self._check_sound(group)
            members = [segments[name] for name in group]
            ids = np.concatenate([member.ids for member in members])
            buried.append(ids[~alive[ids]])
            if alive[ids].any():
                others = [segment for name, segment in segments.items() if name not in group]
                compression = self.compressing.of_group(members, others, alive, ended=ended)
                folder = self._folders.new(vectors.KIND)
                vectors.merge_vectors(folder, members, alive, compression)
                written.append(folder.name)
        dropped = [name for group in groups for name in group]
        return Merge(written, dropped, np.concatenate(buried))

    def changes(self, merge: Merge) -> tuple[list[SegmentRecord], list[str]]:
        """Records of new vector and codec segments, and names of dropped ones.

        Segments that were merged before they were ever committed are not included.
        """
        waited = [name for name in self._folders.waiting if name not in merge.dropped]
        written = [*waited, *merge.written]
        records = [self._folders.sealed_vectors(name) for name in written]
        kept = [record.name for record in self._store.of_kind(vectors.KIND)]
        kept = [name for name in kept if name not in merge.dropped]
        come, go = self._folders.changed_codecs([*kept, *written])
        return [*come, *records], [*merge.dropped, *go]

    def _exact(self, living: Living, *, ended: bool) -> Groups:
        if self._store.settings.token_dim is None:  # there is nothing to compress
            return []
        most = self.compressing.most_exact(ended=ended)
        group = to_promote(living.candidates(), most)
        return [group] if group else []

    def _outgrown(self, living: Living) -> Groups:
        group = self.compressing.outgrown(living.segments, living.alive)
        return [group] if group else []

    def _small(self, living: Living, *, ended: bool) -> Groups:
        return to_join(living.candidates(), self.brought) if ended else []

    def _check_sound(self, names: Sequence[str]) -> None:
        """Raise IndexCorrupted if a committed segment was altered.

        A segment merged from it would have new checksums and hide the damage.
        """
        codecs = self._store.of_kind(vectors.CODEC)
        named = (*self._store.of_kind(vectors.KIND), *codecs)
        committed = {record.name: record for record in named}
        for name in [*(record.name for record in codecs), *names]:
            if name in committed:
                for line in damage(self._store.segment_folder(name), committed[name]):
                    raise IndexCorrupted(line)
