"""The embedded model's retrievers, measured again beside the published figures.

    python benchmarks/again.py COLLECTION... --work FOLDER --out results.json

For changes of how documents are split, read and searched, which leave the model and the baselines
as they are. The collections are those of `published.py`, with as many queries.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

from command import run_main
from environment import environment
from json_files import write_json
from published import MEASURE, PACKAGES, evaluate_measure, published_row, published_values

from retrieval.eval import make_systems
from retrieval.types import RETRIEVERS


def main() -> None:
    """Measure every collection, and write each figure beside the published one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collections", nargs="+", help="folders in BEIR's format")
    parser.add_argument("--queries", type=int, default=1000, help="of a collection, at most")
    parser.add_argument("--work", type=Path, required=True, help="folder for indexes and runs")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    published = published_values()
    rows: list[dict[str, object]] = []
    values: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for collection in args.collections:
        systems = make_systems(list(RETRIEVERS), [])
        work = args.work / Path(collection).name
        for row in evaluate_measure([collection], systems, work, args.queries):
            before = published_row(published, row, row.system)["value"]
            rows.append(
                {"collection": row.collection, "queries": row.queries, "retriever": row.system}
                | {"now": round(row.value, 4), "published": round(before, 4)}
                | {"difference": round(row.value - before, 4)}
            )
            values[row.system].append((row.value, before))
            print(rows[-1], flush=True)
        result = environment(PACKAGES) | {"measure": MEASURE, "rows": rows}
        result["means"] = {
            system: {
                "collections": len(pairs),
                "now": round(sum(now for now, _ in pairs) / len(pairs), 4),
                "published": round(sum(before for _, before in pairs) / len(pairs), 4),
            }
            for system, pairs in values.items()
        }
        write_json(args.out, result)


if __name__ == "__main__":
    run_main(main)
