"""The indexes that are served, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from retrieval.errors import InputError
from retrieval.index import Index
from retrieval.server.problems import Problem
from retrieval.service.kept_open import KeptOpen
from retrieval.service.location import FOLDER

DEFAULT = "default"
"""Another name of the first index."""


class Indexes:
    """The indexes by name; an index's name is its folder's, or that of the folder it lies in.

    Attributes:
        names: in the order given.
    """

    def __init__(self, folders: Sequence[Path], *, encoder: str | None = None) -> None:
        self._kept: dict[str, KeptOpen] = {}
        for folder in folders:
            name = _name(folder)
            if name in self._kept:
                raise InputError(
                    f"{folder} and {self._kept[name].folder} are both called {name!r}; "
                    "rename one of them"
                )
            self._kept[name] = KeptOpen(folder, encoder=encoder)
        self.names = list(self._kept)

    @property
    def kept(self) -> Mapping[str, KeptOpen]:
        """All by name; `DEFAULT` is not among them."""
        return self._kept

    def named(self, name: str) -> str:
        """The name of an index, of which `DEFAULT` is another.

        Raises:
            Problem: there is none of that name.
        """
        found = self.names[0] if name == DEFAULT and name not in self._kept else name
        if found not in self._kept:
            names = ", ".join(self.names)
            raise Problem(404, f"there is no index {name[:100]!r}; there are: {names}")
        return found

    @contextmanager
    def using(self, name: str = DEFAULT) -> Iterator[Index]:
        """The index of that name, at its newest generation, until the block is left.

        Raises:
            Problem: there is none of that name.
            RetrievalError: it cannot be opened.
        """
        with self._kept[self.named(name)].using() as index:
            yield index

    def warm(self) -> None:
        """Load what first searches would wait for."""
        for kept in self._kept.values():
            kept.warm()

    def close(self) -> None:
        """Let all go."""
        for kept in self._kept.values():
            kept.close()


def _name(folder: Path) -> str:
    place = folder.absolute()
    return (place.parent.name if place.name == FOLDER else place.name) or DEFAULT
