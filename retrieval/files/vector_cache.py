"""Vectors on disk, keyed by a digest of what they were computed from, so none is computed twice.

    FOLDER/<number>.rows    values, row after row
    FOLDER/<number>.keys    one record per key: digest, first row, row count, checksum of the bytes

Every process appends to a pair of files of its own, to another pair after an error, and reads all.
Rows are forced to the disk before the records that name them are written, so a process that is
killed loses at most what it had not committed; what is damaged later counts as not there, and is
made again.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import InputError
from retrieval.files.whole import sync_folder

PENDING_BYTES = 1 << 26
"""Maximum size of the rows that wait in memory for the next commit."""

_RECORD = np.dtype([("key", "V16"), ("start", "<i8"), ("rows", "<i4"), ("sum", "<u4")])

Scalar = TypeVar("Scalar", bound=np.generic)
Rows: TypeAlias = NDArray[Scalar]


def digest(made_of: str | bytes) -> bytes:
    """The key for what vectors were computed from: BLAKE2b, 16 bytes."""
    data = made_of.encode("utf-8", "surrogatepass") if isinstance(made_of, str) else made_of
    return hashlib.blake2b(data, digest_size=16).digest()


class VectorCache(Generic[Scalar]):
    """Any number of rows [r, columns] by key; all keys are of `digest`."""

    def __init__(self, folder: Path, columns: int, dtype: type[Scalar]) -> None:
        """Open or create a folder; all rows in it have these columns and this type.

        Raises:
            InputError: the folder cannot be created.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as wrong:
            raise InputError(
                f"{folder}: vectors cannot be kept there ({wrong.strerror}); name another folder"
            ) from None
        self._folder, self._columns = folder, columns
        self._dtype = np.dtype(dtype).newbyteorder("<")
        self._places: dict[bytes, tuple[Path, int, int, int]] = {}
        self._read: dict[Path, int] = {}
        self._pending: dict[bytes, Rows[Scalar]] = {}
        self._waiting = 0
        self._own: Path | None = None
        self.look()

    def __contains__(self, key: bytes) -> bool:
        return key in self._places or key in self._pending

    def __len__(self) -> int:
        return len(self._places.keys() | self._pending.keys())

    def get(self, keys: Sequence[bytes]) -> list[Rows[Scalar] | None]:
        """The rows [r, columns] of each key, None for one that is not there."""
        return [self._pending[key] if key in self._pending else self._load(key) for key in keys]

    def add(self, key: bytes, rows: NDArray[np.number]) -> None:
        """Store the rows [r, columns] of a key, converted to the cache's type."""
        own = np.ascontiguousarray(rows, self._dtype)
        if own.ndim != 2 or own.shape[1] != self._columns:
            raise InputError(f"vectors {own.shape} cannot be kept; expected [r, {self._columns}]")
        self._pending[key] = own
        self._waiting += own.nbytes
        if self._waiting >= PENDING_BYTES:
            self.commit()

    def commit(self) -> None:
        """Write what was added to disk, and read what other processes have written."""
        if self._pending:
            own, self._own = self._own or self._begin(), None
            first = own.stat().st_size // self._width
            records = np.zeros(len(self._pending), _RECORD)
            with own.open("ab") as file:
                for record, (key, rows) in zip(records, self._pending.items(), strict=True):
                    data = rows.tobytes()
                    record["key"] = np.void(key)
                    record["start"], record["rows"] = first, len(rows)
                    record["sum"] = zlib.crc32(data)
                    file.write(data)
                    first += len(rows)
                file.flush()
                os.fsync(file.fileno())
            with own.with_suffix(".keys").open("ab") as file:
                file.write(records.tobytes())
            # What a write left that failed in its middle, as on a full disk, is not appended to.
            self._own = own
            self._pending.clear()
            self._waiting = 0
        self.look()

    def look(self) -> None:
        """Take note of the records that were written since."""
        for path in sorted(self._folder.glob("*.keys")):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                data = file.read()
            whole = len(data) // _RECORD.itemsize * _RECORD.itemsize
            self._read[path] = self._read.get(path, 0) + whole
            rows = path.with_suffix(".rows")
            for key, *place in np.frombuffer(data[:whole], _RECORD).tolist():
                self._places[key] = (rows, *place)

    @property
    def _width(self) -> int:
        """Bytes of a row."""
        return self._dtype.itemsize * self._columns

    def _begin(self) -> Path:
        """Create this process's own pair of files; returns the rows file."""
        for number in count():
            path = self._folder / f"{number:04}.rows"
            try:
                path.open("xb").close()
            except FileExistsError:
                continue
            sync_folder(self._folder)
            return path
        raise AssertionError

    def _load(self, key: bytes) -> Rows[Scalar] | None:
        place = self._places.get(key)
        if place is None:
            return None
        path, start, rows, checksum = place
        size = rows * self._width
        try:
            with path.open("rb") as file:
                data = os.pread(file.fileno(), size, start * self._width)
        except OSError:
            data = b""
        if len(data) != size or zlib.crc32(data) != checksum:
            del self._places[key]
            return None
        return np.frombuffer(data, self._dtype).reshape(rows, self._columns)
