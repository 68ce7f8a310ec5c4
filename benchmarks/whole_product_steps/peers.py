"""Peers over the same passages and vectors, with hybrid search as their documentation composes it.

Documents' vectors are those of our encoder, so that no second model is compared. A query is encoded
by our encoder within the measured time, as in `Index.search`. No peer's settings are tuned.
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
from timing import memory_mib

from retrieval.encoders import load_encoder
from whole_product_steps.corpus import load_queries, passage_batches
from whole_product_steps.measures import K, latencies

NAMES = {
    "lancedb": "LanceDB",
    "qdrant_local": "Qdrant, local mode",
    "faiss_and_bm25s": "FAISS and bm25s",
}
"""Each step's peer, as the documentation calls it."""

CANDIDATES = 100


def faiss_and_bm25s(work: Path, size: int, *, repeats: int) -> dict[str, Any]:
    """What users put together by hand: a flat FAISS index and bm25s, fused, all in memory."""
    try:
        import bm25s
        import faiss
    except ImportError as missing:
        return _missing_row(missing)
    encoder = load_encoder()
    texts: list[str] = []
    flat = faiss.IndexFlatIP(encoder.dense_dim)
    build_s = 0.0
    for documents, embeddings in passage_batches(work, size):
        started = time.perf_counter()
        flat.add(embeddings.dense)
        texts += [document.text for document in documents]
        build_s += time.perf_counter() - started
    started = time.perf_counter()
    bm25 = bm25s.BM25()
    bm25.index(bm25s.tokenize(texts, show_progress=False), show_progress=False)
    build_s += time.perf_counter() - started
    depth = min(CANDIDATES, size)

    def search(query: str) -> list[str]:
        dense = encoder.encode_queries([query]).dense
        dense_scores, dense_ids = flat.search(dense, depth)
        tokens = bm25s.tokenize([query], show_progress=False)
        bm25_ids, bm25_scores = bm25.retrieve(tokens, k=depth, show_progress=False)
        fused: dict[int, float] = {}
        for ids, scores, weight in (
            (dense_ids[0], dense_scores[0], 1.0),
            (bm25_ids[0], bm25_scores[0], 0.5),
        ):
            spread = max(float(scores.max() - scores.min()), 1e-9)
            for id, score in zip(ids.tolist(), (scores - scores.min()) / spread, strict=True):
                fused[id] = fused.get(id, 0.0) + weight * float(score)
        best = sorted(fused, key=lambda id: -fused[id])[:K]
        return [json.dumps([f"p{id}", texts[id]]) for id in best]

    return _measure_search(
        work, search, build_s, index_bytes=int(np.prod((flat.ntotal, flat.d)) * 4)
    )


def lancedb(work: Path, size: int, *, repeats: int) -> dict[str, Any]:
    """LanceDB: token vectors as a multivector column and full text, fused by reciprocal ranks."""
    try:
        import lancedb as lance
        import pyarrow as pa
        from lancedb.index import FTS, IvfPq
        from lancedb.rerankers import RRFReranker
    except ImportError as missing:
        return _missing_row(missing)
    encoder = load_encoder()
    vector_type = pa.list_(pa.float32(), encoder.token_dim)
    schema = pa.schema(
        [("id", pa.string()), ("text", pa.string()), ("tokens", pa.list_(vector_type))]
    )
    with _FreshFolder(work / f"lancedb-{size}") as folder:
        table = lance.connect(folder).create_table("passages", schema=schema)
        build_s = 0.0
        for documents, embeddings in passage_batches(work, size):
            assert embeddings.tokens is not None
            assert embeddings.offsets is not None
            started = time.perf_counter()
            flat = pa.array(embeddings.tokens.ravel())
            vectors = pa.FixedSizeListArray.from_arrays(flat, encoder.token_dim)
            offsets = pa.array(embeddings.offsets, pa.int32())
            columns = {
                "id": [document.id for document in documents],
                "text": [document.text for document in documents],
                "tokens": pa.ListArray.from_arrays(offsets, vectors),
            }
            table.add(pa.table(columns, schema=schema))
            build_s += time.perf_counter() - started
        started = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            table.create_index("tokens", config=IvfPq(distance_type="cosine"))
            table.create_index("text", config=FTS())
        build_s += time.perf_counter() - started
        reranker = RRFReranker()

        def search(query: str) -> list[dict[str, Any]]:
            builder = table.search(query_type="hybrid", vector_column_name="tokens")
            builder = builder.vector(encoder.encode_queries([query]).tokens).text(query)
            return list(builder.select(["id", "text"]).rerank(reranker).limit(K).to_list())

        return _measure_search(work, search, build_s, index_bytes=_folder_bytes(folder))


def qdrant_local(work: Path, size: int, *, repeats: int) -> dict[str, Any]:
    """Qdrant's local mode: candidates by the dense vectors, ranked by MaxSim of multivectors."""
    try:
        from qdrant_client import QdrantClient, models
    except ImportError as missing:
        return _missing_row(missing)
    encoder = load_encoder()
    cosine = models.Distance.COSINE
    multi = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
    with _FreshFolder(work / f"qdrant-{size}") as folder, warnings.catch_warnings():
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
        build_s, point_id = 0.0, 0
        for documents, embeddings in passage_batches(work, size):
            assert embeddings.dense is not None
            assert embeddings.tokens is not None
            assert embeddings.offsets is not None
            started = time.perf_counter()
            points = []
            for position, document in enumerate(documents):
                tokens = embeddings.tokens[
                    embeddings.offsets[position] : embeddings.offsets[position + 1]
                ]
                vectors = {"dense": embeddings.dense[position].tolist(), "tokens": tokens.tolist()}
                payload = {"id": document.id, "text": document.text}
                points.append(models.PointStruct(id=point_id, vector=vectors, payload=payload))
                point_id += 1
            client.upsert("passages", points)
            build_s += time.perf_counter() - started

        def search(query: str) -> list[Any]:
            embeddings = encoder.encode_queries([query])
            assert embeddings.dense is not None
            assert embeddings.tokens is not None
            prefetch = models.Prefetch(
                query=embeddings.dense[0].tolist(), using="dense", limit=CANDIDATES
            )
            answer = client.query_points(
                "passages",
                query=embeddings.tokens.tolist(),
                using="tokens",
                prefetch=prefetch,
                limit=K,
            )
            return list(answer.points)

        try:
            return _measure_search(work, search, build_s, index_bytes=_folder_bytes(folder))
        finally:
            client.close()


def _measure_search(
    work: Path, search: Callable[[str], Sequence[object]], build_s: float, *, index_bytes: int
) -> dict[str, Any]:
    """The row of a peer whose index is built."""
    queries = load_queries(work)
    if not search(queries[0]):
        raise ValueError(f"{queries[0]!r} found nothing")
    return {
        "building_s": build_s,
        "hybrid": latencies(search, queries),
        "bytes": index_bytes,
        "memory_mb": memory_mib(),
    }


def _missing_row(error: ImportError) -> dict[str, Any]:
    """The row of a peer that is not installed."""
    return {"left_out": f"{error.name} is not installed"}


class _FreshFolder:
    """A folder that does not exist yet, and is removed afterwards."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Path:
        shutil.rmtree(self._path, ignore_errors=True)
        return self._path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._path, ignore_errors=True)


def _folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
