"""Files that are written whole or not at all, whatever happens meanwhile.

The new contents go into a file beside the old one, are forced to the disk, and take its place by a
rename, which is forced to the disk as well: after a kill, a crash or a power cut there is what was
there before, or what was to be written.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

PART = ".part"
"""Ends the name of a file or folder that is not finished; one that a kill left is written over."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write bytes into, which takes the place of `path` when the block ends.

    If the block raises, `path` stays as it is and nothing is left beside it. One process at a time
    may write a path: where several share a folder, they claim it first (`retrieval.files.claim`).

    Raises:
        OSError: the folder is not there or cannot be written to, or the disk is full.
    """
    part = path.with_name(path.name + PART)
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    sync_folder(path.parent)


@contextlib.contextmanager
def replacing_text(path: Path) -> Iterator[TextIO]:
    """The same for text in UTF-8, with line ends as they are given."""
    with replacing(path) as file:
        text = io.TextIOWrapper(file, "utf-8", newline="")
        yield text
        text.detach()  # writes out what it holds, and leaves the file open


def write_whole(path: Path, data: bytes | str, *, errors: str = "strict") -> None:
    """Write bytes, or text in UTF-8, as the whole of `path`; see `replacing`.

    Args:
        errors: what becomes of text that UTF-8 has no bytes for, as `str.encode` names it.
    """
    with replacing(path) as file:
        file.write(data if isinstance(data, bytes) else data.encode("utf-8", errors))


def move_whole(part: Path, path: Path) -> None:
    """Let a file or folder that was written beside `path` take its place, which a folder has empty.

    Every file in it is forced to the disk first.
    """
    files = [part, *part.rglob("*")] if part.is_dir() else [part]
    for file in files:
        sync_folder(file) if file.is_dir() else _sync_file(file)
    part.replace(path)
    sync_folder(path.parent)


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def link(source: Path, target: Path, *, sync: bool = True) -> None:
    """Give a file that never changes a second name; where there are no links, copy it.

    The target's folder is made if need be, and is the caller's to sync.

    Args:
        sync: force a copy to the disk; else that is the caller's, too.

    Raises:
        OSError: there is no such file, or the target cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, target)
        if sync:
            _sync_file(target)


def sync_folder(folder: Path) -> None:
    """Force a folder's list of names to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
