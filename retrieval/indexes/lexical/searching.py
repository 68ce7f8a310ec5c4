"""Searching and scoring one generation of the lexical index.

Deleted passages count in the statistics of BM25 until tantivy merges them away.
"""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrieval.indexes.arrays import check_k, chosen
from retrieval.indexes.lexical.fields import (
    FIELDS,
    PRESENT,
    checked_weights,
    grams_of,
    names,
    opened,
    read_failure,
)
from retrieval.indexes.lexical.queries import LexicalQuery, Terms, parse_query
from retrieval.indexes.lexical.words import SPACELESS
from retrieval.indexes.ranking import TieOrder, top_k

_MOST_TERMS = 64
_FEW_TERMS = 8
"""In a query of more terms, common ones count less: there are so many of them that together they
would drown the ones that matter."""
_LEAST_COUNT = 0.05  # of a term that half of the passages or more hold, in such a query
_FEW_ALLOWED = 1024
_K1, _B = 1.2, 0.75  # tantivy's
_GRAMS = 0.5  # what an n-gram counts, of a word
_GRAPHEME = 0.5  # what a grapheme counts in a query, of a bigram
_SCORE_BITS = 13  # of a score's significand: see _stable


class LexicalIndex:
    """One generation, opened for reading; any number of threads may search it at once."""

    __slots__ = ("_factors", "_folder", "_schema", "_searcher")

    def __init__(self, folder: Path, schema: Any, searcher: Any) -> None:
        self._folder = folder
        self._schema = schema
        self._searcher = searcher
        holders = {name: searcher.doc_freq(PRESENT, name) for name in names()}
        self._factors = {
            name: _factor(searcher.num_docs / count) for name, count in holders.items() if count
        }

    @classmethod
    def open(cls, folder: Path) -> LexicalIndex:
        """Open a generation.

        Raises:
            IndexCorrupted: a file is missing or cannot be read.
            IndexFormatError: another release wrote it, with other fields or other words.
        """
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
            return cls(folder, index.schema, index.searcher())

    def __len__(self) -> int:
        return int(self._searcher.num_docs)

    def search(
        self,
        query: str,
        k: int,
        allowed: NDArray[np.bool_] | None = None,
        *,
        ties: TieOrder | None = None,
        weights: Mapping[str, float] | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The k best passages that are allowed and fit the query: that hold a word of it.

        Those that lack one of its phrases or hold what it excludes do not fit.

        Args:
            query: any text; see `parse_query`. Of a very long one the first 65,536 characters
                count, and of its terms the 64 that tell most.
            k: at least 1; may exceed what there is.
            allowed: bool by passage id, applied before the top k is taken; None allows all.
            ties: the order of passages with equal scores; None is by ascending id.
            weights: of fields, instead of those of `FIELD_WEIGHTS`; 0 leaves a field out.

        Returns:
            ids i64 [h] and scores f32 [h], h <= k; scores descend, and the first of them are the
            same whatever k is.

        Raises:
            InputError: k is below 1, or the weights cannot be used.
        """
        check_k(k)
        total = len(self)
        count = total if allowed is None else int(np.count_nonzero(allowed))
        with read_failure(self._folder):
            asked = self._query(parse_query(query), checked_weights(weights))
            if asked is None or total == 0 or count == 0:
                return np.empty(0, np.int64), np.empty(0, np.float32)
            if allowed is not None and count <= _FEW_ALLOWED:
                few = self._restrict(asked, np.flatnonzero(allowed))
                return top_k(*self._take(few, min(count, total)), k, ties)
            # tantivy knows no filter of ours and breaks ties by its segments: read on in its
            # ranking until k are allowed, and all that are as good as the last of them.
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
        self, query: str, ids: ArrayLike, *, weights: Mapping[str, float] | None = None
    ) -> NDArray[np.float32]:
        """BM25 of each passage, f32 [n]; 0 where it does not fit the query or is unknown."""
        wanted = np.asarray(ids, dtype=np.int64)
        scores = np.zeros(len(wanted), dtype=np.float32)
        with read_failure(self._folder):
            asked = self._query(parse_query(query), checked_weights(weights))
            if asked is not None and len(wanted):
                names = np.unique(wanted)
                found, values = self._take(self._restrict(asked, names), len(names))
                table = dict(zip(found.tolist(), values.tolist(), strict=True))
                scores[:] = [table.get(name, 0.0) for name in wanted.tolist()]
        return scores

    def fitting(
        self, query: str, allowed: NDArray[np.bool_] | None, size: int
    ) -> NDArray[np.bool_] | None:
        """Those of the allowed passages that hold the query's phrases and nothing it excludes.

        For retrievers that do not look at words.

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
                mask = np.zeros(size, np.bool_)
                mask[self._matching(self._conditions(parsed))] = True
            else:
                mask = np.ones(size, np.bool_)
                mask[self._matching(_any(map(self._holds, parsed.excluded)))] = False
        return mask if allowed is None else mask & allowed

    def gist(self, query: str) -> str:
        """What an encoder should read of a query.

        That is the query without what it excludes. A pasted trace is too long for an encoder, and
        the lines that say what happened stand among others: of these it is the one that some
        passage answers best.
        """
        parsed = parse_query(query)
        if len(parsed.lines) < 2:
            return parsed.text
        best = [self.search(line, 1)[1] for line in parsed.lines]
        scores = [float(found[0]) if len(found) else 0.0 for found in best]
        return parsed.lines[scores.index(max(scores))]

    def ideal(self, query: str) -> float:
        """What all the words of a query are worth together.

        It is what BM25 tends to for a passage whose text holds each of them often; words that no
        passage holds count as the rarest. A passage that holds them in several fields may exceed
        it.
        """
        parsed = parse_query(query)
        total = len(self)
        worth: list[tuple[float, int]] = []
        terms = [*parsed.terms.items()]
        terms += [(term, _GRAPHEME * counts) for term, counts in parsed.graphemes.items()]
        with read_failure(self._folder):
            for term, counts in terms:
                spaceless = SPACELESS.match(term)
                fields = [grams_of(field) if spaceless else field for field in FIELDS]
                # Deleted passages count until they are merged away.
                count = min(total, max(self._searcher.doc_freq(name, term) for name in fields))
                rarity = math.log1p((total - count + 0.5) / (count + 0.5))
                worth.append(((_GRAMS if spaceless else 1.0) * counts * rarity, count))
        worth = sorted(worth, key=lambda one: -one[0])[:_MOST_TERMS]
        if len(worth) > _FEW_TERMS:
            worth = [(told * _beside_rare_ones(count, total), count) for told, count in worth]
        return (_K1 + 1) * sum(told for told, _ in worth)

    def _query(self, parsed: LexicalQuery, weights: Mapping[str, float]) -> Any | None:
        """tantivy's query, or None if the index holds none of the terms."""
        terms = list(parsed.terms.items())
        terms += [(term, _GRAPHEME * counts) for term, counts in parsed.graphemes.items()]
        disjunction = self._disjunction(terms, weights)
        if disjunction is None or not (parsed.phrases or parsed.excluded):
            return disjunction
        return self._conditions(parsed, disjunction)

    def _disjunction(
        self, terms: Sequence[tuple[str, float]], weights: Mapping[str, float]
    ) -> Any | None:
        """Any of the terms in any field, or None if the index holds none of them."""
        import tantivy

        total = len(self)
        clauses: dict[str, list[tuple[str, float]]] = {}
        rarity: dict[str, float] = {}
        for term, counts in terms:
            spaceless = SPACELESS.match(term)
            for field, weight in weights.items():
                name = grams_of(field) if spaceless else field
                factor = self._factors.get(name)
                if weight and factor and (frequency := self._searcher.doc_freq(name, term)):
                    boost = weight * counts * (_GRAMS if spaceless else 1.0)
                    told = boost * math.log1p(total / frequency)
                    rarity[term] = max(told, rarity.get(term, 0.0))
                    clauses.setdefault(term, []).append((name, boost * factor))
        if not clauses:
            return None
        chosen = sorted(clauses, key=lambda term: (-rarity[term], term))[:_MOST_TERMS]
        queries = []
        for term in chosen:
            counts = 1.0
            if len(chosen) > _FEW_TERMS:
                most = max(self._searcher.doc_freq(name, term) for name, _ in clauses[term])
                counts = _beside_rare_ones(most, total)
            for name, boost in clauses[term]:
                single = tantivy.Query.term_query(self._schema, name, term, "freq")
                queries.append(tantivy.Query.boost_query(single, boost * counts))
        return _any(queries)

    def _conditions(self, parsed: LexicalQuery, *scored: Any) -> Any:
        """What matches `scored`, holds every phrase and nothing that is excluded."""
        import tantivy

        must, must_not = tantivy.Occur.Must, tantivy.Occur.MustNot
        clauses = [(must, query) for query in scored]
        for phrase in parsed.phrases:
            clauses.append((must, tantivy.Query.const_score_query(self._holds(phrase), 0.0)))
        clauses += [(must_not, self._holds(words)) for words in parsed.excluded]
        return tantivy.Query.boolean_query(clauses)

    def _holds(self, words: Terms) -> Any:
        """These words one after the other in any field."""
        import tantivy

        spaceless = any(map(SPACELESS.match, words))
        names = [grams_of(field) if spaceless else field for field in FIELDS]
        query = tantivy.Query
        if len(words) == 1:
            return _any(query.term_query(self._schema, name, words[0], "freq") for name in names)
        return _any(query.phrase_query(self._schema, name, list(words)) for name in names)

    def _restrict(self, query: Any, ids: NDArray[np.int64]) -> Any:
        """The same query and scores, over these passages only."""
        import tantivy

        members = tantivy.Query.term_set_query(self._schema, "id", ids.tolist())
        silent = tantivy.Query.const_score_query(members, 0.0)
        must = tantivy.Occur.Must
        return tantivy.Query.boolean_query([(must, query), (must, silent)])

    def _take(self, query: Any, limit: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The first `limit` passages of tantivy's ranking: ids i64, stable scores f32."""
        hits = self._searcher.search(query, limit=limit, count=False).hits
        ids = self._searcher.fast_field_values("id", [address for _, address in hits])
        scores = np.array([score for score, _ in hits], dtype=np.float32)
        return np.array(ids, dtype=np.int64), _stable(scores)

    def _matching(self, query: Any) -> NDArray[np.int64]:
        """The ids of all passages that match."""
        count = self._searcher.search(query, limit=1, count=True).count
        return self._take(query, count)[0] if count else np.empty(0, np.int64)


def _factor(ratio: float) -> float:
    """What makes up for the passages that lack a field, `ratio` being all to those that have it.

    BM25 takes a field's length in proportion to its mean over all passages, those that lack it too:
    where only few have it, theirs looks long, and a match counts for little. This is how much less
    one match counts in a passage whose field is as long as their mean.
    """
    return (1 + _K1 * (1 - _B + _B * max(1.0, ratio))) / (1 + _K1)


def _beside_rare_ones(frequency: int, total: int) -> float:
    """What a term of a long query counts: the Robertson-Spärck Jones weight over tantivy's.

    The first is ln((N - n + 0.5) / (n + 0.5)) and 0 for what half of the passages hold, the second
    ln(1 + (N - n + 0.5) / (n + 0.5)); for rare terms they are the same.
    """
    odds = (max(total, frequency) - frequency + 0.5) / (frequency + 0.5)
    return max(_LEAST_COUNT, math.log(odds) / math.log1p(odds))


def _any(queries: Iterable[Any]) -> Any:
    import tantivy

    return tantivy.Query.boolean_query([(tantivy.Occur.Should, query) for query in queries])


def _stable(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores rounded to so many bits that equal passages have equal ones.

    tantivy adds the terms of a passage in whatever order its lists happen to be in, which differs
    from passage to passage and with the number that is asked for, in single precision: so the last
    bits of a sum say nothing.
    """
    bits = scores.astype(np.float32).view(np.uint32)
    dropped = 24 - _SCORE_BITS
    rounded = (bits + np.uint32(1 << (dropped - 1))) & ~np.uint32((1 << dropped) - 1)
    return rounded.view(np.float32)


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
