"""Files and folders that are fsynced together, before a commit names them.

Each fsync waits for the disk, and a small commit writes some twenty files; a disk that gets all of
them at once takes little longer than for one. So what is written inside an `Unsynced.collecting`
block is noted, and `Unsynced.sync` fsyncs several at a time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from retrieval.errors import StorageError

_AT_ONCE = 16

_noting: ContextVar[Unsynced | None] = ContextVar("_noting", default=None)


class Unsynced:
    """Files and folders that were written and not yet fsynced."""

    def __init__(self) -> None:
        self._paths: dict[str, None] = {}

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Defer calls of `force` by this thread in the block: note the paths."""
        token = _noting.set(self)
        try:
            yield
        finally:
            _noting.reset(token)

    def note(self, path: Path) -> None:
        """Add a file or folder to those that `sync` forces to the disk."""
        self._paths[str(path)] = None

    def sync(self) -> None:
        """Force all of it to the disk.

        Raises:
            StorageError: one cannot be synced, or does not exist.
        """
        paths = list(self._paths)
        self._paths.clear()
        if len(paths) < 2:
            for path in paths:
                _force(path)
            return
        with ThreadPoolExecutor(min(_AT_ONCE, len(paths)), "retrieval-sync") as pool:
            for done in [pool.submit(_force, path) for path in paths]:
                done.result()

    def forget(self) -> None:
        """Drop the noted paths without syncing: no commit will name them."""
        self._paths.clear()


def force(path: Path) -> None:
    """Force a file or folder to the disk: now, or, within `Unsynced.collecting`, with the others.

    A file's contents must be with the system by then, flushed or closed.

    Raises:
        StorageError: it cannot be synced, or does not exist.
    """
    noting = _noting.get()
    if noting is None:
        _force(str(path))
    else:
        noting.note(path)


def _force(path: str) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StorageError(f"cannot sync {path}: {error.strerror or error}") from error
