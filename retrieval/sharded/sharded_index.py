"""ShardedIndex: a collection in shards in object storage, searched as one index."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from retrieval.errors import InputError, RetrievalError, StorageError
from retrieval.files.given import StrPath
from retrieval.index.encoder import EncoderSlot
from retrieval.index.listing import Params, checked_ids
from retrieval.index.writing.drafts import checked
from retrieval.indexes import LATE_MEMORY, Where, as_filter
from retrieval.sharded.asking import LocalShards, Shards
from retrieval.sharded.building import BuildReport, build
from retrieval.sharded.changes import Changes
from retrieval.sharded.clearing import GRACE_SECONDS, ClearReport, clear
from retrieval.sharded.collection import Collection
from retrieval.sharded.executors import executor_for
from retrieval.sharded.generations import found_newest
from retrieval.sharded.listed_shards import ListedShards
from retrieval.sharded.local import ShardCache
from retrieval.sharded.making import make_collection
from retrieval.sharded.manifest import Manifest
from retrieval.sharded.open_shard import OpenShard, open_shard
from retrieval.sharded.place import Place, place_at
from retrieval.sharded.spool import Incoming
from retrieval.sharded.status import ShardedStatus, status_of
from retrieval.types import Document, Encoder, EncoderSource, LateOptions


class _Generation:
    """The open shards of one manifest; closed once it was retired and no search uses it."""

    def __init__(self, manifest: Manifest, cache: ShardCache, slot: EncoderSlot) -> None:
        """Download missing shards, and open all; raises like `open_shard`."""
        self.manifest = manifest
        self.shards: dict[int, OpenShard] = {}
        with ExitStack() as stack:
            for number, record in manifest.filled.items():
                one = open_shard(number, record, manifest.lexical, manifest.settings, cache, slot)
                stack.callback(one.close)
                self.shards[number] = one
            stack.pop_all()
        self.asked = LocalShards(self.shards, len(manifest.shards))

    def acquire(self) -> None:
        for shard in self.shards.values():
            shard.snapshot.acquire()

    def release(self) -> None:
        for shard in self.shards.values():
            shard.snapshot.release()

    def retire(self) -> None:
        for shard in self.shards.values():
            shard.close()


class ShardedIndex(Collection):
    """A collection whose documents are distributed over shards, each an ordinary index.

    It shows one generation: the newest when it was opened, last refreshed or last written to. The
    shards are copied to this machine and searched in this process; a search finds what a single
    index of all documents would find. Any number of processes may read it; of two that write at
    the same time, one gets an error that the other committed first.

    Use `ShardedIndex.create` or `ShardedIndex.open`, and `close` it or use it as a context manager.

    Every method raises StorageError if the storage fails, and IndexCorrupted if objects in it are
    damaged.

    Attributes:
        url: its URL.
    """

    def __init__(
        self,
        place: Place,
        manifest: Manifest,
        encoder: EncoderSource | None,
        memory: int,
    ) -> None:
        """Open a generation; use `open` and `create`."""
        self.url = place.url
        self._place = place
        self._memory = memory
        self._cache = ShardCache(place.storage(), place.cache)
        self._state = threading.Lock()
        self._encoder = EncoderSlot(place.url, manifest.settings, encoder)
        self._open: _Generation | None = _Generation(manifest, self._cache, self._encoder)
        self._cache.forget_but({shard.files for shard in manifest.shards if shard.files})

    @classmethod
    def open(
        cls,
        url: str,
        *,
        encoder: EncoderSource | None = None,
        cache: StrPath | None = None,
        options: Mapping[str, str] | None = None,
        memory: int = LATE_MEMORY,
    ) -> ShardedIndex:
        """Open the collection at a URL at its newest generation.

        Args:
            url: `file:///folder`, `s3://bucket/name`, `gs://bucket/name` or `az://container/name`.
            encoder: an Encoder, a folder or a Hub id; None is the one that it was built with.
            cache: the folder for copies of shards; None is one in the user's cache folder.
            options: obstore's options for this kind of storage, such as `endpoint`; otherwise keys
                come from the environment.
            memory: bytes that compressing token vectors may use, in each process that writes.

        Raises:
            IndexNotFound: there is no collection.
            IndexFormatError: a newer release wrote it.
            EncoderMismatch: it was built with another encoder.
            MissingDependency: obstore is not installed.
        """
        place = place_at(url, options, cache)
        return cls(place, found_newest(place.storage()), encoder, memory)

    @classmethod
    def create(
        cls,
        url: str,
        *,
        shards: int,
        encoder: EncoderSource | None = None,
        passage_tokens: int | None = None,
        late: LateOptions | None = None,
        long_context: bool = False,
        cache: StrPath | None = None,
        options: Mapping[str, str] | None = None,
        memory: int = LATE_MEMORY,
    ) -> ShardedIndex:
        """Create an empty collection, and open it.

        Args:
            url: a URL without a collection; see `open`.
            shards: number of shards to distribute documents over; it cannot be changed later.
            encoder: an Encoder, a folder or a Hub id; None is the embedded model.
            passage_tokens: maximum length of passages, see `Index.create`.
            late: how token vectors are stored; None is `LateOptions()`.
            long_context: whether the passages of a document are read together.
            cache: see `open`.
            options: see `open`, like `memory`.

        Raises:
            StorageError: there is a collection already.
            InputError: `shards` is not a valid number of shards, or like `Index.create`.
            EncoderError: like `Index.create`.
        """
        place = place_at(url, options, cache)
        manifest, loaded = make_collection(
            place,
            shards=shards,
            encoder=encoder,
            passage_tokens=passage_tokens,
            late=late,
            long_context=long_context,
        )
        return cls(place, manifest, loaded, memory)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def close(self) -> None:
        """Close the files once running searches are done; closing twice is fine."""
        with self._state:
            generation, self._open = self._open, None
        if generation is not None:
            generation.retire()

    @property
    def encoder(self) -> Encoder:
        """The encoder, loaded on first use; raises like `Index.encoder`."""
        return self._encoder.get()

    @property
    def generation(self) -> int:
        """The number of the generation that it shows."""
        with self._using() as generation:
            return generation.manifest.generation

    def refresh(self) -> bool:
        """Move to the newest generation; returns whether there was a newer one."""
        manifest = found_newest(self._place.storage())
        if manifest.generation <= self.generation:
            return False
        self._move_to(manifest)
        return True

    def status(self) -> ShardedStatus:
        """What it contains; reads neither the shards' files nor the encoder."""
        with self._using() as generation:
            return status_of(self.url, generation.manifest)

    def add(
        self, documents: Iterable[Document], *, workers: int = 1, ray: str | None = None
    ) -> BuildReport:
        """Add documents, or replace those with the same ids, in one commit.

        Args:
            documents: any iterable; each goes to the shard determined by its id.
            workers: number of processes that write shards; 1 is this one.
            ray: the address of a Ray cluster that writes shards, or `local`; None for none.

        Raises:
            IndexLocked: another build committed first; run it again.
            InputError: a document cannot be stored.
        """
        changes = Changes(map(Incoming, _documents(documents)))
        return self.change(changes, workers=workers, ray=ray)

    def delete(
        self,
        ids: Iterable[str] | None = None,
        *,
        where: Where | None = None,
        params: Params | None = None,
        workers: int = 1,
        ray: str | None = None,
    ) -> BuildReport:
        """Delete the documents with these ids, or those that match `where`.

        Args:
            ids: ids of documents; unknown ids are ignored.
            where: see `search`; together with `ids`, those of them that match.
            params: values for the parameters of `where`.
            workers: see `add`, like `ray`.

        Raises:
            InputError: an id is not a text, or neither ids nor a filter were given.
            FilterError: `where` cannot be parsed.
        """
        wanted, chosen = None if ids is None else checked_ids(ids), as_filter(where, params)
        if wanted is None and chosen is None:
            raise InputError("nothing was named; give ids or a filter")
        self.refresh()
        with self._using() as generation:  # what it is matched in is what it is deleted from
            if chosen is not None:
                fulfil = ListedShards(generation.asked).ids(chosen, "", -1)
                wanted = fulfil if wanted is None else sorted(set(fulfil).intersection(wanted))
            base = generation.manifest
        changes = Changes(delete=tuple(dict.fromkeys(wanted or ())))
        return self._changed(base, changes, workers=workers, ray=ray)

    def compact(
        self, *, workers: int = 1, ray: str | None = None, grace: float = GRACE_SECONDS
    ) -> ClearReport:
        """Rewrite all shards without deleted passages, and delete unneeded objects.

        Args:
            workers: see `add`, like `ray`.
            grace: seconds for which objects that no generation needs stay in storage.
        """
        self.change(Changes(compact=True), workers=workers, ray=ray)
        return clear(self._place.storage(), grace)

    def change(
        self,
        changes: Changes,
        *,
        workers: int = 1,
        ray: str | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> BuildReport:
        """Apply these changes to the newest generation, see `build`, and move to the new one.

        Args:
            changes: the changes.
            workers: number of processes that write shards; 1 is this one.
            ray: the address of a Ray cluster that writes shards, or `local`; None for none.
            progress: called with the number of shards written, and the number to write.

        Raises:
            IndexLocked: another build committed first.
            InputError: the cluster cannot be reached.
            MissingDependency: Ray is not installed.
        """
        self.refresh()
        with self._using() as generation:
            base = generation.manifest
        return self._changed(base, changes, workers=workers, ray=ray, progress=progress)

    def _changed(
        self,
        base: Manifest,
        changes: Changes,
        *,
        workers: int,
        ray: str | None,
        progress: Callable[[int, int], object] | None = None,
    ) -> BuildReport:
        """See `change`: the changes are applied to this generation."""
        with executor_for(workers, ray) as executor:
            manifest, report = build(
                self._place,
                base,
                changes,
                encoder=self._loaded() if executor.here else None,
                executor=executor,
                memory=self._memory,
                progress=progress,
            )
        if manifest.generation > base.generation:
            self._move_to(manifest)
        return report

    def _loaded(self) -> Encoder | None:
        """The encoder, loaded once for all shards; None if it cannot be (it may not be needed)."""
        try:
            return self._encoder.get()
        except RetrievalError:
            return None

    def _move_to(self, manifest: Manifest) -> None:
        opened = _Generation(manifest, self._cache, self._encoder)
        with self._state:
            current = self._open
            if current is None or current.manifest.generation >= manifest.generation:
                left = opened  # closed, or another thread did it first
            else:
                self._open, left = opened, current
        left.retire()

    @contextmanager
    def _using(self) -> Iterator[_Generation]:
        """The present generation, kept open until the block is left."""
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
    def _shards(self) -> Iterator[tuple[Manifest, Shards]]:
        with self._using() as generation:
            yield generation.manifest, generation.asked


def _documents(documents: Iterable[Document]) -> Iterator[Document]:
    """The documents, checked."""
    if isinstance(documents, Document) or not isinstance(documents, Iterable):
        raise InputError(f"{documents!r:.60} was given; give a list of Documents")
    for one in documents:
        yield checked(one)
