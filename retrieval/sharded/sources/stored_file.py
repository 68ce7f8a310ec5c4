"""An object in storage as a seekable file."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, BinaryIO, cast

from retrieval.errors import StorageError
from retrieval.sharded.storage import ObjectStorage

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_READ_AT_ONCE = 1 << 20
"""Minimum bytes per request."""


def open_stored(storage: ObjectStorage, name: str, size: int) -> BinaryIO:
    """An object as a seekable file, read in requests of a megabyte or more.

    Reading raises StorageError if the storage fails, or the object is gone.

    Args:
        storage: the object's storage.
        name: its name.
        size: its size in bytes.
    """
    return cast(BinaryIO, io.BufferedReader(_StoredFile(storage, name, size), _READ_AT_ONCE))


class _StoredFile(io.RawIOBase):
    def __init__(self, storage: ObjectStorage, name: str, size: int) -> None:
        self._storage, self._name, self._size = storage, name, size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        begin = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, begin + offset)
        return self._at

    def readinto(self, buffer: WriteableBuffer) -> int:
        into = memoryview(buffer).cast("B")
        wanted = min(len(into), self._size - self._at)
        if wanted <= 0:
            return 0
        found = self._storage.read_range(self._name, self._at, wanted)
        if found is None:
            raise StorageError(
                f"{self._storage.url}/{self._name} has disappeared since it was found; run it again"
            )
        into[: len(found)] = found
        self._at += len(found)
        return len(found)
