"""What BM25 counts over all passages, and how it weighs the terms of a query.

A standalone index counts its own passages. A shard, which has a part of a collection, is given the
    counts of the whole collection: its `LexicalTotals` once, and with each query how many passages
    contain each of its terms. So every shard gives a passage the score that a single index would
    give.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import InputError
from retrieval.indexes.lexical.fields import FIELDS, grams_of, names
from retrieval.indexes.lexical.queries import LexicalQuery
from retrieval.indexes.lexical.words import SPACELESS

K1, B = 1.2, 0.75
"""BM25's parameters, which are tantivy's."""

_MOST_TERMS = 64
_MOST_COMMON = 0.5
"""How much common terms may count in total beyond their Robertson-Spärck Jones weights, relative to
the rarest term of the query: a claim or a pasted text has so many of them that they would drown
it."""
_LEAST_COUNT = 0.05  # weight of a term in half of the passages or more, in such a query
_GRAMS = 0.5  # weight of an n-gram, relative to a word
_GRAPHEME = 0.5  # weight of a grapheme in a query, relative to a bigram

Counts = NDArray[np.int64]
"""How many passages contain each term of a query in each of its fields, i64 [t, 5]; see `count`."""


@dataclass(frozen=True, slots=True)
class LexicalTotals:
    """Totals over all passages of a lexical index or of a collection of several.

    Attributes:
        passages: number of passages.
        counted: number of passages that BM25 counts: deleted ones included until merged away.
        tokens: total words of all counted passages by field, n-gram fields included.
        holders: number of counted passages that have each field.
    """

    passages: int
    counted: int
    tokens: Mapping[str, int]
    holders: Mapping[str, int]

    @classmethod
    def summed(cls, parts: Iterable[LexicalTotals]) -> LexicalTotals:
        """The totals of a collection from those of its parts."""
        several = list(parts)
        return cls(
            sum(part.passages for part in several),
            sum(part.counted for part in several),
            {name: sum(part.tokens.get(name, 0) for part in several) for name in names()},
            {name: sum(part.holders.get(name, 0) for part in several) for name in names()},
        )

    def statistics(self, parsed: LexicalQuery, counts: Counts) -> Statistics:
        """The statistics that weigh the terms of a query.

        Args:
            counts: the whole collection's counts, i64 [t, 5].

        Raises:
            InputError: `counts` are not those of this query.
        """
        terms = distinct_terms(parsed)
        if counts.shape != (len(terms), len(FIELDS)):
            raise InputError(
                f"counts of the shape {counts.shape} were given for a query of {len(terms)} terms; "
                f"expected ({len(terms)}, {len(FIELDS)})"
            )
        table = {
            (name, term): int(count)
            for term, row in zip(terms, counts, strict=True)
            for name, count in zip(names_for(term), row, strict=True)
        }
        return Statistics(self.passages, self.holders, lambda name, term: table[name, term])


class Statistics:
    """Numbers of passages: in all, with each field, and with each term in a field."""

    __slots__ = ("_factors", "frequency", "passages")

    def __init__(
        self, passages: int, holders: Mapping[str, int], frequency: Callable[[str, str], int]
    ) -> None:
        """Set the counts.

        Args:
            passages: number of passages.
            holders: number of passages that have each field.
            frequency: maps a field's name and a term to the number of passages with it.
        """
        self.passages = passages
        self.frequency = frequency
        self._factors = {
            name: _factor(passages / count) for name, count in holders.items() if count
        }

    def boosts(
        self, parsed: LexicalQuery, weights: Mapping[str, float]
    ) -> list[tuple[str, str, float]]:
        """The factors of BM25 of each term in each field: (term, field, factor).

        Only the most discriminating terms that occur at all are kept.
        """
        clauses: dict[str, list[tuple[str, float]]] = {}
        worth: dict[str, tuple[float, int]] = {}
        rarity: dict[str, float] = {}
        for term, counts in asked(parsed):
            counted = _as_term(term, counts)
            most = 0
            for name, weight in zip(names_for(term), map(weights.__getitem__, FIELDS), strict=True):
                factor = self._factors.get(name)
                if weight and factor and (frequency := self.frequency(name, term)):
                    told = weight * counted * math.log1p(self.passages / frequency)
                    rarity[term] = max(told, rarity.get(term, 0.0))
                    most = max(most, frequency)
                    clauses.setdefault(term, []).append((name, weight * counted * factor))
            worth[term] = (counted * rarity_of(most, self.passages), most)
        chosen = sorted(clauses, key=lambda term: (-rarity[term], term))[:_MOST_TERMS]
        shares = _shares([worth[term] for term in chosen], self.passages)
        return [
            (term, name, boost * share)
            for term, share in zip(chosen, shares, strict=True)
            for name, boost in clauses[term]
        ]

    def ideal(self, parsed: LexicalQuery) -> float:
        """The score of an ideal match of all the words of a query.

        It is the limit of BM25 for a passage whose text contains each of them often; words that no
        passage contains count as the rarest. A passage that contains them in several fields, or in
        a field that few passages have, may exceed it.
        """
        total = self.passages
        worth: list[tuple[float, int]] = []
        for term, counts in asked(parsed):
            count = max(self.frequency(name, term) for name in names_for(term))
            worth.append((_as_term(term, counts) * rarity_of(count, total), count))
        worth = sorted(worth, key=lambda one: -one[0])[:_MOST_TERMS]
        shares = _shares(worth, total)
        return (K1 + 1) * sum(w * share for (w, _), share in zip(worth, shares, strict=True))


def asked(parsed: LexicalQuery) -> list[tuple[str, float]]:
    """The terms that a query asks for, graphemes included, with weights."""
    graphemes = [(term, _GRAPHEME * counts) for term, counts in parsed.graphemes.items()]
    return [*parsed.terms.items(), *graphemes]


def names_for(term: str) -> list[str]:
    """The fields that may contain a term, in the order of `FIELDS`: words, or n-grams."""
    return [grams_of(field) for field in FIELDS] if SPACELESS.match(term) else list(FIELDS)


def count(parsed: LexicalQuery, frequency: Callable[[str, str], int]) -> Counts:
    """How many passages contain each distinct term of a query, i64 [t, 5]; see `names_for`."""
    rows = [[frequency(name, term) for name in names_for(term)] for term in distinct_terms(parsed)]
    return np.array(rows, np.int64).reshape(len(rows), len(FIELDS))


def rarity_of(frequency: int, total: int) -> float:
    """BM25's weight of a term in `frequency` of `total` passages; deleted ones may count."""
    frequency = min(frequency, total)
    return math.log1p((total - frequency + 0.5) / (frequency + 0.5))


