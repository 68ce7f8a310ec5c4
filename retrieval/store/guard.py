"""Errors of SQLite and the operating system, translated for users."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from retrieval.cancellation import check_cancelled
from retrieval.errors import IndexCorrupted, IndexLocked, RetrievalError, StorageError, from_backup

_BESIDE = 1 << 16
"""Bytes for the files beside the database: `-shm` takes at least 32 KiB, the log a page or two."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_DAMAGE_WORDS = ("no such table", "no such column", "malformed JSON")
_FULL_WORDS = ("no space left", "disk is full", "quota exceeded")


@contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Translate errors of the database at `path` into StorageErrors that name it.

    Raises:
        CancelledError: this thread's work was cancelled.
    """
    try:
        yield
    # SQLite's message quotes the bytes that it does not understand
    except UnicodeDecodeError as error:
        raise _damaged(path, "its tables' definition is not UTF-8") from error
    except sqlite3.Error as error:
        check_cancelled()  # cancelling interrupts a statement, or a function that it calls
        translated = translate(error, path)
        if translated is None:
            raise
        raise translated from error


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Translate errors of the operating system into StorageErrors that name the index's file.

    Use it around code that accesses only files of the index.
    """
    try:
        yield
    except OSError as error:
        raise disk_error(error, folder) from error


def disk_error(error: OSError, folder: Path) -> StorageError:
    """The StorageError for an operating-system error in the index at `folder`."""
    place = error.filename if isinstance(error.filename, str) else folder
    if error.errno in _FULL:
        return StorageError(f"no space left to write {place}; free some and run it again")
    return StorageError(
        f"{place} cannot be read or written ({error.strerror or error}); check the disk, the "
        "permissions of the folder and the limits of this process, and run it again"
    )


def translate(error: sqlite3.Error, path: Path) -> RetrievalError | None:
    """The StorageError for an SQLite error; None if the error is a bug in the code."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # raised by Python's module, not by SQLite
        if "decode" in str(error):
            return IndexCorrupted(
                f"{path} is damaged: it holds text that is not UTF-8; {from_backup()}"
            )
        return None
    if code == sqlite3.SQLITE_IOERR_SHORT_READ:
        return _damaged(path, error)
    if code == sqlite3.SQLITE_ERROR and any(word in str(error) for word in _DAMAGE_WORDS):
        return _damaged(path, error)
    match code & 0xFF:
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_FORMAT:
            return _damaged(path, error)
        case sqlite3.SQLITE_INTERRUPT:  # see `retrieval.store.steps`
            return _damaged(path, "its tables have more rows than there is room for")
        case sqlite3.SQLITE_FULL:
            return StorageError(f"no space left to write {path}; free some and run it again")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return IndexLocked(f"another process keeps {path} busy; wait for it or stop it")
        case sqlite3.SQLITE_READONLY:
            return StorageError(f"{path} cannot be written; make it and its folder writable")
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return StorageError(f"{path} cannot be opened; check its and its folder's permissions")
        case sqlite3.SQLITE_IOERR if is_full(path.parent):
            return StorageError(f"no space left to open {path}; free some and run it again")
        case sqlite3.SQLITE_IOERR:
            return StorageError(f"{path} cannot be read or written ({error}); check the disk")
    return None


def is_full(folder: Path) -> bool:
    """Whether the disk has no room for the files that SQLite keeps beside an open database."""
    try:
        return shutil.disk_usage(folder).free < _BESIDE
    except OSError:
        return False


def _damaged(path: Path, error: sqlite3.Error | str) -> IndexCorrupted:
    return IndexCorrupted(f"{path} is damaged ({error}); {from_backup()}")


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or one that caused it, says that the disk or the quota is full."""
    seen: BaseException | None = error
    met: set[int] = set()  # chains of causes may be circular when errors are raised again
    while seen is not None and id(seen) not in met:
        met.add(id(seen))
        if isinstance(seen, OSError) and seen.errno in _FULL:
            return True
        if isinstance(seen, sqlite3.Error) and (
            getattr(seen, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
        ):
            return True
        # Libraries in C++ and Rust report the errno only as text. Our own errors have such a cause;
        # their text may quote a document's id.
        ours = isinstance(seen, RetrievalError)
        if not ours and any(words in str(seen).lower() for words in _FULL_WORDS):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
