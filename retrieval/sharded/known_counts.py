"""How many passages of a collection hold a term, as far as its shards were asked before."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from retrieval.indexes import FIELDS, Counts, LexicalQuery, distinct_terms

MOST = 1 << 16
"""Terms that are kept, some 18 MB; with one more, all are asked for anew."""

Asked = tuple[int, tuple[int, ...]]
"""The generation, and the numbers of the shards that were asked: what the counts are true of."""


class KnownCounts:
    """Counts of the newest generation that was asked for, so that its shards are asked once."""

    def __init__(self) -> None:
        self._of: Asked = (-1, ())
        self._rows: dict[str, tuple[int, ...]] = {}
        self._lock = threading.Lock()

    def of(self, asked: Asked, query: LexicalQuery) -> Counts | None:
        """What these shards hold of a query's terms; None unless all of it is known."""
        with self._lock:
            if asked != self._of:
                return None
            rows = [self._rows.get(term) for term in distinct_terms(query)]
        if None in rows:
            return None
        return np.array(rows, np.int64).reshape(len(rows), len(FIELDS))

    def keep(self, asked: Asked, queries: Sequence[LexicalQuery], counts: Sequence[Counts]) -> None:
        """These shards hold so much of the terms of these queries."""
        with self._lock:
            if asked[0] < self._of[0]:
                return
            if asked != self._of or len(self._rows) >= MOST:
                self._of, self._rows = asked, {}
            for query, own in zip(queries, counts, strict=True):
                # Where no shard was asked there are no rows.
                rows = zip(distinct_terms(query), own.tolist(), strict=False)
                self._rows.update((term, tuple(row)) for term, row in rows)