def distinct_terms(parsed: LexicalQuery) -> list[str]:
    """The distinct terms that a query asks for: the rows of its `Counts`."""
    return list(dict.fromkeys(term for term, _ in asked(parsed)))


def _factor(ratio: float) -> float:
    """Corrects for passages that lack a field; `ratio` is all passages over those that have it.

    BM25 divides a field's length by its mean over all passages, including those that lack it: if
    only few have the field, theirs looks long, and a match counts for little. The factor makes up
    for that in a passage whose field has the mean length of those that have it.
    """
    return (1 + K1 * (1 - B + B * max(1.0, ratio))) / (1 + K1)


def _as_term(term: str, counts: float) -> float:
    """The weight of a term with this query weight: an n-gram's is less than a word's."""
    return counts * (_GRAMS if SPACELESS.match(term) else 1.0)


def _shares(worth: Sequence[tuple[float, int]], total: int) -> list[float]:
    """The share of its BM25 weight that each term of a query keeps.

    That is all of it as long as common terms are few. If what they count beyond their
    Robertson-Spärck Jones weights exceeds `_MOST_COMMON` of the rarest term, it is reduced to that.
    The rarest term always counts in full.

    Args:
        worth: for each term its BM25 weight and how many passages contain it.
        total: number of passages.
    """
    least = [_robertson_sparck_jones(frequency, total) for _, frequency in worth]
    beyond = sum(told * (1 - share) for (told, _), share in zip(worth, least, strict=True))
    held = [(told, share) for (told, count), share in zip(worth, least, strict=True) if count]
    rarest = max((told * share for told, share in held), default=0.0)
    if beyond <= _MOST_COMMON * rarest:
        return [1.0] * len(worth)
    kept = _MOST_COMMON * rarest / beyond
    shares = [share + (1 - share) * kept for share in least]
    return [share / max(shares) for share in shares]


def _robertson_sparck_jones(frequency: int, total: int) -> float:
    """The Robertson-Spärck Jones weight of a term divided by BM25's (tantivy's).

    The first is ln((N - n + 0.5) / (n + 0.5)) and 0 for a term in half of the passages, the second
    ln(1 + (N - n + 0.5) / (n + 0.5)); for rare terms they are the same.
    """
    odds = (max(total, frequency) - frequency + 0.5) / (frequency + 0.5)
    return max(_LEAST_COUNT, math.log(odds) / math.log1p(odds))
