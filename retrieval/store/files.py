"""Segment folders on disk: their checksums, and removing those that no commit names."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sqlite3
import stat
from collections.abc import Container, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from io import BufferedReader
from pathlib import Path

from retrieval.errors import IndexCorrupted, from_backup
from retrieval.files.regular import open_regular
from retrieval.store.rights import give_rights
from retrieval.threads import usable

_BY_ONE_THREAD = 4 << 20  # bytes; starting more threads to sum up less does not pay


@dataclass(frozen=True, slots=True)
class FileRecord:
    """Size in bytes and BLAKE2b-128 (hex) of a segment's file when it was committed."""

    size: int
    digest: str


FileIdentity = tuple[int, int, FileRecord]
"""Device and inode of a file, which hard links share, and its record at the commit."""


@dataclass(frozen=True, slots=True)
class SegmentRecord:
    """A segment as the store names it.

    Attributes:
        name: the folder's name under `segments/`.
        kind: "vectors" (a `dense` and a `late` folder over the same passages) or "lexical".
        passages: how many passages it was written with.
        files: the record of each file at the commit, by relative POSIX path.
    """

    name: str
    kind: str
    passages: int
    files: Mapping[str, FileRecord] = field(default_factory=dict)


def segment_records(database: sqlite3.Connection) -> tuple[SegmentRecord, ...]:
    """The segments in the database, ordered by name."""
    files: dict[str, dict[str, FileRecord]] = {}
    for segment, path, size, digest in database.execute(
        "SELECT segment, path, size, digest FROM files"
    ):
        files.setdefault(segment, {})[path] = FileRecord(size, digest)
    return tuple(
        SegmentRecord(name, kind, passages, files.get(name, {}))
        for name, kind, passages in database.execute(
            "SELECT name, kind, passages FROM segments ORDER BY name"
        )
    )


def seal(
    folder: Path, *, previous: Path | None, known: Mapping[str, FileRecord], rights: int
) -> dict[str, FileRecord]:
    """Sizes and checksums of a new segment's files, which its writer has forced to the disk.

    A file that is a hard link into the `previous` segment keeps its `known` record, made when that
    segment was sealed. All files get the index's access `rights`.
    """
    give_rights(folder, rights)
    records: dict[str, FileRecord] = {}
    for name in sorted(_files(str(folder))):
        if previous is not None and name in known and _same_inode(folder, previous, name):
            records[name] = known[name]
            continue
        with open_regular(folder / name) as stream:
            records[name] = FileRecord(os.fstat(stream.fileno()).st_size, _digest(stream))
    return records


def check_sizes(folder: Path, segment: SegmentRecord) -> None:
    """Raise IndexCorrupted for a file of another size; FileNotFoundError for a missing one."""
    for name, record in segment.files.items():
        try:
            status = _status(folder, name)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise IndexCorrupted(
                f"{folder / name} is damaged: {error.strerror or error}; {from_backup()}"
            ) from error
        if not stat.S_ISREG(status.st_mode):
            raise IndexCorrupted(
                f"{folder / name} is damaged: it is not a regular file; {from_backup()}"
            )
        size = status.st_size
        if size != record.size:
            raise IndexCorrupted(
                f"{folder / name} is damaged: {size} bytes instead of {record.size}; "
                f"{from_backup()}"
            )


def check_contents(
    folder: Path, segment: SegmentRecord, *, most: int, known: Container[FileIdentity] = ()
) -> set[FileIdentity]:
    """Raise IndexCorrupted for a file that is altered, before a library that trusts it reads it.

    Args:
        folder: the segment's folder.
        most: bytes to read in all, smallest files first, so that opening stays cheap.
        known: files that were verified before.

    Returns:
        The files that are verified now.
    """
    whole: set[FileIdentity] = set()
    unknown: dict[str, FileRecord] = {}
    size = 0
    for name, record in sorted(segment.files.items(), key=lambda one: (one[1].size, one[0])):
        status = _status(folder, name)
        identity = (status.st_dev, status.st_ino, record)
        if identity not in known:
            if size + record.size > most:
                break
            size += record.size
            unknown[name] = record
        whole.add(identity)

    def damaged(name: str) -> list[str]:
        return list(damage(folder, replace(segment, files={name: unknown[name]}), missing=False))

    if size > _BY_ONE_THREAD:  # hashing releases the interpreter's lock
        with ThreadPoolExecutor(usable()) as pool:
            found = list(pool.map(damaged, unknown))
    else:
        found = list(map(damaged, unknown))
    for lines in found:
        for line in lines:
            raise IndexCorrupted(line)
    return whole


def damage(folder: Path, segment: SegmentRecord, *, missing: bool = True) -> Iterator[str]:
    """One line for each file of a segment that is altered, unreadable or, if asked, missing."""
    for name, record in segment.files.items():
        file = folder / name
        try:
            with open_regular(file) as stream:
                size, digest = os.fstat(stream.fileno()).st_size, _digest(stream)
        except FileNotFoundError:
            if missing:
                yield f"{file} is missing; {from_backup()}"
        except OSError as error:
            yield f"{file} cannot be read ({error.strerror}); check its permissions and the disk"
        else:
            if size != record.size:
                yield f"{file} is damaged: {size} bytes instead of {record.size}; {from_backup()}"
            elif digest != record.digest:
                yield f"{file} is damaged: its checksum is not that of the commit; {from_backup()}"


def sweep(folder: Path, named: set[str]) -> None:
    """Remove every entry of the segments folder that is not `named`, where possible.

    Readers of older generations are safe: they already opened every file that they need, and POSIX
    keeps an unlinked file for processes that have it open or mapped. A reader that is just
    opening a folder may put a lock file there and so keep it: leftovers are removed by the next
    sweep.
    """
    for entry in folder.iterdir():
        if entry.name not in named:
            with contextlib.suppress(OSError):
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder, counting a file with several links once."""
    seen = {}
    # A writer may be sweeping at the same time: `os.walk` skips a folder that is gone.
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                held = Path(parent, name).lstat()
                seen[held.st_dev, held.st_ino] = held.st_size
    return sum(seen.values())


def _files(folder: str, inside: str = "") -> Iterator[str]:
    """The files in and beneath a folder, as relative POSIX paths."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path, f"{inside}{entry.name}/")
            elif entry.is_file():
                yield inside + entry.name


def _digest(stream: BufferedReader) -> str:
    return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _same_inode(one: Path, other: Path, name: str) -> bool:
    try:
        return os.path.samestat(_status(one, name), _status(other, name))
    except FileNotFoundError:
        return False


def _status(folder: Path, name: str) -> os.stat_result:
    return os.stat(f"{folder}/{name}")  # noqa: PTH116 - making a hundred Path objects is slower
