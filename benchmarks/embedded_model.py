"""The embedded model by itself: latency from a query to its vectors, and the loss of int8 weights.

    python benchmarks/embedded_model.py COLLECTION... --float FOLDER --work FOLDER --out FILE.json

Queries of each COLLECTION, in BEIR's format, are encoded one at a time, each on one core, from text
to dense and token vectors. FOLDER is a model of the same weights in float32, as
`retrieval.encoders.export.onnx_graph.export(quantize=False)` writes it of a training run; the
embedded model's own weights are rounded already. Both are searched with every retriever.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import time
from pathlib import Path
from typing import Any

from command import run_main
from environment import environment
from json_files import write_json
from long_documents import DEPTH, best_passages
from timing import percentile

from retrieval import Index
from retrieval.encoders import load_encoder
from retrieval.encoders.embedded import embedded_folder
from retrieval.eval import load_beir, means
from retrieval.eval.datasets import Dataset
from retrieval.types import RETRIEVERS, Encoder

WARMUP = 20


def main() -> None:
    """Time the queries, compare the two models, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collections", nargs="+", type=Path)
    parser.add_argument("--float", dest="exact", type=Path, help="the same model in float32")
    parser.add_argument("--queries", type=int, default=1000, help="of a collection, at most")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    datasets = [load_beir(folder, max_queries=args.queries) for folder in args.collections]
    embedded = load_encoder()
    float_model = load_encoder(args.exact) if args.exact else None
    result: dict[str, Any] = {
        **environment(("modernbert-retrieval", "onnxruntime", "numpy")),
        "model": embedded.name,
        "megabytes": round(_model_bytes(embedded_folder()) / 1e6, 1),
        "queries": [_query_latency(embedded, dataset) for dataset in datasets],
        "rounding": [],
    }
    if float_model is not None:
        for dataset in datasets:
            ndcg_of_models = [
                _ndcg_by_retriever(encoder, dataset, args.work / f"{dataset.name}-{name}")
                for name, encoder in (("int8", embedded), ("f32", float_model))
            ]
            for retriever in RETRIEVERS:
                int8_ndcg, float_ndcg = (ndcg[retriever] for ndcg in ndcg_of_models)
                row = {"collection": dataset.name, "retriever": retriever}
                row |= {
                    "int8": int8_ndcg,
                    "f32": float_ndcg,
                    "lost": round(float_ndcg - int8_ndcg, 4),
                }
                print(row, flush=True)
                result["rounding"].append(row)
    write_json(args.out, result)


def _model_bytes(folder: Path) -> int:
    """Bytes of the files that are needed to run the model."""
    return sum(file.stat().st_size for file in folder.iterdir() if file.suffix != ".md")


def _query_latency(encoder: Encoder, dataset: Dataset) -> dict[str, Any]:
    """Percentiles of the milliseconds from a query's text to its vectors."""
    queries = list(dataset.queries.values())
    for query in queries[:WARMUP]:
        encoder.encode_queries([query])
    latencies_ms = []
    for query in queries:
        started = time.perf_counter()
        encoder.encode_queries([query])
        latencies_ms.append(1e3 * (time.perf_counter() - started))
    tokens = statistics.mean(len(encoder.token_spans(query)) for query in queries)
    row = {"collection": dataset.name, "queries": len(queries), "mean_tokens": round(tokens, 1)}
    row |= {f"p{p}_ms": round(percentile(latencies_ms, p), 2) for p in (50, 95)}
    row |= {"max_ms": round(max(latencies_ms), 2)}
    print(row, flush=True)
    return row


def _ndcg_by_retriever(encoder: Encoder, dataset: Dataset, work: Path) -> dict[str, float]:
    """nDCG@10 of each retriever."""
    shutil.rmtree(work, ignore_errors=True)
    with Index.create(work, encoder=encoder) as index:
        index.add(dataset.documents)
        values = {}
        for retriever in RETRIEVERS:
            answers = index.search_batch(
                list(dataset.queries.values()), k=DEPTH, retriever=retriever
            )
            run = dict(zip(dataset.queries, map(best_passages, answers), strict=True))
            values[retriever] = round(means(dataset.qrels, run, ["nDCG@10"])["nDCG@10"], 4)
    return values


if __name__ == "__main__":
    run_main(main)
