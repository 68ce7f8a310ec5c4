"""Where the index is, and what a file is called from the current folder."""

from __future__ import annotations

import os
from pathlib import Path

from retrieval.errors import IndexNotFound

FOLDER = ".retrieval"
"""Name of an index folder that no one named."""


def index_to_write(given: Path | None) -> Path:
    """Where `retrieval index` writes: the folder given, or `.retrieval` right here."""
    return Path(FOLDER) if given is None else given


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
            return folder / FOLDER
    raise IndexNotFound(
        f"no index in {here} or in a folder above it; "
        "make one with `retrieval index PATH`, or name one with --index DIR"
    )


def shown(index: Path, path: str) -> str:
    """A source file's path as one would type it here.

    Args:
        index: the index folder; paths are stored relative to the folder that holds it.
        path: as stored.

    Returns:
        Relative to the current folder if the file is there, else as it is stored.
    """
    file = index.resolve().parent / path
    return os.path.relpath(file) if file.exists() else path
