"""The paths that a walk begins at."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from retrieval.documents.naming import one_line, source_id
from retrieval.errors import InputError


@dataclass(frozen=True, slots=True)
class Root:
    """A path that was given: as it was named, and as it is with every link followed."""

    path: str
    real: str
    id: str
    is_folder: bool

    def relative(self, id: str) -> str:
        """The path that patterns are matched against: from the base folder on, or from here."""
        return id[len(self.id) + 1 :] if self.id.startswith("..") else id


class Roots:
    """Paths that were given, each once, in the order of their ids.

    Raises:
        InputError: there is none, or one does not exist or cannot be reached.
    """

    def __init__(self, paths: Iterable[Path], base: Path) -> None:
        by_real: dict[str, Root] = {}
        for path in paths:
            root = _root(path, base)
            by_real.setdefault(root.real, root)
        if not by_real:
            raise InputError("no path was given; name the files or folders to read")
        self.all = sorted(by_real.values(), key=lambda root: root.id)
        self.real = frozenset(by_real)
        self.are_files = any(not root.is_folder for root in self.all)
        self._under = tuple(f"{real.rstrip('/')}/" for real in by_real)

    def meet(self, path: str) -> bool:
        """Whether a walk of them meets this path, given with every link followed."""
        return f"{path}/".startswith(self._under)


def _root(path: Path, base: Path) -> Root:
    try:
        status = os.stat(path)
        real = os.path.realpath(path)
    except (FileNotFoundError, NotADirectoryError):
        shown = one_line(str(path))
        raise InputError(f"{shown} does not exist; name a file or a folder that does") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"{one_line(str(path))} cannot be read: {why}") from None
    is_folder = stat.S_ISDIR(status.st_mode)
    return Root(os.path.abspath(path), real, source_id(path, base), is_folder)
