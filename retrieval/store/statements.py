"""SQL statements that all parts of the store use."""

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

_VARIABLES = 500  # bound values per statement; SQLite's own limit used to be 999

Row: TypeAlias = tuple[Any, ...]
"""What a statement gives, a value for each of its columns."""


class Statements(ABC):
    """Read access to the database of one index.

    Attributes:
        folder: the index's folder.
        path: the database's path.
    """

    folder: Path
    path: Path

    @abstractmethod
    def _reading(self, size: int = 0) -> AbstractContextManager[sqlite3.Connection]:
        """The database, for one thread at a time.

        Args:
            size: of the condition in the block's statements that a user gave, see `StepLimit`.
        """

    def _column(
        self, statement: str, parameters: Sequence[Any] = (), size: int = 0
    ) -> NDArray[np.int64]:
        with self._reading(size) as database:
            cursor = database.execute(statement, parameters)
            try:
                return np.fromiter((row[0] for row in cursor), dtype=np.int64)
            except (TypeError, ValueError) as error:
                raise self._damaged(f"a value has the wrong type ({error})") from error

    def _by_keys(self, statement: str, keys: Sequence[int] | Sequence[str]) -> Iterable[Row]:
        rows: list[Row] = []
        for chosen, marks in chosen_keys(keys):
            with self._reading() as database:
                rows += database.execute(f"{statement} ({marks})", chosen).fetchall()
        return rows

    def _damaged(self, what: str) -> IndexCorrupted:
        return IndexCorrupted(f"{self.path} is damaged: {what}; {from_backup(self.folder)}")


def chosen_keys(keys: Sequence[int] | Sequence[str]) -> Iterator[tuple[list[int | str], str]]:
    """The keys in batches that fit a statement, each with its question marks."""
    for first in range(0, len(keys), _VARIABLES):
        several = keys[first : first + _VARIABLES]
        texts = isinstance(several[0], str)
        chosen: list[int | str] = [*several] if texts else [*map(int, several)]
        yield chosen, ",".join("?" * len(chosen))
