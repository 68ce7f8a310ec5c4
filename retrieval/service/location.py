"""Where the index is, and what a file is called: by the index, and from the current folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from retrieval.errors import IndexNotFound, InputError
from retrieval.files.places import is_url

FOLDER = ".retrieval"
"""Name of an index folder that no one named."""

_REPOSITORY = ".git"


def index_to_write(given: Path | None, covers: Callable[[Path, Path], bool]) -> Path:
    """The folder given, or the nearest `.retrieval` here or above, or `.retrieval` right here.

    Above counts what is within the same repository; outside of any, what is below the home folder.
    An index at or above the home folder counts only if it holds the current folder.

    Args:
        given: what the user named.
        covers: whether the index at a folder holds what is in another folder.
    """
    if given is not None:
        return given
    here = Path.cwd()
    home = _home()
    common = False  # whether what is reached is no single project's
    for folder in (here, *here.parents):
        common = common or (folder == home and folder != here)
        index = folder / FOLDER
        if index.is_dir() and (not common or covers(index, here)):
            return _from(here, index)
        if (folder / _REPOSITORY).exists():
            break
    return Path(FOLDER)


def index_to_read(given: Path | None) -> Path:
    """The folder given, or the nearest `.retrieval` in this folder and those above it.

    Raises:
        IndexNotFound: no folder was given and there is none.
    """
    if given is not None:
        return given
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / FOLDER).is_dir():
            return _from(here, folder / FOLDER)
    raise IndexNotFound(
        f"no index in {here} or in a folder above it; "
        "make one with `retrieval index PATH`, or name one with --index DIR"
    )


def place_to_read(given: str | None) -> Path | str:
    """The URL of a collection that was named, or a folder as `index_to_read` finds it."""
    return given if given is not None and is_url(given) else index_to_read(folder_of(given))


def folder_alone(given: str) -> Path:
    """The folder that was named.

    Raises:
        InputError: it is the URL of a collection.
    """
    if is_url(given):
        raise InputError(
            f"{given} is a collection in shards, and this takes the folder of one index; "
            f"`retrieval eval --system index:{given}` measures a collection, and search, list, "
            "open, export, mcp and serve read one"
        )
    return Path(given)


def shown_from(place: Path | str) -> Path:
    """The index folder that paths are shown by: those of a collection are from the current one."""
    return place if isinstance(place, Path) else Path(FOLDER)


def folder_of(place: str | None) -> Path | None:
    """A folder that was named as a text, if one was."""
    return None if place is None else Path(place)


def is_elsewhere(index: Path) -> bool:
    """Whether an index that nobody named is not that of the current folder."""
    return index != Path(FOLDER)


def shown(index: Path, path: str) -> str:
    """A source file's path as one would type it here.

    Args:
        index: the index folder; paths are stored relative to the folder that holds it.
        path: as stored.

    Returns:
        Relative to the current folder if the file is there, else as it is stored.
    """
    from retrieval.documents.naming import file_named  # not where nothing is shown: help is quick

    base = index.resolve().parent
    return os.path.relpath(base / path) if file_named(base, path).exists() else path


def _from(here: Path, index: Path) -> Path:
    """An index in this folder or above it, as one would type it here."""
    return Path(os.path.relpath(index, here))


def _home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:  # a user without an entry, and HOME is not set
        return None
