"""The embedded model's retrievers, measured again beside what was published.

    python benchmarks/again.py COLLECTION... --work FOLDER --out results.json

For a change of how documents are cut, read and searched, which leaves the model and the baselines
as they are. The collections are those of `published.py`, with as many queries.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

from command import run_main
from environment import environment
from json_files import write_json
from published import PACKAGES, SHOWN, Places, progress_lines

from retrieval.errors import InputError
from retrieval.eval import evaluate, make_systems
from retrieval.types import RETRIEVERS


def main() -> None:
    """Measure every collection, and write each figure with the published one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
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
    rows: list[dict[str, object]] = []
    means: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for collection in args.collections:
        results = evaluate(
            [collection],
            make_systems(list(RETRIEVERS), []),
            args.work / Path(collection).name,
            measures=[SHOWN],
            queries=args.queries,
            keep_texts=False,
            progress=progress_lines(),
        )
        if results.failed:
            raise InputError("; ".join(f"{name}: {why}" for name, why in results.failed.items()))
        for row in results.rows:
            own = published.get((row.collection, row.system))
            if own is None or own["queries"] != row.queries:
                raise InputError(
                    f"{row.collection}: {row.queries} queries of {row.system} are not in "
                    f"{Places().results}; expected the collections and --queries of published.py"
                )
            rows.append(
                {"collection": row.collection, "queries": row.queries, "retriever": row.system}
                | {"now": round(row.value, 4), "published": round(own["value"], 4)}
                | {"difference": round(row.value - own["value"], 4)}
            )
            means[row.system].append((row.value, own["value"]))
            print(rows[-1], flush=True)
        result = environment(PACKAGES) | {"measure": SHOWN, "rows": rows}
        result["means"] = {
            system: {
                "collections": len(values),
                "now": round(sum(now for now, _ in values) / len(values), 4),
                "published": round(sum(then for _, then in values) / len(values), 4),
            }
            for system, values in means.items()
        }
        write_json(args.out, result)


if __name__ == "__main__":
    run_main(main)
