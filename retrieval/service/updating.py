"""Bringing an index up to date with the files and folders that it was given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from retrieval.documents import LeftOut, source_id
from retrieval.errors import IndexNotFound, InputError, RetrievalError
from retrieval.files.given import USUAL_FOLDER
from retrieval.index import Index
from retrieval.store.schema import DATABASE, not_found
from retrieval.sync import SyncProgress, SyncReport, sync
from retrieval.sync.changes import Changes, changes
from retrieval.sync.roots import is_under
from retrieval.sync.settings import Given, settings_of

__all__ = [
    "Changes",
    "Given",
    "changes",
    "check_paths",
    "holds",
    "roots_of",
    "update",
]


def update(
    index: Index,
    paths: Sequence[Path] = (),
    given: Given | None = None,
    *,
    again: bool = False,
    progress: Callable[[SyncProgress], object] | None = None,
    on_left_out: Callable[[LeftOut], object] | None = None,
) -> SyncReport:
    """Bring files and folders into an index; see `sync`.

    Args:
        index: the index.
        paths: files and folders; empty is all that the index was ever given.
        given: options; unset ones are as the index remembers them.
        again: read every file, even if it seems unchanged.
        progress: called with the progress.
        on_left_out: called for each file and folder that is not read.

    Raises:
        InputError: an option cannot be used, or like `sync`.
    """
    settings = (given or Given()).over(settings_of(index.remembered))
    return sync(
        index,
        list(paths) or None,
        max_bytes=settings.max_bytes,
        options=settings.read,
        walk=settings.walk,
        labels=settings.labels,
        again=again,
        progress=progress,
        on_left_out=on_left_out,
    )


def check_paths(folder: Path, paths: Sequence[Path]) -> None:
    """Refuse paths that do not exist, before an empty index is created at `folder`.

    Raises:
        InputError: naming the first of them.
        IndexNotFound: none was given, or the folder holds the folder of an index.
    """
    if not paths or (folder / USUAL_FOLDER / DATABASE).exists():
        raise not_found(folder)
    for path in paths:
        if not path.exists():
            raise InputError(f"{path} does not exist; name a file or a folder that does")


def roots_of(index: Index) -> list[str]:
    """The files and folders that an index was given, relative to the folder that contains it."""
    return list(settings_of(index.remembered).roots)


def holds(folder: Path, place: Path) -> bool:
    """Whether the index at `folder` was given a folder that contains `place`."""
    try:
        with Index.open(folder) as index:
            id = source_id(place, index.path.parent)
            return any(is_under(id, root) for root in roots_of(index))
    except IndexNotFound:
        return False
    except RetrievalError:  # damaged, or of a newer release: reported when the command opens it
        return True
