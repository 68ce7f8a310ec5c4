"""What sets the scale of hybrid scores: nDCG@10 of several choices over one set of runs.

    python benchmarks/fusion_scale.py COLLECTION... --work FOLDER --out FILE.json

COLLECTION is a folder in BEIR's format, whose test queries are used, at most 1,000 of them. Each is
indexed once by the embedded model, under FOLDER. `asked K` sets the scale by the K best of each
retriever, as many as were requested; `fixed N` by the N best, whatever was requested.
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

from retrieval.eval import load, means
from retrieval.eval.sampling import sampled
from retrieval.index import Index
from retrieval.index.reading import search
from retrieval.index.reading.retrievers import SINGLE
from retrieval.index.reading.runs import Query, Run
from retrieval.index.reading.searched_snapshot import SearchedSnapshot
from retrieval.index.reading.snapshot import Snapshot
from retrieval.indexes import fuse, top_k
from retrieval.types import Hybrid

RETRIEVERS = ("lexical", "dense", "late")
WEIGHTS = Hybrid().weights
MAX_DEPTH = 1000
Runs = dict[str, Run]
Fused = tuple[Any, Any]


def fuse_minmax(runs: Runs) -> Fused:
    """Min-max normalisation, as hybrid search uses it."""
    scored = {name: (run.ids, run.scores) for name, run in runs.items()}
    return fuse(scored, method="minmax", weights=WEIGHTS)


def fuse_zscore(runs: Runs) -> Fused:
    """Standard scores."""
    scored = {name: (run.ids, run.scores) for name, run in runs.items()}
    return fuse(scored, method="zscore", weights=WEIGHTS)


def fuse_by_best_score(runs: Runs) -> Fused:
    """Scores divided by the best one: 0 stays 0, so that only the best sets the scale."""
    ids = np.unique(np.concatenate([run.ids for run in runs.values()]))
    total = np.zeros(len(ids))
    for name, run in runs.items():
        if len(run) and run.scores[0] > 0:
            total[np.searchsorted(ids, run.ids)] += WEIGHTS[name] * run.scores / run.scores[0]
    return top_k(ids, total, len(ids))


def cut_runs(snapshot: Snapshot, query: Query, runs: Runs, depth: int) -> Runs:
    """Every retriever's scores of the union of each one's `depth` best passages."""
    union = np.unique(np.concatenate([run.ids[:depth] for run in runs.values()]))
    return {
        name: Run(*top_k(union, SINGLE[name].scores(snapshot, query, union), max(1, len(union))))
        for name in runs
    }


VARIANTS: list[tuple[str, int, Callable[[Runs], Fused]]] = [
    *((f"minmax, asked {depth}", depth, fuse_minmax) for depth in (100, 500, MAX_DEPTH)),
    *((f"minmax, fixed {depth}", depth, fuse_minmax) for depth in (30, 50, 100, 200)),
    ("zscore, fixed 100", 100, fuse_zscore),
    ("share of the best, fixed 100", 100, fuse_by_best_score),
]


def measure_collection(folder: Path, work: Path, most: int) -> dict[str, float]:
    """nDCG@10 of every variant on one collection, a document scoring as its best passage."""
    (collection,) = load(str(folder), None)
    collection = sampled(collection, most)
    path = work / collection.name
    with Index.open(path) if path.exists() else Index.create(path) as index:
        index.add(collection.documents)
        runs: dict[str, dict[str, dict[str, float]]] = {name: {} for name, _, _ in VARIANTS}
        for id, text in collection.queries.items():
            for name, ranked in _fused_by_variant(index, text).items():
                runs[name][id] = ranked
    return {
        name: means(collection.judgements, run, ("nDCG@10",))["nDCG@10"]
        for name, run in runs.items()
    }


def _fused_by_variant(index: Index, text: str) -> dict[str, dict[str, float]]:
    """A query's documents and scores by each variant."""
    with index._using() as snapshot:
        (query,) = search.prepare(SearchedSnapshot(snapshot), index._encoder, [text], "hybrid")
        allowed = snapshot.allowed(None)
        runs = {
            name: SINGLE[name].find(snapshot, [query], MAX_DEPTH, allowed)[0] for name in RETRIEVERS
        }
        scores_by_variant = {}
        for name, depth, fuse_runs in VARIANTS:
            ids, scores = fuse_runs(cut_runs(snapshot, query, runs, depth))
            scores_by_variant[name] = _best_passages(
                snapshot, ids[:200].tolist(), scores[:200].tolist()
            )
    return scores_by_variant


def _best_passages(
    snapshot: Snapshot, ids: Sequence[int], scores: Sequence[float]
) -> dict[str, float]:
    """The score of each document's best passage."""
    rows = snapshot.store.passages(ids)
    documents = snapshot.store.documents(sorted({row.document for row in rows.values()}))
    best: dict[str, float] = {}
    for id, score in zip(ids, scores, strict=True):
        best.setdefault(documents[rows[id].document].id, score)
    return best


def main() -> None:
    """Measure every collection, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collections", type=Path, nargs="+", metavar="COLLECTION")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--queries", type=int, default=1000)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    rows = {}
    for folder in args.collections:
        rows[folder.name] = measure_collection(folder, args.work, args.queries)
        print(folder.name, rows[folder.name], flush=True)
    result = environment(("modernbert-retrieval", "numpy", "faiss-cpu", "tantivy", "ir-measures"))
    result |= {"queries": args.queries, "ndcg_at_10": rows}
    write_json(args.out, result)


if __name__ == "__main__":
    run_main(main)
