"""The lexical index: BM25 over the fields of a passage, through tantivy."""

from retrieval.indexes.lexical.fields import FIELD_WEIGHTS, FIELDS
from retrieval.indexes.lexical.searching import LexicalIndex
from retrieval.indexes.lexical.words import highlight
from retrieval.indexes.lexical.writing import write_lexical

__all__ = ["FIELDS", "FIELD_WEIGHTS", "LexicalIndex", "highlight", "write_lexical"]
