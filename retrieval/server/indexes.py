"""The indexes that are served, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from retrieval.errors import InputError
from retrieval.files.places import is_url
from retrieval.index import Index
from retrieval.server.problems import Problem
from retrieval.service.kept_collection import KeptCollection
from retrieval.service.kept_open import KeptOpen
from retrieval.service.location import FOLDER
from retrieval.service.opened import Opened
from retrieval.sharded import Collection

DEFAULT = "default"
"""Another name of the first index."""


class Indexes:
    """The indexes by name; an index's name is its folder's, or that of the folder it lies in.

    A collection in shards is one, too: its name is the last part of its URL.

    Attributes:
        names: in the order given.
    """

    def __init__(
        self,
        places: Sequence[Path | str],
        *,
        encoder: str | None = None,
        open_collection: Callable[[str], Collection] | None = None,
    ) -> None:
        """Name them; none is opened yet.

        Args:
            places: folders, and URLs of collections.
            encoder: what they were built with, if it is to be loaded from another place.
            open_collection: opens the collection at a URL; None searches it in this process.

        Raises:
            InputError: two have one name.
        """
        self._kept: dict[str, KeptOpen | KeptCollection] = {}
        for place in places:
            name = _name(place)
            if name in self._kept:
                raise InputError(
                    f"{place} and {self._kept[name].place} are both called {name!r}; "
                    "rename one of them"
                )
            if isinstance(place, str) and is_url(place):
                self._kept[name] = KeptCollection(place, encoder=encoder, open=open_collection)
            else:
                self._kept[name] = KeptOpen(Path(place), encoder=encoder)
        self.names = list(self._kept)

    @property
    def kept(self) -> Mapping[str, KeptOpen | KeptCollection]:
        """All of them, by name; `DEFAULT` is not among them."""
        return self._kept

    @property
    def folders(self) -> Mapping[str, KeptOpen]:
        """Those in folders, by name; `DEFAULT` is not among them."""
        return {name: one for name, one in self._kept.items() if isinstance(one, KeptOpen)}

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
    def using(self, name: str = DEFAULT) -> Iterator[Opened]:
        """The index of that name, at its newest generation, until the block is left.

        Raises:
            Problem: there is none of that name.
            RetrievalError: it cannot be opened.
        """
        with self._kept[self.named(name)].using() as index:
            yield index

    @contextmanager
    def folder(self, name: str) -> Iterator[Index]:
        """As `using`, for what only an index in a folder can tell.

        Raises:
            Problem: it is a collection in shards.
        """
        with self.using(name) as index:
            if not isinstance(index, Index):
                raise Problem(
                    501,
                    f"{self.named(name)!r} is a collection in shards, of whose files nothing is "
                    "known here; see /openapi.json for what else there is",
                )
            yield index

    def warm(self) -> None:
        """Load what first searches would wait for."""
        for kept in self._kept.values():
            kept.warm()

    def close(self) -> None:
        """Let all go."""
        for kept in self._kept.values():
            kept.close()


def _name(named: Path | str) -> str:
    if isinstance(named, str) and is_url(named):
        return named.rstrip("/").rpartition("/")[2] or DEFAULT
    place = Path(named).absolute()
    return (place.parent.name if place.name == FOLDER else place.name) or DEFAULT
