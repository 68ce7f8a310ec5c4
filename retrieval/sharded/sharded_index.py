"""ShardedIndex: a collection in shards, kept in object storage, searched as one index."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from retrieval.errors import EncoderMismatch, InputError, RetrievalError, StorageError
from retrieval.index import encoder as encoders
from retrieval.index.encoder import EncoderSlot
from retrieval.index.index import PASSAGE_TOKENS
from retrieval.index.listing import checked_id, checked_ids
from retrieval.index.reading.searched import Searched
from retrieval.index.reading.searched_snapshot import SearchedSnapshot
from retrieval.index.reading.snapshot import Snapshot, open_newest
from retrieval.index.searching import Searching
from retrieval.index.segments import OpenedSegments
from retrieval.index.writing.drafts import checked
from retrieval.indexes import LATE_MEMORY, LexicalPart
from retrieval.sharded.building import EMPTY, MOST_SHARDS, BuildReport, Changes, build
from retrieval.sharded.clearing import ClearReport, clear
from retrieval.sharded.generations import found_newest, newest
from retrieval.sharded.local import ShardCache
from retrieval.sharded.manifest import Manifest
from retrieval.sharded.partition import shard_of
from retrieval.sharded.searched_shards import SearchedShards
from retrieval.sharded.spool import Incoming
from retrieval.sharded.writing import Place
from retrieval.types import Document, Encoder, LateOptions

GRACE_SECONDS = 7 * 86_400.0
"""For so long what no generation needs any more stays, for readers and unfinished builds."""


@dataclass(frozen=True, slots=True)
class ShardedStatus:
    """What a collection holds, at one generation.

    Attributes:
        url: where it is.
        generation: its number.
        shards: how many there are, those that hold nothing included.
        documents: how many documents it holds.
        passages: how many passages can be found.
        bytes: of the files of all shards.
        documents_by_shard: the same of each.
        encoder: the encoder's name.
        encoder_source: what the encoder is loaded from; None for the embedded model.
        fingerprint: the encoder's fingerprint.
        dense_dim: D of the dense vectors, or None.
        token_dim: d of the token vectors, or None.
        passage_tokens: the longest passage, in tokens.
        codec: whether token vectors are compressed, by a codec that all shards share.
        made: when the generation was made, seconds since 1970.
    """

    url: str
    generation: int
    shards: int
    documents: int
    passages: int
    bytes: int
    documents_by_shard: tuple[int, ...]
    encoder: str
    encoder_source: str | None
    fingerprint: str
    dense_dim: int | None
    token_dim: int | None
    passage_tokens: int
    codec: bool
    made: float


class _Generation:
    """The shards of one manifest, opened; closed when it was retired and nobody searches it."""

    def __init__(self, manifest: Manifest, cache: ShardCache) -> None:
        """Bring here what is not here, and open it.

        Raises:
            EncoderMismatch: a shard was built otherwise than the collection.
            IndexCorrupted: a shard is not what the manifest says.
        """
        self.manifest = manifest
        whole = manifest.lexical
        with ExitStack() as stack:
            self.snapshots: dict[int, Snapshot] = {}
            for number, record in enumerate(manifest.shards):
                if record.files is None:
                    continue
                copy = cache.copy(record.files)
                part = LexicalPart(record.lexical, whole, cache.padding(record.files, whole))
                snapshot = open_newest(copy, OpenedSegments(part))
                stack.callback(snapshot.retire)
                if snapshot.store.settings != manifest.settings:
                    raise EncoderMismatch(
                        f"shard {number} of the collection was built with "
                        f"{snapshot.store.settings.encoder_name!r} and other settings than the "
                        "collection; build it again"
                    )
                self.snapshots[number] = snapshot
            stack.pop_all()
        self.searched = SearchedShards(
            [SearchedSnapshot(snapshot) for snapshot in self.snapshots.values()],
            settings=manifest.settings,
            lexical=whole,
            generation=manifest.generation,
        )

    def acquire(self) -> None:
        for snapshot in self.snapshots.values():
            snapshot.acquire()

    def release(self) -> None:
        for snapshot in self.snapshots.values():
            snapshot.release()

    def retire(self) -> None:
        for snapshot in self.snapshots.values():
            snapshot.retire()

    def get(self, id: str) -> Document | None:
        shard = self.snapshots.get(shard_of(id, len(self.manifest.shards)))
        return None if shard is None else shard.store.get(id)


class ShardedIndex(Searching):
    """A collection whose documents are shared out to shards, each an ordinary index.

    It shows one generation: the newest when it was opened, last refreshed or last written through.
    The shards are copied to this machine and searched in this process; a search finds what one
    index of all documents would find. Any number of processes may read it; of two that write at
    once one is told that the other was faster.

    Use `ShardedIndex.create` or `ShardedIndex.open`, and `close` it or use it as a context manager.

    Every method raises StorageError if the storage fails, and IndexCorrupted if it holds something
    else than was stored.

    Attributes:
        url: where it is.
    """

    def __init__(
        self,
        place: Place,
        manifest: Manifest,
        encoder: Encoder | str | None,
        memory: int,
    ) -> None:
        """Open a generation; use `open` and `create`."""
        self.url = place.url
        self._place = place
        self._memory = memory
        self._cache = ShardCache(place.storage(), place.cache)
        self._state = threading.Lock()
        self._encoder = EncoderSlot(place.url, manifest.settings, encoder)
        self._open: _Generation | None = _Generation(manifest, self._cache)
        self._cache.forget_but({shard.files for shard in manifest.shards if shard.files})

    @classmethod
    def open(
        cls,
        url: str,
        *,
        encoder: Encoder | str | None = None,
        cache: Path | None = None,
        options: Mapping[str, str] | None = None,
        memory: int = LATE_MEMORY,
    ) -> ShardedIndex:
        """Open the collection at a URL at its newest generation.

        Args:
            url: `file:///folder`, `s3://bucket/name`, `gs://bucket/name` or `az://container/name`.
            encoder: an Encoder, a folder or a Hub id; None is the one that it was built with.
            cache: the folder of copies of shards; None is one in the user's folder of caches.
            options: what obstore takes for this kind of storage, such as `endpoint`; keys come from
                the environment otherwise.
            memory: bytes that compressing token vectors may take, in each process that writes.

        Raises:
            IndexNotFound: there is none.
            IndexFormatError: a newer release wrote it.
            EncoderMismatch: it was built by another encoder.
            MissingDependency: obstore is not installed.
        """
        place = Place(url.rstrip("/"), dict(options or {}), cache)
        return cls(place, found_newest(place.storage()), encoder, memory)

    @classmethod
    def create(
        cls,
        url: str,
        *,
        shards: int,
        encoder: Encoder | str | None = None,
        passage_tokens: int = PASSAGE_TOKENS,
        late: LateOptions | None = None,
        long_context: bool = False,
        cache: Path | None = None,
        options: Mapping[str, str] | None = None,
        memory: int = LATE_MEMORY,
    ) -> ShardedIndex:
        """Make an empty collection, and open it.

        Args:
            url: where there is none; see `open`.
            shards: how many its documents are shared out to; this stays.
            encoder: an Encoder, a folder or a Hub id; None is the embedded model.
            passage_tokens: the longest passage.
            late: how token vectors are kept; None is `LateOptions()`.
            long_context: whether the passages of a document are read together.
            cache: see `open`.
            options: see `open`, as for `memory`.

        Raises:
            StorageError: there is one already.
            InputError: `shards` is no number of shards, or as `Index.create`.
            EncoderError: as `Index.create`.
        """
        if (
            isinstance(shards, bool)
            or not isinstance(shards, int)
            or not 1 <= shards <= MOST_SHARDS
        ):
            raise InputError(f"shards={shards!r}; give a whole number from 1 to {MOST_SHARDS}")
        place = Place(url.rstrip("/"), dict(options or {}), cache)
        if newest(place.storage()) is not None:
            raise StorageError(f"there is a collection at {url} already; open it")
        loaded, settings = encoders.remember(encoder, passage_tokens, late, long_context)
        empty = Manifest(0, settings, (EMPTY,) * shards)
        manifest, _ = build(place, empty, Changes())
        return cls(place, manifest, loaded, memory)

    def __enter__(self) -> ShardedIndex:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def __len__(self) -> int:
        """How many documents it holds."""
        with self._using() as generation:
            return generation.manifest.documents

    def close(self) -> None:
        """Let go of the files once the searches under way are done; closing twice is fine."""
        with self._state:
            generation, self._open = self._open, None
        if generation is not None:
            generation.retire()

    @property
    def encoder(self) -> Encoder:
        """The encoder, loaded if it is not yet; raises as `Index.encoder` does."""
        return self._encoder.get()

    @property
    def generation(self) -> int:
        """The number of the generation that it shows."""
        with self._using() as generation:
            return generation.manifest.generation

    def refresh(self) -> bool:
        """Move to the newest generation; whether there was a newer one."""
        manifest = found_newest(self._place.storage())
        if manifest.generation <= self.generation:
            return False
        self._move_to(manifest)
        return True

    def get(self, id: str) -> Document | None:
        """The document with this id as it was added, if there is one."""
        with self._using() as generation:
            return generation.get(checked_id(id))

    def status(self) -> ShardedStatus:
        """What it holds; neither the shards' files nor the encoder are read for it."""
        with self._using() as generation:
            return status_of(self.url, generation.manifest)

    def add(self, documents: Iterable[Document], *, workers: int = 1) -> BuildReport:
        """Add documents, or replace those with the same ids, in one commit.

        Args:
            documents: any iterable; each goes to the shard that its id names.
            workers: how many processes write shards; 1 is this one.

        Raises:
            IndexLocked: another build was faster; run it again.
            InputError: a document cannot be stored.
        """
        return self.change(Changes(map(Incoming, _documents(documents))), workers=workers)

    def delete(self, ids: Iterable[str]) -> BuildReport:
        """Delete the documents with these ids; those that are not there do not matter."""
        return self.change(Changes(delete=tuple(dict.fromkeys(checked_ids(ids)))))

    def compact(self, *, workers: int = 1, grace: float = GRACE_SECONDS) -> ClearReport:
        """Write all shards anew without what was deleted, and delete what is not needed any more.

        Args:
            workers: how many processes write shards.
            grace: seconds for which what no generation needs stays in the storage.
        """
        self.change(Changes(compact=True), workers=workers)
        return clear(self._place.storage(), grace)

    def change(
        self,
        changes: Changes,
        *,
        workers: int = 1,
        progress: Callable[[int, int], object] | None = None,
    ) -> BuildReport:
        """Make a generation of the newest and all of these changes, see `build`; then show it.

        Raises:
            IndexLocked: another build made one meanwhile.
        """
        self.refresh()
        with self._using() as generation:
            base = generation.manifest
        manifest, report = build(
            self._place,
            base,
            changes,
            encoder=self._loaded() if workers == 1 else None,
            workers=workers,
            memory=self._memory,
            progress=progress,
        )
        if manifest.generation > base.generation:
            self._move_to(manifest)
        return report

    def _loaded(self) -> Encoder | None:
        """The encoder, once for all shards; None if it is not to be had, and may not be needed."""
        try:
            return self._encoder.get()
        except RetrievalError:
            return None

    def _move_to(self, manifest: Manifest) -> None:
        opened = _Generation(manifest, self._cache)
        with self._state:
            current = self._open
            if current is None or current.manifest.generation >= manifest.generation:
                left = opened  # closed, or another thread was faster
            else:
                self._open, left = opened, current
        left.retire()

    @contextmanager
    def _using(self) -> Iterator[_Generation]:
        """The generation that is shown, kept open until the block is left."""
        with self._state:
            generation = self._open
            if generation is None:
                raise StorageError(f"the collection at {self.url} was closed; open it again")
            generation.acquire()
        try:
            yield generation
        finally:
            generation.release()

    @contextmanager
    def _searched(self) -> Iterator[Searched]:
        with self._using() as generation:
            yield generation.searched


def status_of(url: str, manifest: Manifest) -> ShardedStatus:
    """What a manifest says of a collection."""
    settings = manifest.settings
    return ShardedStatus(
        url=url,
        generation=manifest.generation,
        shards=len(manifest.shards),
        documents=manifest.documents,
        passages=sum(shard.passages for shard in manifest.shards),
        bytes=sum(shard.bytes for shard in manifest.shards),
        documents_by_shard=tuple(shard.documents for shard in manifest.shards),
        encoder=settings.encoder_name,
        encoder_source=settings.encoder_source,
        fingerprint=settings.fingerprint,
        dense_dim=settings.dense_dim,
        token_dim=settings.token_dim,
        passage_tokens=settings.passage_tokens,
        codec=manifest.codec is not None,
        made=manifest.made,
    )


def _documents(documents: Iterable[Document]) -> Iterator[Document]:
    """The documents, checked to be such."""
    if isinstance(documents, Document) or not isinstance(documents, Iterable):
        raise InputError(f"{documents!r:.60} was given; give a list of Documents")
    for one in documents:
        yield checked(one)
