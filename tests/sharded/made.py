"""Small collections in shards, and one index of the same beside them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from retrieval.index import Index
from retrieval.sharded import ShardedIndex
from retrieval.sharded.storage import ObjectStorage

from ..index.fake_encoder import FakeEncoder
from .conftest import Storage


def create(storage: Storage, tmp_path: Path, shards: int = 3, **options: Any) -> ShardedIndex:
    return ShardedIndex.create(
        storage.url,
        shards=shards,
        encoder=FakeEncoder(),
        cache=tmp_path / "cache",
        options=storage.options,
        **options,
    )


def reopen(storage: Storage, tmp_path: Path, cache: str = "cache") -> ShardedIndex:
    return ShardedIndex.open(
        storage.url, encoder=FakeEncoder(), cache=tmp_path / cache, options=storage.options
    )


def object_storage(storage: Storage) -> ObjectStorage:
    return ObjectStorage(storage.url, storage.options)


@contextmanager
def beside_one_index(place: Path, shards: int) -> Iterator[tuple[ShardedIndex, Index]]:
    """A collection in `place`/storage and an index in `place`/one, both empty."""
    with (
        ShardedIndex.create(
            f"file://{place}/storage",
            shards=shards,
            encoder=FakeEncoder(),
            passage_tokens=32,
            cache=place / "cache",
        ) as sharded,
        Index.create(place / "one", encoder=FakeEncoder(), passage_tokens=32) as one,
    ):
        yield sharded, one
