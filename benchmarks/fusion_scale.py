"""What decides the scale of hybrid's scores: nDCG@10 of several choices, of one set of runs.

    python benchmarks/fusion_scale.py COLLECTION... --work FOLDER --out FILE.json

COLLECTION is a folder in BEIR's format, whose test queries are asked, at most 1,000 of them. Each
is indexed once by the embedded model, under FOLDER. `asked K` sets the scale by the K best of each
retriever, as many as were asked for; `fixed N` by the N best, whatever was asked for.
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

NAMES = ("lexical", "dense", "late")
WEIGHTS = Hybrid().weights
DEEPEST = 1000
Runs = dict[str, Run]
Fused = tuple[Any, Any]


def by_minmax(runs: Runs) -> Fused:
    """As hybrid does it."""
    scored = {name: (run.ids, run.scores) for name, run in runs.items()}
    return fuse(scored, method="minmax", weights=WEIGHTS)


def by_zscore(runs: Runs) -> Fused:
    """Deviations from the mean."""
    scored = {name: (run.ids, run.scores) for name, run in runs.items()}
    return fuse(scored, method="zscore", weights=WEIGHTS)


def by_best(runs: Runs) -> Fused:
    """Shares of the best score: 0 stays 0, so that only the best one sets the scale."""
    ids = np.unique(np.concatenate([run.ids for run in runs.values()]))
    total = np.zeros(len(ids))
    for name, run in runs.items():
        if len(run) and run.scores[0] > 0:
            total[np.searchsorted(ids, run.ids)] += WEIGHTS[name] * run.scores / run.scores[0]
    return top_k(ids, total, len(ids))


def within(snapshot: Snapshot, query: Query, found: Runs, depth: int) -> Runs:
    """Every retriever's scores of the `depth` best of each."""
    union = np.unique(np.concatenate([run.ids[:depth] for run in found.values()]))
    return {
        name: Run(*top_k(union, SINGLE[name].scores(snapshot, query, union), max(1, len(union))))
        for name in found
    }


VARIANTS: list[tuple[str, int, Callable[[Runs], Fused]]] = [
    *((f"minmax, asked {depth}", depth, by_minmax) for depth in (100, 500, DEEPEST)),
    *((f"minmax, fixed {depth}", depth, by_minmax) for depth in (30, 50, 100, 200)),
    ("zscore, fixed 100", 100, by_zscore),
    ("share of the best, fixed 100", 100, by_best),
]


def measured(folder: Path, work: Path, most: int) -> dict[str, float]:
    """nDCG@10 of every variant on one collection, a document being its best passage."""
    (collection,) = load(str(folder), None)
    collection = sampled(collection, most)
    path = work / collection.name
    with Index.open(path) if path.exists() else Index.create(path) as index:
        index.add(collection.documents)
        runs: dict[str, dict[str, dict[str, float]]] = {name: {} for name, _, _ in VARIANTS}
        for id, text in collection.queries.items():
            for name, ranked in _answers(index, text).items():
                runs[name][id] = ranked
    return {
        name: means(collection.judgements, run, ("nDCG@10",))["nDCG@10"]
        for name, run in runs.items()
    }


def _answers(index: Index, text: str) -> dict[str, dict[str, float]]:
    with index._using() as snapshot:
        (query,) = search.prepare(SearchedSnapshot(snapshot), index._encoder, [text], "hybrid")
        alive = snapshot.allowed(None)
        found = {name: SINGLE[name].find(snapshot, [query], DEEPEST, alive)[0] for name in NAMES}
        answers = {}
        for name, depth, fused in VARIANTS:
            ids, scores = fused(within(snapshot, query, found, depth))
            answers[name] = _documents(snapshot, ids[:200].tolist(), scores[:200].tolist())
    return answers


def _documents(snapshot: Snapshot, ids: Sequence[int], scores: Sequence[float]) -> dict[str, float]:
    rows = snapshot.store.passages(ids)
    documents = snapshot.store.documents(sorted({row.document for row in rows.values()}))
    best: dict[str, float] = {}
    for id, value in zip(ids, scores, strict=True):
        best.setdefault(documents[rows[id].document].id, value)
    return best


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collections", type=Path, nargs="+", metavar="COLLECTION")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--queries", type=int, default=1000)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    rows = {}
    for folder in args.collections:
        rows[folder.name] = measured(folder, args.work, args.queries)
        print(folder.name, rows[folder.name], flush=True)
    result = environment(("modernbert-retrieval", "numpy", "faiss-cpu", "tantivy", "ir-measures"))
    result |= {"queries": args.queries, "ndcg_at_10": rows}
    write_json(args.out, result)


if __name__ == "__main__":
    run_main(main)
