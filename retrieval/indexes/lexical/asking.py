"""From a parsed query to tantivy's query, for one generation of the lexical index."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from retrieval.errors import InputError
from retrieval.indexes.lexical.fields import FIELDS, grams_of
from retrieval.indexes.lexical.padding import Padding
from retrieval.indexes.lexical.queries import LexicalQuery, Terms, parse_query
from retrieval.indexes.lexical.statistics import Counts, Statistics
from retrieval.indexes.lexical.words import SPACELESS

if TYPE_CHECKING:
    import tantivy

_KEPT = 64
"""Compiled queries that are cached: a search asks for more scores right after."""


@dataclass(frozen=True, slots=True)
class Held:
    """A generation, in which the terms of a query are looked up.

    Attributes:
        folder: the generation's folder.
        schema: tantivy's schema.
        own: the statistics of its passages.
        padding: what adapts them to the collection, if the index is a part of one.
    """

    folder: Path
    schema: tantivy.Schema
    own: Statistics
    padding: Padding | None


class Asking:
    """Builds tantivy's queries and caches the latest; safe for any thread."""

    __slots__ = ("_held", "_kept")

    def __init__(self, held: Held) -> None:
        self._held = held
        self._kept = lru_cache(maxsize=_KEPT)(partial(_query, held))

    def query(
        self, text: str, weights: Mapping[str, float], counts: Counts | None
    ) -> tantivy.Query | None:
        """The query that scores and selects passages; None if no passage contains any term.

        Args:
            text: the query's text.
            weights: the weights of the fields.
            counts: of the terms in the collection, if the index is a part of one.
        """
        given = None if counts is None else (counts.shape, counts.tobytes())
        return self._kept(text, tuple(weights.items()), given)

    def phrases(self, parsed: LexicalQuery) -> tantivy.Query:
        """Matches passages with every phrase of the query and nothing that it excludes."""
        return _conditions(self._held.schema, parsed)

    def excluded(self, parsed: LexicalQuery) -> tantivy.Query:
        """Matches passages that contain something that the query excludes."""
        return any_of(_holds(self._held.schema, words) for words in parsed.excluded)


def any_of(queries: Iterable[tantivy.Query]) -> tantivy.Query:
    """Matches what at least one of the queries matches."""
    import tantivy

    return tantivy.Query.boolean_query([(tantivy.Occur.Should, query) for query in queries])


def restricted(query: tantivy.Query, schema: tantivy.Schema, ids: list[int]) -> tantivy.Query:
    """The same query and scores, restricted to these passages."""
    import tantivy

    members = tantivy.Query.term_set_query(schema, "id", ids)
    silent = tantivy.Query.const_score_query(members, 0.0)
    must = tantivy.Occur.Must
    return tantivy.Query.boolean_query([(must, query), (must, silent)])


def _query(
    held: Held,
    text: str,
    weights: tuple[tuple[str, float], ...],
    given: tuple[tuple[int, ...], bytes] | None,
) -> tantivy.Query | None:
    """See `Asking.query`; counts are given as shape and bytes, which can be hashed."""
    parsed = parse_query(text)
    counts = None if given is None else np.frombuffer(given[1], np.int64).reshape(given[0])
    disjunction = _disjunction(held, parsed, dict(weights), counts)
    if disjunction is None or not (parsed.phrases or parsed.excluded):
        return disjunction
    return _conditions(held.schema, parsed, disjunction)


def _disjunction(
    held: Held, parsed: LexicalQuery, weights: Mapping[str, float], counts: Counts | None
) -> tantivy.Query | None:
    """Any of the terms in any field, or None if the index contains none of them."""
    import tantivy

    statistics = held.own
    if held.padding is not None:
        if counts is None:
            raise InputError(
                f"{held.folder} was opened as a part of a collection; give the collection's "
                "counts of the query"
            )
        statistics = held.padding.collection.statistics(parsed, counts)
    queries = []
    for term, name, boost in statistics.boosts(parsed, weights):
        if held.padding is not None:
            frequency = held.own.frequency(name, term)
            if not frequency:
                continue
            boost *= held.padding.correction(frequency, statistics.frequency(name, term))
        single = tantivy.Query.term_query(held.schema, name, term, "freq")
        queries.append(tantivy.Query.boost_query(single, boost))
    return any_of(queries) if queries else None


def _conditions(
    schema: tantivy.Schema, parsed: LexicalQuery, *scored: tantivy.Query
) -> tantivy.Query:
    """Matches what matches `scored`, with every phrase and nothing that is excluded."""
    import tantivy

    must, must_not = tantivy.Occur.Must, tantivy.Occur.MustNot
    clauses = [(must, query) for query in scored]
    for phrase in parsed.phrases:
        clauses.append((must, tantivy.Query.const_score_query(_holds(schema, phrase), 0.0)))
    clauses += [(must_not, _holds(schema, words)) for words in parsed.excluded]
    return tantivy.Query.boolean_query(clauses)


def _holds(schema: tantivy.Schema, words: Terms) -> tantivy.Query:
    """Matches these consecutive words in any field."""
    import tantivy

    spaceless = any(map(SPACELESS.match, words))
    names = [grams_of(field) if spaceless else field for field in FIELDS]
    query = tantivy.Query
    if len(words) == 1:
        return any_of(query.term_query(schema, name, words[0], "freq") for name in names)
    return any_of(query.phrase_query(schema, name, list(words)) for name in names)
