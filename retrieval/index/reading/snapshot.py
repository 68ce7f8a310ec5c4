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
from retrieval.indexes.masks import is_sparse, mask_of, mask_without
from retrieval.store import Condition, Store, ValueCount
from retrieval.store.files import check_sizes
from retrieval.store.guard import disk_error
from retrieval.store.places import Places

_BESIDE_VECTORS = 16 << 20  # bytes of the lexical index, for which a thread is worth starting
_FEW = 16
"""Up to so many passages are looked up one by one; for more, the order of all is read."""


class Snapshot:
    """A store pinned at one generation with all its segments, opened and mapped.

    Later commits, merges and sweeps do not change what it returns. Any number of threads may search
    it; it closes once it was retired and the last of them is done.

    Attributes:
        store: the database at that generation.
        vectors: the vector segments.
        late: searches the vector segments' token halves, if they have any.
        lexical: the lexical index, or None while there is no passage.
        passages: number of passages that can be found.
    """

    def __init__(self, store: Store, opened: OpenedSegments) -> None:
        """Open the segments in `store`; use `open_newest`, which handles a concurrent sweep.

        Args:
            store: the database; the snapshot closes it.
            opened: segments that are open already.

        Raises:
            FileNotFoundError: a file is missing.
            IndexCorrupted: a file was altered.
        """
        self.store = store
        for record in store.of_kind(vectors.CODEC):
            check_sizes(store.segment_folder(record.name), record)
        self._vectors, self._lexical = _halves(store, opened)
        self.vectors = tuple(held.segment for held in self._vectors)
        self.late = LateSearcher([s.late for s in self.vectors if s.late is not None])
        self.lexical = self._lexical[0].segment if self._lexical else None
        self.passages = living(store)
        dead, held = store.dead(), [segment.ids for segment in self.vectors]
        self._alive: NDArray[np.bool_] | None = None
        if len(dead) or is_sparse(store.end, sum(map(len, held))):
            self._alive = mask_without(store.end, dead, held, store.path)
        self._order: Places | None = None  # read when first needed
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
            values.value,
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
        return mask_of(self.store.end, found)

    def order(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """A sort key for each of these passages, i64 [n]: by document id, then ordinal.

        It breaks ties. Few passages are looked up; for many, the order of all is read once.
        """
        if self._order is None and _FEW * len(ids) < self.passages:
            return self.store.ranks(ids)
        if self._order is None:
            self._order = self.store.order()
        return self._order[ids]

    def corrupted(self, symptom: str) -> IndexCorrupted:
        """The error for a symptom of a damaged file; names the file if it is found."""
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
        """Close as soon as no search uses it."""
        with self._lock:
            self._retired = True
            self._close_if_unused()

    def _close_if_unused(self) -> None:
        if self._retired and self._users == 0:
            self.store.close()

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Turn an unexpected error into one that names a damaged file, if there is one."""
        try:
            yield
        except (RetrievalError, CancelledError):
            raise
        except Exception as error:
            # Not every file is verified on opening; errors from a damaged one are explained here.
            explanation = _explanation(self.store)
            if explanation is not None:
                raise explanation from error
            # The encoder may be the user's own and read other files.
            if isinstance(error, OSError) and _names(error, self.store.folder):
                raise disk_error(error, self.store.folder) from error
            raise


def _halves(
    store: Store, opened: OpenedSegments
) -> tuple[list[Opened[VectorSegment]], list[Opened[LexicalIndex]]]:
    """The vector segments and the lexical index, of which there is at most one.

    In a large index both halves take a while to check, so they are opened in parallel.
    """
    named, words = store.of_kind(vectors.KIND), store.of_kind(LEXICAL)
    if sum(file.size for s in words for file in s.files.values()) <= _BESIDE_VECTORS:
        return [opened.vectors(store, s) for s in named], [opened.lexical(store, s) for s in words]
    with ThreadPoolExecutor(1, "retrieval-open") as pool:
        waiting = [pool.submit(opened.lexical, store, s) for s in words]
        return [opened.vectors(store, s) for s in named], [one.result() for one in waiting]


def _names(error: OSError, folder: Path) -> bool:
    """Whether an error of the operating system is about a file of the folder."""
    name = error.filename
    return isinstance(name, str) and Path(name).is_relative_to(folder)


def condition_of(where: Filter | None) -> Condition:
    """The SQL condition of a filter, or of all documents if there is none."""
    if where is None:
        return Condition()
    sql, parameters = where.to_sql()
    return Condition(sql, parameters, where.of_passages)


def open_newest(folder: Path, opened: OpenedSegments) -> Snapshot:
    """Open the newest generation of the index at `folder`, reusing what is `opened` already.

    A writer may commit and sweep after we read a generation's segments and before we open them.
    Then there is a newer generation; only if opening fails twice at the same one is it damaged.
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
    """The damage behind an error: the first altered file, if there is one."""
    for line in problems_of(store, missing=False):
        return IndexCorrupted(line)
    return None
