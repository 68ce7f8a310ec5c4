"""Searching and scoring one generation of the lexical index.

Deleted passages count in the statistics of BM25 until tantivy merges them away.
"""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrieval.indexes.arrays import check_k, chosen
from retrieval.indexes.lexical.fields import checked_weights, opened, read_failure
from retrieval.indexes.lexical.words import query_terms

_MAX_TERMS = 256
_FEW_ALLOWED = 1024


class LexicalIndex:
    """One generation, opened for reading; any number of threads may search it at once."""

    __slots__ = ("_folder", "_schema", "_searcher")

    def __init__(self, folder: Path, schema: Any, searcher: Any) -> None:
        self._folder = folder
        self._schema = schema
        self._searcher = searcher

    @classmethod
    def open(cls, folder: Path) -> LexicalIndex:
        """Open a generation; IndexCorrupted if a file is missing or cannot be read."""
        with ExitStack() as stack, read_failure(folder):
            place = folder
            if not os.access(folder, os.W_OK):
                # Opening takes a lock, for which tantivy makes a file: elsewhere, then.
                place = Path(tempfile.mkdtemp())
                stack.callback(_discard, place)
                for file in sorted(folder.iterdir()):
                    if file.is_file() and file.suffix != ".lock":
                        (place / file.name).symlink_to(file.absolute())
            index = opened(place, origin=folder)
            searcher = index.searcher()
        return cls(folder, index.schema, searcher)

    def __len__(self) -> int:
        return int(self._searcher.num_docs)

    def search(
        self,
        query: str,
        k: int,
        allowed: NDArray[np.bool_] | None = None,
        *,
        weights: Mapping[str, float] | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The k allowed passages of largest BM25 score that hold a word of the query.

        Args:
            query: plain text; nothing in it is syntax. Of a very long one the first 65,536
                characters count, and of its terms the 256 rarest.
            k: at least 1; may exceed what there is.
            allowed: bool by passage id, applied before the top k is taken; None allows all.
            weights: of fields, instead of those of `FIELD_WEIGHTS`; 0 leaves a field out.

        Returns:
            ids i64 [h] and scores f32 [h], h <= k; scores descend, equal ones by ascending id.

        Raises:
            InputError: k is below 1, or the weights cannot be used.
        """
        check_k(k)
        total = len(self)
        count = total if allowed is None else int(np.count_nonzero(allowed))
        with read_failure(self._folder):
            disjunction = self._disjunction(query, checked_weights(weights))
            if disjunction is None or total == 0 or count == 0:
                return _ranked(np.empty(0, np.int64), np.empty(0, np.float32))
            if allowed is not None and count <= _FEW_ALLOWED:
                disjunction = self._restrict(disjunction, np.flatnonzero(allowed))
                return _ranked(*self._take(disjunction, min(k, total)))
            # tantivy knows no filter of ours: read on in its ranking until k of it are allowed.
            limit = min(total, k if allowed is None else math.ceil(1.5 * k * total / count))
            while True:
                ids, scores = self._take(disjunction, limit)
                exhausted = len(ids) < limit or limit == total
                kept = chosen(ids, allowed)
                if exhausted or np.count_nonzero(kept) >= k:
                    return _ranked(ids[kept][:k], scores[kept][:k])
                limit = min(total, 4 * limit)

    def score(
        self, query: str, ids: ArrayLike, *, weights: Mapping[str, float] | None = None
    ) -> NDArray[np.float32]:
        """BM25 of each passage, f32 [n]; 0 where it has no word of the query or is unknown."""
        wanted = np.asarray(ids, dtype=np.int64)
        scores = np.zeros(len(wanted), dtype=np.float32)
        with read_failure(self._folder):
            disjunction = self._disjunction(query, checked_weights(weights))
            if disjunction is not None and len(wanted):
                names = np.unique(wanted)
                found, values = self._take(self._restrict(disjunction, names), len(names))
                table = dict(zip(found.tolist(), values.tolist(), strict=True))
                scores[:] = [table.get(name, 0.0) for name in wanted.tolist()]
        return scores

    def _disjunction(self, query: str, weights: Mapping[str, float]) -> Any | None:
        """Any of the query's terms in any field, or None if the index holds none of them."""
        import tantivy

        total = len(self)
        clauses = []
        for term, times in query_terms(query).items():
            for field, weight in weights.items():
                if weight and (frequency := self._searcher.doc_freq(field, term)):
                    rarity = weight * times * math.log1p(total / frequency)
                    clauses.append((-rarity, term, field, weight * times))
        if not clauses:
            return None
        queries = []
        for _, term, field, boost in sorted(clauses)[:_MAX_TERMS]:
            single = tantivy.Query.term_query(self._schema, field, term, "freq")
            queries.append((tantivy.Occur.Should, tantivy.Query.boost_query(single, boost)))
        return tantivy.Query.boolean_query(queries)

    def _restrict(self, disjunction: Any, ids: NDArray[np.int64]) -> Any:
        """The same query and scores, over these passages only."""
        import tantivy

        members = tantivy.Query.term_set_query(self._schema, "id", ids.tolist())
        silent = tantivy.Query.const_score_query(members, 0.0)
        must = tantivy.Occur.Must
        return tantivy.Query.boolean_query([(must, disjunction), (must, silent)])

    def _take(self, query: Any, limit: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The first `limit` passages of tantivy's ranking: ids i64, scores f32."""
        hits = self._searcher.search(query, limit=limit, count=False).hits
        ids = self._searcher.fast_field_values("id", [address for _, address in hits])
        scores = np.array([score for score, _ in hits], dtype=np.float32)
        return np.array(ids, dtype=np.int64), scores


def _ranked(
    ids: NDArray[np.int64], scores: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    order = np.lexsort((ids, -scores))
    return ids[order], scores[order]


def _discard(place: Path) -> None:
    """Remove a folder in which an index was opened a moment ago.

    On a thread of its own tantivy then looks once for a newer version, and for that takes its lock:
    a file may come and go while the folder is emptied.
    """
    for pause in (0.0, 0.01, 0.1):
        time.sleep(pause)
        with suppress(OSError):
            shutil.rmtree(place)
            return
    shutil.rmtree(place, ignore_errors=True)
