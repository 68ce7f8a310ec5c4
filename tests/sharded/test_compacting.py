"""A collection is compacted shard by shard, and goes on where it was interrupted."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from retrieval.errors import StorageError
from retrieval.sharded import ShardedIndex, building, writing
from retrieval.sharded.building import build
from retrieval.sharded.changes import Changes
from retrieval.sharded.generations import found_newest
from retrieval.sharded.manifest import Manifest
from retrieval.sharded.place import Place
from retrieval.sharded.writing import ShardResult, ShardTask, write_shard
from retrieval.types import Encoder

from .conftest import Storage
from .injected import Injected, injected
from .made import create, object_storage, reopen
from .samples import QUERIES, documents, shown

SHARDS = 4


def loosened(storage: Storage, tmp_path: Path) -> list[list[object]]:
    """Make a collection of which half was deleted; its rankings, and those without what was, which
    BM25 counts until then."""
    with create(storage, tmp_path, shards=SHARDS) as made:
        made.add(documents(60))
        made.delete([one.id for one in documents(60)[::2]])
        assert made.status().deleted_passages > 0
        before = ranked(made)
    with create(Storage(f"file://{tmp_path}/kept"), tmp_path, shards=SHARDS) as kept:
        kept.add(documents(60)[1::2])
        return [before, ranked(kept)]


def ranked(index: ShardedIndex) -> list[object]:
    return [shown(index.search(query)) for query in QUERIES]


def compact(storage: Storage, tmp_path: Path) -> int:
    """Compact it, as the command does, which opens no shard; how many shards changed."""
    place = Place(storage.url, storage.options, tmp_path / "cache")
    before = found_newest(place.storage())
    after, _ = build(place, before, Changes(compact=True))
    return sum(a.files != b.files for a, b in zip(before.shards, after.shards, strict=True))


def held(storage: Storage) -> Manifest:
    return found_newest(object_storage(storage))


def assert_compact(storage: Storage, tmp_path: Path, rankings: list[list[object]]) -> None:
    assert all(s.lexical.counted == s.lexical.passages for s in held(storage).shards)
    with reopen(storage, tmp_path, "elsewhere") as other:
        assert (len(other), other.status().deleted_passages) == (30, 0)
        assert ranked(other) == rankings[1]


def test_it_drops_what_was_deleted(storage: Storage, tmp_path: Path) -> None:
    rankings = loosened(storage, tmp_path)
    assert compact(storage, tmp_path) == SHARDS
    assert_compact(storage, tmp_path, rankings)
    assert compact(storage, tmp_path) == 0


def test_it_goes_on_from_the_shards_that_were_sent(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rankings = loosened(storage, tmp_path)
    wrote: list[int] = []
    usual = writing._write

    def counted(task: ShardTask, *arguments: object) -> ShardResult:
        wrote.append(task.number)
        return usual(task, *arguments)  # type: ignore[arg-type]

    def ending(task: ShardTask, encoder: Encoder | None = None) -> ShardResult:
        if len(wrote) == 2:
            raise KeyboardInterrupt
        return write_shard(task, encoder)

    monkeypatch.setattr(writing, "_write", counted)
    with monkeypatch.context() as patch:
        patch.setattr(building, "write_shard", ending)
        with pytest.raises(KeyboardInterrupt):
            compact(storage, tmp_path)
    assert held(storage).generation == 3
    wrote.clear()
    assert compact(storage, tmp_path) == SHARDS
    assert len(wrote) == SHARDS - 2
    assert_compact(storage, tmp_path, rankings)
    assert list(object_storage(storage).objects("building")) == []


def test_whatever_call_fails_nothing_is_lost(folder: Storage, tmp_path: Path) -> None:
    rankings = loosened(folder, tmp_path)
    drawn = random.Random(24)
    for trial in range(6):
        fault = Injected(("fails before", "fails after")[trial % 2], drawn.randint(1, 60))
        with injected(fault):
            try:
                compact(folder, tmp_path)
            except StorageError as error:
                assert "\n" not in str(error)
        with reopen(folder, tmp_path) as other:
            assert ranked(other) == rankings[other.status().deleted_passages == 0]
    compact(folder, tmp_path)
    assert_compact(folder, tmp_path, rankings)
