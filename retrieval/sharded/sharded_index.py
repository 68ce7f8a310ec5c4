"""ShardedIndex: a collection in shards, kept in object storage, searched as one index."""

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
from retrieval.sharded.local import ShardCache
from retrieval.sharded.making import make_collection
from retrieval.sharded.manifest import Manifest
from retrieval.sharded.open_shard import OpenShard, open_shard
from retrieval.sharded.place import Place, place_at
from retrieval.sharded.spool import Incoming
from retrieval.sharded.status import ShardedStatus, status_of
from retrieval.types import Document, Encoder, EncoderSource, LateOptions


class _Generation:
    """The shards of one manifest, opened; closed when it was retired and nobody searches it."""

    def __init__(self, manifest: Manifest, cache: ShardCache, slot: EncoderSlot) -> None:
        """Bring here what is not here, and open it; raises as `open_shard` does."""
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
        """Make an empty collection, and open it.

        Args:
            url: where there is none; see `open`.
            shards: how many its documents are shared out to; this stays.
            encoder: an Encoder, a folder or a Hub id; None is the embedded model.
            passage_tokens: the longest passage, see `Index.create`.
            late: how token vectors are kept; None is `LateOptions()`.
            long_context: whether the passages of a document are read together.
            cache: see `open`.
            options: see `open`, as for `memory`.

        Raises:
            StorageError: there is one already.
            InputError: `shards` is no number of shards, or as `Index.create`.
            EncoderError: as `Index.create`.
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

    def status(self) -> ShardedStatus:
        """What it holds; neither the shards' files nor the encoder are read for it."""
        with self._using() as generation:
            return status_of(self.url, generation.manifest)

    def add(
        self, documents: Iterable[Document], *, workers: int = 1, ray: str | None = None
    ) -> BuildReport:
        """Add documents, or replace those with the same ids, in one commit.

        Args:
            documents: any iterable; each goes to the shard that its id names.
            workers: how many processes write shards; 1 is this one.
            ray: the address of a Ray cluster that writes them, or `local`; None for none.

        Raises:
            IndexLocked: another build was faster; run it again.
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
        """Delete the documents with these ids, or those that fulfil `where`.

        Args:
            ids: of documents; those that are not there do not matter.
            where: see `search`, of the generation that is shown; together with `ids`, those of them
                that fulfil it.
            params: values for the parameters of `where`.
            workers: see `add`, as for `ray`.

        Raises:
            InputError: an id is no text, or neither ids nor a filter were given.
            FilterError: `where` cannot be parsed.
        """
        wanted, chosen = None if ids is None else checked_ids(ids), as_filter(where, params)
        if wanted is None and chosen is None:
            raise InputError("nothing was named; give ids or a filter")
        if chosen is not None:
            fulfil = self.ids(chosen)
            wanted = fulfil if wanted is None else sorted(set(fulfil).intersection(wanted))
        changes = Changes(delete=tuple(dict.fromkeys(wanted or ())))
        return self.change(changes, workers=workers, ray=ray)

    def compact(
        self, *, workers: int = 1, ray: str | None = None, grace: float = GRACE_SECONDS
    ) -> ClearReport:
        """Write all shards anew without what was deleted, and delete what is not needed any more.

        Args:
            workers: see `add`, as for `ray`.
            grace: seconds for which what no generation needs stays in the storage.
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
        """Make a generation of the newest and all of these changes, see `build`; then show it.

        Args:
            changes: what is new.
            workers: how many processes write shards; 1 is this one.
            ray: the address of a Ray cluster that writes them, or `local`; None for none.
            progress: called with how many shards are written, and how many are to be.

        Raises:
            IndexLocked: another build made one meanwhile.
            InputError: the cluster cannot be reached.
            MissingDependency: Ray is not installed.
        """
        self.refresh()
        with self._using() as generation:
            base = generation.manifest
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
        """The encoder, once for all shards; None if it is not to be had, and may not be needed."""
        try:
            return self._encoder.get()
        except RetrievalError:
            return None

    def _move_to(self, manifest: Manifest) -> None:
        opened = _Generation(manifest, self._cache, self._encoder)
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
    def _shards(self) -> Iterator[tuple[Manifest, Shards]]:
        with self._using() as generation:
            yield generation.manifest, generation.asked


def _documents(documents: Iterable[Document]) -> Iterator[Document]:
    """The documents, checked to be such."""
    if isinstance(documents, Document) or not isinstance(documents, Iterable):
        raise InputError(f"{documents!r:.60} was given; give a list of Documents")
    for one in documents:
        yield checked(one)
