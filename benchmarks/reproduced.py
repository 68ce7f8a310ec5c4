"""A model reproduced by the recipe, beside the published figures of the embedded one.

    python benchmarks/reproduced.py MODEL COLLECTION... --work FOLDER --out FILE.json

nDCG@10 of both, and whether the new one lies in the embedded one's 95 % confidence interval.
Continues an interrupted run. Facts hidden in long texts are measured by `long_documents.py
--encoder`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from command import run_main
from environment import environment
from json_files import write_json
from published import MEASURE, PACKAGES, evaluate_measure, published_row, published_values

from retrieval.eval import make_systems

RETRIEVERS = ("dense", "late", "hybrid")
NAME = "recipe"


def main() -> None:
    """Evaluate the model, and write its figures beside the published ones."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="the model folder that the recipe wrote")
    parser.add_argument("collections", nargs="+", help="folders in BEIR's format")
    parser.add_argument("--queries", type=int, default=1000, help="of a collection, at most")
    parser.add_argument("--work", type=Path, required=True, help="folder for indexes and runs")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    published = published_values()
    systems = make_systems([], [f"{name}:encoder={NAME}={args.model}" for name in RETRIEVERS])
    rows = []
    for row in evaluate_measure(args.collections, systems, args.work, args.queries):
        retriever = row.system.rpartition("/")[2]
        embedded = published_row(published, row, retriever)
        rows.append(
            {"collection": row.collection, "queries": row.queries, "retriever": retriever}
            | {"reproduced": round(row.value, 4), "embedded": round(embedded["value"], 4)}
            | {"difference": round(row.value - embedded["value"], 4)}
            | {"within_interval": embedded["low"] <= row.value <= embedded["high"]}
        )
        print(rows[-1], flush=True)
    write_json(args.out, environment(PACKAGES) | {"measure": MEASURE, "rows": rows})


if __name__ == "__main__":
    run_main(main)
