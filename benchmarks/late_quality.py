"""What each regime of late interaction costs in quality: nDCG@10, and recall of exact float search.

    python benchmarks/late_quality.py COLLECTION --work FOLDER --out FILE.json

COLLECTION is a folder in BEIR's format. Passages of 230 tokens, preceded by their titles, are
encoded by the embedded model; a document scores as its best passage. `float` is MaxSim in float32
over the encoder's vectors; pooled rows are exact, after pooling tokens by that factor.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from command import run_main
from environment import environment
from json_files import write_json
from numpy.typing import NDArray

from retrieval.documents import chunk
from retrieval.encoders import load_encoder
from retrieval.eval import load_beir, means
from retrieval.indexes.late import (
    LateSearcher,
    merge_compressed,
    open_late,
    train_codec,
    write_late,
)
from retrieval.indexes.pooling import pool

DEPTH = 100
Vectors = NDArray[np.float32]
Top = list[tuple[NDArray[np.int64], Vectors]]


def exact_floats(tokens: Vectors, offsets: NDArray[np.int64], queries: Sequence[Vectors]) -> Top:
    """The DEPTH best passages of each query by MaxSim in float32: ids and scores."""
    rankings = []
    for query in queries:
        scores = np.empty(len(offsets) - 1, np.float32)
        for first in range(0, len(scores), 500):
            bounds = offsets[first : first + 501]
            maxima = np.maximum.reduceat(
                tokens[bounds[0] : bounds[-1]] @ query.T, bounds[:-1] - bounds[0], axis=0
            )
            scores[first : first + 500] = maxima.sum(axis=1)
        order = np.argsort(-scores)[:DEPTH]
        rankings.append((order, scores[order]))
    return rankings


def main() -> None:
    """Index the collection in every regime, and measure each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collection", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    data = load_beir(args.collection)
    encoder = load_encoder()
    owners: list[str] = []
    texts: list[str] = []
    for document in data.documents:
        for passage in chunk(document, encoder.token_spans, max_tokens=230):
            owners.append(document.id)
            texts.append(f"{document.title}\n{document.text[passage.start : passage.end]}")
    embedded = encoder.encode_documents(texts)
    tokens, offsets = embedded.tokens, embedded.offsets
    queries = [encoder.encode_queries([text]).tokens for text in data.queries.values()]
    numbers = np.arange(len(owners))
    args.work.mkdir(parents=True)

    rows: list[dict[str, Any]] = []
    truth = exact_floats(tokens, offsets, queries)

    def add_row(name: str, rankings: Top, size: float) -> None:
        run: dict[str, dict[str, float]] = {}
        for query, (ids, scores) in zip(data.queries, rankings, strict=True):
            best: dict[str, float] = {}
            for number, score in zip(ids.tolist(), scores.tolist(), strict=True):
                best.setdefault(owners[number], score)
            run[query] = best
        recalls = [
            len(set(a[:10].tolist()) & set(b[:10].tolist())) / 10
            for (a, _), (b, _) in zip(truth, rankings, strict=True)
        ]
        rows.append(
            {"name": name, "bytes_per_token": size, "recall_at_10": float(np.mean(recalls))}
            | means(data.qrels, run, ("nDCG@10",))
        )
        print(rows[-1], flush=True)

    def store(name: str, write: Callable[[Path], None]) -> None:
        folder = args.work / name.replace(" ", "-")
        write(folder)
        size = sum(file.stat().st_size for file in folder.iterdir()) / len(tokens)
        add_row(name, LateSearcher([open_late(folder)]).search(queries, DEPTH), size)

    add_row("float", truth, 4.0 * tokens.shape[1])
    store("exact", lambda folder: write_late(folder, numbers, tokens, offsets))
    exact = open_late(args.work / "exact")
    for bits in (4, 2):
        codec = train_codec([exact], bits=bits)
        for lists in (False, True):
            name = f"{'lists' if lists else 'compressed'} {bits} bits"
            store(name, lambda f, c=codec, li=lists: merge_compressed(f, [exact], c, lists=li))
    for factor in (2, 3, 4):
        pooled = pool(tokens, offsets, factor)
        store(f"exact pooled {factor}", lambda f, p=pooled: write_late(f, numbers, *p))
    result = environment(("modernbert-retrieval", "numpy", "faiss-cpu", "ir-measures"))
    result |= {"collection": data.name, "passages": len(owners), "tokens": len(tokens)}
    write_json(args.out, result | {"rows": rows})


if __name__ == "__main__":
    run_main(main)
