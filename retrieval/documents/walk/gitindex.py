"""The paths that git tracks, from its index file (gitformat-index(5)), versions 2 to 4.

The index is read here instead of with `git ls-files`, because that runs programs named in a
repository's own configuration (`core.fsmonitor`), refuses repositories of other owners, and needs
git to be installed.
"""

from __future__ import annotations

import os
import struct
from bisect import bisect_left

from retrieval.documents.walk.settings_files import read_small

MAX_BYTES = 1 << 30
_MAX_PATH = 4096  # bytes; no file's path is longer
_SHARE, _FREE = 4, 4 << 20  # limit of paths in a compressed file: bytes per byte of it, plus these
_EXTENDED, _SKIP_WORKTREE = 0x40, 0x40  # in the high byte of the flags
_UNUSUAL = _EXTENDED | 0x0F  # extended, or with a path of 256 bytes or more
_LENGTH, _LONG = 0x0F, 0x0FFF


class GitIndex:
    """The files of a work tree that git tracks, and its submodules.

    Args:
        paths: relative to the top of the work tree, as bytes; empty ones are ignored.
    """

    __slots__ = ("_paths",)

    def __init__(self, paths: list[bytes]) -> None:
        self._paths = sorted(paths)

    def __contains__(self, path: bytes) -> bool:
        """Whether a file or submodule with this path is tracked."""
        at = bisect_left(self._paths, path)
        return at < len(self._paths) and self._paths[at] == path

    def holds_beneath(self, folder: bytes) -> bool:
        """Whether anything in this folder is tracked."""
        folder += b"/"
        at = bisect_left(self._paths, folder)
        return at < len(self._paths) and self._paths[at].startswith(folder)

    def lowered(self) -> GitIndex:
        """The same paths with ASCII letters in lower case."""
        return GitIndex([path.lower() for path in self._paths])

    @classmethod
    def read(cls, git_dir: str, *, hash_bytes: int) -> GitIndex:
        """The index of a work tree.

        Args:
            git_dir: the folder that contains it.
            hash_bytes: length of an object's name: 20 or 32.

        Raises:
            OSError: it cannot be read.
            ValueError: it is damaged, or of another version.
        """
        try:
            data = read_small(os.path.join(git_dir, "index"), max_bytes=MAX_BYTES)
        except FileNotFoundError:  # nothing was ever added
            return cls([])
        try:
            paths, at = _entries(data, hash_bytes)
            link = _extension(data, at, b"link", hash_bytes)
            if link is not None:
                paths += _shared(git_dir, link, hash_bytes)
        except (struct.error, IndexError):
            raise ValueError("is cut short") from None
        return cls(paths)


def _entries(data: bytes, hash_bytes: int) -> tuple[list[bytes], int]:
    """The paths of all entries, and where the entries end.

    The path is empty for an entry that is not to be in the work tree.
    """
    signature, version, count = struct.unpack_from(">4sII", data)
    if signature != b"DIRC":
        raise ValueError("is not a git index")
    if version not in (2, 3, 4):
        raise ValueError(f"has version {version}; versions 2 to 4 are read")
    flags_at, fixed = 40 + hash_bytes, 42 + hash_bytes
    paths: list[bytes] = []
    at, previous = 12, b""
    left = _SHARE * len(data) + _FREE
    for _ in range(count):
        high, length = data[at + flags_at], data[at + flags_at + 1]
        name_at = at + fixed
        if version < 4 and not high & _UNUSUAL:
            paths.append(data[name_at : name_at + length])
            at += (fixed + length + 8) & ~7
            continue
        absent = False
        if high & _EXTENDED:
            absent = bool(data[name_at] & _SKIP_WORKTREE)
            name_at += 2
        if version == 4:
            dropped, name_at = _varint(data, name_at)
            if dropped > len(previous):
                raise ValueError("is damaged")
            end = _end(data, name_at)
            name = previous = previous[: len(previous) - dropped] + data[name_at:end]
            left -= len(name)
            if len(name) > _MAX_PATH or left < 0:  # each path may repeat the whole previous one
                raise ValueError("stands for paths that are too long")
            at = end + 1
        else:
            length |= (high & _LENGTH) << 8
            end = name_at + length if length < _LONG else _end(data, name_at + length)
            name = data[name_at:end]
            at += (end - at + 8) & ~7
        # In a sparse index, a folder that is not checked out is one entry that ends in a slash.
        paths.append(b"" if absent or name.endswith(b"/") else name)
    if at > len(data):
        raise ValueError("is cut short")
    return paths, at


def _end(data: bytes, at: int) -> int:
    end = data.find(b"\0", at)
    if end < 0:
        raise ValueError("is cut short")
    return end


def _varint(data: bytes, at: int) -> tuple[int, int]:
    byte = data[at]
    value = byte & 127
    while byte & 128:
        at += 1
        byte = data[at]
        value = (value + 1) << 7 | byte & 127
        if value > _MAX_PATH:
            raise ValueError("is damaged")
    return value, at + 1


def _extension(data: bytes, at: int, name: bytes, hash_bytes: int) -> bytes | None:
    while at + 8 <= len(data) - hash_bytes:
        signature, size = struct.unpack_from(">4sI", data, at)
        if signature == name:
            return data[at + 8 : at + 8 + size]
        at += 8 + size
    return None


def _shared(git_dir: str, link: bytes, hash_bytes: int) -> list[bytes]:
    """The paths in the shared file of a split index, except those that the index deletes."""
    name, bitmap = link[:hash_bytes], link[hash_bytes:]
    if not any(name):
        return []
    path = os.path.join(git_dir, f"sharedindex.{name.hex()}")
    paths, _ = _entries(read_small(path, max_bytes=MAX_BYTES), hash_bytes)
    deleted = _ewah(bitmap, len(paths)) if bitmap else set()
    return [path for number, path in enumerate(paths) if number not in deleted]


def _ewah(data: bytes, limit: int) -> set[int]:
    """The positions below `limit` of the set bits in a compressed bitmap (gitformat-bitmap(5))."""
    _, count = struct.unpack_from(">II", data)
    found: set[int] = set()
    position = at = 0
    while at < count and position < limit:
        (marker,) = struct.unpack_from(">Q", data, 8 + 8 * at)
        at += 1
        run = 64 * (marker >> 1 & 0xFFFFFFFF)
        if marker & 1:
            found.update(range(position, min(position + run, limit)))
        position += run
        end = min(at + (marker >> 33), count)
        while at < end and position < limit:
            (word,) = struct.unpack_from(">Q", data, 8 + 8 * at)
            found.update(position + bit for bit in range(64) if word >> bit & 1)
            at += 1
            position += 64
    return found
