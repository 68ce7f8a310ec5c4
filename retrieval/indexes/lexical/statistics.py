"""What BM25 counts over all passages, and what it makes each term of a query count.

An index that stands alone counts its own passages. One that holds a part of a collection, a shard,
is given what the whole collection counts: its `LexicalTotals` once, and with each query how many
passages hold each of its terms. So every shard gives a passage the score that one index would give.
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
"""What common terms may count beyond their Robertson-Spärck Jones weight, all together, of what the
rarest term of the query counts: a claim or a pasted text has so many that they would drown it."""
_LEAST_COUNT = 0.05  # of a term that half of the passages or more hold, in such a query
_GRAMS = 0.5  # what an n-gram counts, of a word
_GRAPHEME = 0.5  # what a grapheme counts in a query, of a bigram

Counts = NDArray[np.int64]
"""How many passages hold each term of a query in each of its fields, i64 [t, 5]; see `count`."""


@dataclass(frozen=True, slots=True)
class LexicalTotals:
    """What all passages of a lexical index, or of a collection of several, amount to.

    Attributes:
        passages: how many there are.
        counted: how many BM25 counts: those, and deleted ones that were not merged away yet.
        tokens: by field, n-grams included, the words of all counted passages.
        holders: by field how many counted passages have it.
    """

    passages: int
    counted: int
    tokens: Mapping[str, int]
    holders: Mapping[str, int]

    @classmethod
    def summed(cls, parts: Iterable[LexicalTotals]) -> LexicalTotals:
        """Those of a collection whose parts have these."""
        several = list(parts)
        return cls(
            sum(part.passages for part in several),
            sum(part.counted for part in several),
            {name: sum(part.tokens.get(name, 0) for part in several) for name in names()},
            {name: sum(part.holders.get(name, 0) for part in several) for name in names()},
        )

    def statistics(self, parsed: LexicalQuery, counts: Counts) -> Statistics:
        """What the terms of a query are weighed by.

        Args:
            counts: of the whole collection, i64 [t, 5].

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
    """How many passages there are, how many have each field, and how many hold a term in one."""

    __slots__ = ("_factors", "frequency", "passages")

    def __init__(
        self, passages: int, holders: Mapping[str, int], frequency: Callable[[str, str], int]
    ) -> None:
        """Take the counts.

        Args:
            passages: how many there are.
            holders: by field how many have it.
            frequency: of a field's name and a term, how many passages hold the term there.
        """
        self.passages = passages
        self.frequency = frequency
        self._factors = {
            name: _factor(passages / count) for name, count in holders.items() if count
        }

    def boosts(
        self, parsed: LexicalQuery, weights: Mapping[str, float]
    ) -> list[tuple[str, str, float]]:
        """What BM25 of each term in each field is multiplied by: the term, the field, the factor.

        Of the terms that are held anywhere those that tell most.
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
        """What all the words of a query are worth together.

        It is what BM25 tends to for a passage whose text holds each of them often; words that no
        passage holds count as the rarest. A passage that holds them in several fields may exceed
        it, or in a field that few have.
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
    """The terms that a query asks for, graphemes among them, and what each counts."""
    graphemes = [(term, _GRAPHEME * counts) for term, counts in parsed.graphemes.items()]
    return [*parsed.terms.items(), *graphemes]


def names_for(term: str) -> list[str]:
    """The fields that may hold a term, in the order of `FIELDS`: words, or n-grams."""
    return [grams_of(field) for field in FIELDS] if SPACELESS.match(term) else list(FIELDS)


def count(parsed: LexicalQuery, frequency: Callable[[str, str], int]) -> Counts:
    """How many passages hold each distinct term of a query, i64 [t, 5], by `names_for` of it."""
    rows = [[frequency(name, term) for name in names_for(term)] for term in distinct_terms(parsed)]
    return np.array(rows, np.int64).reshape(len(rows), len(FIELDS))


def rarity_of(frequency: int, total: int) -> float:
    """BM25's weight of a term that so many of all passages hold; deleted ones may count, too."""
    frequency = min(frequency, total)
    return math.log1p((total - frequency + 0.5) / (frequency + 0.5))


def distinct_terms(parsed: LexicalQuery) -> list[str]:
    """The terms that a query asks for, each once: the rows of its `Counts`."""
    return list(dict.fromkeys(term for term, _ in asked(parsed)))


def _factor(ratio: float) -> float:
    """What makes up for the passages that lack a field, `ratio` being all to those that have it.

    BM25 takes a field's length in proportion to its mean over all passages, those that lack it too:
    where only few have it, theirs looks long, and a match counts for little. This is how much less
    one match counts in a passage whose field is as long as their mean.
    """
    return (1 + K1 * (1 - B + B * max(1.0, ratio))) / (1 + K1)


def _as_term(term: str, counts: float) -> float:
    """What a term counts that a query asks for so often: an n-gram less than a word."""
    return counts * (_GRAMS if SPACELESS.match(term) else 1.0)


def _shares(worth: Sequence[tuple[float, int]], total: int) -> list[float]:
    """What each term of a query counts, beside the others, of what BM25 makes it worth.

    That is all of it, as long as common terms are few. Where what they count beyond their
    Robertson-Spärck Jones weights comes to more than `_MOST_COMMON` of the rarest term, it is
    brought down to that. The rarest term always counts in full.

    Args:
        worth: of each term what BM25 makes it worth, and how many passages hold it.
        total: how many passages there are.
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
    """The Robertson-Spärck Jones weight of a term over BM25's, which is tantivy's.

    The first is ln((N - n + 0.5) / (n + 0.5)) and 0 for what half of the passages hold, the second
    ln(1 + (N - n + 0.5) / (n + 0.5)); for rare terms they are the same.
    """
    odds = (max(total, frequency) - frequency + 0.5) / (frequency + 0.5)
    return max(_LEAST_COUNT, math.log(odds) / math.log1p(odds))
