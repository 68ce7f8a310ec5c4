"""The main job measured: index a collection, search it with every retriever, next to its peers.

    python benchmarks/main_job.py COLLECTION... --minilm FOLDER --out FILE.json

Each COLLECTION is a folder in BEIR's format. For each: time and tokens a second of a whole index
run (cut, encode, write, commit) and nDCG@10 of the four retrievers; in the same run BM25 (bm25s)
and sentence-transformers with all-MiniLM-L6-v2 at its 256 tokens, from a local folder. Documents
score as their best passage. Needs the extras `dev` and the packages bm25s and PyStemmer.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from environment import environment

from retrieval.eval import Dataset, load_beir, means, run_index
from retrieval.index import Index
from retrieval.types import RETRIEVERS

DEPTH = 100
MEASURES = ("nDCG@10", "R@100")
PACKAGES = (
    "modernbert-retrieval",
    "onnxruntime",
    "faiss-cpu",
    "tantivy",
    "numpy",
    "torch",
    "bm25s",
    "sentence-transformers",
)


def main() -> None:
    """Measure every collection, print a table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collections", nargs="+", type=Path)
    parser.add_argument("--minilm", type=Path, help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--queries", type=int, default=1000, help="at most this many")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for folder in arguments.collections:
        dataset = load_beir(folder, max_queries=arguments.queries)
        rows += ours(dataset)
        rows.append(bm25(dataset))
        if arguments.minilm:
            rows.append(minilm(dataset, arguments.minilm))
        for row in rows:
            if row["collection"] == dataset.name:
                print(json.dumps(row), flush=True)
    result = environment(PACKAGES)
    result |= {"protocol": __doc__.strip().split("\n\n")[-1].replace("\n", " "), "rows": rows}
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n")


def ours(dataset: Dataset) -> list[dict[str, Any]]:
    """One row a retriever; the first also carries what indexing cost."""
    with tempfile.TemporaryDirectory() as scratch:
        index = Index.create(Path(scratch) / "index")
        encoder = index.encoder
        texts = [f"{d.title}\n{d.text}" if d.title else d.text for d in dataset.documents]
        tokens = sum(len(encoder.token_spans(text)) for text in texts)
        encoder.encode_queries(["warm up"])
        started = time.perf_counter()
        index.add(dataset.documents)
        seconds = time.perf_counter() - started
        cost = {
            "index_s": round(seconds, 2),
            "tokens": tokens,
            "tokens_per_s": round(tokens / seconds),
            "documents": len(dataset.documents),
            "index_bytes": sum(f.stat().st_size for f in Path(scratch).rglob("*") if f.is_file()),
        }
        rows = []
        for retriever in RETRIEVERS:
            started = time.perf_counter()
            run = run_index(index, dataset.queries, retriever=retriever, depth=DEPTH)
            spent = time.perf_counter() - started
            rows.append(
                row(dataset, f"ours/{retriever}", run)
                | {"ms_per_query": round(1e3 * spent / len(dataset.queries), 2)}
                | (cost if not rows else {})
            )
        index.close()
    return rows


def bm25(dataset: Dataset) -> dict[str, Any]:
    """bm25s: Lucene's variant, k1 1.2, b 0.75, English stemmer and stop words."""
    import bm25s
    import Stemmer

    stemmer = Stemmer.Stemmer("english")
    texts = [f"{d.title} {d.text}" for d in dataset.documents]
    index = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    options = {"stopwords": "en", "stemmer": stemmer, "show_progress": False}
    index.index(bm25s.tokenize(texts, **options), show_progress=False)
    queries = bm25s.tokenize(list(dataset.queries.values()), **options)
    found, scores = index.retrieve(queries, k=min(DEPTH, len(texts)), show_progress=False)
    run = {
        query: {
            dataset.documents[int(at)].id: float(score)
            for at, score in zip(found[number], scores[number], strict=True)
            if score > 0
        }
        for number, query in enumerate(dataset.queries)
    }
    return row(dataset, "bm25s", run)


def minilm(dataset: Dataset, folder: Path) -> dict[str, Any]:
    """sentence-transformers with all-MiniLM-L6-v2, which reads 256 tokens of each document."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu")
    model.max_seq_length = 256
    texts = [f"{d.title} {d.text}".strip() for d in dataset.documents]
    tokens = sum(
        min(len(ids), 256) for ids in model.tokenizer(texts, truncation=False)["input_ids"]
    )
    model.encode(texts[:32])
    started = time.perf_counter()
    documents = model.encode(texts, batch_size=32, normalize_embeddings=True)
    seconds = time.perf_counter() - started
    queries = model.encode(list(dataset.queries.values()), normalize_embeddings=True)
    scores = np.asarray(queries) @ np.asarray(documents).T
    run = {
        query: {
            dataset.documents[int(at)].id: float(scores[number, at])
            for at in np.argsort(-scores[number], kind="stable")[:DEPTH]
        }
        for number, query in enumerate(dataset.queries)
    }
    return row(dataset, "sentence-transformers/all-MiniLM-L6-v2", run) | {
        "index_s": round(seconds, 2),
        "tokens": tokens,
        "tokens_per_s": round(tokens / seconds),
        "documents": len(texts),
    }


def row(dataset: Dataset, system: str, run: dict[str, dict[str, float]]) -> dict[str, Any]:
    """The measures of one system on one collection."""
    measured = means(dataset.qrels, run, MEASURES)
    return {
        "collection": dataset.name,
        "system": system,
        "queries": len(dataset.queries),
        **{name: round(value, 4) for name, value in measured.items()},
    }


if __name__ == "__main__":
    main()
