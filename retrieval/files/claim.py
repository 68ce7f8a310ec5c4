"""A folder that one process writes into at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from retrieval.errors import IndexLocked, InputError, StorageError
from retrieval.files.lock import WriterLock

LOCK = "lock"
"""The lock file; it stays after the lock is released, and its presence means nothing."""


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Claim the folder against other processes; it is created if need be.

    A folder that was created here is removed again if nothing was written into it.

    Raises:
        InputError: it cannot be made or written to.
        IndexLocked: another process holds it; the message has its number.
    """
    new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise InputError(f"{folder} is not a folder; give a folder or an unused name") from None
    except OSError as wrong:
        raise InputError(_unwritable(folder, wrong)) from None
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(WriterLock(folder / LOCK))
        except IndexLocked:
            raise
        except StorageError as wrong:  # the folder was named by a user
            raise InputError(_unwritable(folder, wrong.__cause__)) from None
        try:
            yield
        finally:
            if new:
                with contextlib.suppress(OSError):  # that it stays is no error
                    _take_away(folder)


def _take_away(folder: Path) -> None:
    """Delete a folder in which there is but the lock."""
    if [path.name for path in folder.iterdir()] == [LOCK]:
        (folder / LOCK).unlink()
        folder.rmdir()


def _unwritable(folder: Path, wrong: BaseException | None) -> str:
    reason = wrong.strerror if isinstance(wrong, OSError) else None
    return f"{folder} cannot be written to ({reason or wrong}); give a folder that you can write to"
