"""Temporary folders for builds on this machine's disk; those of killed builds are deleted."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from retrieval.errors import IndexLocked, StorageError
from retrieval.files.lock import WriterLock

_LOCK = ".lock"
_TRIES = 100


@contextmanager
def working_folder(parent: Path) -> Iterator[Path]:
    """A new empty folder below `parent`, deleted at the end of the block.

    A killed process leaves its folder behind. The next process that creates a folder in the same
    parent deletes it, since the lock ended with the killed process.

    Raises:
        StorageError: the folder cannot be created.
    """
    with ExitStack() as stack:
        try:
            parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _clear(parent)
            folder = stack.enter_context(_new_name(parent))
            folder.mkdir()
        except OSError as error:
            raise StorageError(
                f"a build cannot write to {parent} ({error.strerror or error}); free some space, "
                "or set XDG_CACHE_HOME to another disk"
            ) from error
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        yield folder


@contextmanager
def _new_name(parent: Path) -> Iterator[Path]:
    """A name that no folder has, locked for the block.

    Until a new lock is held, another process may mistake it for that of a killed build and take or
    delete it. In that case another name is tried.
    """
    for _ in range(_TRIES):
        folder = parent / uuid.uuid4().hex
        lock = WriterLock(folder.with_suffix(_LOCK))
        with ExitStack() as stack:
            try:
                stack.enter_context(lock)
            except IndexLocked:
                continue
            if lock.is_there:
                stack.callback(lock.path.unlink, missing_ok=True)
                yield folder
                return
    raise StorageError(f"a build finds no place below {parent}; another process clears it")


def _clear(parent: Path) -> None:
    """Delete folders whose process has ended."""
    for lock in parent.glob(f"*{_LOCK}"):
        with suppress(StorageError, OSError), WriterLock(lock):
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink(missing_ok=True)
