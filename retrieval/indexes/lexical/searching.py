"""Searching and scoring one generation of the lexical index.

Deleted passages count in the statistics of BM25 until tantivy merges them away.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrieval.indexes.arrays import check_k, chosen
from retrieval.indexes.ids import distinct
from retrieval.indexes.lexical.asking import Asking, Held, restricted
from retrieval.indexes.lexical.fields import (
    PRESENT,
    checked_weights,
    names,
    opened,
    read_failure,
)
from retrieval.indexes.lexical.padding import LexicalPart, Padding, linked, pad
from retrieval.indexes.lexical.queries import parse_query
from retrieval.indexes.lexical.statistics import Counts, Statistics, count
from retrieval.indexes.masks import copy_of, mask_of
from retrieval.indexes.ranking import TieOrder, top_k

if TYPE_CHECKING:
    import tantivy

_FEW_ALLOWED = 1024
_FREQUENCIES = 4096  # cached numbers of passages, per term and field
_SCORE_BITS = 13  # of a score's significand: see _stable


class LexicalIndex:
    """One generation, opened for reading; any number of threads may search it at once."""

    __slots__ = ("_asking", "_folder", "_own", "_padding", "_schema", "_searcher")

    def __init__(
        self,
        folder: Path,
        schema: tantivy.Schema,
        searcher: tantivy.Searcher,
        padding: Padding | None = None,
    ) -> None:
        self._folder = folder
        self._schema = schema
        self._searcher = searcher
        self._padding = padding
        holders = {name: searcher.doc_freq(PRESENT, name) for name in names()}
        # A search needs each several times: for boosts, scores and the ideal score.
        frequency = lru_cache(maxsize=_FREQUENCIES)(searcher.doc_freq)
        self._own = Statistics(searcher.num_docs, holders, frequency)
        self._asking = Asking(Held(folder, schema, self._own, padding))

    @classmethod
    def open(cls, folder: Path, part: LexicalPart | None = None) -> LexicalIndex:
        """Open a generation.

        Args:
            folder: the generation's folder.
            part: the collection that it is a part of, whose statistics are used for scores. Every
                search then needs the collection's `counts` of its query.

        Raises:
            IndexCorrupted: a file is missing or cannot be read.
            IndexFormatError: another release wrote it, with other fields or another tokenizer.
        """
        with ExitStack() as stack, read_failure(folder):
            place, padding = folder, None
            if part is not None or not os.access(folder, os.W_OK):
                # Opening takes a lock, for which tantivy creates a file, so it is opened elsewhere.
                place = stack.enter_context(linked(folder))
            if part is not None:
                padding = pad(place, part)
            index = opened(place, origin=folder)
            return cls(folder, index.schema, index.searcher(), padding)

    def __len__(self) -> int:
        return int(self._searcher.num_docs) - (self._padding.documents if self._padding else 0)

    def counts(self, query: str) -> Counts:
        """How many passages contain each term of a query, i64 [t, 5]; see `LexicalTotals`."""
        with read_failure(self._folder):
            return count(parse_query(query), self._own.frequency)

    def search(
        self,
        query: str,
        k: int,
        allowed: NDArray[np.bool_] | None = None,
        *,
        ties: TieOrder | None = None,
        weights: Mapping[str, float] | None = None,
        counts: Counts | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The k best allowed passages that match the query.

        A match contains a word of the query, all its phrases and nothing that it excludes.

        Args:
            query: any text; see `parse_query`. Of a very long one, the first 65,536 characters are
                used, and the 64 most discriminating terms.
            k: at least 1; may exceed the number of passages.
            allowed: bool by passage id, applied before the top k is taken; None allows all.
            ties: the order of passages with equal scores; None is by ascending id.
            weights: field weights that replace those of `FIELD_WEIGHTS`; 0 leaves a field out.
            counts: the collection's counts of the query, if the index was opened as a part of one.

        Returns:
            ids i64 [h] and scores f32 [h], h <= k; scores descend, and a smaller k gives a prefix
            of a larger one's result, except for the rare differences that `_stable` leaves.

        Raises:
            InputError: k is below 1, or the weights cannot be used.
        """
        check_k(k)
        total = len(self)
        count = total if allowed is None else int(np.count_nonzero(allowed))
        with read_failure(self._folder):
            asked = self._asking.query(query, checked_weights(weights), counts)
            if asked is None or total == 0 or count == 0:
                return np.empty(0, np.int64), np.empty(0, np.float32)
            if allowed is not None and count <= _FEW_ALLOWED:
                few = restricted(asked, self._schema, np.flatnonzero(allowed).tolist())
                return top_k(*self._take(few, min(count, total)), k, ties)
            # tantivy does not know our filter and breaks ties by its segments: read on in its
            # ranking until k are found that are allowed, and all that tie with the last of them.
            limit = min(total, 1 + math.ceil(1.5 * k * total / count) if count < total else k + 1)
            while True:
                ids, scores = self._take(asked, limit)
                kept = chosen(ids, allowed)
                found, values = ids[kept], scores[kept]
                exhausted = len(ids) < limit or limit == total
                if exhausted or (len(values) >= k and scores[-1] < values[k - 1]):
                    return top_k(found, values, k, ties)
                limit = min(total, 4 * limit)

    def score(
        self,
        query: str,
        ids: ArrayLike,
        *,
        weights: Mapping[str, float] | None = None,
        counts: Counts | None = None,
    ) -> NDArray[np.float32]:
        """BM25 of each passage, f32 [n]; 0 if it does not match the query or is unknown."""
        wanted = np.asarray(ids, dtype=np.int64)
        scores = np.zeros(len(wanted), dtype=np.float32)
        with read_failure(self._folder):
            asked = self._asking.query(query, checked_weights(weights), counts)
            if asked is not None and len(wanted):
                names = distinct(wanted)
                few = restricted(asked, self._schema, names.tolist())
                found, values = self._take(few, len(names))
                table = dict(zip(found.tolist(), values.tolist(), strict=True))
                scores[:] = [table.get(name, 0.0) for name in wanted.tolist()]
        return scores

    def fitting(
        self, query: str, allowed: NDArray[np.bool_] | None, size: int
    ) -> NDArray[np.bool_] | None:
        """The allowed passages that contain the query's phrases and nothing it excludes.

        Used for retrievers that do not look at words.

        Args:
            query: any text.
            allowed: bool [size] by passage id; None allows all.
            size: how many passage ids there are.

        Returns:
            bool [size], or `allowed` itself if the query has neither phrases nor exclusions.
        """
        parsed = parse_query(query)
        if not (parsed.phrases or parsed.excluded):
            return allowed
        with read_failure(self._folder):
            if parsed.phrases:
                ids = self._matching(self._asking.phrases(parsed))
                kept = ids[chosen(ids, allowed)]
                return mask_of(size if allowed is None else len(allowed), kept)
            mask = np.ones(size, np.bool_) if allowed is None else copy_of(allowed)
            ids = self._matching(self._asking.excluded(parsed))
            mask[ids[ids < len(mask)]] = False
        return mask

    def best(self, query: str, counts: Counts | None = None) -> float:
        """The score of the best passage for a query; 0 if none matches."""
        _, scores = self.search(query, 1, counts=counts)
        return float(scores[0]) if len(scores) else 0.0

    def ideal(self, query: str) -> float:
        """The score of an ideal match of a query, see `Statistics.ideal`."""
        with read_failure(self._folder):
            return self._own.ideal(parse_query(query))

    def _take(
        self, query: tantivy.Query, limit: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The first `limit` passages of tantivy's ranking: ids i64, stable scores f32."""
        hits = self._searcher.search(query, limit=limit, count=False).hits
        ids = self._searcher.fast_field_values("id", [address for _, address in hits])
        if None in ids:
            raise ValueError("a passage has no id")
        scores = np.array([score for score, _ in hits], dtype=np.float32)
        return np.array(ids, dtype=np.int64), _stable(scores)

    def _matching(self, query: tantivy.Query) -> NDArray[np.int64]:
        """The ids of all passages that match."""
        found: Any = self._searcher.search(query, limit=1, count=True)  # its types lack `count`
        return self._take(query, found.count)[0] if found.count else np.empty(0, np.int64)


def _stable(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores rounded so that equal passages have equal scores, with rare exceptions.

    tantivy adds the terms of a passage in single precision and in an order that depends on its
    posting lists, which may differ from passage to passage and with the number of results wanted;
    so the last bits of a sum are noise. Two sums that differ only in these bits but lie on either
    side of a rounding boundary stay one step apart. Any rounding that looks at one sum alone has
    such cases; here they are two of 10,000 pairs of sums added in different orders. A rounding that
    also looked at other passages would give one passage different scores in `search` and `score`,
    and for different k.
    """
    bits = scores.astype(np.float32).view(np.uint32)
    dropped = 24 - _SCORE_BITS
    rounded = (bits + np.uint32(1 << (dropped - 1))) & ~np.uint32((1 << dropped) - 1)
    return rounded.view(np.float32)
