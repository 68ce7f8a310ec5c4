"""Creating an index atomically."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from retrieval.errors import StorageError
from retrieval.files.whole import sync_folder
from retrieval.store import Settings, Store, WriterLock, schema
from retrieval.store.files import sweep
from retrieval.store.guard import sqlite_errors
from retrieval.store.rights import PRIVATE, give_rights

_OWN_NAMES = {
    ".gitignore",
    schema.LOCK,
    schema.SEGMENTS,
    *(schema.DATABASE + suffix for suffix in schema.DATABASE_SUFFIXES),
}


def make(folder: Path, settings: Settings, *, shared: bool = False, timeout: float = 0.0) -> None:
    """Create an empty index.

    Args:
        folder: the index's folder, which does not exist or is empty.
        settings: the index's settings.
        shared: let other users read it, as far as the process's umask allows.
        timeout: seconds to wait for another process that is creating it too.

    Raises:
        StorageError: there is an index or other files already, or the folder is not writable.
    """
    try:
        if folder.is_dir():
            link = next((entry for entry in folder.iterdir() if entry.is_symlink()), None)
            if link is not None:  # the file it links to would be overwritten
                raise StorageError(f"{link} is a link; delete it, or choose another folder")
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o777 if shared else 0o700, exist_ok=True)
        if not {entry.name for entry in folder.iterdir()} <= _OWN_NAMES:
            raise StorageError(f"{folder} contains other files; choose a new or empty folder")
        lock = WriterLock(folder / schema.LOCK, timeout)
        with lock, sqlite_errors(folder / schema.DATABASE):
            if schema.exists(folder):
                raise StorageError(
                    f"there already is an index at {folder}; open it, or delete it first"
                )
            if not shared:  # before anything is in it, if it existed
                give_rights(folder, PRIVATE)
            (folder / schema.SEGMENTS).mkdir(exist_ok=True)
            # An index can be rebuilt from other files and does not belong in a repository.
            (folder / ".gitignore").write_text("*\n", encoding="utf-8")
            schema.create(folder, settings)
            if not shared:
                give_rights(folder, PRIVATE)
            sync_folder(folder)
            sync_folder(folder.absolute().parent)
    except (FileExistsError, NotADirectoryError) as error:
        raise StorageError(
            f"no index can be created at {folder}: a file is in the way; choose another folder"
        ) from error
    except OSError as error:
        raise StorageError(
            f"no index can be created at {folder} ({error.strerror or error}); "
            "choose a writable folder on a disk that is not full"
        ) from error


def unmake(folder: Path) -> bool:
    """Delete an index without documents; returns whether it is gone.

    Raises:
        IndexLocked: another process is writing to it.
        RetrievalError: it cannot be read.
        OSError: it cannot be deleted.
    """
    if not {entry.name for entry in folder.iterdir()} <= _OWN_NAMES:
        return False
    with WriterLock(folder / schema.LOCK):
        with closing(Store(folder)) as store:
            if store.counts().documents:
                return False
        sweep(folder / schema.SEGMENTS, set())
        # The database first: without it, the rest is not an index.
        for name in sorted(_OWN_NAMES - {schema.SEGMENTS, schema.LOCK}, reverse=True):
            (folder / name).unlink(missing_ok=True)
        (folder / schema.SEGMENTS).rmdir()
        (folder / schema.LOCK).unlink()
    folder.rmdir()
    return True
