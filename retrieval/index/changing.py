"""Changing an index: adding and deleting documents, merging segments."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from retrieval.errors import InputError
from retrieval.index.awaiting import in_thread
from retrieval.index.encoder import EncoderSlot
from retrieval.index.listing import Params, checked_ids
from retrieval.index.options import AddOptions
from retrieval.index.reading.snapshot import Snapshot, condition_of
from retrieval.index.ready import NOTHING, Given, Ready, Spans, of_each
from retrieval.index.reports import AddReport, CompactReport, IndexStatus, Refused
from retrieval.index.segments import OpenedSegments
from retrieval.index.writing.exclusive import ExclusiveLock
from retrieval.indexes import Where, as_filter
from retrieval.store.identity import Identity, check_identity
from retrieval.types import Document, ProgressCallback

if TYPE_CHECKING:
    from retrieval.index.writing.writer import Put, Writer


class Changing(ABC):
    """The part of `Index` that changes it; raises the same errors as `Index`."""

    path: Path
    memory: int
    timeout: float
    _encoder: EncoderSlot
    _writers: ExclusiveLock
    _opened: OpenedSegments
    _identity: Identity | None

    @abstractmethod
    def _using(self) -> AbstractContextManager[Snapshot]:
        """The current snapshot, kept open until the block is left."""

    @abstractmethod
    def _reopen(self) -> int:
        """Open the newest generation in place of the current one; returns its number."""

    @abstractmethod
    def status(self) -> IndexStatus:
        """What the index holds."""

    @overload
    def add(
        self,
        documents: Iterable[Document],
        *,
        passages: Iterable[Spans | None] | None = None,
        embeddings: Given | None = None,
        on_error: Literal["raise"] = "raise",
        progress: ProgressCallback | None = None,
    ) -> int: ...
    @overload
    def add(
        self,
        documents: Iterable[Document],
        *,
        passages: Iterable[Spans | None] | None = None,
        embeddings: Given | None = None,
        on_error: Literal["skip"],
        progress: ProgressCallback | None = None,
    ) -> AddReport: ...
    def add(
        self,
        documents: Iterable[Document],
        *,
        passages: Iterable[Spans | None] | None = None,
        embeddings: Given | None = None,
        on_error: Literal["raise", "skip"] = "raise",
        progress: ProgressCallback | None = None,
    ) -> int | AddReport:
        """Add documents, or replace those with the same ids; if an id is given twice the last wins.

        Documents stream through: commits happen every few seconds, and what is committed stays,
        whatever happens later. An unchanged document costs nothing; one without words is stored
        and can be got by id, but not found.

        Args:
            documents: any iterable; each document needs its own id.
            passages: for each document its ready-made passages: (start, end) in characters of its
                text, in order; they may overlap. None for a document that is to be cut.
            embeddings: supplied vectors: Embeddings, or dense vectors [n, D], of all passages,
                document by document. They are scaled to unit length, and no encoder is used. A
                document whose passages are not given is one passage. In a list of vectors None
                stands for a missing one: the encoder computes it or, if that is Precomputed, the
                passage is found only by its words.
            on_error: `skip` leaves out documents that cannot be stored, and reports them.
            progress: called after every batch of the encoder ("encoding", in passages), and while
                token vectors are compressed ("compressing").

        Returns:
            How many documents were added or changed; with `skip`, a report.

        Raises:
            InputError: a document cannot be stored, or passages or embeddings do not match the
                documents.
            IndexLocked: another process is writing.
            StorageError: the disk is full; the message says what was saved.
        """
        if isinstance(documents, Document):
            raise InputError("one Document was given; give a list of them")
        if not isinstance(documents, Iterable):
            raise InputError(f"{documents!r} was given; give Documents")
        if on_error not in ("raise", "skip"):
            raise InputError(f"on_error={on_error!r} is unknown; give 'raise' or 'skip'")
        ready: Iterable[Ready] = repeat(NOTHING)
        if passages is not None or embeddings is not None:
            documents = list(documents)
            with self._using() as snapshot:
                settings = snapshot.store.settings
            ready = of_each(documents, passages, embeddings, settings)
        counts: Counter[Put] = Counter()
        refused: list[Refused] = []
        with self.writing(progress=progress) as writer:
            for place, (document, own) in enumerate(zip(documents, ready, strict=False)):
                try:
                    counts[writer.put(document, ready=own)] += 1
                except InputError as error:
                    if on_error == "raise":
                        raise
                    refused.append(Refused(place, _id_of(document), str(error)))
        added, updated = counts["added"], counts["updated"]
        if on_error == "raise":
            return added + updated
        return AddReport(added, updated, counts["unchanged"], tuple(refused))

    @overload
    async def aadd(
        self,
        documents: Iterable[Document],
        *,
        on_error: Literal["raise"] = "raise",
        **options: Unpack[AddOptions],
    ) -> int: ...
    @overload
    async def aadd(
        self,
        documents: Iterable[Document],
        *,
        on_error: Literal["skip"],
        **options: Unpack[AddOptions],
    ) -> AddReport: ...
    async def aadd(self, documents: Iterable[Document], **options: Any) -> int | AddReport:
        """Like `add`, with the same options, in a thread that does not block the event loop.

        The documents are taken from their iterable in that thread. When cancelled, it does not wait
        for the thread, which runs to its end, and what it writes is kept.
        """
        return await in_thread(partial(self.add, documents, **options), whole=True)

    def delete(
        self,
        ids: Iterable[str] | None = None,
        *,
        where: Where | None = None,
        params: Params | None = None,
    ) -> int:
        """Delete the documents with these ids, or those that match `where`; returns how many.

        A file whose document is deleted counts as never read: `sync` brings it back.

        Args:
            ids: ids of documents; unknown ids are ignored.
            where: see `search`; together with `ids`, those of them that match.
            params: values for the parameters of `where`.

        Raises:
            InputError: an id is not a text, or neither ids nor a filter were given.
            FilterError: `where` cannot be parsed.
            IndexLocked: another process is writing.
        """
        wanted, chosen = None if ids is None else checked_ids(ids), as_filter(where, params)
        if wanted is None and chosen is None:
            raise InputError("nothing was named; give ids or a filter, or `clear` the index")
        from retrieval.index.writing import deleting

        with self.writing() as writer:
            return deleting.delete(writer, wanted, None if chosen is None else condition_of(chosen))

    def clear(self) -> int:
        """Delete all documents; returns how many there were. Files count as never read."""
        from retrieval.index.writing import deleting

        with self.writing() as writer:
            return deleting.clear(writer)

    def compact(self, *, progress: ProgressCallback | None = None) -> CompactReport:
        """Merge all segments, drop deleted passages and free their space.

        Args:
            progress: called while token vectors are compressed.
        """
        before = self.status()
        with self.writing(progress=progress) as writer:
            dropped = writer.compact()
        after = self.status()
        return CompactReport(
            segments_before=before.segments,
            segments_after=after.segments,
            bytes_before=before.bytes,
            bytes_after=after.bytes,
            dropped_passages=dropped,
        )

    @contextmanager
    def writing(self, *, progress: ProgressCallback | None = None) -> Iterator[Writer]:
        """Make several changes under one lock; `add`, `delete` and `sync` use it."""
        from retrieval.index.writing.writer import writing  # not needed for reading

        with self._using():  # raises if the index was closed
            pass
        check_identity(self.path, self._identity)
        with (
            self._writers.held(),
            writing(
                self.path,
                self._encoder,
                opened=self._opened,
                on_commit=self._reopen,
                progress=progress,
                memory=self.memory,
                timeout=self.timeout,
            ) as writer,
        ):
            check_identity(self.path, self._identity)  # no other writer is possible from here on
            yield writer


def _id_of(document: object) -> str | None:
    id = getattr(document, "id", None)
    return id if isinstance(id, str) else None
