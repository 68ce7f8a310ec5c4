"""An index brought up to date with the files and folders that it was given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from retrieval.documents import LeftOut, source_id
from retrieval.errors import IndexNotFound, InputError, RetrievalError
from retrieval.index import Index
from retrieval.store.schema import not_found
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
        paths: files and folders; none are all that the index was given before.
        given: options; what they leave open is as the index remembers it.
        again: read every file, also one that seems to be as it was.
        progress: told how far it is.
        on_left_out: told of everything that is not read, one by one.

    Raises:
        InputError: an option cannot be used, or as `sync`.
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
    """Refuse paths that do not exist, before an index is made at `folder` that nothing goes into.

    Raises:
        InputError: naming the first of them.
        IndexNotFound: none was given.
    """
    if not paths:
        raise not_found(folder)
    for path in paths:
        if not path.exists():
            raise InputError(f"{path} does not exist; name a file or a folder that does")


def roots_of(index: Index) -> list[str]:
    """The files and folders that an index was given, relative to the folder that it lies in."""
    return list(settings_of(index.remembered).roots)


def holds(folder: Path, place: Path) -> bool:
    """Whether what the index at `folder` was given has the folder `place` in it."""
    try:
        with Index.open(folder) as index:
            id = source_id(place, index.path.parent)
            return any(is_under(id, root) for root in roots_of(index))
    except IndexNotFound:
        return False
    except RetrievalError:  # damaged, or of a newer release: the command says so when it opens it
        return True
