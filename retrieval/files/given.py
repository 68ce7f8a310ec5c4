"""Paths as callers give them: as text or as paths, one or several."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

from retrieval.errors import InputError

StrPath: TypeAlias = str | os.PathLike[str]
"""A file or a folder."""

Paths: TypeAlias = StrPath | Iterable[StrPath]
"""Several of them, or one."""


def paths_of(given: Paths) -> list[Path]:
    """The paths, or the one that was given.

    Raises:
        InputError: one is neither a text nor a path.
    """
    return [Path(one) for one in names_of(given)]


def names_of(given: Paths) -> list[str]:
    """As `paths_of`, as text: it may be a name or a URL as well.

    Raises:
        InputError: one is neither a text nor a path.
    """
    several: Iterable[object] = (given,)
    if isinstance(given, Iterable) and not isinstance(given, str | os.PathLike):
        several = given
    names = []
    for one in several:
        if not isinstance(one, str | os.PathLike):
            raise InputError(f"{one!r:.60} is no path; give a text or a path")
        names.append(os.fspath(one))
    return names
