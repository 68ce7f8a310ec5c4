"""Session: the storage side of one writing call: lock, segment folders, commits, sweeping."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import RetrievalError, StorageError
from retrieval.files.unsynced import Unsynced
from retrieval.index import vectors
from retrieval.index.segments import OpenedSegments
from retrieval.index.vectors import VectorBuffer
from retrieval.index.writing.compressing import Compressing
from retrieval.index.writing.drafts import Draft
from retrieval.index.writing.given_codec import GIVEN, GivenCodec, given_codec
from retrieval.index.writing.lexical import LexicalWriting
from retrieval.index.writing.merge_policy import is_large
from retrieval.index.writing.merging import NO_IDS, Groups, Living, Merging
from retrieval.index.writing.segment_folders import SegmentFolders
from retrieval.indexes import LATE_MEMORY, LateCodec, StoredCodec, register_functions
from retrieval.store import (
    Commit,
    JsonValue,
    NewDocument,
    Relabel,
    SourceRecord,
    StoreWriter,
    WriterLock,
)
from retrieval.store.guard import disk_errors, is_disk_full
from retrieval.store.schema import LOCK, SEGMENTS
from retrieval.tracing import span
from retrieval.types import ProgressCallback

_LOG = logging.getLogger(__name__)
_LOG_BYTES = 32 << 20


class Session:
    """Holds the index's lock and store, writes segments, and commits them.

    A folder that no commit names is garbage: leftovers of a killed writer are removed at the start
    of the next one, folders dropped by a commit right after it, leftovers of an error at exit. A
    process that was forked meanwhile leaves all of that to the one that writes.

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
        """Set the index.

        Args:
            folder: the index's folder.
            on_commit: called after every commit.
            opened: segments that are open already.
            memory: bytes that compressing token vectors may use.
            timeout: seconds to wait for another writer.
            progress: called while token vectors are compressed.
        """
        self._folder = folder
        self._timeout = timeout
        self._on_commit = on_commit
        self._shared = opened or OpenedSegments()
        self._memory = memory
        self._progress = progress
        self._unsynced = Unsynced()
        self._exit = contextlib.ExitStack()
        self._process = os.getpid()

    def __enter__(self) -> Session:
        """Take the lock, open the store, sweep."""
        with disk_errors(self._folder), contextlib.ExitStack() as stack:
            stack.enter_context(WriterLock(self._folder / LOCK, self._timeout))
            self.store = stack.enter_context(
                contextlib.closing(StoreWriter(self._folder, prepare=register_functions))
            )
            self._folders = SegmentFolders(self.store, self._shared)
            self._merging = Merging(self.store, self._folders, self._compressing(None))
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
        if os.getpid() != self._process:
            return
        with self._exit:
            self._unsynced.forget()
            if error is None:
                return
            # An interrupt can come between a commit and our noticing it: ask the store what is
            # named.
            with contextlib.suppress(RetrievalError, OSError):
                self.store.reload()
                self._folders.forget_waiting()
                self._folders.sweep()
            if is_disk_full(error):
                raise StorageError(
                    f"no space left for the index at {self._folder}; generation "
                    f"{self.store.generation} with {self.store.counts().documents} documents is "
                    "kept, later changes are lost; free some space and run it again"
                ) from error

    def write_vectors(self, buffer: VectorBuffer) -> None:
        """Write the buffer as a segment for the next commit."""
        with disk_errors(self._folder), self._unsynced.collecting():
            compression = self._merging.compressing.of_new()
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
        remember: Mapping[str, JsonValue],
        ended: bool,
    ) -> None:
        """Make the changes, and the segments written since the last commit, the next generation.

        Then compress segments that have become too large, in a separate commit: if that fails, the
        changes are kept and the old segments remain in use. Passages added in a writing call
        may stay exact longer than the limit, until the call has `ended`.
        """
        self._merging.brought += sum(len(draft.new) for draft in add)
        taken = [id for draft in add for id in draft.taken]
        gone = np.setdiff1d(self._passages_of(delete), np.array(taken, np.int64))
        with self._unsynced.collecting():
            merge = self._merging.merge(gone, ended=ended)
            written, left = self._lexical.revised(add, gone, merge.buried)
            come, go = self._merging.changes(merge)
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
        """Compress what the writing call left exact, as nothing more will be added."""
        self._promote(ended=True)

    def compact(self) -> int:
        """Merge all segments into one of each kind; returns how many dead passages were dropped."""
        dead = self.store.counts().dead
        living = self._merging.living()
        with self._unsynced.collecting():
            groups = [list(living.segments)] if living.segments else []
            merge = self._merging.rewrite(groups, living, ended=True)
            records, dropped = self._merging.changes(merge)
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
        """Store token vectors only by this codec from now on; None keeps them exact.

        Exact vectors are compressed, in a separate commit. Vectors that are already compressed stay
        as they are until they are rewritten. Giving the same codec again changes nothing.
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

    def train_codec(self, growth: float) -> LateCodec | None:
        """Train a codec on all token vectors, and give it; see `Compressing.trained`."""
        living = self._merging.living()
        codec = self._merging.compressing.trained(living.segments.values(), living.alive, growth)
        self.give_codec(codec)
        return codec

    def _follow(self, given: GivenCodec | None) -> None:
        """Compress by the given codec, or by codecs of the index's own."""
        self._folders.given = None if given is None else given.folder
        self._merging.compressing = self._compressing(given)

    def _compressing(self, given: GivenCodec | None) -> Compressing:
        settings = self.store.settings
        return Compressing(settings, self._folders, self._memory, self._progress, given)

    def _promote(self, *, ended: bool) -> None:
        """Compress what is over its limit, and at the end of a call merge its small segments.

        Each is a separate commit.
        """
        living = self._merging.living()
        for step in self._merging.steps(ended=ended):
            if groups := step(living):
                self._replace(groups, living, ended=ended)
                living = self._merging.living()
        if ended:
            if is_large(self._merging.brought):
                self._gather_words()
            self._merging.brought = 0

    def _gather_words(self) -> None:
        """Merge the small segments of the lexical index, and commit."""
        with self._unsynced.collecting():
            written, left = self._lexical.gathered()
        if written:
            self._publish(
                Commit(
                    add_segments=written,
                    drop_segments=left,
                    next_segment=self._folders.next_number,
                )
            )

    def _replace(self, groups: Groups, living: Living, *, ended: bool) -> None:
        """Merge each group of segments, and commit."""
        with self._unsynced.collecting():
            merge = self._merging.rewrite(groups, living, ended=ended)
            written, left = self._lexical.revised((), NO_IDS, merge.buried)
            come, go = self._merging.changes(merge)
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
            # The folders' names must be on disk too, before the database refers to them.
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
        """Let the write-ahead log start over, which our own reader may prevent.

        A reader that begins after the whole log was copied reads only from the database.
        """
        self._on_commit()
        self.store.checkpoint()
        self._on_commit()
        self.store.checkpoint(truncate=True)

    def _passages_of(self, numbers: Sequence[int]) -> NDArray[np.int64]:
        return np.array(
            [row.id for number in numbers for row in self.store.passages_of(number)], np.int64
        )
