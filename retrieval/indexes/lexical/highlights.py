"""Where in a text the words of a query are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from retrieval.indexes.lexical.folding import fold, fold_aligned
from retrieval.indexes.lexical.queries import parse_query
from retrieval.indexes.lexical.words import CACHED_WORD, Span, parts, stems


def highlight(query: str, text: str) -> tuple[Span, ...]:
    """Spans of `text` that match words of the query as in the index, parts of words included.

    Returns:
        (start, end) character spans of the original text, ascending, none touching the next.
    """
    terms = frozenset(parse_query(query).terms)
    if not terms:
        return ()
    # Folding ASCII keeps character positions.
    folded, places = (fold(text), None) if text.isascii() else fold_aligned(text)
    spans = []
    for word in set(folded.split()):
        found = _found_short(word) if len(word) <= CACHED_WORD else _found(word)
        if terms.isdisjoint(found.terms):
            continue
        asked = [(a, b) for a, b, own in found.pieces if not terms.isdisjoint(own)]
        for first in _places(folded, word):
            for start, end in asked:
                a, b = first + start, first + end
                spans.append((a, b) if places is None else (places[a][0], places[b - 1][1]))
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


@dataclass(frozen=True, slots=True)
class _Found:
    """The terms of a folded word.

    Attributes:
        terms: all of them.
        pieces: start and end within the word, and the terms there.
    """

    terms: frozenset[str]
    pieces: tuple[tuple[int, int, tuple[str, ...]], ...]


def _found(word: str) -> _Found:
    made = parts(word)
    pieces = tuple(
        (start, end, tuple(stems(word[start:end].replace("_", ""))))
        for start, end in (*made.units, *made.others, *made.fragments)
    )
    return _Found(frozenset(term for _, _, own in pieces for term in own), pieces)


# This was half of a search's time in Python, and texts repeat the same words.
_found_short = lru_cache(maxsize=1 << 14)(_found)


def _places(text: str, word: str) -> Iterator[int]:
    """Positions where a word occurs in a text, surrounded by white space."""
    start = text.find(word)
    while start >= 0:
        end = start + len(word)
        if not text[start - 1 : start].strip() and not text[end : end + 1].strip():
            yield start
        start = text.find(word, end)
