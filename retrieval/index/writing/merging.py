"""Merging: which vector segments a writing call writes again as fewer, and what comes of it."""

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
from retrieval.store import SegmentRecord, StoreWriter
from retrieval.store.files import damage

NO_IDS: NDArray[np.int64] = np.empty(0, np.int64)

Groups: TypeAlias = Sequence[Sequence[str]]
"""Names of segments; those of a group become one."""


@dataclass(frozen=True, slots=True)
class Merge:
    """What a merge leaves behind.

    Attributes:
        written: names of the new segments.
        dropped: names of those that go.
        buried: ids of passages that stand nowhere any more.
    """

    written: Sequence[str]
    dropped: Sequence[str]
    buried: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Living:
    """The vector segments as a merge finds them.

    Attributes:
        segments: by name, those of the next commit too.
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
    """Merges of one writing call.

    Attributes:
        compressing: how token vectors are kept.
        brought: passages that the call has brought so far.
    """

    def __init__(self, store: StoreWriter, folders: SegmentFolders, compressing: Compressing):
        self._store = store
        self._folders = folders
        self.compressing = compressing
        self.brought = 0

    def living(self, gone: NDArray[np.int64] = NO_IDS) -> Living:
        """What there is, without these passages."""
        segments = self._folders.vectors()
        first_unused = 1 + max(
            (int(s.ids.max()) for s in segments.values() if len(s.ids)), default=-1
        )
        alive = np.ones(first_unused, np.bool_)
        alive[self._store.dead()] = False
        alive[gone] = False
        return Living(segments, alive)

    def steps(self, *, ended: bool) -> Iterator[Callable[[Living], Groups]]:
        """What is merged in commits of its own, in order.

        Exact segments that are too many are promoted; those whose codec is outgrown are compressed
        anew; and where a writing call ends that brought many, the small ones become one.
        """
        yield partial(self._exact, ended=ended)
        yield self._outgrown
        yield partial(self._small, ended=ended)

    def merge(self, gone: NDArray[np.int64], *, ended: bool) -> Merge:
        """Write segments as fewer, as the policy says.

        Args:
            gone: ids of the passages that the commit at hand deletes.
            ended: whether the writing call ends with it.
        """
        living = self.living(gone)
        # A step of its own may fail, and take no change with it: what waits for one is let be.
        waiting = {
            name for step in self.steps(ended=ended) for group in step(living) for name in group
        }
        groups = plan(living.candidates(), ended=ended)
        return self.rewrite(
            [group for group in groups if waiting.isdisjoint(group)], living, ended=ended
        )

    def rewrite(self, groups: Groups, living: Living, *, ended: bool) -> Merge:
        """Write each group of segments as one, without the dead."""
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
        """Records of the segments of vectors and codecs that come, and names of those that go.

        What waited and was merged at once is not among them.
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
        """Raise IndexCorrupted if a committed segment is not what it was.

        What is written from it would have checksums of its own, and hide the damage.
        """
        codecs = self._store.of_kind(vectors.CODEC)
        named = (*self._store.of_kind(vectors.KIND), *codecs)
        committed = {record.name: record for record in named}
        for name in [*(record.name for record in codecs), *names]:
            if name in committed:
                for line in damage(self._store.segment_folder(name), committed[name]):
                    raise IndexCorrupted(line)
