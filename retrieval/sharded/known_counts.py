"""Cached numbers of a collection's passages that contain a term."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from retrieval.indexes import FIELDS, Counts, LexicalQuery, distinct_terms

MOST = 1 << 16
"""Maximum terms in the cache, some 18 MB; with one more, it is emptied."""

Asked = tuple[int, tuple[int, ...]]
"""The generation and the shards that were asked, for which the counts are valid."""


class KnownCounts:
    """Counts of the newest generation, so that its shards are asked only once."""

    def __init__(self) -> None:
        self._of: Asked = (-1, ())
        self._rows: dict[str, tuple[int, ...]] = {}
        self._lock = threading.Lock()

    def of(self, asked: Asked, query: LexicalQuery) -> Counts | None:
        """The counts of a query's terms in these shards; None unless all are known."""
        with self._lock:
            if asked != self._of:
                return None
            rows = [self._rows.get(term) for term in distinct_terms(query)]
        if None in rows:
            return None
        return np.array(rows, np.int64).reshape(len(rows), len(FIELDS))

    def keep(self, asked: Asked, queries: Sequence[LexicalQuery], counts: Sequence[Counts]) -> None:
        """Store these shards' counts of the terms of queries."""
        with self._lock:
            if asked[0] < self._of[0]:
                return
            if asked != self._of or len(self._rows) >= MOST:
                self._of, self._rows = asked, {}
            for query, own in zip(queries, counts, strict=True):
                # If no shard was asked there are no rows.
                rows = zip(distinct_terms(query), own.tolist(), strict=False)
                self._rows.update((term, tuple(row)) for term, row in rows)
