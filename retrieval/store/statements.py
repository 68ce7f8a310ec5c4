"""Statements: what all parts of a store ask its database by."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import IndexCorrupted, from_backup

_VARIABLES = 500  # bound values a statement; SQLite's own limit was 999 for long

Row: TypeAlias = tuple[Any, ...]
"""What a statement gives, a value for each of its columns."""


class Statements(ABC):
    """The database of one index, for those who read from it.

    Attributes:
        folder: the index's.
        path: of the database.
    """

    folder: Path
    path: Path

    @abstractmethod
    def _reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """The database, for one reader at a time."""

    def _column(self, statement: str, parameters: Sequence[Any] = ()) -> NDArray[np.int64]:
        with self._reading() as database:
            cursor = database.execute(statement, parameters)
            try:
                return np.fromiter((row[0] for row in cursor), dtype=np.int64)
            except (TypeError, ValueError) as error:
                raise self._damaged(f"a value is not of its kind ({error})") from error

    def _by_keys(self, statement: str, keys: Sequence[int] | Sequence[str]) -> Iterable[Row]:
        rows: list[Row] = []
        with self._reading() as database:
            for chosen, marks in chosen_keys(keys):
                rows += database.execute(f"{statement} ({marks})", chosen).fetchall()
        return rows

    def _damaged(self, what: str) -> IndexCorrupted:
        return IndexCorrupted(f"{self.path} is damaged: {what}; {from_backup(self.folder)}")


def chosen_keys(keys: Sequence[int] | Sequence[str]) -> Iterator[tuple[list[int | str], str]]:
    """The keys, as many at a time as a statement takes, and the marks that stand for them."""
    for first in range(0, len(keys), _VARIABLES):
        several = keys[first : first + _VARIABLES]
        texts = isinstance(several[0], str)
        chosen: list[int | str] = [*several] if texts else [*map(int, several)]
        yield chosen, ",".join("?" * len(chosen))
