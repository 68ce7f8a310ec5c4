"""The whole product through its public API, at 1, 10 and 100 thousand passages and a million.

    python benchmarks/whole_product.py TEXTS --work FOLDER --out whole_product.json
    python benchmarks/whole_product.py TEXTS --work FOLDER --out ... --sizes 1000 1000000
    python benchmarks/whole_product.py TEXTS --work FOLDER --out ... --sizes 1000000 --only search
    python benchmarks/whole_product.py TEXTS --work FOLDER --out dry.json --dry

TEXTS is a folder of collections in BEIR's format (`corpus.jsonl`, `queries.jsonl`) or of text
files. Its passages are encoded once; sizes beyond their number are filled with perturbed copies.
Each step of each size runs in a process of its own, so that memory is measured for it alone. The
result is written after every step. A later run measures only what is missing from it, failed, or
was left out, and continues an interrupted build. A peer that is not installed is left out.
`whole_product_table.py` writes the table of the documentation.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from command import run_main
from environment import environment
from json_files import write_json
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
PEER_LIMITS = {"faiss_and_bm25s": 100_000, "lancedb": 100_000, "qdrant_local": 10_000}
"""The largest size that each peer is measured at. Qdrant advises against more in local mode."""


def main() -> None:
    """Run every step that has no result yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("texts", type=Path, help="a folder with collections or text files")
    parser.add_argument("--work", type=Path, required=True, help="folder for indexes")
    parser.add_argument("--out", type=Path, required=True, help="the result's JSON file")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="N")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=1_000, help="documents added one by one")
    parser.add_argument("--only", nargs="+", choices=STEPS, default=tuple(STEPS), help="steps")
    parser.add_argument("--dry", action="store_true", help="every step, with tiny sizes")
    parser.add_argument("--step", nargs=2, metavar=("STEP", "N"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.dry:
        args.sizes, args.queries, args.repeats = DRY_SIZES, 3, 3
    if args.step:
        name, size = args.step
        row = STEPS[name](args.work, int(size), repeats=args.repeats)
        print(json.dumps(row))
        return
    if not args.texts.is_dir():
        raise InputError(f"{args.texts} is no folder; give one with collections or text files")
    args.work.mkdir(parents=True, exist_ok=True)
    previous: dict[str, Any] = {}
    if args.out.exists():
        previous = json.loads(args.out.read_text(encoding="utf-8"))
    rows: dict[str, Any] = previous.get("rows", {})
    result = environment(PACKAGES) | {"dry": args.dry, "rows": rows}
    # Peers may have been measured in an environment of their own.
    result["versions"] = previous.get("versions", {}) | result["versions"]

    def save_row(key: str, row: dict[str, Any]) -> None:
        rows[key] = row
        print(key, json.dumps(row), flush=True)
        write_json(args.out, result)

    if "real" not in rows:
        save_row("real", prepare(args.texts, args.work, max(args.sizes), args.queries))
    for size in args.sizes:
        for name in args.only:
            key = f"{size} {name}"
            if size <= PEER_LIMITS.get(name, size) and not _is_measured(rows.get(key)):
                save_row(key, _run_step(name, size))


def _is_measured(row: Mapping[str, Any] | None) -> bool:
    """Whether a step has a result: a failed one, or a peer that was missing, is tried again."""
    return row is not None and not {"error", "left_out"} & row.keys()


def _run_step(name: str, size: int) -> dict[str, Any]:
    """Run a step in a child process; its row, or the last line of its error."""
    command = [sys.executable, str(Path(__file__).resolve()), *sys.argv[1:]]
    completed = subprocess.run(
        [*command, "--step", name, str(size)], capture_output=True, text=True, check=False
    )
    if completed.returncode:
        last_line = completed.stderr.strip().splitlines()[-1:]
        return {"error": last_line or [f"exit {completed.returncode}"]}
    row: dict[str, Any] = json.loads(completed.stdout.strip().splitlines()[-1])
    return row


if __name__ == "__main__":
    run_main(main)
