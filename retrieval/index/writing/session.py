"""Session: the disk's side of one writing call: lock, segment folders, commits, sweeping."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import IndexCorrupted, RetrievalError, StorageError
from retrieval.files.unsynced import Unsynced
from retrieval.index import vectors
from retrieval.index.segments import OpenedSegments
from retrieval.index.vectors import VectorBuffer, VectorSegment
from retrieval.index.writing.codecs import codec_in_use
from retrieval.index.writing.compressing import Compressing
from retrieval.index.writing.drafts import Draft
from retrieval.index.writing.given_codec import GIVEN, GivenCodec, given_codec
from retrieval.index.writing.lexical import LexicalWriting
from retrieval.index.writing.merge_policy import Candidate, plan, to_join, to_promote
from retrieval.index.writing.segment_folders import SegmentFolders
from retrieval.indexes import LATE_MEMORY, LateCodec, StoredCodec, register_functions
from retrieval.store import (
    Commit,
    NewDocument,
    Relabel,
    SegmentRecord,
    SourceRecord,
    StoreWriter,
    WriterLock,
)
from retrieval.store.files import damage
from retrieval.store.guard import disk_errors, is_disk_full
from retrieval.store.schema import LOCK, SEGMENTS
from retrieval.tracing import span
from retrieval.types import ProgressCallback

_LOG = logging.getLogger(__name__)
_NO_IDS = np.empty(0, np.int64)
_LOG_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class _Merge:
    """What a merge leaves behind: new segments' names, names that go, ids that stand nowhere."""

    written: Sequence[str]
    dropped: Sequence[str]
    buried: NDArray[np.int64]


