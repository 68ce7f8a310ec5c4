"""Where a text holds the words of a query."""

from __future__ import annotations

import re
from functools import lru_cache

from retrieval.indexes.lexical.folding import fold_aligned
from retrieval.indexes.lexical.queries import parse_query
from retrieval.indexes.lexical.words import Span, parts, stems

_WORD = re.compile(r"\S+")


def highlight(query: str, text: str) -> tuple[Span, ...]:
    """Where `text` holds words of the query, compared as the index does, parts of words included.

    Returns:
        (start, end) character spans of the text as it is, ascending, none touching the next.
    """
    terms = parse_query(query).terms
    if not terms:
        return ()
    folded, places = fold_aligned(text)
    spans = []
    for match in _WORD.finditer(folded):
        word, first = match[0], match.start()
        made = parts(word)
        for start, end in (*made.units, *made.others, *made.fragments):
            if any(term in terms for term in _stems(word[start:end].replace("_", ""))):
                spans.append((places[first + start][0], places[first + end - 1][1]))
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


@lru_cache(maxsize=1 << 15)
def _stems(word: str) -> tuple[str, ...]:
    return tuple(stems(word))
