"""Files of a shard as blobs: pieces of files, named by the digest of their contents.

A file is cut into pieces. Segments never change, so their pieces are large. A document changes only
some scattered pages of the database, so it is cut into many pieces, of which few change. Pieces
that are already stored are not sent again, and every sender makes the same pieces.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp
from typing import Any

from retrieval.errors import IndexCorrupted, StorageError
from retrieval.files.stored_json import parsed, whole
from retrieval.files.whole import PART, move_whole
from retrieval.sharded.manifest import CURE, is_digest
from retrieval.sharded.storage import ObjectStorage
from retrieval.store.schema import DATABASE

BLOBS = "blobs"
PIECE = 1 << 22
"""Maximum bytes of a piece."""

_DATABASE_PIECES = 2048
_LEAST_PIECE = 1 << 14
"""A database is cut into about `_DATABASE_PIECES`, but into none smaller than this. One document
changes some 20 of its pages, in 15 places (docs/decisions/building-shards.md)."""

_AT_ONCE = 8
"""Pieces that are transferred at a time."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file of a shard: its path below the shard's folder, its size, and its pieces' digests."""

    path: str
    size: int
    pieces: tuple[str, ...]


def upload(
    storage: ObjectStorage, folder: Path, paths: Iterable[str], known: Set[str] = frozenset()
) -> tuple[str, int]:
    """Send files and their list.

    A piece that is not known to be needed by a generation is sent even if it exists already: so it
    is new again, and no clearing of old objects deletes it meanwhile.

    Args:
        folder: the shard's folder.
        paths: paths of the files below it.
        known: names of objects that need not be sent, see `names_of`.

    Returns:
        The digest of the list, and the number of bytes sent.
    """
    entries: list[FileEntry] = []
    sent = 0
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for path in sorted(paths):
            pieces = []
            waiting = []
            size = (folder / path).stat().st_size
            for piece in _pieces(folder / path, _piece_bytes(path, size)):
                pieces.append(_digest(piece))
                waiting.append(pool.submit(_send, storage, pieces[-1], piece, known))
                if len(waiting) == _AT_ONCE:
                    sent += sum(one.result() for one in waiting)
                    waiting.clear()
            sent += sum(one.result() for one in waiting)
            entries.append(FileEntry(path, size, tuple(pieces)))
    listed = json.dumps([[one.path, one.size, list(one.pieces)] for one in entries]).encode()
    name = _digest(listed)
    sent += _send(storage, name, listed, known)
    return name, sent


def download(storage: ObjectStorage, listing: str, folder: Path) -> None:
    """Download the folder that a list of files describes, as a whole or not at all.

    Raises:
        IndexCorrupted: a piece is missing, or does not match its digest.
        StorageError: the disk is full.
    """
    part: Path | None = None
    try:
        part = Path(mkdtemp(dir=folder.parent, prefix=f"{folder.name}.", suffix=PART))
        for entry in entries_of(storage, listing):
            target = part / entry.path
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file, ThreadPoolExecutor(_AT_ONCE) as pool:
                for first in range(0, len(entry.pieces), _AT_ONCE):
                    several = entry.pieces[first : first + _AT_ONCE]
                    for piece in pool.map(lambda name: _piece(storage, name), several):
                        file.write(piece)
            if target.stat().st_size != entry.size:
                raise IndexCorrupted(f"{storage.url}: file {entry.path} is incomplete; {CURE}")
        move_whole(part, folder)
    except OSError as error:
        if folder.is_dir():  # another process finished it a moment earlier
            return
        raise StorageError(
            f"no copy of a shard of {storage.url} can be written to {folder} "
            f"({error.strerror or error}); free some space, or name another folder"
        ) from error
    finally:
        if part is not None:
            shutil.rmtree(part, ignore_errors=True)


def entries_of(storage: ObjectStorage, listing: str) -> list[FileEntry]:
    """The files of a list.

    Raises:
        IndexCorrupted: the list is missing or damaged.
    """
    content = _piece(storage, listing)
    try:
        found: Any = parsed(content)
        return [_entry(*one) for one in found]
    except (ValueError, TypeError) as error:
        raise IndexCorrupted(
            f"{storage.url}/{_name(listing)} is not a list of files; {CURE}"
        ) from (error)


def _entry(path: str, size: int, pieces: list[str]) -> FileEntry:
    if not isinstance(path, str):
        raise TypeError(f"{path!r:.80} is not a path")
    parts = PurePosixPath(path).parts
    if not parts or PurePosixPath(path).is_absolute() or ".." in parts or "\0" in path:
        raise ValueError(f"{path!r} is not a path of a file of a shard")
    if not all(map(is_digest, pieces)):
        raise ValueError(f"a piece of {path!r} has no digest")
    return FileEntry(path, whole(size), tuple(pieces))


def names_of(storage: ObjectStorage, listing: str) -> set[str]:
    """The objects that a list of files needs, the list's own included."""
    found = {_name(listing)}
    for entry in entries_of(storage, listing):
        found |= {_name(piece) for piece in entry.pieces}
    return found


def _piece(storage: ObjectStorage, digest: str) -> bytes:
    content = storage.read(_name(digest))
    if content is None:
        raise IndexCorrupted(f"{storage.url}/{_name(digest)} is missing; {CURE}")
    if _digest(content) != digest:
        raise IndexCorrupted(f"{storage.url}/{_name(digest)} does not match its digest; {CURE}")
    return content


def _send(storage: ObjectStorage, digest: str, content: bytes, known: Set[str]) -> int:
    name = _name(digest)
    if name in known:
        return 0
    storage.put(name, content)
    return len(content)


def _piece_bytes(path: str, size: int) -> int:
    if path != DATABASE:
        return PIECE
    # A power of two, so that it changes, and everything is sent again, only after doubling.
    wanted = 1 << max(0, (size // _DATABASE_PIECES - 1)).bit_length()
    return min(PIECE, max(_LEAST_PIECE, wanted))


def _pieces(path: Path, size: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(size):
            yield piece


def _name(digest: str) -> str:
    return f"{BLOBS}/{digest[:2]}/{digest}"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
