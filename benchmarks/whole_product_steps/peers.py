"""Peers over the same passages and vectors, as their documentation puts a hybrid search together.

Documents' vectors are ours, so that no second model is compared; a query is encoded by our encoder,
and its time counts, as it does in `Index.search`. Each is left as it comes, with no setting tuned.
"""

from __future__ import annotations

import json
import shutil
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.encoders import load_encoder
from whole_product_steps.corpus import asked, batches
from whole_product_steps.measures import K, memory, timed

NAMES = {
    "lancedb": "LanceDB",
    "qdrant_local": "Qdrant, local mode",
    "faiss_and_bm25s": "FAISS and bm25s",
}
"""What each step's peer is called."""

CANDIDATES = 100


def faiss_and_bm25s(work: Path, size: int, *, repeats: int) -> dict[str, Any]:
    """What users put together by hand: a flat FAISS index and bm25s, fused, all in memory."""
    try:
        import bm25s
        import faiss
    except ImportError as missing:
        return _left_out(missing)
    encoder = load_encoder()
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

    return _searched(work, search, building, bytes_=int(np.prod((flat.ntotal, flat.d)) * 4))


def lancedb(work: Path, size: int, *, repeats: int) -> dict[str, Any]:
    """LanceDB: token vectors as a multivector column and full text, fused by their rank fusion."""
    try:
        import lancedb as lance
        import pyarrow as pa
        from lancedb.index import FTS, IvfPq
        from lancedb.rerankers import RRFReranker
    except ImportError as missing:
        return _left_out(missing)
    encoder = load_encoder()
    row = pa.list_(pa.float32(), encoder.token_dim)
    schema = pa.schema([("id", pa.string()), ("text", pa.string()), ("tokens", pa.list_(row))])
    with _Folder(work / f"lancedb-{size}") as folder:
        table = lance.connect(folder).create_table("passages", schema=schema)
        building = 0.0
        for documents, made in batches(work, size):
            assert made.tokens is not None
            assert made.offsets is not None
            started = time.perf_counter()
            flat = pa.array(made.tokens.ravel())
            rows = pa.FixedSizeListArray.from_arrays(flat, encoder.token_dim)
            offsets = pa.array(made.offsets, pa.int32())
            columns = {
                "id": [document.id for document in documents],
                "text": [document.text for document in documents],
                "tokens": pa.ListArray.from_arrays(offsets, rows),
            }
            table.add(pa.table(columns, schema=schema))
            building += time.perf_counter() - started
        started = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            table.create_index("tokens", config=IvfPq(distance_type="cosine"))
            table.create_index("text", config=FTS())
        building += time.perf_counter() - started
        fused = RRFReranker()

        def search(query: str) -> list[dict[str, Any]]:
            asked_for = table.search(query_type="hybrid", vector_column_name="tokens")
            asked_for = asked_for.vector(encoder.encode_queries([query]).tokens).text(query)
            return list(asked_for.select(["id", "text"]).rerank(fused).limit(K).to_list())

        return _searched(work, search, building, bytes_=_size(folder))


def qdrant_local(work: Path, size: int, *, repeats: int) -> dict[str, Any]:
    """Qdrant's local mode: the best by the dense vectors, ranked by MaxSim of multivectors."""
    try:
        from qdrant_client import QdrantClient, models
    except ImportError as missing:
        return _left_out(missing)
    encoder = load_encoder()
    cosine = models.Distance.COSINE
    multi = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
    with _Folder(work / f"qdrant-{size}") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that its local mode is for few points
        client = QdrantClient(path=str(folder))
        client.create_collection(
            "passages",
            {
                "dense": models.VectorParams(size=encoder.dense_dim, distance=cosine),
                "tokens": models.VectorParams(
                    size=encoder.token_dim, distance=cosine, multivector_config=multi
                ),
            },
        )
        building, number = 0.0, 0
        for documents, made in batches(work, size):
            assert made.dense is not None
            assert made.tokens is not None
            assert made.offsets is not None
            started = time.perf_counter()
            points = []
            for place, document in enumerate(documents):
                own = made.tokens[made.offsets[place] : made.offsets[place + 1]]
                vectors = {"dense": made.dense[place].tolist(), "tokens": own.tolist()}
                payload = {"id": document.id, "text": document.text}
                points.append(models.PointStruct(id=number, vector=vectors, payload=payload))
                number += 1
            client.upsert("passages", points)
            building += time.perf_counter() - started

        def search(query: str) -> list[Any]:
            made = encoder.encode_queries([query])
            assert made.dense is not None
            assert made.tokens is not None
            first = models.Prefetch(query=made.dense[0].tolist(), using="dense", limit=CANDIDATES)
            found = client.query_points(
                "passages", query=made.tokens.tolist(), using="tokens", prefetch=first, limit=K
            )
            return list(found.points)

        try:
            return _searched(work, search, building, bytes_=_size(folder))
        finally:
            client.close()


def _searched(
    work: Path, search: Callable[[str], Sequence[object]], building: float, *, bytes_: int
) -> dict[str, Any]:
    """The row of a peer that is built."""
    queries = asked(work)
    if not search(queries[0]):
        raise ValueError(f"{queries[0]!r} found nothing")
    return {
        "building_s": building,
        "hybrid": timed(search, queries),
        "bytes": bytes_,
        "memory_mb": memory(),
    }


def _left_out(missing: ImportError) -> dict[str, Any]:
    return {"left_out": f"{missing.name} is not installed"}


class _Folder:
    """A folder that is new, and goes again."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Path:
        shutil.rmtree(self._path, ignore_errors=True)
        return self._path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._path, ignore_errors=True)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
