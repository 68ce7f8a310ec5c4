"""The array files: written exactly, opened only if they are exactly what was written."""

from __future__ import annotations

import errno
import os
import pickle
import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.errors import IndexCorrupted, InputError, StorageError
from retrieval.indexes.arrays import (
    ArrayWriter,
    RowsById,
    chosen,
    mapping_of,
    open_array,
    write_array,
)


def test_round_trip_in_blocks_and_numpy_reads_it(tmp_path: Path) -> None:
    rows = np.arange(12, dtype="<f4").reshape(4, 3)
    path = tmp_path / "a.npy"
    write_array(path, "<f4", (4, 3), [rows[:1], rows[1:1], rows[1:]])
    opened = open_array(path, "<f4", ndim=2)
    assert np.array_equal(opened, rows)
    assert not opened.flags.writeable
    assert np.array_equal(np.load(path), rows)


@pytest.mark.parametrize("shape", [(0,), (0, 7), (3, 0)])
def test_empty_arrays(tmp_path: Path, shape: tuple[int, ...]) -> None:
    write_array(tmp_path / "a.npy", "<i8", shape, [np.empty(shape)])
    assert open_array(tmp_path / "a.npy", "<i8", ndim=len(shape)).shape == shape


def test_every_truncation_and_any_surplus_is_corruption(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    write_array(path, "<i8", (3,), [np.arange(3)])
    data = path.read_bytes()
    for length in [*range(len(data)), len(data) + 1]:
        path.write_bytes((data + b"\0")[:length])
        with pytest.raises(IndexCorrupted, match=r"a\.npy"):
            open_array(path, "<i8", ndim=1)


@settings(deadline=None)
@given(position=st.integers(0, 127), value=st.integers(0, 255))
def test_an_altered_header_is_corruption(
    tmp_path_factory: pytest.TempPathFactory, position: int, value: int
) -> None:
    path = tmp_path_factory.mktemp("header") / "a.npy"
    write_array(path, "<f4", (5, 3), [np.ones((5, 3))])
    data = bytearray(path.read_bytes())
    assert len(data) == 128 + 60
    changed = data[position] != value
    data[position] = value
    path.write_bytes(data)
    if changed:
        with pytest.raises(IndexCorrupted):
            open_array(path, "<f4", ndim=2)
    else:
        open_array(path, "<f4", ndim=2)


def _npy(header: bytes, data: bytes = b"") -> bytes:
    header = header.ljust(118 - 1) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        _npy(b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", pickle.dumps([print])),
        _npy(b"{'descr': '<f4', 'fortran_order': True, 'shape': (1,), }", bytes(4)),
        _npy(b"{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", bytes(4)),
        _npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }", bytes(8)),
        _npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1), }", bytes(4)),
        _npy(
            b"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387905,), }", b"1234"
        ),
        _npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", bytes(4)),
        _npy(b"__import__('os').abort()"),
        _npy(b"(" * 100),
    ],
)
def test_hostile_files_are_corruption(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.npy").write_bytes(data)
    with pytest.raises(IndexCorrupted, match=r"a\.npy"):
        open_array(tmp_path / "a.npy", "<f4", ndim=1)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(IndexCorrupted, match=r"a\.npy is missing"):
        open_array(tmp_path / "a.npy", "<f4", ndim=1)


def test_rewriting_leaves_earlier_readers_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    write_array(path, "<i8", (3,), [np.arange(3)])
    before = open_array(path, "<i8", ndim=1)
    write_array(path, "<i8", (3,), [np.arange(3) + 10])
    assert before.tolist() == [0, 1, 2]


def test_a_full_disk_is_a_storage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        write_array(tmp_path / "a.npy", "<i8", (3,), [np.arange(3)])


def test_blocks_that_do_not_fill_the_shape_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="16 bytes"):
        write_array(tmp_path / "a.npy", "<i8", (3,), [np.arange(2)])


