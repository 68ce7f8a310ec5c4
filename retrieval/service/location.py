"""Where the index is, and files' paths relative to the index and to the current folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from retrieval.errors import IndexNotFound, InputError
from retrieval.files.given import USUAL_FOLDER
from retrieval.files.kinds import is_folder, is_there
from retrieval.files.places import is_url

FOLDER = USUAL_FOLDER
"""Default name of an index folder."""

_REPOSITORY = ".git"


def index_to_write(given: Path | None, covers: Callable[[Path, Path], bool]) -> Path:
    """The folder given, or the nearest `.retrieval` here or above, else `.retrieval` right here.

    Folders above are searched within the same repository; outside of any, below the home folder. An
    index in the home folder or above it is used only if it contains the current folder.

    Args:
        given: what the user named.
        covers: whether the index in a folder contains the files of another folder.
    """
    if given is not None:
        return given
    here = Path.cwd()
    home = home_folder()
    common = False  # whether this is a folder above all projects
    for folder in (here, *here.parents):
        common = common or (folder == home and folder != here)
        index = folder / FOLDER
        if is_folder(index) and (not common or covers(index, here)):
            return _from(here, index)
        if is_there(folder / _REPOSITORY):
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
        if is_folder(folder / FOLDER):
            return _from(here, folder / FOLDER)
    raise IndexNotFound(
        f"no index in {here} or in a folder above it; "
        "create one with `retrieval index PATH`, or name one with --index DIR"
    )


def place_to_read(given: str | None) -> Path | str:
    """The URL if a collection was named, else a folder from `index_to_read`."""
    return given if given is not None and is_url(given) else index_to_read(folder_of(given))


def folder_alone(given: str) -> Path:
    """The given folder.

    Raises:
        InputError: it is the URL of a collection.
    """
    if is_url(given):
        raise InputError(
            f"{given} is a collection in shards, but this command needs the folder of an index; "
            f"`retrieval eval --system index:{given}` measures a collection, and search, list, "
            "open, export, mcp and serve read one"
        )
    return Path(given)


def shown_from(place: Path | str) -> Path:
    """The index folder for displaying paths; a collection's are relative to the current folder."""
    return place if isinstance(place, Path) else Path(FOLDER)


def folder_of(place: str | None) -> Path | None:
    """The folder given as text, or None."""
    return None if place is None else Path(place)


def is_elsewhere(index: Path) -> bool:
    """Whether an index that was found by default is not the current folder's own."""
    return index != Path(FOLDER)


def shown(index: Path, path: str) -> str:
    """A source file's path as typed from the current folder.

    Args:
        index: the index folder; paths are stored relative to the folder that holds it.
        path: as stored.

    Returns:
        Relative to the current folder if the file exists, else as stored, as where a folder
        above it may not be entered.
    """
    from retrieval.documents.naming import file_named  # imported late, so that help is quick

    base = index.resolve().parent
    return os.path.relpath(base / path) if is_there(file_named(base, path)) else path


def shown_problem(index: Path, problem: str) -> str:
    """A line of a report's problems, which begins with the id of a file, with the file's path.

    Args:
        index: the index folder.
        problem: the line; as it is if it begins with no file that exists.

    Returns:
        The line, with the path as `shown` gives it.
    """
    # A colon ends the id, and may also be part of it: of the files that exist, the longest name.
    for colon in reversed([at for at, character in enumerate(problem) if character == ":"]):
        id = problem[:colon]
        path = id if Path(id).is_absolute() else shown(index, id)
        if path != id:
            return path + problem[colon:]
    return problem


def _from(here: Path, index: Path) -> Path:
    """An index in this folder or above it, as typed from here."""
    return Path(os.path.relpath(index, here))


def home_folder() -> Path | None:
    """The user's home folder; None if the user has none."""
    try:
        return Path.home()
    except RuntimeError:  # a user without an entry, and HOME is not set
        return None
