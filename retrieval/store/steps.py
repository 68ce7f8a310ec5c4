"""A limit on the steps of SQLite's machine, so that a statement ends whatever its database is.

Pages of a table's B-tree that a stranger wrote may lead to the same page again and again: 86 KB
then hold rows without end. SQLite does not notice that, but rows that are stored take bytes, so a
statement over them takes steps in proportion to the database's size.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from retrieval.cancellation import is_cancelled

_LOOKED_EVERY = 100_000
"""Steps, some ten milliseconds, between two looks."""

_FEW = 1_000_000
_A_BYTE = 50
"""Our own statements took .6 steps a stored byte at most (all values of a key in long lists)."""

_A_CHARACTER = 5
"""Steps a byte for each character of a condition: it may compare each value with each literal."""


class StepLimit:
    """Ends a statement of one connection that takes too many steps, or whose work is cancelled."""

    def __init__(self, database: sqlite3.Connection, path: Path, *, cancellable: bool) -> None:
        """Look after the statements of a connection from now on.

        Args:
            database: the connection.
            path: the file of its database.
            cancellable: whether a statement also ends when its thread's work is cancelled.
        """
        self._path, self._cancellable = path, cancellable
        self._a_byte: int | None = None  # None where nothing is limited
        self._steps = 0
        database.set_progress_handler(self._ends, _LOOKED_EVERY)

    @contextmanager
    def reading(self, size: int = 0) -> Iterator[None]:
        """Limit the block's statements, which read each table a few times at most.

        Args:
            size: length of a condition that a user gave, in characters, its values included.
        """
        before = self._a_byte, self._steps
        self._a_byte, self._steps = _A_BYTE + _A_CHARACTER * size, 0
        try:
            yield
        finally:
            self._a_byte, self._steps = before

    def _ends(self) -> bool:
        if self._cancellable and is_cancelled():
            return True
        self._steps += _LOOKED_EVERY
        if self._a_byte is None or self._steps <= _FEW:
            return False
        return self._steps > _FEW + self._a_byte * self._bytes()

    def _bytes(self) -> int:
        """Size of the database and of its log."""
        size = 0
        for file in (self._path, self._path.with_name(f"{self._path.name}-wal")):
            with suppress(FileNotFoundError):  # an error here would end the statement
                size += file.stat().st_size
        return size


def size(condition: str, parameters: Sequence[Any]) -> int:
    """The length of a condition and of its text values, for `StepLimit.reading`."""
    return len(condition) + sum(len(value) for value in parameters if isinstance(value, str))
