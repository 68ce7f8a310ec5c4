"""Vectors come back as they were kept, from any process, and damage is never read."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.errors import InputError
from retrieval.files import vector_cache
from retrieval.files.vector_cache import Rows, VectorCache, digest


def key(number: int) -> bytes:
    return digest(bytes([number]))


def rows(number: int, count: int = 3) -> Rows[np.uint16]:
    return np.random.default_rng(number).integers(0, 1 << 16, (count, 5)).astype(np.uint16)


@pytest.mark.slow
@given(steps=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9), st.booleans()), max_size=20))
def test_two_writers_keep_what_they_committed(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, bool]]
) -> None:
    folder = tmp_path_factory.mktemp("kept")
    writers = [VectorCache(folder, 5, np.uint16), VectorCache(folder, 5, np.uint16)]
    pending: list[set[int]] = [set(), set()]
    committed: set[int] = set()
    for writer, number, commit in steps:
        writers[writer].add(key(number), rows(number, number))
        pending[writer].add(number)
        if commit:
            writers[writer].commit()
            committed |= pending[writer]
            pending[writer].clear()
    found = VectorCache(folder, 5, np.uint16).get([key(number) for number in range(10)])
    for number, got in enumerate(found):
        assert (got is not None) == (number in committed)
        if got is not None:
            np.testing.assert_array_equal(got, rows(number, number))


def test_what_waits_is_read_and_written_when_it_is_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_cache, "PENDING_BYTES", 2 * rows(0).nbytes)
    kept = VectorCache(tmp_path, 5, np.uint16)
    kept.add(key(0), rows(0))
    (got,) = kept.get([key(0)])
    np.testing.assert_array_equal(got, rows(0))
    assert not list(tmp_path.iterdir())
    kept.add(key(1), rows(1))
    assert VectorCache(tmp_path, 5, np.uint16).get([key(1)])[0] is not None


def test_what_another_process_committed_is_seen_at_the_next_commit(tmp_path: Path) -> None:
    one, other = VectorCache(tmp_path, 5, np.uint16), VectorCache(tmp_path, 5, np.uint16)
    one.add(key(0), rows(0))
    one.commit()
    assert other.get([key(0)]) == [None]
    other.commit()
    assert other.get([key(0)])[0] is not None


@pytest.mark.parametrize("harm", ["rows cut", "rows altered", "rows gone", "keys cut"])
def test_damage_counts_as_not_there(tmp_path: Path, harm: str) -> None:
    kept = VectorCache(tmp_path, 5, np.uint16)
    for number in range(3):
        kept.add(key(number), rows(number))
    kept.commit()
    name, what = harm.split()
    path = tmp_path / f"0000.{name}"
    data = bytearray(path.read_bytes())
    if what == "gone":
        path.unlink()
    elif what == "cut":
        path.write_bytes(data[:-3])
    else:
        data[-1] ^= 1
        path.write_bytes(data)
    found = VectorCache(tmp_path, 5, np.uint16).get([key(number) for number in range(3)])
    assert found[2] is None
    assert (found[0] is None) == (harm == "rows gone")


@pytest.mark.parametrize("suffix", [".rows", ".keys"])
def test_a_write_that_failed_in_its_middle_harms_no_later_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    kept = VectorCache(tmp_path, 5, np.uint16)
    kept.add(key(0), rows(0))
    kept.commit()
    kept.add(key(1), rows(1))
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", _full_after_three_bytes(suffix))
        with pytest.raises(OSError, match="No space left"):
            kept.commit()
    kept.add(key(2), rows(2))
    kept.commit()
    for cache in (kept, VectorCache(tmp_path, 5, np.uint16)):
        for number, got in enumerate(cache.get([key(0), key(1), key(2)])):
            assert got is not None
            np.testing.assert_array_equal(got, rows(number))


def _full_after_three_bytes(suffix: str) -> Callable[..., Any]:
    opened = Path.open

    def open_(path: Path, mode: str = "r") -> Any:
        if path.suffix == suffix and mode == "ab":
            with opened(path, mode) as file:
                file.write(b"xyz")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return opened(path, mode)

    return open_


def test_a_file_in_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="name another folder"):
        VectorCache(tmp_path / "file", 5, np.uint16)
