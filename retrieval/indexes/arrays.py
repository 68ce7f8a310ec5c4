"""Arrays on disk and the passage ids that name their rows: what dense and late segments share.

Each array is one standard `.npy` file (version 1.0, C order, little-endian), so `numpy.load` opens
it too. Here it is opened more strictly: the header is matched, never evaluated, and its shape must
agree with the size of the file to the byte. The data is then memory-mapped, read-only.
"""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrieval.errors import IndexCorrupted, InputError, StorageError
from retrieval.files.regular import open_regular
from retrieval.files.unsynced import force
from retrieval.indexes.ids import places_in

_MAGIC = b"\x93NUMPY\x01\x00"
_PREAMBLE = 128  # bytes before the data; the format requires a multiple of 64
_HEADER = re.compile(
    rb"\{'descr': '([<|][fiu][1248])', 'fortran_order': False, "
    rb"'shape': \((\d{1,18}),(?: (\d{1,18}))?\), \} *\n"
)
CURE = "restore it from a copy, or build the index again"


def write_array(
    path: Path, dtype: str, shape: tuple[int, ...], blocks: Iterable[NDArray[Any]]
) -> None:
    """Write `blocks`, concatenated along the first axis, as one array, and `force` it.

    An existing file is replaced, not overwritten: processes that have it mapped keep the old data.

    Args:
        path: the file; its folder exists.
        dtype: numpy's name with byte order, such as "<f4".
        shape: shape of the whole array; the blocks are checked against it.
        blocks: arrays [r, *shape[1:]], whose r add up to `shape[0]`; see `ArrayWriter.append`.

    Raises:
        StorageError: the file cannot be written (disk full, no permission).
    """
    with ArrayWriter(path, dtype, shape[1:]) as file:
        for block in blocks:
            file.append(block)
    written, expected = file.rows * _size(dtype, shape[1:]), _size(dtype, shape)
    if written != expected:
        raise InputError(
            f"{path.name}: the blocks hold {written} bytes, shape {shape} of {dtype} takes"
            f" {expected}"
        )


