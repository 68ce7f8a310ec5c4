"""Where a text holds the words of a query."""

from __future__ import annotations

import re
from functools import lru_cache

from retrieval.indexes.lexical.folding import fold, fold_aligned
from retrieval.indexes.lexical.queries import parse_query
from retrieval.indexes.lexical.words import CACHED_WORD, Span, parts, stems

_WORD = re.compile(r"\S+")


def highlight(query: str, text: str) -> tuple[Span, ...]:
    """Where `text` holds words of the query, compared as the index does, parts of words included.

    Returns:
        (start, end) character spans of the text as it is, ascending, none touching the next.
    """
    terms = parse_query(query).terms
    if not terms:
        return ()
    # Of ASCII each character becomes one.
    folded, places = (fold(text), None) if text.isascii() else fold_aligned(text)
    spans = []
    for match in _WORD.finditer(folded):
        word, first = match[0], match.start()
        pieces = _pieces_short(word) if len(word) <= CACHED_WORD else _pieces(word)
        for start, end, found in pieces:
            for term in found:
                if term in terms:
                    a, b = first + start, first + end
                    spans.append((a, b) if places is None else (places[a][0], places[b - 1][1]))
                    break
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


def _pieces(word: str) -> tuple[tuple[int, int, tuple[str, ...]], ...]:
    """What a folded word can be found by: start, end, and the terms that stand there."""
    made = parts(word)
    return tuple(
        (start, end, tuple(stems(word[start:end].replace("_", ""))))
        for start, end in (*made.units, *made.others, *made.fragments)
    )


# Half of what a search does in Python was this, and texts use the same words again and again.
_pieces_short = lru_cache(maxsize=1 << 14)(_pieces)
