"""Moved files: new files with the content of a file that is gone."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from retrieval.documents import SourceFile, Stamp
from retrieval.files.regular import open_regular


def moves(
    files: Iterable[SourceFile],
    known: Mapping[str, Stamp],
    hash_of: Callable[[str], str],
    gone: Iterable[str],
    is_gone: Callable[[str], bool],
) -> dict[str, str]:
    """Which new file was which missing one: new id to old id.

    Only new files that have the size of a missing file are read.

    Args:
        files: the files that were found.
        known: the files that the index knows, by id.
        hash_of: the content hash of a known file, by id.
        gone: ids of known files that were looked for and not found.
        is_gone: whether another known file, by id, is gone.
    """
    new = [file for file in files if file.id not in known]
    if not new:
        return {}
    sizes = {file.size for file in new}
    looked_for = set(gone)
    vacated: dict[tuple[int, str], list[str]] = {}
    for id, (size, *_) in known.items():
        if size in sizes and (id in looked_for or is_gone(id)):
            vacated.setdefault((size, hash_of(id)), []).append(id)
    wanted = {size for size, _ in vacated}
    found: dict[str, str] = {}
    for file in new:
        if file.size not in wanted:
            continue
        candidates = vacated.get((file.size, _digest(file.path)))
        if candidates:
            found[file.id] = _best(file.id, candidates)
            candidates.remove(found[file.id])
    return found


def vacated_folders(old: Iterable[str], base: Path) -> list[str]:
    """The topmost folders of moved files that no longer exist."""
    folders = set()
    for id in old:
        missing = None
        for parent in PurePosixPath(id).parents:
            if os.path.lexists(base / parent):
                break
            missing = str(parent)
        if missing is not None:
            folders.add(missing)
    return sorted(folders)


def _best(id: str, candidates: Sequence[str]) -> str:
    """Among several copies, the one whose path has the longest common end."""
    parts = id.split("/")[::-1]

    def alike(other: str) -> int:
        count = 0
        for mine, theirs in zip(parts, other.split("/")[::-1], strict=False):
            if mine != theirs:
                break
            count += 1
        return count

    return max(candidates, key=alike)


def _digest(path: Path) -> str:
    """SHA-256 of a file's bytes, like `ReadResult.content_hash`; "" if it cannot be read."""
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
