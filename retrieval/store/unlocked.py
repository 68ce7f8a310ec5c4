"""Reading a database without locks, and detecting that it changed meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from retrieval.errors import StorageError


class Unlocked:
    """A database in a folder that is not writable here, so that SQLite cannot lock it.

    A process that may write there can change it during a read, so that cached pages and new ones
    are of different generations. Results are valid only if the file is unchanged since it was
    opened.
    """

    def __init__(self, path: Path) -> None:
        """Record the file's state before it is opened."""
        self._path = path
        self._opened = self._now()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Check after the block that the file is unchanged.

        Raises:
            StorageError: the file has changed since it was opened; this replaces other errors.
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
        except FileNotFoundError:  # deleted: the open file is unchanged
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns
