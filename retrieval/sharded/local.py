"""Copies of shards on this machine's disk, for reading and for writing."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import time
import uuid
from collections.abc import Collection
from contextlib import closing, suppress
from pathlib import Path

from retrieval.errors import StorageError
from retrieval.files.whole import PART, link
from retrieval.indexes import LexicalTotals
from retrieval.sharded.blobs import download
from retrieval.sharded.storage import ObjectStorage
from retrieval.store.guard import sqlite_errors
from retrieval.store.schema import DATABASE, SEGMENTS

_KEPT_SECONDS = 86_400.0
"""How long copies of older generations are kept, for processes about to open them."""


class ShardCache:
    """Copies of the shards of one collection, each under the digest of the list of its files."""

    def __init__(self, storage: ObjectStorage, folder: Path | None = None) -> None:
        """Set the folder.

        Args:
            storage: where the shards are.
            folder: the folder of all caches; None is `retrieval/shards` in the user's cache folder.
        """
        self._storage = storage
        self.folder = _caches(folder) / _digest(storage.url)

    def copy(self, files: str) -> Path:
        """The folder with these files, downloaded if need be; it must not be written to.

        Raises:
            IndexCorrupted: the objects in storage are damaged.
            StorageError: the storage fails, or the disk is full.
        """
        place = self.folder / files
        if not place.is_dir():
            try:
                self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            except OSError as error:
                raise StorageError(
                    f"{self.folder} cannot be created ({error.strerror or error}); copies of "
                    "shards need a writable folder: set XDG_CACHE_HOME, or give cache"
                ) from error
            download(self._storage, files, place)
        return place

    def padding(self, files: str, collection: LexicalTotals) -> Path:
        """The folder for a shard's padding, while its collection has these totals."""
        return self.folder / f"{files}.{_digest(repr(collection))}.padding"

    def forget_but(self, kept: Collection[str]) -> None:
        """Delete copies older than a day and their padding, except those of these files."""
        try:
            places = list(self.folder.iterdir())
        except OSError:
            return
        for place in places:
            with suppress(OSError):  # another process may have deleted it
                needed = place.name.partition(".")[0] in kept and not place.name.endswith(PART)
                if not needed and _age(place) > _KEPT_SECONDS:
                    _delete(place)


def writable_copy(place: Path, target: Path) -> None:
    """Copy an index from a cache for writing; files that never change are hard-linked.

    Raises:
        StorageError: the disk is full.
    """
    try:
        target.mkdir(parents=True)
        for file in sorted(path for path in place.rglob("*") if path.is_file()):
            name = file.relative_to(place)
            if name.parts[0] == SEGMENTS:
                link(file, target / name)
            elif name.parts[0] == DATABASE:
                shutil.copyfile(file, target / name)
        (target / SEGMENTS).mkdir(exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"no working copy of a shard can be written to {target} ({error.strerror or error}); "
            "free some space"
        ) from error


def files_of(folder: Path) -> list[str]:
    """The files that make up a closed index: its database and its segments."""
    with sqlite_errors(folder / DATABASE), closing(sqlite3.connect(folder / DATABASE)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    segments = (path for path in (folder / SEGMENTS).rglob("*") if path.is_file())
    return [DATABASE, *(path.relative_to(folder).as_posix() for path in segments)]


def building_folder(folder: Path | None = None) -> Path:
    """The working folder of builds, on the same disk as the copies, so that files can be linked.

    Args:
        folder: the folder of all caches; None is the one in the user's cache folder.
    """
    return _caches(folder).absolute() / "building"


def _caches(folder: Path | None) -> Path:
    if folder is not None:
        return folder
    given = os.environ.get("XDG_CACHE_HOME")
    return (Path(given) if given else Path.home() / ".cache") / "retrieval" / "shards"


def _delete(place: Path) -> None:
    """Delete a copy; one whose deletion is interrupted is never taken for a whole one."""
    if not place.name.endswith(PART):
        place = place.rename(place.with_name(f"{place.name}.{uuid.uuid4().hex}{PART}"))
    shutil.rmtree(place, ignore_errors=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _age(place: Path) -> float:
    return time.time() - place.stat().st_mtime
