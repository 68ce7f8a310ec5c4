"""The dense index: one vector per passage or one per window of it, compared by inner product.

A segment keeps vectors as 8-bit integers, each with a scale. `products` compares them with queries
of 16 bits, `segment` finds the best passages of one segment, `search` those of several, `writing`
writes and merges segments.
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
