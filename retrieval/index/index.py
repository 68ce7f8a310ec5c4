"""Index: documents, passages and the three searchable indexes under one commit."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from retrieval.errors import (
    IndexFormatOutdated,
    IndexNotFound,
    InputError,
    RetrievalError,
    StorageError,
)
from retrieval.index import encoder as encoders
from retrieval.index.changing import Changing
from retrieval.index.encoder import EncoderSlot
from retrieval.index.examining import Examining
from retrieval.index.reading import measure, verify
from retrieval.index.reading.measure import MeasureReport
from retrieval.index.reading.sizes import bytes_by_part
from retrieval.index.reading.snapshot import Snapshot, open_newest
from retrieval.index.ready import Given, Spans
from retrieval.index.reports import IndexStatus
from retrieval.index.segments import OpenedSegments
from retrieval.index.writing import codecs
from retrieval.index.writing.create import make
from retrieval.index.writing.exclusive import ExclusiveLock
from retrieval.index.writing.upgrade import upgrade
from retrieval.indexes import LATE_MEMORY
from retrieval.numeric import is_number, is_whole
from retrieval.store import FileRow, JsonValue
from retrieval.store.identity import check_identity, identity_of
from retrieval.store.schema import exists
from retrieval.types import (
    Document,
    Encoder,
    EncoderSource,
    LateOptions,
    ProgressCallback,
)

LEAST_MEMORY = 64 << 20
"""Bytes; compressing cannot keep to a lower limit."""


class Index(Examining, Changing):
    """An index on disk, open for searching and for writing.

    It shows one generation: the newest when it was opened, last refreshed or last written to. Any
    number of threads and processes may search while one writes; writing calls through the same
    Index wait for each other, and raise IndexLocked while another writer is at work. In a
    forked process, open it again.

    Use `Index.create` or `Index.open`, and `close` it or use it as a context manager.

    Every method raises IndexCorrupted if a file it needs is damaged, naming it.

    Attributes:
        path: absolute path of its folder.
        memory: bytes that compressing token vectors may use, whatever the index's size.
        timeout: seconds that a writing call waits for another writing process.
    """

    def __init__(
        self, path: Path, encoder: EncoderSource | None, memory: int, timeout: float = 0.0
    ) -> None:
        _check_memory(memory)
        _check_timeout(timeout)
        self.path = path.absolute()  # the same folder even after a chdir
        self.memory = int(memory)
        self.timeout = timeout
        self._process = os.getpid()
        self._state = threading.Lock()  # guards `_snapshot`; held only briefly
        self._writers = ExclusiveLock()
        self._temporary: weakref.finalize[..., Index] | None = None  # deletes the folder
        self._opened = OpenedSegments()
        try:
            newest = open_newest(path, self._opened)
        except IndexFormatOutdated:
            upgrade(path)
            newest = open_newest(path, self._opened)
        self._snapshot: Snapshot | None = newest
        self._identity = identity_of(self.path)
        try:
            self._encoder = EncoderSlot(path, self._snapshot.store.settings, encoder)
        except BaseException:
            self.close()
            raise

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        *,
        encoder: EncoderSource | None = None,
        passage_tokens: int | None = None,
        late: LateOptions | None = None,
        small: bool = False,
        long_context: bool = False,
        memory: int = LATE_MEMORY,
        shared: bool = False,
    ) -> Index:
        """Create an empty index in the folder `path`, which is created if need be, and open it.

        Args:
            path: a folder without an index.
            encoder: an Encoder, a folder or a Hub id; None is the embedded model.
            passage_tokens: maximum length of passages; None is 256 tokens, or what the encoder
                reads if that is less.
            late: how token vectors are stored; None is `LateOptions()`.
            small: if `late` is None, use `LateOptions.small()`, with which late interaction finds
                less.
            long_context: whether the passages of a document are read together with their
                neighbours, which is slower and finds more in long prose.
            memory: bytes that compressing token vectors may use.
            shared: let other users read it, as far as the process's umask allows; otherwise only
                the owner may read the folder and its files.

        Raises:
            StorageError: there is an index already, or the folder cannot be written.
            EncoderError: the encoder cannot be loaded, has no usable head, or cannot read passages
                together for `long_context`.
            InputError: `passage_tokens` is not a length that the encoder reads, `late` is not
                LateOptions, or `memory` is too small.
        """
        _check_memory(memory)
        folder = Path(path)
        if small and late is None:
            late = LateOptions.small()
        loaded, settings = encoders.remember(encoder, passage_tokens, late, long_context)
        make(folder, settings, shared=shared)
        return cls(folder, loaded, memory)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        encoder: EncoderSource | None = None,
        create: bool = False,
        timeout: float = 0.0,
        memory: int = LATE_MEMORY,
    ) -> Index:
        """Open the index in the folder `path` at its newest generation.

        Args:
            path: the index's folder.
            encoder: an Encoder, a folder or a Hub id; None is the one the index was built with,
                which is loaded when first needed.
            create: create the index if there is none, as `Index.create` does with this encoder.
            timeout: seconds that a writing call waits for another writing process; which process
                that is goes to `logging.getLogger("retrieval")` and into IndexLocked.
            memory: bytes that compressing token vectors may use.

        Raises:
            IndexNotFound: there is none, and `create` is false.
            IndexFormatError: a newer release wrote it; or an older one, and the folder is not
                writable, so that it cannot be upgraded to this release's format.
            EncoderMismatch: it was built with another encoder.
            InputError: `memory` is too small, or `timeout` is not a number of seconds.
        """
        folder = Path(path)
        try:
            return cls(folder, encoder, memory, timeout)
        except IndexNotFound:
            if not create:
                raise
        loaded, settings = encoders.remember(encoder, None, None, False)
        try:
            make(folder, settings, timeout=timeout)
        except StorageError:
            if not exists(folder):  # another process may have created it meanwhile
                raise
        return cls(folder, loaded, memory, timeout)

    @classmethod
    def from_documents(
        cls,
        documents: Iterable[Document],
        *,
        encoder: EncoderSource | None = None,
        passages: Iterable[Spans | None] | None = None,
        embeddings: Given | None = None,
        **options: Any,
    ) -> Index:
        """An index of these documents in a temporary folder, deleted when it is closed.

        Args:
            documents: see `add`.
            encoder: see `create`.
            passages: see `add`.
            embeddings: see `add`.
            options: other arguments of `create`.

        Raises:
            StorageError: the system's folder for temporary files cannot be written.
        """
        folder = Path(mkdtemp(prefix="retrieval-"))
        try:
            index = cls.create(folder, encoder=encoder, **options)
        except BaseException:
            rmtree(folder, ignore_errors=True)
            raise
        index._temporary = weakref.finalize(index, rmtree, folder, ignore_errors=True)
        try:
            index.add(documents, passages=passages, embeddings=embeddings)
        except BaseException:
            index.close()  # which deletes the folder
            raise
        return index

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as its path: unpickling opens it at its newest generation."""
        return _open_again, (self.path, self._encoder.to_pickle(), self.memory, self.timeout)

    def __repr__(self) -> str:
        with self._state:
            closed = self._snapshot is None
        try:
            held = "closed" if closed else f"{len(self)} documents"
        except RetrievalError:  # damaged, or opened before a fork
            held = "unreadable"
        return f"{type(self).__name__}({str(self.path)!r}, {held})"

    def close(self) -> None:
        """Close the files once running searches are done; closing twice is fine."""
        with self._state:
            snapshot, self._snapshot = self._snapshot, None
        if snapshot is not None:
            snapshot.retire()
        if self._temporary is not None:
            self._temporary()

    @property
    def encoder(self) -> Encoder:
        """The encoder, loaded on first use.

        Raises:
            EncoderMismatch: the encoder at the source is no longer the one that the index was built
                with.
            EncoderError: it cannot be loaded.
        """
        return self._encoder.get()

    @property
    def generation(self) -> int:
        """The number of the commit that it shows; numbers increase."""
        with self._using() as snapshot:
            return snapshot.generation

    def refresh(self) -> bool:
        """Move to the newest generation; returns whether there was a newer one."""
        before = self.generation
        return self._reopen() > before

    def _reopen(self) -> int:
        """Open the newest generation in place of the current one; returns its number."""
        check_identity(self.path, self._identity)
        newest = open_newest(self.path, self._opened)
        with self._state:
            current = self._snapshot
            moves = current is not None and current.generation <= newest.generation
            left = current if moves else newest
            if moves:
                self._snapshot = newest
        if left is not None:
            left.retire()
        return newest.generation

    def measure(
        self,
        queries: Sequence[str] | None = None,
        *,
        k: int = 10,
        sample: int = 100,
        depth: int = 100,
        progress: ProgressCallback | None = None,
    ) -> MeasureReport:
        """Measure a search's approximations on this index: what they miss, and the time they take.

        Args:
            queries: your users' queries; None draws sentences from the passages, always the same.
            k: how many hits are compared.
            sample: how many queries are drawn if none are given.
            depth: how many of each query's best passages are encoded again, to compare with exact
                vectors; at least k. This takes most of the time.
            progress: called while "searching" for the queries and then while "encoding" passages.

        Raises:
            InputError: the index is empty, there is no query, or a number cannot be used.
            EncoderError: the index has no token vectors.
        """
        with self._using() as snapshot:
            return measure.measure(
                snapshot,
                self._encoder,
                queries,
                k=k,
                sample=sample,
                depth=depth,
                progress=progress,
            )

    def file_hash(self, path: str) -> str | None:
        """SHA-256, in hex, of the bytes of a file as it was indexed; None if it was not indexed.

        Args:
            path: relative to the folder that contains the index, as in documents.
        """
        with self._using() as snapshot, snapshot.guarded():
            source = snapshot.store.source(path)
        return None if source is None else source.hash

    def known_files(self, start: str = "", most: int = -1) -> list[FileRow]:
        """The records of the files that documents came from, see `Store.file_rows`."""
        with self._using() as snapshot:
            return snapshot.store.file_rows(start, most)

    def remembered(self, key: str) -> JsonValue:
        """The value that `Writer.remember` stored under a key, or None."""
        with self._using() as snapshot:
            return snapshot.store.remembered(key)

    def status(self) -> IndexStatus:
        """What the index contains; does not load the encoder."""
        with self._using() as snapshot, snapshot.guarded():
            counts, settings = snapshot.store.counts(), snapshot.store.settings
            parts = bytes_by_part(snapshot.store)
            late_error, late_trained_error = codecs.errors(snapshot.late.segments)
            return IndexStatus(
                path=self.path.resolve(),
                format_version=snapshot.store.format_version,
                generation=snapshot.generation,
                documents=counts.documents,
                passages=counts.passages,
                dead_passages=counts.dead,
                files=counts.sources,
                segments=len(snapshot.store.segments),
                bytes=sum(parts.values()),
                bytes_by_part=parts,
                encoder=settings.encoder_name,
                encoder_source=settings.encoder_source,
                fingerprint=settings.fingerprint,
                dense_dim=settings.dense_dim,
                token_dim=settings.token_dim,
                passage_tokens=settings.passage_tokens,
                late=settings.late,
                regimes=measure.regimes(snapshot),
                late_error=late_error,
                late_trained_error=late_trained_error,
                long_context=settings.long_context,
            )

    def verify(self) -> list[str]:
        """Read every byte and compare it with what was committed.

        Returns:
            The problems, one line each, with the file and what to do; empty if all is well.
        """
        with self._using():
            return verify.problems(self.path)

    @contextmanager
    def _using(self) -> Iterator[Snapshot]:
        """The current snapshot, kept open until the block is left."""
        if os.getpid() != self._process:
            raise StorageError(
                f"the index at {self.path} was opened in process {self._process}, and this is its "
                f"fork {os.getpid()}; open it again here"
            )
        with self._state:
            snapshot = self._snapshot
            if snapshot is None:
                raise StorageError(f"the index at {self.path} was closed; open it again")
            snapshot.acquire()
        try:
            yield snapshot
        finally:
            snapshot.release()


def _open_again(path: Path, encoder: Encoder | None, memory: int, timeout: float) -> Index:
    return Index.open(path, encoder=encoder, memory=memory, timeout=timeout)


def _check_timeout(timeout: float) -> None:
    if not is_number(timeout) or not 0 <= timeout < float("inf"):
        raise InputError(f"timeout={timeout!r} is not a number of seconds; give 0 or more")


def _check_memory(memory: int) -> None:
    if not is_whole(memory) or memory < LEAST_MEMORY:
        raise InputError(
            f"memory={memory!r} is too small to compress token vectors; "
            f"give {LEAST_MEMORY} bytes or more"
        )
