"""A model made anew by its recipe next to the embedded one, as `published.py` measured that.

    python benchmarks/reproduced.py MODEL COLLECTION... --work FOLDER --out FILE.json

nDCG@10 of both, and whether the new one lies in the embedded one's 95 % confidence interval. It
goes on where it was stopped. What is hidden in long texts, `long_documents.py --encoder` finds.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from command import run_main
from environment import environment
from json_files import write_json
from published import PACKAGES, SHOWN, Places, progress_lines

from retrieval.errors import InputError
from retrieval.eval import evaluate, make_systems

RETRIEVERS = ("dense", "late", "hybrid")
NAME = "recipe"


def main() -> None:
    """Measure the model, and write it beside what was published."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="the model folder that the recipe wrote")
    parser.add_argument("collections", nargs="+", help="folders in BEIR's format")
    parser.add_argument("--queries", type=int, default=1000, help="of a collection, at most")
    parser.add_argument("--work", type=Path, required=True, help="folder for indexes and runs")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    published = {
        (row["collection"], row["system"]): row
        for row in json.loads(Places().results.read_text(encoding="utf-8"))["rows"]
        if row["measure"] == SHOWN
    }
    results = evaluate(
        args.collections,
        make_systems([], [f"{name}:encoder={NAME}={args.model}" for name in RETRIEVERS]),
        args.work,
        measures=[SHOWN],
        queries=args.queries,
        keep_texts=False,
        progress=progress_lines(),
    )
    if results.failed:
        raise InputError("; ".join(f"{name}: {why}" for name, why in results.failed.items()))
    rows = []
    for row in results.rows:
        retriever = row.system.rpartition("/")[2]
        own = published.get((row.collection, retriever))
        if own is None or own["queries"] != row.queries:
            raise InputError(
                f"{row.collection}: {row.queries} queries of it are not in {Places().results}; "
                "expected the collections and --queries of published.py"
            )
        rows.append(
            {"collection": row.collection, "queries": row.queries, "retriever": retriever}
            | {"reproduced": round(row.value, 4), "embedded": round(own["value"], 4)}
            | {"difference": round(row.value - own["value"], 4)}
            | {"within_interval": own["low"] <= row.value <= own["high"]}
        )
        print(rows[-1], flush=True)
    result = environment(PACKAGES) | {"measure": SHOWN, "rows": rows}
    write_json(args.out, result)


if __name__ == "__main__":
    run_main(main)
