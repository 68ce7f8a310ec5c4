"""The whole product through its public API, at 1, 10 and 100 thousand passages and a million.

    python benchmarks/whole_product.py TEXTS --work FOLDER --out whole_product.json
    python benchmarks/whole_product.py TEXTS --work FOLDER --out ... --sizes 1000 1000000
    python benchmarks/whole_product.py TEXTS --work FOLDER --out ... --sizes 1000000 --only search
    python benchmarks/whole_product.py TEXTS --work FOLDER --out dry.json --dry

TEXTS is a folder with collections in BEIR's format (`corpus.jsonl`, `queries.jsonl`) or with text
files. Its passages are encoded once; where a size asks for more, perturbed copies stand in for
them. Each step of each size is a process of its own, so that its memory is its own. The result is
written after each; what is in it is not measured again. A build that was interrupted goes on where
it was. A peer that is not installed is left out; `whole_product_table.py` writes the docs' table.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from command import as_command
from environment import environment
from whole_product_steps import measures, peers
from whole_product_steps.corpus import prepare

from retrieval.errors import InputError

PACKAGES = (
    "modernbert-retrieval", "numpy", "faiss-cpu", "tantivy", "onnxruntime", "bm25s", "lancedb",
    "qdrant-client",
)  # fmt: skip
SIZES = (1_000, 10_000, 100_000)
DRY_SIZES = (30,)
STEPS: dict[str, Callable[..., dict[str, Any]]] = {
    "build": measures.build,
    "search": measures.search,
    "overlap": measures.overlap,
    "change": measures.change,
    "cold": measures.cold,
    "faiss_and_bm25s": peers.faiss_and_bm25s,
    "lancedb": peers.lancedb,
    "qdrant_local": peers.qdrant_local,
}
PEERS = {"faiss_and_bm25s": 100_000, "lancedb": 100_000, "qdrant_local": 10_000}
"""And the most passages that each is given: Qdrant says that its local mode is not for more."""


def main() -> None:
    """Measure what is not measured yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("texts", type=Path, help="a folder with collections or text files")
    parser.add_argument("--work", type=Path, required=True, help="folder for indexes")
    parser.add_argument("--out", type=Path, required=True, help="the result's JSON file")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="N")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=1_000, help="single adds")
    parser.add_argument("--only", nargs="+", choices=STEPS, default=tuple(STEPS), help="steps")
    parser.add_argument("--dry", action="store_true", help="everything, tiny")
    parser.add_argument("--step", nargs=2, metavar=("STEP", "N"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.dry:
        given.sizes, given.queries, given.repeats = DRY_SIZES, 3, 3
    if given.step:
        name, size = given.step
        row = STEPS[name](given.work, int(size), repeats=given.repeats)
        print(json.dumps(row))
        return
    if not given.texts.is_dir():
        raise InputError(f"{given.texts} is no folder; give one with collections or text files")
    given.work.mkdir(parents=True, exist_ok=True)
    before: dict[str, Any] = {}
    if given.out.exists():
        before = json.loads(given.out.read_text(encoding="utf-8"))
    rows: dict[str, Any] = before.get("rows", {})
    result = environment(PACKAGES) | {"dry": given.dry, "rows": rows}
    # Peers may have been measured in an environment of their own.
    result["versions"] = before.get("versions", {}) | result["versions"]

    def keep(key: str, row: dict[str, Any]) -> None:
        rows[key] = row
        print(key, json.dumps(row), flush=True)
        given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")

    if "real" not in rows:
        keep("real", prepare(given.texts, given.work, max(given.sizes), given.queries))
    for size in given.sizes:
        for name in given.only:
            key = f"{size} {name}"
            if key in rows or size > PEERS.get(name, size):
                continue
            keep(key, _in_a_process(name, size))


def _in_a_process(name: str, size: int) -> dict[str, Any]:
    """A step's row; what went wrong in it, if it did."""
    command = [sys.executable, str(Path(__file__).resolve()), *sys.argv[1:]]
    done = subprocess.run(
        [*command, "--step", name, str(size)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1:] or [f"exit {done.returncode}"]}
    row: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return row


if __name__ == "__main__":
    as_command(main)
