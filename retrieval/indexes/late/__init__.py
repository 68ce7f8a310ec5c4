"""The late-interaction index: one vector per token, searched by MaxSim.

`exact` keeps int8 vectors and scores every passage; `compressed` keeps a centroid and a residual
for each token (`codec`, trained by `training` and shared by an index's segments), finds
`candidates` by their centroids and, in large segments, by inverted `lists`. `merging` writes
segments from other segments, and `search` searches all of them.
"""

from retrieval.indexes.late.codec import Codec, open_codec
from retrieval.indexes.late.codec_place import StoredCodec
from retrieval.indexes.late.compressed import CompressedSegment
from retrieval.indexes.late.exact import ExactSegment, write_late
from retrieval.indexes.late.merging import (
    MEMORY,
    merge_compressed,
    merge_exact,
    open_late,
    train_codec,
    write_compressed,
)
from retrieval.indexes.late.passages import dim_problem
from retrieval.indexes.late.search import LateSearcher, LateSegment, TokenMatches

__all__ = [
    "MEMORY",
    "Codec",
    "CompressedSegment",
    "ExactSegment",
    "LateSearcher",
    "LateSegment",
    "StoredCodec",
    "TokenMatches",
    "dim_problem",
    "merge_compressed",
    "merge_exact",
    "open_codec",
    "open_late",
    "train_codec",
    "write_compressed",
    "write_late",
]
