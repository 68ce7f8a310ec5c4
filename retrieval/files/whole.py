"""Files that are written whole or not at all, whatever happens in between.

The new contents go into a file beside the old one, which is fsynced and renamed over it; the rename
is fsynced as well. After a kill, a crash or a power cut there is either the old file or the new
one.
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
"""Suffix of an unfinished file or folder; one that a killed process left is overwritten."""


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
    """Like `replacing`, for text in UTF-8, with line ends as given."""
    with replacing(path) as file:
        text = io.TextIOWrapper(file, "utf-8", newline="")
        yield text
        text.detach()  # flushes, and leaves the file open


def write_whole(path: Path, data: bytes | str, *, errors: str = "strict") -> None:
    """Write bytes, or text in UTF-8, as the whole of `path`; see `replacing`.

    Args:
        errors: how to handle text that UTF-8 cannot encode; see `str.encode`.
    """
    with replacing(path) as file:
        file.write(data if isinstance(data, bytes) else data.encode("utf-8", errors))


def move_whole(part: Path, path: Path) -> None:
    """Rename a finished file or folder to `path`, where no folder may be yet.

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
    """Hard-link a file that never changes; copy it where the file system has no links.

    The target's folder is created if need be; syncing it is up to the caller.

    Args:
        sync: whether a copy is synced to the disk; if not, that is up to the caller, too.

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
    """Fsync a folder, that is its list of names."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
