"""The indexes that are served, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from retrieval.errors import InputError
from retrieval.files.places import absolute_folder, is_url
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
    """The indexes by name: the name of the index's folder, or of the folder that contains it.

    A collection in shards also counts as one: its name is the last part of its URL.

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
        """Set the indexes; none is opened yet.

        Args:
            places: folders, and URLs of collections.
            encoder: the encoder that they were built with, if it is loaded from another place.
            open_collection: opens the collection at a URL; None opens it in this process.

        Raises:
            InputError: two have the same name.
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
        """All of them, by name; without `DEFAULT`."""
        return self._kept

    @property
    def folders(self) -> Mapping[str, KeptOpen]:
        """Those in folders, by name; without `DEFAULT`."""
        return {name: one for name, one in self._kept.items() if isinstance(one, KeptOpen)}

    def named(self, name: str) -> str:
        """The proper name of an index, which may be given as `DEFAULT`.

        Raises:
            Problem: there is no index with that name.
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
            Problem: there is no index with that name.
            RetrievalError: it cannot be opened.
        """
        with self._kept[self.named(name)].using() as index:
            yield index

    @contextmanager
    def folder(self, name: str) -> Iterator[Index]:
        """Like `using`, for operations that need an index in a folder.

        Raises:
            Problem: it is a collection in shards.
        """
        with self.using(name) as index:
            if not isinstance(index, Index):
                raise Problem(
                    501,
                    f"{self.named(name)!r} is a collection in shards, whose files are not "
                    "known here; see /openapi.json for other requests",
                )
            yield index

    def warm(self) -> None:
        """Load what first searches need."""
        for kept in self._kept.values():
            kept.warm()

    def close(self) -> None:
        """Close all of them."""
        for kept in self._kept.values():
            kept.close()


def _name(named: Path | str) -> str:
    if isinstance(named, str) and is_url(named):
        return named.rstrip("/").rpartition("/")[2] or DEFAULT
    place = absolute_folder(Path(named))
    return (place.parent.name if place.name == FOLDER else place.name) or DEFAULT
