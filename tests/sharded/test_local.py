"""Copies of shards on this machine's disk go when they are old."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from retrieval.sharded import ShardedIndex, local
from retrieval.sharded.generations import found_newest
from retrieval.sharded.local import ShardCache
from retrieval.sharded.storage import ObjectStorage

from ..index.fake_encoder import FakeEncoder
from .samples import documents


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


def test_a_copy_whose_deletion_was_interrupted_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"file://{tmp_path}/storage"
    with ShardedIndex.create(
        url, shards=1, encoder=FakeEncoder(), cache=tmp_path / "cache"
    ) as made:
        made.add(documents(3))
    (record,) = found_newest(ObjectStorage(url)).shards
    assert record.files is not None
    cache = ShardCache(ObjectStorage(url), tmp_path / "cache")
    copy = cache.copy(record.files)
    for place in cache.folder.iterdir():
        os.utime(place, (0, 0))

    def killed(place: Path, **_: object) -> None:
        """The process ends once one file is gone."""
        next(file for file in sorted(place.rglob("*")) if file.is_file()).unlink()

    with monkeypatch.context() as patch:
        patch.setattr(local.shutil, "rmtree", killed)
        cache.forget_but([])
    with ShardedIndex.open(url, encoder=FakeEncoder(), cache=tmp_path / "cache") as opened:
        assert len(opened) == 3 and opened.search("w3 w0")
    for place in cache.folder.iterdir():
        os.utime(place, (0, 0))
    cache.forget_but([record.files])
    left = [one.name for one in cache.folder.iterdir()]
    assert copy.name in left and not [name for name in left if name.endswith(".part")]
