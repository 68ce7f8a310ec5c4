"""What users put together by hand: FAISS and bm25s, fused, over the same passages and vectors.

Documents' vectors are ours, one a passage, so that no second model is compared; a query is encoded
by our encoder, and its time counts, as it does in `Index.search`.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.encoders import load_encoder
from whole_product_steps.corpus import asked, batches
from whole_product_steps.measures import K, memory, timed

CANDIDATES = 100


def faiss_and_bm25s(work: Path, size: int, *, repeats: int) -> dict[str, Any]:
    """Min-max fusion of a flat FAISS index and of bm25s, all in memory."""
    try:
        import bm25s
        import faiss
    except ImportError as missing:
        return {"left_out": f"{missing.name} is not installed"}
    queries, encoder = asked(work), load_encoder()
    texts: list[str] = []
    flat = faiss.IndexFlatIP(encoder.dense_dim)
    building = 0.0
    for documents, made in batches(work, size):
        started = time.perf_counter()
        flat.add(made.dense)
        texts += [document.text for document in documents]
        building += time.perf_counter() - started
    started = time.perf_counter()
    words = bm25s.BM25()
    words.index(bm25s.tokenize(texts, show_progress=False), show_progress=False)
    building += time.perf_counter() - started
    depth = min(CANDIDATES, size)

    def search(query: str) -> list[str]:
        dense = encoder.encode_queries([query]).dense
        scores, ids = flat.search(dense, depth)
        tokens = bm25s.tokenize([query], show_progress=False)
        found, lexical = words.retrieve(tokens, k=depth, show_progress=False)
        total: dict[int, float] = {}
        for names, values, weight in ((ids[0], scores[0], 1.0), (found[0], lexical[0], 0.5)):
            spread = max(float(values.max() - values.min()), 1e-9)
            for name, value in zip(names.tolist(), (values - values.min()) / spread, strict=True):
                total[name] = total.get(name, 0.0) + weight * float(value)
        best = sorted(total, key=lambda name: -total[name])[:K]
        return [json.dumps([f"p{name}", texts[name]]) for name in best]

    search(queries[0])
    size_on_disk = int(np.prod((flat.ntotal, flat.d)) * 4)
    return {
        "building_s": building,
        "hybrid": timed(search, queries),
        "dense_mb": size_on_disk / 1e6,
        "memory_mb": memory(),
    }
