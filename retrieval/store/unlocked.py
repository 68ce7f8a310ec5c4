"""A database that is read without locks, and whether it is still what it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from retrieval.errors import StorageError


class Unlocked:
    """A database in a folder that cannot be written here, so that SQLite can lock nothing.

    Whoever may write there can change it under a reader, whose cached pages then are not of one
    generation with the others. What was read counts only if the file is as it was when opened.
    """

    def __init__(self, path: Path) -> None:
        """Take note of the file, before it is opened."""
        self._path = path
        self._opened = self._now()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read in the block.

        Raises:
            StorageError: the file has changed since it was opened; whatever else was raised.
        """
        try:
            yield
        finally:
            if self._now() not in (self._opened, None):
                raise StorageError(
                    f"{self._path} has changed since it was opened, and it cannot be locked, as "
                    "its folder is not writable here; refresh the index, or open it again"
                )

    def _now(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:  # deleted: what is open stays as it was
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns
