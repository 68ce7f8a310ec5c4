"""The dense index: one vector a passage or one a window of it, compared by inner product.

A segment keeps vectors as 8-bit integers with a scale each. `products` compares them with a query
in 16 bits, `segment` finds the best passages, `search` those of several segments, `writing` writes
and merges segments.
"""

from retrieval.indexes.dense.search import search_dense
from retrieval.indexes.dense.segment import DenseSegment
from retrieval.indexes.dense.writing import FLOATS, merge_dense, write_dense, write_from_floats

__all__ = [
    "FLOATS",
    "DenseSegment",
    "merge_dense",
    "search_dense",
    "write_dense",
    "write_from_floats",
]
