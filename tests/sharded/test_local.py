"""Copies of shards on this machine's disk go when they are old."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from retrieval.sharded import local
from retrieval.sharded.local import ShardCache
from retrieval.sharded.storage import ObjectStorage


def test_a_copy_that_another_process_deletes_meanwhile_keeps_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = ShardCache(ObjectStorage(f"file://{tmp_path}/storage"), tmp_path / "cache")
    cache.forget_but([])  # there is no folder yet
    for name in ("a", "b", "c", "kept"):
        (cache.folder / name).mkdir(parents=True)
        os.utime(cache.folder / name, (0, 0))
    age, asked = local._age, []

    def vanishing(place: Path) -> float:
        asked.append(place)
        if len(asked) == 1:
            place.rmdir()
        return age(place)

    monkeypatch.setattr(local, "_age", vanishing)
    cache.forget_but(["kept"])
    assert [one.name for one in cache.folder.iterdir()] == ["kept"]