@pytest.mark.slow
@given(st.lists(st.integers(0, 5), max_size=5), st.sampled_from([(), (3,), (0,)]))
def test_an_array_grows_to_what_is_appended(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], row: tuple[int, ...]
) -> None:
    folder = tmp_path_factory.mktemp("writer")
    blocks = [np.full((size, *row), n) for n, size in enumerate(sizes)]
    with (
        ArrayWriter(folder / "a.npy", "<u2", row) as one,
        ArrayWriter(folder / "b.npy", "<f4", row) as other,
    ):
        for block in blocks:
            one.append(block)
            other.append(block)
        assert one.rows == other.rows == sum(sizes)
    whole = np.concatenate([np.empty((0, *row)), *blocks])
    for name, dtype in (("a.npy", "<u2"), ("b.npy", "<f4")):
        opened = open_array(folder / name, dtype, ndim=1 + len(row))
        assert opened.shape == (sum(sizes), *row)
        assert np.array_equal(opened, whole)
        assert np.array_equal(np.load(folder / name), whole)
        write_array(folder / "whole.npy", dtype, whole.shape, [whole])
        assert (folder / "whole.npy").read_bytes() == (folder / name).read_bytes()


def test_an_array_left_by_an_error_does_not_open(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    with pytest.raises(RuntimeError, match="stop"), ArrayWriter(path, "<i8") as writer:
        writer.append(np.arange(5000))
        raise RuntimeError("stop")
    with pytest.raises(IndexCorrupted, match=r"a\.npy"):
        open_array(path, "<i8", ndim=1)
    with ArrayWriter(path, "<i8") as writer:  # and is written over
        writer.append(np.arange(3))
    assert open_array(path, "<i8", ndim=1).tolist() == [0, 1, 2]


def test_growing_an_array_leaves_earlier_readers_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    write_array(path, "<i8", (3,), [np.arange(3)])
    before = open_array(path, "<i8", ndim=1)
    with ArrayWriter(path, "<i8") as writer:
        writer.append(np.arange(3) + 10)
        assert before.tolist() == [0, 1, 2]
    assert before.tolist() == [0, 1, 2]


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file of this process may grow beyond 100,000 bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def append_for_ever(path: Path) -> None:
    with ArrayWriter(path, "<i8") as writer:
        while True:
            writer.append(np.arange(1000))


def test_a_write_that_fails_is_named(tmp_path: Path, small_files: None) -> None:
    with pytest.raises(StorageError, match=r"cannot write .*a\.npy: File too large"):
        append_for_ever(tmp_path / "a.npy")


def test_the_mapping_of_an_array_and_of_its_parts(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    write_array(path, "<i8", (4, 3), [np.arange(12).reshape(4, 3)])
    opened = open_array(path, "<i8", ndim=2)
    mapping = mapping_of(opened)
    assert mapping is not None
    assert len(mapping) == path.stat().st_size
    assert mapping_of(opened[1:, 0]) is mapping
    assert mapping_of(opened.copy()) is None
    write_array(path, "<i8", (0, 3), [])
    assert mapping_of(open_array(path, "<i8", ndim=2)) is None


@given(st.lists(st.integers(0, 60), unique=True), st.lists(st.integers(-5, 70)))
def test_rows_by_id(ids: list[int], wanted: list[int]) -> None:
    found = RowsById(np.array(ids, dtype=np.int64), Path("x")).find(wanted)
    assert found.tolist() == [ids.index(w) if w in ids else -1 for w in wanted]


@pytest.mark.parametrize("ids", [[1, 1], [3, 1, 3], [-1, 2], [2, -1]])
def test_bad_ids_in_a_file_are_corruption(ids: list[int]) -> None:
    with pytest.raises(IndexCorrupted, match=r"ids\.npy"):
        RowsById(np.array(ids, dtype=np.int64), Path("ids.npy"))


@given(st.lists(st.integers(0, 20), unique=True), st.lists(st.booleans(), max_size=15))
def test_chosen(ids: list[int], allowed: list[bool]) -> None:
    mask = chosen(np.array(ids, dtype=np.int64), np.array(allowed, dtype=np.bool_))
    assert mask.tolist() == [i < len(allowed) and allowed[i] for i in ids]
