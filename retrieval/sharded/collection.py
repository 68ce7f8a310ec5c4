"""Reading a collection, searching and listing it, wherever its shards are."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property

from retrieval.index.examining import Named, chosen_passages
from retrieval.index.listing import Listing, Params
from retrieval.index.reading.contents import Contents
from retrieval.index.reading.searched import Searched
from retrieval.index.searching import Searching
from retrieval.indexes import Filter, Where
from retrieval.sharded.asking import Shards
from retrieval.sharded.known_counts import KnownCounts
from retrieval.sharded.listed_shards import ListedShards
from retrieval.sharded.manifest import Manifest
from retrieval.sharded.searched_shards import SearchedShards
from retrieval.sharded.status import ShardedStatus
from retrieval.types import Embeddings, Encoder, Passage

_DOCUMENTS_AT_ONCE = 32
"""Documents whose vectors are read together."""


class Collection(Searching, Listing):
    """A collection in shards, for reading: it answers like one index of all its documents.

    Attributes:
        url: its URL.
    """

    url: str

    @property
    @abstractmethod
    def encoder(self) -> Encoder:
        """The encoder, loaded on first use; raises like `Index.encoder`."""

    @abstractmethod
    def status(self) -> ShardedStatus:
        """What it contains; reads neither the shards' files nor the encoder."""

    @abstractmethod
    def refresh(self) -> bool:
        """Move to the newest generation; returns whether there was a newer one."""

    @abstractmethod
    def close(self) -> None:
        """Close it once running searches are done; closing twice is fine."""

    @cached_property
    def _known_counts(self) -> KnownCounts:
        return KnownCounts()

    @abstractmethod
    def _shards(self) -> AbstractContextManager[tuple[Manifest, Shards]]:
        """The manifest of the present generation and its shards, open until the block is left."""

    def vectors(
        self,
        where: Where | None = None,
        *,
        passages: Iterable[Passage] | None = None,
        params: Params | None = None,
    ) -> Iterator[tuple[Passage, Embeddings]]:
        """Every passage with its stored embeddings, see `Index.vectors`."""
        chosen, wanted = chosen_passages(where, passages, params)
        with self._shards():  # raises now if the collection was closed
            return self._vectors(chosen, wanted)

    def _vectors(
        self, where: Filter | None, wanted: Named | None
    ) -> Iterator[tuple[Passage, Embeddings]]:
        with self._shards() as (_, shards):
            contents = ListedShards(shards)
            after = ""
            while ids := contents.ids(where, after, _DOCUMENTS_AT_ONCE):
                after = ids[-1]
                for passage, made in contents.vectors(ids, where):
                    if wanted is None or (passage.document_id, passage.ordinal) in wanted:
                        yield passage, made

    @contextmanager
    def _searched(self) -> Iterator[Searched[Filter | None]]:
        with self._shards() as (manifest, shards):
            yield SearchedShards(
                shards,
                self._known_counts,
                settings=manifest.settings,
                lexical=manifest.lexical,
                passages=manifest.passages
                if len(shards.numbers) == len(manifest.filled)
                else sum(manifest.shards[number].passages for number in shards.numbers),
                generation=manifest.generation,
            )

    @contextmanager
    def _contents(self) -> Iterator[Contents]:
        with self._shards() as (_, shards):
            yield ListedShards(shards)
