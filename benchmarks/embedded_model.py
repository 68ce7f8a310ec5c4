"""The embedded model by itself: a query to vectors, and what rounding it to int8 costs.

    python benchmarks/embedded_model.py COLLECTION... --float FOLDER --work FOLDER --out FILE.json

Queries of each COLLECTION, in BEIR's format, are encoded one at a time, each on one core, from
text to dense and token vectors. FOLDER is a model of the same weights in float32, as
`retrieval.encoders.export.onnx_graph.export(quantize=False)` writes it of a training run; the
embedded model's own are rounded already. Both are searched with every retriever.
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

from retrieval import Index
from retrieval.encoders import load_encoder
from retrieval.encoders.embedded import embedded_folder
from retrieval.eval import load_beir, means
from retrieval.eval.datasets import Dataset
from retrieval.types import RETRIEVERS, Encoder

WARM = 20


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collections", nargs="+", type=Path)
    parser.add_argument("--float", dest="exact", type=Path, help="the same model in float32")
    parser.add_argument("--queries", type=int, default=1000, help="of a collection, at most")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    data = [load_beir(folder, max_queries=args.queries) for folder in args.collections]
    own = load_encoder()
    exact = load_encoder(args.exact) if args.exact else None
    result: dict[str, Any] = {
        **environment(("modernbert-retrieval", "onnxruntime", "numpy")),
        "model": own.name,
        "megabytes": round(_bytes(embedded_folder()) / 1e6, 1),
        "queries": [_timed(own, one) for one in data],
        "rounding": [],
    }
    if exact is not None:
        for one in data:
            values = [
                _searched(encoder, one, args.work / f"{one.name}-{name}")
                for name, encoder in (("int8", own), ("f32", exact))
            ]
            for retriever in RETRIEVERS:
                rounded, float_ = (value[retriever] for value in values)
                row = {"collection": one.name, "retriever": retriever}
                row |= {"int8": rounded, "f32": float_, "lost": round(float_ - rounded, 4)}
                print(row, flush=True)
                result["rounding"].append(row)
    write_json(args.out, result)


def _bytes(folder: Path) -> int:
    """Of what runs: the card is not counted."""
    return sum(file.stat().st_size for file in folder.iterdir() if file.suffix != ".md")


def _timed(encoder: Encoder, data: Dataset) -> dict[str, Any]:
    """Milliseconds from a query's text to its vectors."""
    asked = list(data.queries.values())
    for query in asked[:WARM]:
        encoder.encode_queries([query])
    took = []
    for query in asked:
        start = time.perf_counter()
        encoder.encode_queries([query])
        took.append(1e3 * (time.perf_counter() - start))
    tokens = statistics.mean(len(encoder.token_spans(query)) for query in asked)
    row = {"collection": data.name, "queries": len(asked), "mean_tokens": round(tokens, 1)}
    row |= {"p50_ms": round(statistics.median(took), 2)}
    row |= {"p95_ms": round(statistics.quantiles(took, n=20)[-1], 2), "max_ms": round(max(took), 2)}
    print(row, flush=True)
    return row


def _searched(encoder: Encoder, data: Dataset, work: Path) -> dict[str, float]:
    """nDCG@10 by retriever."""
    shutil.rmtree(work, ignore_errors=True)
    with Index.create(work, encoder=encoder) as index:
        index.add(data.documents)
        values = {}
        for retriever in RETRIEVERS:
            answers = index.search_batch(list(data.queries.values()), k=DEPTH, retriever=retriever)
            run = dict(zip(data.queries, map(best_passages, answers), strict=True))
            values[retriever] = round(means(data.qrels, run, ["nDCG@10"])["nDCG@10"], 4)
    return values


if __name__ == "__main__":
    run_main(main)
