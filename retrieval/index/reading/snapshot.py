"""Snapshot: one generation of an index, opened for searching."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.cancellation import CancelledError
from retrieval.errors import IndexCorrupted, RetrievalError, from_backup
from retrieval.index import vectors
from retrieval.index.reading.verify import problems_of
from retrieval.index.segments import LEXICAL, Opened, OpenedSegments, living
from retrieval.index.vectors import VectorSegment
from retrieval.indexes import (
    Filter,
    LateSearcher,
    LexicalIndex,
    parse_key,
    register_functions,
)
from retrieval.store import Condition, Store, ValueCount
from retrieval.store.files import check_sizes
from retrieval.store.guard import disk_error

_BESIDE_VECTORS = 16 << 20  # bytes of the lexical index, for which a thread is worth starting
_FEW = 16
"""Of so many passages one is looked up in no more time than its share of all takes."""


class Snapshot:
    """A store held at one generation and every segment that it names, opened and mapped.

    Nothing that is committed, merged or swept afterwards changes what it returns. Any number of
    threads may search it; it closes when it was retired and the last of them is done.

    Attributes:
        store: the database at that generation.
        vectors: the vector segments.
        late: searches the vector segments' token halves, if they have such.
        lexical: the lexical index, or None while there is no passage.
        passages: how many passages can be found.
    """

    def __init__(self, store: Store, opened: OpenedSegments) -> None:
        """Open what `store` names; use `open_newest`, which outlives a sweep.

        Args:
            store: the database; the snapshot closes it.
            opened: takes over what is open already.

        Raises:
            FileNotFoundError: a file is not there.
            IndexCorrupted: a file is not what it was.
        """
        self.store = store
        for record in store.of_kind(vectors.CODEC):
            check_sizes(store.segment_folder(record.name), record)
        self._vectors, self._lexical = _halves(store, opened)
        self.vectors = tuple(held.segment for held in self._vectors)
        self.late = LateSearcher([s.late for s in self.vectors if s.late is not None])
        self.lexical = self._lexical[0].segment if self._lexical else None
        self.passages = living(store)
        dead = store.dead()
        self._alive = self._mask(dead, value=False) if len(dead) else None
        self._order: NDArray[np.int64] | None = None  # read when first needed
        self._lock = threading.Lock()
        self._users = 0
        self._retired = False

    @property
    def generation(self) -> int:
        """The number of the commit that made it."""
        return self.store.generation

    def values(self, key: str, where: Filter | None, *, exact: bool) -> list[ValueCount]:
        """The values of a key and how many documents have each, see `Index.values`.

        Raises:
            FilterError: `key` cannot be parsed.
        """
        values, condition = parse_key(key), condition_of(where)
        return self.store.values(
            values.table,
            Condition(
                f"{values.condition} AND {condition.sql}",
                (*values.parameters, *condition.parameters),
                values.of_passages or condition.of_passages,
            ),
            exact=exact,
        )

    def allowed(self, where: Filter | None) -> NDArray[np.bool_] | None:
        """Which passages a search may return, bool by passage id; None is all."""
        if where is None:
            return self._alive
        condition, parameters = where.to_sql()
        found = self.store.matching(condition, parameters, of_passages=where.of_passages)
        return self._mask(found, value=True)

    def order(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """A number for each of these passages, i64 [n]: they rise by document id, then ordinal.

        It breaks ties. A few are looked up; of many the order of all is read, once.
        """
        if self._order is None and _FEW * len(ids) < self.passages:
            return self.store.ranks(ids)
        if self._order is None:
            self._order = self.store.order()
        return self._order[ids]

    def corrupted(self, symptom: str) -> IndexCorrupted:
        """The error for something that cannot be unless a file is damaged; names it if it can."""
        return _explanation(self.store) or IndexCorrupted(
            f"{self.store.path} is damaged: {symptom}; {from_backup(self.store.folder)}"
        )

    def acquire(self) -> None:
        """Keep it open until `release`."""
        with self._lock:
            self._users += 1

    def release(self) -> None:
        """Undo one `acquire`."""
        with self._lock:
            self._users -= 1
            self._close_if_unused()

    def retire(self) -> None:
        """Close as soon as nobody keeps it open."""
        with self._lock:
            self._retired = True
            self._close_if_unused()

    def _close_if_unused(self) -> None:
        if self._retired and self._users == 0:
            self.store.close()

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Give an unforeseen error the name of the damaged file that explains it, if one does."""
        try:
            yield
        except (RetrievalError, CancelledError):
            raise
        except Exception as error:
            # Not every search sums up every file; what trips over a damaged one ends here.
            explanation = _explanation(self.store)
            if explanation is not None:
                raise explanation from error
            # The encoder is the user's own, and may read files, too.
            if isinstance(error, OSError) and _names(error, self.store.folder):
                raise disk_error(error, self.store.folder) from error
            raise

    def _mask(self, ids: NDArray[np.int64], *, value: bool) -> NDArray[np.bool_]:
        mask = np.full(self.store.next_passage, not value)
        mask[ids[(ids >= 0) & (ids < len(mask))]] = value
        return mask


def _halves(
    store: Store, opened: OpenedSegments
) -> tuple[list[Opened[VectorSegment]], list[Opened[LexicalIndex]]]:
    """The vector segments and the lexical index, of which there is one at most.

    Both halves of a large index take a while to check, and neither needs the other.
    """
    named, words = store.of_kind(vectors.KIND), store.of_kind(LEXICAL)
    if sum(file.size for s in words for file in s.files.values()) <= _BESIDE_VECTORS:
        return [opened.vectors(store, s) for s in named], [opened.lexical(store, s) for s in words]
    with ThreadPoolExecutor(1, "retrieval-open") as pool:
        waiting = [pool.submit(opened.lexical, store, s) for s in words]
        return [opened.vectors(store, s) for s in named], [one.result() for one in waiting]


def _names(error: OSError, folder: Path) -> bool:
    """Whether an error of the operating system names a file of the folder."""
    name = error.filename
    return isinstance(name, str) and Path(name).is_relative_to(folder)


def condition_of(where: Filter | None) -> Condition:
    """Which documents fulfil a filter, all if there is none."""
    if where is None:
        return Condition()
    sql, parameters = where.to_sql()
    return Condition(sql, parameters, where.of_passages)


def open_newest(folder: Path, opened: OpenedSegments) -> Snapshot:
    """Open the newest generation of the index at `folder`, less what is `opened` already.

    A writer may commit and sweep between our reading what a generation names and our opening
    it. Then there is a newer one; only what fails twice at one generation is damaged.
    """
    failed: int | None = None
    while True:
        store = Store(folder, prepare=register_functions)
        try:
            return Snapshot(store, opened)
        except Exception as error:
            with closing(store):
                if store.generation != failed:
                    failed = store.generation
                    continue
                if isinstance(error, FileNotFoundError):
                    raise IndexCorrupted(
                        f"{error.filename} is missing; {from_backup(folder)}"
                    ) from error
                explanation = _explanation(store)
            if explanation is not None:
                raise explanation from error
            if isinstance(error, OSError):
                raise disk_error(error, folder) from error
            raise
        except BaseException:
            store.close()
            raise


def _explanation(store: Store) -> IndexCorrupted | None:
    """The damage behind an error: a file that is not what was committed, if there is one."""
    for line in problems_of(store, missing=False):
        return IndexCorrupted(line)
    return None
