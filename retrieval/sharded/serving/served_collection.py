"""ServedCollection: a collection whose shards are on replicas, asked through a router."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrieval.errors import InputError, ShardUnavailable, StorageError
from retrieval.hits import Coverage, Hits
from retrieval.index.encoder import EncoderSlot
from retrieval.numeric import is_whole
from retrieval.sharded.asking import Shards
from retrieval.sharded.collection import Collection
from retrieval.sharded.generations import found_newest
from retrieval.sharded.manifest import Manifest
from retrieval.sharded.place import Place
from retrieval.sharded.serving.hosts import Hosts, ProcessHosts
from retrieval.sharded.serving.keeping import Keeper
from retrieval.sharded.serving.router import Delays, RoutedShards
from retrieval.sharded.status import ShardedStatus, status_of
from retrieval.types import Encoder, EncoderSource

MOST_REPLICAS = 16


class _Served:
    """A served generation; it ends when it was replaced and no search uses it."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self.users = 0
        self.replaced = False


class ServedCollection(Collection):
    """A collection in shards on replicas, searched and listed as one index.

    A query sees one generation; `refresh` updates the replicas to the newest, shard by shard. Every
    method raises ShardUnavailable if no replica of a shard answers. If partial answers are allowed,
    a search leaves the shard out instead, and reports it in `Hits.coverage`.
    """

    def __init__(
        self,
        url: str,
        hosts: Callable[[Place], Hosts] | None = None,
        *,
        replicas: int = 1,
        partial: bool = False,
        hedged: bool = True,
        encoder: EncoderSource | None = None,
        cache: Path | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        """Start replicas of every shard, and wait until they have loaded the newest generation.

        Args:
            url: the collection's URL, see `ShardedIndex.open`.
            hosts: creates the hosts of replicas; None is processes on this machine.
            replicas: number of replicas of each shard.
            partial: whether a search goes on without unavailable shards.
            hedged: whether to ask a second replica when one takes long.
            encoder: the encoder for queries; None is the one that the collection was built with.
            cache: see `ShardedIndex.open`; on every machine that replicas run on.
            options: see `ShardedIndex.open`.

        Raises:
            IndexNotFound: there is no collection.
            InputError: `replicas` is not a valid number of replicas.
        """
        if not is_whole(replicas) or not 1 <= replicas <= MOST_REPLICAS:
            raise InputError(
                f"replicas={replicas!r}; give a whole number from 1 to {MOST_REPLICAS}"
            )
        self.url = url.rstrip("/")
        self._place = Place(self.url, dict(options or {}), cache)
        self._partial = partial
        self._hedged = hedged
        self._delays = Delays()
        self._state = threading.Lock()
        self._refreshing = threading.Lock()
        manifest = found_newest(self._place.storage())
        self._encoder = EncoderSlot(self.url, manifest.settings, encoder)
        source = encoder if isinstance(encoder, str) else None
        made = hosts(self._place) if hosts else ProcessHosts(self._place, encoder=source)
        self._keeper = Keeper(made, replicas, self.url)
        self._current: _Served | None = _Served(manifest)
        try:
            self._keeper.bring(manifest)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop serving; closing twice is fine."""
        with self._state:
            current, self._current = self._current, None
        if current is not None:
            self._keeper.close()

    @property
    def encoder(self) -> Encoder:
        """The encoder, loaded on first use; raises like `Index.encoder`."""
        return self._encoder.get()

    @property
    def generation(self) -> int:
        """The number of the generation that it shows."""
        return self._manifest().generation

    def status(self) -> ShardedStatus:
        """What it contains."""
        return status_of(self.url, self._manifest())

    def refresh(self) -> bool:
        """Move to the newest generation; returns whether there was a newer one.

        Raises:
            ShardUnavailable: a shard cannot be updated; the present generation stays.
        """
        with self._refreshing:
            newest = found_newest(self._place.storage())
            if newest.generation <= self.generation:
                return False
            self._keeper.bring(newest)
            with self._state:
                before = self._current
                if before is None:
                    return False
                self._current = _Served(newest)
                before.replaced = True
                over = not before.users
            if over:
                self._keeper.drop(before.manifest.generation)
            return True

    def _answers(self, *arguments: Any) -> list[Hits]:
        """See `Searching`; repeated without a shard that was lost meanwhile.

        Raises:
            ShardUnavailable: a shard is unavailable, and partial answers are not allowed; or all
                are.
        """
        if not self._partial:
            return super()._answers(*arguments)
        # The generation may be replaced meanwhile, by one in which other shards are filled.
        with self._using() as manifest:
            left = {
                number
                for number, several in self._keeper.sets.items()
                if several.holds(manifest.generation, number)
            }
            while True:
                if manifest.filled and not left:
                    raise ShardUnavailable(
                        f"all shards of {self.url} are unavailable; ask again in some seconds"
                    )
                token = _asked.set(_Asked(self, manifest, frozenset(left)))
                try:
                    found = super()._answers(*arguments)
                except ShardUnavailable as error:
                    if error.shard not in left:
                        raise
                    left.discard(error.shard)
                    continue
                finally:
                    _asked.reset(token)
                coverage = _coverage(manifest, left)
                return [Hits(hits, coverage) for hits in found]

    def _manifest(self) -> Manifest:
        with self._state:
            if self._current is None:
                raise StorageError(f"the collection at {self.url} was closed; open it again")
            return self._current.manifest

    @contextmanager
    def _shards(self) -> Iterator[tuple[Manifest, Shards]]:
        asked = _asked.get()
        if asked is not None and asked.of is self:
            numbers = [number for number in asked.manifest.filled if number in asked.shards]
            yield asked.manifest, self._routed(asked.manifest, numbers)
            return
        with self._using() as manifest:
            yield manifest, self._routed(manifest, tuple(manifest.filled))

    @contextmanager
    def _using(self) -> Iterator[Manifest]:
        """The present generation, kept on replicas until the block is left."""
        with self._state:
            current = self._current
            if current is None:
                raise StorageError(f"the collection at {self.url} was closed; open it again")
            current.users += 1
        try:
            yield current.manifest
        finally:
            with self._state:
                current.users -= 1
                over = current.replaced and not current.users
            if over:
                self._keeper.drop(current.manifest.generation)

    def _routed(self, manifest: Manifest, numbers: Sequence[int]) -> RoutedShards:
        return RoutedShards(
            self.url,
            manifest.generation,
            self._keeper.sets,
            numbers,
            len(manifest.shards),
            self._delays,
            hedged=self._hedged,
        )


@dataclass(frozen=True, slots=True)
class _Asked:
    """The generation and the shards of it that a search of a collection uses."""

    of: ServedCollection
    manifest: Manifest
    shards: frozenset[int]


_asked: ContextVar[_Asked | None] = ContextVar("asked", default=None)
"""What a search uses, if it may go on without some shards."""


def _coverage(manifest: Manifest, left: set[int]) -> Coverage | None:
    """How much a search covered; None if that is everything."""
    filled = manifest.filled
    if left >= filled.keys():
        return None
    return Coverage(
        shards=len(left & filled.keys()),
        of_shards=len(filled),
        passages=sum(filled[number].passages for number in left & filled.keys()),
        of_passages=manifest.passages,
    )
