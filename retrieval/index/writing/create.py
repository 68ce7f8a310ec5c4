"""Making an index: from one moment to the next there is one, or there is none."""

from __future__ import annotations

from pathlib import Path

from retrieval.errors import StorageError
from retrieval.files.whole import sync_folder
from retrieval.store import Settings, WriterLock, schema
from retrieval.store.guard import sqlite_errors

_OWN_NAMES = {
    ".gitignore",
    schema.LOCK,
    schema.SEGMENTS,
    *(schema.DATABASE + suffix for suffix in ("", "-wal", "-shm", "-journal")),
}


def make(folder: Path, settings: Settings) -> None:
    """Lay down an empty index.

    Raises:
        StorageError: there is one already, or other files; or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not {entry.name for entry in folder.iterdir()} <= _OWN_NAMES:
            raise StorageError(f"{folder} holds other files; choose a folder that is new or empty")
        with WriterLock(folder / schema.LOCK), sqlite_errors(folder / schema.DATABASE):
            if schema.exists(folder):
                raise StorageError(
                    f"there is an index at {folder} already; open it, or delete it first"
                )
            (folder / schema.SEGMENTS).mkdir(exist_ok=True)
            # An index is made from other files and can be made again: no repository wants it.
            (folder / ".gitignore").write_text("*\n", encoding="utf-8")
            schema.create(folder, settings)
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
