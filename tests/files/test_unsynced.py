"""Files that are forced to the disk together."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from retrieval.errors import StorageError
from retrieval.files.unsynced import Unsynced, force


@pytest.fixture
def forced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Inodes that were forced to the disk, in that order."""
    inodes: list[int] = []
    real = os.fsync

    def noted(descriptor: int) -> None:
        inodes.append(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    return inodes


def files(folder: Path, count: int) -> list[Path]:
    made = [folder / str(n) for n in range(count)]
    for path in made:
        path.write_text("text")
    return made


def test_without_a_block_a_file_is_forced_at_once(tmp_path: Path, forced: list[int]) -> None:
    (file,) = files(tmp_path, 1)
    force(file)
    assert forced == [file.stat().st_ino]


def test_within_a_block_all_are_forced_together_and_each_once(
    tmp_path: Path, forced: list[int]
) -> None:
    made = [*files(tmp_path, 40), tmp_path]
    unsynced = Unsynced()
    with unsynced.collecting():
        for path in [*made, *made]:
            force(path)
    assert forced == []
    unsynced.sync()
    assert sorted(forced) == sorted(path.stat().st_ino for path in made)
    unsynced.sync()
    assert len(forced) == len(made)


def test_blocks_do_not_mix(tmp_path: Path, forced: list[int]) -> None:
    outer, inner = Unsynced(), Unsynced()
    one, other = files(tmp_path, 2)
    with outer.collecting():
        with inner.collecting():
            force(other)
        force(one)
    inner.sync()
    assert forced == [other.stat().st_ino]
    outer.sync()
    assert forced[1:] == [one.stat().st_ino]


def test_what_no_commit_will_name_is_let_be(tmp_path: Path, forced: list[int]) -> None:
    unsynced = Unsynced()
    with unsynced.collecting():
        force(tmp_path / "never written")
    unsynced.forget()
    unsynced.sync()
    assert forced == []


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    unsynced = Unsynced()
    with unsynced.collecting():
        for path in [*files(tmp_path, 3), tmp_path / "gone"]:
            force(path)
    with pytest.raises(StorageError, match=r"cannot sync .*gone: No such file"):
        unsynced.sync()
