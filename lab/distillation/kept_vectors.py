"""A teacher's vectors on the disk, by the digest of what they were made of, so none is made twice.

    FOLDER/<number>.rows    values of two bytes, row after row
    FOLDER/<number>.keys    a record each: digest, first row, rows, checksum of their bytes

Every process appends to a pair of files of its own, and reads all of them. Rows are forced to the
disk before the records that name them are written, so a process that is killed loses at most what
it had not committed; what is damaged later counts as not there, and is made again.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import InputError
from retrieval.store.files import sync_directory

PENDING_BYTES = 1 << 26
"""Rows that wait in memory for the next commit, at most."""

_RECORD = np.dtype([("key", "V16"), ("start", "<i8"), ("rows", "<i4"), ("sum", "<u4")])

Rows = NDArray[np.uint16]


class KeptVectors:
    """Rows of `columns` values by key; the caller knows whether the bits are f16 or bf16."""

    def __init__(self, folder: Path, columns: int) -> None:
        """Open or begin a folder.

        Raises:
            InputError: the folder cannot be made.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as wrong:
            raise InputError(
                f"{folder}: vectors cannot be kept there ({wrong.strerror}); name another folder"
            ) from None
        self._folder, self._columns = folder, columns
        self._places: dict[bytes, tuple[Path, int, int, int]] = {}
        self._read: dict[Path, int] = {}
        self._pending: dict[bytes, Rows] = {}
        self._waiting = 0
        self._own: Path | None = None
        self.look()

    def get(self, keys: Sequence[bytes]) -> list[Rows | None]:
        """The rows u16 [r, columns] of each key, None for one that is not there."""
        return [self._pending[key] if key in self._pending else self._load(key) for key in keys]

    def add(self, key: bytes, rows: Rows) -> None:
        """Keep the rows u16 [r, columns] of a key."""
        self._pending[key] = np.ascontiguousarray(rows, "<u2")
        self._waiting += rows.nbytes
        if self._waiting >= PENDING_BYTES:
            self.commit()

    def commit(self) -> None:
        """Put on the disk what was added, and see what other processes have put there."""
        if self._pending:
            own = self._own or self._begin()
            first = own.stat().st_size // (2 * self._columns)
            records = np.zeros(len(self._pending), _RECORD)
            with own.open("ab") as file:
                for record, (key, rows) in zip(records, self._pending.items(), strict=True):
                    record["key"] = np.void(key)
                    record["start"], record["rows"] = first, len(rows)
                    record["sum"] = zlib.crc32(rows.data)
                    file.write(rows.data)
                    first += len(rows)
                file.flush()
                os.fsync(file.fileno())
            with own.with_suffix(".keys").open("ab") as file:
                file.write(records.tobytes())
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

    def _begin(self) -> Path:
        """A file of this process's own."""
        for number in count():
            path = self._folder / f"{number:04}.rows"
            try:
                path.open("xb").close()
            except FileExistsError:
                continue
            sync_directory(self._folder)
            self._own = path
            return path
        raise AssertionError

    def _load(self, key: bytes) -> Rows | None:
        place: tuple[Any, ...] | None = self._places.get(key)
        if place is None:
            return None
        path, start, rows, checksum = place
        wide = 2 * self._columns
        try:
            with path.open("rb") as file:
                data = os.pread(file.fileno(), rows * wide, start * wide)
        except OSError:
            data = b""
        if len(data) != rows * wide or zlib.crc32(data) != checksum:
            del self._places[key]
            return None
        return np.frombuffer(data, "<u2").reshape(rows, self._columns)
