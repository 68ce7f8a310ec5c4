"""Making an index: from one moment to the next there is one, or there is none."""

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
    """Lay down an empty index.

    Args:
        folder: of the index; there is none, or it is empty.
        settings: of the index.
        shared: whether others may read it, as far as the process's umask lets them.
        timeout: seconds for which another process is waited for that makes it, too.

    Raises:
        StorageError: there is one already, or other files; or the folder cannot be written.
    """
    try:
        if folder.is_dir():
            link = next((entry for entry in folder.iterdir() if entry.is_symlink()), None)
            if link is not None:  # what it names would be written over
                raise StorageError(f"{link} is a link; delete it, or choose another folder")
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o777 if shared else 0o700, exist_ok=True)
        if not {entry.name for entry in folder.iterdir()} <= _OWN_NAMES:
            raise StorageError(f"{folder} holds other files; choose a folder that is new or empty")
        lock = WriterLock(folder / schema.LOCK, timeout)
        with lock, sqlite_errors(folder / schema.DATABASE):
            if schema.exists(folder):
                raise StorageError(
                    f"there is an index at {folder} already; open it, or delete it first"
                )
            if not shared:  # before anything is in it, where it was there
                give_rights(folder, PRIVATE)
            (folder / schema.SEGMENTS).mkdir(exist_ok=True)
            # An index is made from other files and can be made again: no repository wants it.
            (folder / ".gitignore").write_text("*\n", encoding="utf-8")
            schema.create(folder, settings)
            if not shared:
                give_rights(folder, PRIVATE)
            sync_folder(folder)
            sync_folder(folder.absolute().parent)
    except (FileExistsError, NotADirectoryError) as error:
        raise StorageError(
            f"no index can be made at {folder}: a file is in the way; choose another folder"
        ) from error
    except OSError as error:
        raise StorageError(
            f"no index can be made at {folder} ({error.strerror or error}); "
            "choose a folder that can be written, on a disk that is not full"
        ) from error


def unmake(folder: Path) -> bool:
    """Take an index away that nothing was ever committed to; whether there was one.

    Raises:
        IndexLocked: another process is writing to it.
        RetrievalError: it cannot be read.
        OSError: it cannot be deleted.
    """
    if not {entry.name for entry in folder.iterdir()} <= _OWN_NAMES:
        return False
    with WriterLock(folder / schema.LOCK):
        with closing(Store(folder)) as store:
            if store.generation:
                return False
        sweep(folder / schema.SEGMENTS, set())
        # The database first: without it, what is left is no index.
        for name in sorted(_OWN_NAMES - {schema.SEGMENTS, schema.LOCK}, reverse=True):
            (folder / name).unlink(missing_ok=True)
        (folder / schema.SEGMENTS).rmdir()
        (folder / schema.LOCK).unlink()
    folder.rmdir()
    return True
