"""Encoders: text in, dense vectors and token vectors out.

`load_encoder` is the way in: the embedded model, a folder, or a Hub id. What it returns is a
`CpuEncoder` (compiled or by ONNX Runtime, no torch), a `TorchEncoder` (any ModernBERT checkpoint),
or a `SentenceTransformersEncoder` (everything else); all are `retrieval.types.Encoder`s.
`Precomputed` stands for vectors that come from elsewhere. `load_reranker` loads what puts texts in
order: an encoder, or a `CrossEncoder`.
"""

from retrieval.encoders.cross_encoder import CrossEncoder, load_cross_encoder
from retrieval.encoders.loading import load_encoder
from retrieval.encoders.precomputed import Precomputed
from retrieval.encoders.reranking import load_reranker
from retrieval.encoders.sharing import source_of

__all__ = [
    "CrossEncoder",
    "Precomputed",
    "load_cross_encoder",
    "load_encoder",
    "load_reranker",
    "source_of",
]