class Session:
    """Holds the index's lock and its store, writes segments, and names them by commits.

    A folder that no commit names is garbage: what a killed writer left goes at the next one's
    start, what a commit no longer names right after it, what an error leaves at its exit.

    Attributes:
        store: the index as of the last commit.
    """

    store: StoreWriter

    def __init__(
        self,
        folder: Path,
        on_commit: Callable[[], object],
        *,
        opened: OpenedSegments | None = None,
        memory: int = LATE_MEMORY,
        timeout: float = 0.0,
        progress: ProgressCallback | None = None,
    ) -> None:
        """Name the index.

        Args:
            folder: the index's.
            on_commit: called after every commit.
            opened: takes over what is open already.
            memory: bytes that compressing token vectors may take.
            timeout: seconds for which another writer is waited for.
            progress: called while token vectors are compressed.
        """
        self._folder = folder
        self._timeout = timeout
        self._on_commit = on_commit
        self._shared = opened or OpenedSegments()
        self._memory = memory
        self._progress = progress
        self._brought = 0  # passages, by the commits of this session
        self._unsynced = Unsynced()
        self._exit = contextlib.ExitStack()

    def __enter__(self) -> Session:
        """Take the lock, open the store, sweep."""
        with disk_errors(self._folder), contextlib.ExitStack() as stack:
            stack.enter_context(WriterLock(self._folder / LOCK, self._timeout))
            self.store = stack.enter_context(
                contextlib.closing(StoreWriter(self._folder, prepare=register_functions))
            )
            self._folders = SegmentFolders(self.store, self._shared)
            self._follow(given_codec(self.store))
            self._lexical = LexicalWriting(self.store, self._folders)
            self._folders.sweep()
            self._exit = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._exit:
            self._unsynced.forget()
            if error is None:
                return
            # An interrupt can fall between a commit and our learning of it: ask what is named.
            with contextlib.suppress(RetrievalError, OSError):
                self.store.reload()
                self._folders.forget_waiting()
                self._folders.sweep()
            if is_disk_full(error):
                raise StorageError(
                    f"no space left for the index at {self._folder}; generation "
                    f"{self.store.generation} with {self.store.counts().documents} documents is "
                    "kept, what came after is not; free some space and run it again"
                ) from error

    def write_vectors(self, buffer: VectorBuffer) -> None:
        """Write what waits in the buffer as a segment, which the next commit will name."""
        with disk_errors(self._folder), self._unsynced.collecting():
            compression = self._compressing.of_new()
            folder = self._folders.new(vectors.KIND)
            buffer.write(folder, compression)
        self._folders.waiting.append(folder.name)

    def commit(
        self,
        *,
        add: Sequence[Draft],
        delete: Sequence[int],
        relabel: Sequence[Relabel],
        sources: Mapping[str, SourceRecord | None],
        remember: Mapping[str, Any],
        ended: bool,
    ) -> None:
        """Make the changes and the segments written since the last commit the next generation.

        Then promote what has outgrown its regime, in a commit of its own: whatever befalls that,
        the changes are kept and the old segments serve. What a writing call brings in is let
        stand exactly for longer than it may stay, until the call has `ended`.
        """
        self._brought += sum(len(draft.new) for draft in add)
        taken = [id for draft in add for id in draft.taken]
        gone = np.setdiff1d(self._passages_of(delete), np.array(taken, np.int64))
        with self._unsynced.collecting():
            merge = self._merge(gone, ended=ended)
            written, left = self._lexical.revised(add, gone, merge.buried)
            come, go = self._changed_vectors(merge)
        self._publish(
            Commit(
                delete=delete,
                add=[
                    NewDocument(
                        d.number,
                        d.document,
                        d.source,
                        d.passages,
                        reader=d.reader,
                        taken=sorted(d.taken),
                    )
                    for d in add
                ],
                relabel=relabel,
                sources=sources,
                remember=remember,
                add_segments=[*come, *written],
                drop_segments=[*go, *left],
                buried=merge.buried,
                next_segment=self._folders.next_number,
            )
        )
        self._promote(ended=ended)

    def end(self) -> None:
        """Promote what a writing call left exact, where nothing more comes in by it."""
        self._promote(ended=True)

    def compact(self) -> int:
        """Write all segments anew as one of each kind, without the dead; how many of them went."""
        dead = self.store.counts().dead
        segments, alive = self._living(_NO_IDS)
        with self._unsynced.collecting():
            groups = [list(segments)] if segments else []
            merge = self._rewrite(groups, segments, alive, ended=True)
            records, dropped = self._changed_vectors(merge)
            written, left = self._lexical.rewritten()
        self._publish(
            Commit(
                add_segments=[*records, *written],
                drop_segments=[*dropped, *left],
                buried=merge.buried,
                next_segment=self._folders.next_number,
            )
        )
        self.store.vacuum()
        self._empty_log()
        return dead

    def give_codec(self, codec: LateCodec | None) -> None:
        """Store token vectors by this codec from now on, and by no other; None keeps them exactly.

        What stood exactly is compressed, in a commit of its own. Vectors that are compressed
        already stay as they are until they are written anew. Given again, it changes nothing.
        """
        before = given_codec(self.store)
        if before is not None and before.key == (None if codec is None else codec.key):
            return
        given = GivenCodec(None)
        if codec is not None:
            with self._unsynced.collecting():
                given = GivenCodec(StoredCodec(codec, self._folders.codec(codec)))
        known = {record.name for record in self.store.of_kind(vectors.CODEC)}
        come = []
        if given.folder is not None and given.folder.name not in known:
            come.append(self._folders.sealed(given.folder, vectors.CODEC, 0, None))
        self._publish(
            Commit(
                remember={GIVEN: given.remembered()},
                add_segments=come,
                next_segment=self._folders.next_number,
            )
        )
        self._follow(given)
        self._promote(ended=True)

    def choose_codec(self) -> None:
        """Until `keep_codec`, compress as an index does that was given no codec."""
        self._follow(None)
        self._promote(ended=False)

    def keep_codec(self) -> LateCodec | None:
        """Give the index the codec that it has come to have, and return it; None if it has none."""
        self.end()
        codec = codec_in_use(
            segment.late for segment in self._folders.vectors().values() if segment.late is not None
        )
        self.give_codec(codec)
        return codec

    def _follow(self, given: GivenCodec | None) -> None:
        """Compress by what the index was given, or by codecs of its own."""
        self._folders.given = None if given is None else given.folder
        self._compressing = Compressing(
            self.store.settings, self._folders, self._memory, self._progress, given
        )

    def _promote(self, *, ended: bool) -> None:
        """Compress what has outgrown how it is kept, each regime in a commit of its own.

        When the writing call has ended, then join the small segments that it leaves.
        """
        segments, alive = self._living(_NO_IDS)
        for outgrown in (partial(self._outgrown, ended=ended), self._compressing.outgrown):
            if group := outgrown(segments, alive):
                self._replace([group], segments, alive, ended=ended)
                segments, alive = self._living(_NO_IDS)
        if groups := self._to_join(segments, alive, ended=ended):
            self._replace(groups, segments, alive, ended=ended)
        if ended:
            self._brought = 0

    def _replace(
        self,
        groups: Sequence[Sequence[str]],
        segments: Mapping[str, VectorSegment],
        alive: NDArray[np.bool_],
        *,
        ended: bool,
    ) -> None:
        """Write each group of segments as one, and commit that."""
        with self._unsynced.collecting():
            merge = self._rewrite(groups, segments, alive, ended=ended)
            written, left = self._lexical.revised((), _NO_IDS, merge.buried)
            come, go = self._changed_vectors(merge)
        self._publish(
            Commit(
                add_segments=[*come, *written],
                drop_segments=[*go, *left],
                buried=merge.buried,
                next_segment=self._folders.next_number,
            )
        )

    def _publish(self, commit: Commit) -> None:
        if commit.add_segments:
            # The folders' own names must be on the disk before the database speaks of them, too.
            self._unsynced.note(self._folder / SEGMENTS)
            self._unsynced.sync()
        with span("commit", documents=len(commit.add), deleted=len(commit.delete)):
            self.store.commit(commit)
        _LOG.debug(
            "%s: generation %d, %d documents written, %d deleted",
            self._folder,
            self.store.generation,
            len(commit.add) + len(commit.relabel),
            len(commit.delete),
        )
        self._folders.forget_waiting()
        if commit.drop_segments:
            self._folders.sweep()
        self._on_commit()
        if self.store.log_bytes() > _LOG_BYTES:
            self._empty_log()

    def _empty_log(self) -> None:
        """Let the write-ahead log start over, which it cannot while our own reader reads from it.

        A reader that begins after all of the log was copied reads from the database alone.
        """
        self._on_commit()
        self.store.checkpoint()
        self._on_commit()
        self.store.checkpoint(truncate=True)

    def _merge(self, gone: NDArray[np.int64], *, ended: bool) -> _Merge:
        """Rewrite the vector segments that the policy says as fewer.

        Args:
            gone: ids of the passages that the commit at hand deletes.
            ended: whether the writing call ends with it.
        """
        segments, alive = self._living(gone)
        candidates = self._candidates(segments, alive)
        # What is about to be promoted or joined waits for that, which may fail and take no change
        # with it.
        waiting = {
            *self._outgrown(segments, alive, ended=ended),
            *self._compressing.outgrown(segments, alive),
            *(name for group in self._to_join(segments, alive, ended=ended) for name in group),
        }
        groups = [group for group in plan(candidates, ended=ended) if waiting.isdisjoint(group)]
        return self._rewrite(groups, segments, alive, ended=ended)

    def _outgrown(
        self, segments: Mapping[str, VectorSegment], alive: NDArray[np.bool_], *, ended: bool
    ) -> list[str]:
        """The exact segments that are to be promoted, if there are token vectors to compress."""
        if self.store.settings.token_dim is None:
            return []
        most = self._compressing.most_exact(ended=ended)
        return to_promote(self._candidates(segments, alive), most)

    def _to_join(
        self, segments: Mapping[str, VectorSegment], alive: NDArray[np.bool_], *, ended: bool
    ) -> list[list[str]]:
        """The small segments that become one where a writing call ends that brought many."""
        return to_join(self._candidates(segments, alive), self._brought) if ended else []

    def _living(
        self, gone: NDArray[np.int64]
    ) -> tuple[dict[str, VectorSegment], NDArray[np.bool_]]:
        """The vector segments by name, those of the next commit too; who lives, by passage id."""
        segments = self._folders.vectors()
        first_unused = 1 + max(
            (int(s.ids.max()) for s in segments.values() if len(s.ids)), default=-1
        )
        alive = np.ones(first_unused, np.bool_)
        alive[self.store.dead()] = False
        alive[gone] = False
        return segments, alive

    def _candidates(
        self, segments: Mapping[str, VectorSegment], alive: NDArray[np.bool_]
    ) -> list[Candidate]:
        return [
            Candidate(name, len(segment.ids), int(alive[segment.ids].sum()), segment.exact)
            for name, segment in segments.items()
        ]

    def _rewrite(
        self,
        groups: Sequence[Sequence[str]],
        segments: Mapping[str, VectorSegment],
        alive: NDArray[np.bool_],
        *,
        ended: bool,
    ) -> _Merge:
        """Write each group of segments as one, without the dead."""
        written: list[str] = []
        buried = [np.empty(0, np.int64)]
        for group in groups:
            self._check_sound(group)
            members = [segments[name] for name in group]
            ids = np.concatenate([member.ids for member in members])
            buried.append(ids[~alive[ids]])
            if alive[ids].any():
                others = [segment for name, segment in segments.items() if name not in group]
                compression = self._compressing.of_group(members, others, alive, ended=ended)
                folder = self._folders.new(vectors.KIND)
                vectors.merge_vectors(folder, members, alive, compression)
                written.append(folder.name)
        dropped = [name for group in groups for name in group]
        return _Merge(written, dropped, np.concatenate(buried))

    def _check_sound(self, names: Sequence[str]) -> None:
        """Raise IndexCorrupted if a committed segment is not what it was.

        What is written from it would have checksums of its own, and hide the damage.
        """
        codecs = self.store.of_kind(vectors.CODEC)
        committed = {record.name: record for record in (*self.store.of_kind(vectors.KIND), *codecs)}
        for name in [*(record.name for record in codecs), *names]:
            if name in committed:
                for line in damage(self.store.segment_folder(name), committed[name]):
                    raise IndexCorrupted(line)

    def _changed_vectors(self, merge: _Merge) -> tuple[list[SegmentRecord], list[str]]:
        """Records of the segments of vectors and codecs that come, and names of those that go.

        What waited and was merged at once is not among them.
        """
        waited = [name for name in self._folders.waiting if name not in merge.dropped]
        written = [*waited, *merge.written]
        records = [self._folders.sealed_vectors(name) for name in written]
        kept = [record.name for record in self.store.of_kind(vectors.KIND)]
        kept = [name for name in kept if name not in merge.dropped]
        come, go = self._folders.changed_codecs([*kept, *written])
        return [*come, *records], [*merge.dropped, *go]

    def _passages_of(self, numbers: Sequence[int]) -> NDArray[np.int64]:
        return np.array(
            [row.id for number in numbers for row in self.store.passages_of(number)], np.int64
        )
