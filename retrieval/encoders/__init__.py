"""Encoders: text in, dense vectors and token vectors out.

`load_encoder` is the way in: the embedded model, a folder, or a Hub id. What it returns is a
`CpuEncoder` (compiled or by ONNX Runtime, no torch), a `TorchEncoder` (any ModernBERT checkpoint),
or a `SentenceTransformersEncoder` (everything else); all are `retrieval.types.Encoder`s.
`Precomputed` stands for vectors that come from elsewhere. `CrossEncoder` is a reranker.
"""

from retrieval.encoders.cross_encoder import CrossEncoder
from retrieval.encoders.loading import load_encoder
from retrieval.encoders.precomputed import Precomputed
from retrieval.encoders.sharing import source_of

__all__ = ["CrossEncoder", "Precomputed", "load_encoder", "source_of"]
