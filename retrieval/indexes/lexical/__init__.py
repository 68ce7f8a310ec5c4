"""The lexical index: BM25 over the fields of a passage, through tantivy."""

from retrieval.indexes.lexical.fields import FIELD_WEIGHTS, FIELDS
from retrieval.indexes.lexical.highlights import highlight
from retrieval.indexes.lexical.padding import LexicalPart, lexical_totals
from retrieval.indexes.lexical.queries import (
    LexicalQuery,
    content_words,
    encoder_query,
    parse_query,
)
from retrieval.indexes.lexical.searching import LexicalIndex
from retrieval.indexes.lexical.segments import is_scattered
from retrieval.indexes.lexical.statistics import Counts, LexicalTotals, distinct_terms
from retrieval.indexes.lexical.writing import write_lexical

__all__ = [
    "FIELDS",
    "FIELD_WEIGHTS",
    "Counts",
    "LexicalIndex",
    "LexicalPart",
    "LexicalQuery",
    "LexicalTotals",
    "content_words",
    "distinct_terms",
    "encoder_query",
    "highlight",
    "is_scattered",
    "lexical_totals",
    "parse_query",
    "write_lexical",
]
