"""Paths from callers: strings or path objects, one or several."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

from retrieval.errors import InputError

USUAL_FOLDER = ".retrieval"
"""Default name of an index folder."""

StrPath: TypeAlias = str | os.PathLike[str]
"""A file or a folder."""

Paths: TypeAlias = StrPath | Iterable[StrPath]
"""One path or several."""


def paths_of(given: Paths) -> list[Path]:
    """The given paths as a list.

    Raises:
        InputError: one is neither a string nor a path, or is an empty string.
    """
    return [Path(one) for one in names_of(given)]


def names_of(given: Paths) -> list[str]:
    """Like `paths_of`, but as strings, which may also be names or URLs.

    Raises:
        InputError: one is neither a string nor a path, or is an empty string.
    """
    several: Iterable[object] = (given,)
    if isinstance(given, Iterable) and not isinstance(given, str | os.PathLike):
        several = given
    names = []
    for one in several:
        if not isinstance(one, str | os.PathLike):
            raise InputError(f"{one!r:.60} is not a path; give a str or a Path")
        if not os.fspath(one):  # pathlib takes it for the current folder
            raise InputError("'' is not a path; name a file or a folder, '.' for the current one")
        names.append(os.fspath(one))
    return names
