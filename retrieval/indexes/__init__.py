"""The searchable indexes: arrays in, passage ids and scores out.

Every module here is light to import; faiss and tantivy load on first use.
"""

from retrieval.indexes.dense import (
    FLOATS,
    DenseSegment,
    merge_dense,
    search_dense,
    write_dense,
    write_from_floats,
)
from retrieval.indexes.filters import (
    Filter,
    Where,
    as_filter,
    parse_key,
    path_glob,
    register_functions,
)
from retrieval.indexes.fusion import Fusion, Runs, fuse
from retrieval.indexes.ids import distinct, first_of_equal, places_in
from retrieval.indexes.late import MEMORY as LATE_MEMORY
from retrieval.indexes.late import Codec as LateCodec
from retrieval.indexes.late import (
    CompressedSegment,
    LateSearcher,
    LateSegment,
    StoredCodec,
    TokenMatches,
    merge_compressed,
    merge_exact,
    open_codec,
    open_late,
    train_codec,
    write_compressed,
    write_late,
)
from retrieval.indexes.late import dim_problem as token_dim_problem
from retrieval.indexes.lexical import (
    FIELD_WEIGHTS,
    FIELDS,
    Counts,
    LexicalIndex,
    LexicalPart,
    LexicalQuery,
    LexicalTotals,
    content_words,
    distinct_terms,
    encoder_query,
    highlight,
    is_scattered,
    lexical_totals,
    parse_query,
    write_lexical,
)
from retrieval.indexes.ranking import TieOrder, below, tied, top_k

__all__ = [
    "FIELDS",
    "FIELD_WEIGHTS",
    "FLOATS",
    "LATE_MEMORY",
    "CompressedSegment",
    "Counts",
    "DenseSegment",
    "Filter",
    "Fusion",
    "LateCodec",
    "LateSearcher",
    "LateSegment",
    "LexicalIndex",
    "LexicalPart",
    "LexicalQuery",
    "LexicalTotals",
    "Runs",
    "StoredCodec",
    "TieOrder",
    "TokenMatches",
    "Where",
    "as_filter",
    "below",
    "content_words",
    "distinct",
    "distinct_terms",
    "encoder_query",
    "first_of_equal",
    "fuse",
    "highlight",
    "is_scattered",
    "lexical_totals",
    "merge_compressed",
    "merge_dense",
    "merge_exact",
    "open_codec",
    "open_late",
    "parse_key",
    "parse_query",
    "path_glob",
    "places_in",
    "register_functions",
    "search_dense",
    "tied",
    "token_dim_problem",
    "top_k",
    "train_codec",
    "write_compressed",
    "write_dense",
    "write_from_floats",
    "write_late",
    "write_lexical",
]
