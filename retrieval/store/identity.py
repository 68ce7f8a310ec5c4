"""Whether the index at a path is still the one that was opened there."""

from __future__ import annotations

from pathlib import Path

from retrieval.errors import IndexNotFound, StorageError
from retrieval.store.schema import DATABASE

Identity = tuple[int, int]
"""Device and inode of the database; unique for as long as it is open."""


def identity_of(folder: Path) -> Identity | None:
    """The identity of the index in a folder; None if there is none."""
    try:
        found = (folder / DATABASE).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def check_identity(folder: Path, opened: Identity | None) -> None:
    """Refuse an index that is not the one that was opened.

    Raises:
        IndexNotFound: there is no index any more.
        StorageError: it is a different index.
    """
    found = identity_of(folder)
    if found is None:
        raise IndexNotFound(
            f"the index at {folder} was removed or renamed since it was opened; open it where it is"
        )
    if found != opened:
        raise StorageError(
            f"the index at {folder} is not the one that was opened: it was replaced since; "
            "open it again"
        )
