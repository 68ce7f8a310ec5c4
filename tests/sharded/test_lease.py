"""A replica ends when no router contacts it any more, and not while it loads a shard."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from retrieval.errors import StorageError
from retrieval.sharded import ShardedIndex
from retrieval.sharded.generations import found_newest
from retrieval.sharded.place import Place
from retrieval.sharded.serving import replica as replica_module
from retrieval.sharded.serving.keeping import _load
from retrieval.sharded.serving.replica import Replica
from retrieval.sharded.serving.wire import Link

from ..index.fake_encoder import FakeEncoder
from .samples import documents

LEASE_S = 0.2


@pytest.mark.parametrize("fails", [False, True])
def test_a_shard_may_take_longer_to_load_than_the_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    ended = threading.Event()
    usual = replica_module.open_shard

    def slow(*arguments: Any) -> Any:
        time.sleep(3 * LEASE_S)
        if fails:
            raise StorageError("the storage is gone")
        return usual(*arguments)

    monkeypatch.setattr(replica_module, "LEASE_S", LEASE_S)
    monkeypatch.setattr(replica_module, "_LOOK_S", 0.01)
    monkeypatch.setattr(replica_module, "open_shard", slow)
    monkeypatch.setattr(replica_module, "os", SimpleNamespace(_exit=lambda code: ended.set()))
    place = Place(f"file://{tmp_path}/storage", {}, tmp_path / "cache")
    with ShardedIndex.create(place.url, shards=1, encoder=FakeEncoder(), cache=place.cache) as made:
        made.add(documents(3))
    manifest = found_newest(place.storage())
    replica = Replica(place)
    replica.end_with_lease()
    link = Link(replica.address)
    try:
        if fails:
            with pytest.raises(StorageError, match="the storage is gone"):
                link.ask(_load(manifest, 0), 30)
        else:
            assert link.ask(_load(manifest, 0), 30) == [[manifest.generation, 0]]
        assert not ended.is_set()
        assert ended.wait(30)  # nobody asks any more
    finally:
        link.close()
        replica.close()
