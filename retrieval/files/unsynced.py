"""Files and folders that are to be forced to the disk together, before a commit names them.

Each fsync waits for the disk, a small commit writes some twenty files, and a disk that is asked for
all of them at once answers in little more time than for one. So what is written while a block of
`Unsynced.collecting` runs is noted, and forced by `Unsynced.sync`, several at a time.
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
    """What was written and not yet forced to the disk."""

    def __init__(self) -> None:
        self._paths: dict[str, None] = {}

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Note what `force` is asked for in this block, by this thread."""
        token = _noting.set(self)
        try:
            yield
        finally:
            _noting.reset(token)

    def note(self, path: Path) -> None:
        """Have a file or folder forced with the others, once."""
        self._paths[str(path)] = None

    def sync(self) -> None:
        """Force all of it to the disk.

        Raises:
            StorageError: one cannot be, or is not there.
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
        """Leave it to the system: no commit will name it."""
        self._paths.clear()


def force(path: Path) -> None:
    """Force a file or folder to the disk: now, or, within `Unsynced.collecting`, with the others.

    A file's contents must be with the system by then, flushed or closed.

    Raises:
        StorageError: it cannot be, or is not there.
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
