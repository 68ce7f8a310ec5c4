"""The lexical index: BM25 over the fields of a passage, through tantivy."""

from retrieval.indexes.lexical.fields import FIELD_WEIGHTS, FIELDS
from retrieval.indexes.lexical.highlights import highlight
from retrieval.indexes.lexical.queries import LexicalQuery, parse_query, telling
from retrieval.indexes.lexical.searching import LexicalIndex
from retrieval.indexes.lexical.writing import write_lexical

__all__ = [
    "FIELDS",
    "FIELD_WEIGHTS",
    "LexicalIndex",
    "LexicalQuery",
    "highlight",
    "parse_query",
    "telling",
    "write_lexical",
]