class ArrayWriter:
    """Writes an array block by block; several can be written side by side.

    Used as a context manager; the file is complete, and forced to the disk, once the block is left.
    If it is left by an exception, the file has no rows.

    Attributes:
        rows: how many rows were appended.
    """

    def __init__(self, path: Path, dtype: str, row: tuple[int, ...] = ()) -> None:
        """Args: the file; numpy's dtype with byte order; the shape of one row."""
        self.rows = 0
        self._path = path
        self._dtype = np.dtype(dtype)
        self._descr = dtype
        self._row = row

    def __enter__(self) -> ArrayWriter:
        with self._naming():
            self._path.unlink(missing_ok=True)
            self._file = self._path.open("xb")
        try:
            self._header()
        except BaseException:
            self._file.close()
            raise
        return self

    def append(self, block: NDArray[Any]) -> None:
        """Write some more rows.

        Args:
            block: [r, *row], of the file's dtype, or of one that is cast to it.

        Raises:
            StorageError: the disk is full or fails.
        """
        data = np.ascontiguousarray(block, dtype=self._dtype)
        with self._naming():
            self._file.write(data.data)
        self.rows += len(block)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._naming(), self._file:
            if error is None:
                self._header()
        if error is None:
            force(self._path)

    def _header(self) -> None:
        """Overwrite the header, whose size does not depend on the number of rows."""
        shape = ", ".join(str(size) for size in (self.rows, *self._row))
        text = (
            f"{{'descr': '{self._descr}', 'fortran_order': False, "
            f"'shape': ({shape}{'' if self._row else ','}), }}"
        )
        with self._naming():
            self._file.seek(0)
            self._file.write(_MAGIC + (_PREAMBLE - 10).to_bytes(2, "little"))
            self._file.write(text.ljust(_PREAMBLE - 11).encode() + b"\n")

    @contextmanager
    def _naming(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(f"cannot write {self._path}: {error.strerror or error}") from error


def open_array(path: Path, dtype: str, *, ndim: int) -> NDArray[Any]:
    """Memory-map an array that `write_array` wrote; the result is read-only.

    Raises:
        IndexCorrupted: the file is missing, truncated, too long or not such an array.
    """
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            preamble = file.read(10)
            length = int.from_bytes(preamble[8:], "little")
            match = _HEADER.fullmatch(file.read(length))
            if preamble[:8] != _MAGIC or match is None or (10 + length) % 64:
                raise IndexCorrupted(f"{path} has no valid .npy header; {CURE}")
            found = match[1].decode()
            shape = tuple(int(n) for n in match.groups()[1:] if n is not None)
            if found != dtype or len(shape) != ndim:
                raise IndexCorrupted(
                    f"{path} holds {len(shape)}-d {found}, expected {ndim}-d {dtype}; {CURE}"
                )
            expected = 10 + length + _size(dtype, shape)
            if size != expected:
                raise IndexCorrupted(
                    f"{path} is {size} bytes, its header implies {expected}; {CURE}"
                )
            if _size(dtype, shape) == 0:
                return np.empty(shape, dtype)
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError as error:
        raise IndexCorrupted(f"{path} is missing; {CURE}") from error
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from error
    return np.frombuffer(mapped, dtype, offset=10 + length).reshape(shape)


def _size(dtype: str, shape: tuple[int, ...]) -> int:
    """Bytes of the data, as Python integers, which do not overflow."""
    size = np.dtype(dtype).itemsize
    for n in shape:
        size *= n
    return size


def make_folder(folder: Path) -> None:
    """Create a segment's folder, with its parents."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot make folder {folder}: {error.strerror or error}") from error


def force_with_parent(folder: Path) -> None:
    """`force` a folder and its parent, so that the names in both survive a power cut."""
    for place in (folder, folder.absolute().parent):
        force(place)


def check_ids(ids: ArrayLike) -> NDArray[np.int64]:
    """The ids as i64 [n]; InputError unless they are 1-d, not negative and all different."""
    array = np.asarray(ids)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise InputError(f"passage ids are {array.ndim}-d {array.dtype}, expected 1-d int64")
    array = array.astype(np.int64, copy=False)
    if array.size and array.min() < 0:
        raise InputError(f"passage id {array.min()} is negative; ids start at 0")
    if np.unique(array).size != array.size:
        values, counts = np.unique(array, return_counts=True)
        raise InputError(f"passage id {values[counts > 1][0]} is given twice; ids are unique")
    return array


def check_vectors(vectors: ArrayLike, what: str, *, dim: int | None = None) -> NDArray[np.float32]:
    """Vectors as f32 [n, dim], C order; InputError unless they are 2-d and of that dimension."""
    array = np.ascontiguousarray(vectors, dtype=np.float32)
    if array.ndim != 2:
        raise InputError(f"{what} are {array.ndim}-d, expected one row per vector")
    if dim is not None and array.shape[1] != dim:
        raise InputError(
            f"{what} have {array.shape[1]} dimensions, the segment has {dim};"
            " use the encoder that the index was built with"
        )
    return array


def check_query(vectors: ArrayLike, what: str, *, dim: int) -> NDArray[np.float32]:
    """Like `check_vectors`, but InputError for NaN and infinity too."""
    array = check_vectors(vectors, what, dim=dim)
    if not np.isfinite(array).all():
        raise InputError(f"{what} hold NaN or infinity; expected finite numbers")
    return array


def offsets_problem(offsets: NDArray[np.int64], passages: int, rows: int) -> str | None:
    """What is wrong with the offsets of so many passages and vectors, or None."""
    if offsets.shape != (passages + 1,):
        return f"{offsets.shape} offsets for {passages} passages, expected {(passages + 1,)}"
    if offsets[0] != 0 or offsets[-1] != rows:
        return f"offsets run from {offsets[0]} to {offsets[-1]}, expected 0 to {rows}"
    if not (offsets[1:] >= offsets[:-1]).all():
        return "offsets fall, expected ascending ones"
    return None


def first_bad_row(vectors: NDArray[np.float32], *, block: int = 1 << 16) -> int | None:
    """The first row that holds NaN or infinity, or None."""
    for start in range(0, len(vectors), block):
        finite = np.isfinite(vectors[start : start + block]).all(axis=1)
        if not finite.all():
            return start + int(np.argmin(finite))
    return None


def check_k(k: int) -> int:
    """InputError unless k is at least 1."""
    if k < 1:
        raise InputError(f"k is {k}; expected at least 1")
    return int(k)


def chosen(ids: NDArray[np.int64], allowed: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """Which of the ids are allowed, bool [n]; an id beyond the end of `allowed` is not."""
    if allowed is None:
        return np.ones(len(ids), dtype=np.bool_)
    if len(allowed) == 0:
        return np.zeros(len(ids), dtype=np.bool_)
    inside = ids < len(allowed)
    picked: NDArray[np.bool_] = inside & allowed[np.where(inside, ids, 0)]
    return picked


class RowsById:
    """Finds the rows of passage ids in a segment."""

    __slots__ = ("_order", "ids")

    def __init__(self, ids: NDArray[np.int64], path: Path) -> None:
        """Check ids that were read from `path`; IndexCorrupted if negative or repeated."""
        self.ids = ids
        rising = bool((ids[1:] > ids[:-1]).all())
        self._order = None if rising else np.argsort(ids, kind="stable")
        ordered = ids if self._order is None else ids[self._order]
        if len(ids) and (ordered[0] < 0 or not (rising or (ordered[1:] > ordered[:-1]).all())):
            raise IndexCorrupted(f"{path} holds negative or repeated passage ids; {CURE}")

    def find(self, ids: ArrayLike) -> NDArray[np.int64]:
        """The row of each id, i64 [n]; -1 if the segment does not have it."""
        wanted = np.asarray(ids, dtype=np.int64)
        if self._order is None:
            return places_in(self.ids, wanted)
        at = np.minimum(np.searchsorted(self.ids, wanted, sorter=self._order), len(self.ids) - 1)
        rows = self._order[at]
        return np.where(self.ids[rows] == wanted, rows, -1)


def mapping_of(array: NDArray[Any]) -> mmap.mmap | None:
    """The memory map that an array of `open_array` reads from; None if the array is empty."""
    base: object = array
    while isinstance(base, np.ndarray | memoryview):
        base = base.base if isinstance(base, np.ndarray) else base.obj
    return base if isinstance(base, mmap.mmap) else None
