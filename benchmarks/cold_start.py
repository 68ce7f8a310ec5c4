"""Cold start: wall time of whole processes, from start to answer.

    python benchmarks/cold_start.py COLLECTION --passages 10000 --out FILE.json

Indexes the first passages of a collection in BEIR's format, then times `retrieval search` with each
retriever, `retrieval --help` and `import retrieval`, each in new processes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from command import run_main
from environment import environment, subprocess_environment
from json_files import write_json

from retrieval.eval import load_beir
from retrieval.index import Index
from retrieval.types import RETRIEVERS

PACKAGES = ("modernbert-retrieval", "onnxruntime", "faiss-cpu", "tantivy", "numpy", "typer")


def main() -> None:
    """Index, time the commands, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collection", type=Path)
    parser.add_argument("--passages", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    dataset = load_beir(args.collection)
    queries = list(dataset.queries.values())[: args.runs]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "index"
        with Index.create(folder) as index:
            documents = iter(dataset.documents)
            while (missing := args.passages - index.status().passages) > 0:
                # A document has one passage or a few: adding half of the rest hardly overshoots.
                if not (batch := list(itertools.islice(documents, max(missing // 2, 1)))):
                    break
                index.add(batch)
            passages = index.status().passages
        command = [sys.executable, "-m", "retrieval"]
        rows = [
            time_commands(
                f"retrieval search --retriever {retriever}",
                [
                    [*command, "search", "--index", str(folder), "--retriever", retriever, query]
                    for query in queries
                ],
            )
            | {"passages": passages}
            for retriever in RETRIEVERS
        ]
    repeat = args.runs
    rows.append(time_commands("retrieval --help", [[*command, "--help"]] * repeat))
    rows.append(
        time_commands("import retrieval", [[sys.executable, "-c", "import retrieval"]] * repeat)
    )
    rows.append(time_commands("python alone", [[sys.executable, "-c", ""]] * repeat))
    for row in rows:
        print(json.dumps(row))
    if args.out:
        result = environment(PACKAGES) | {"collection": dataset.name, "rows": rows}
        write_json(args.out, result)


def time_commands(name: str, commands: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Wall seconds of the commands, one after another, after a warmup run of the first."""
    seconds = []
    for command in [commands[0], *commands]:
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, env=subprocess_environment())
        seconds.append(time.perf_counter() - started)
    samples = seconds[1:]
    return {
        "command": name,
        "runs": len(samples),
        "min_s": round(min(samples), 3),
        "median_s": round(statistics.median(samples), 3),
        "max_s": round(max(samples), 3),
    }


if __name__ == "__main__":
    run_main(main)
