"""Late interaction beside its peers, from one thousand to one million passages.

    python benchmarks/late_interaction.py --scifact VECTORS --mix VECTORS --work FOLDER \\
        --peers PYTHON --out benchmarks/results/late_interaction.json

VECTORS are folders of `late_vectors.py`; PYTHON is the interpreter of an environment with what
`peers-requirements.txt` lists. Every engine builds and searches in processes of its own, one after
another. Recall@10 is against exact float32 MaxSim over the same vectors; at a million passages,
which are synthetic, against exact int8 MaxSim. What the `--work` folder holds is not built again.
The result is written after every step.

`--steps short` takes the first `--peer-tokens` vectors of each of `--peer-passages` passages of the
mix, few enough for the peers to build an index of, and measures all engines on these, with the same
queries and the same exact ranking. Its rows say in `text` where passages were cut.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from environment import environment
from json_files import write_json

BENCHMARKS = Path(__file__).parent
MILLION = 1_000_000
PACKAGES = ("modernbert-retrieval", "numpy", "faiss-cpu")

Json = dict[str, Any]


def run_stage(python: str, script: str, *arguments: object) -> Json:
    """Run a stage in a process of its own; the JSON object on the last line of its output."""
    command = [python, str(BENCHMARKS / script), *map(str, arguments)]
    print("$", *command[1:], flush=True)
    completed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result: Json = json.loads(completed.stdout.strip().splitlines()[-1])
    return result


class Benchmark:
    """The steps, and the result as it grows."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._work: Path = args.work
        self._work.mkdir(parents=True, exist_ok=True)
        self._texts: dict[str, str] = {}  # names of vector sets in the rows, where they differ
        self._result: Json = environment(PACKAGES) | {"rows": [], "kernels": [], "changes": []}
        if args.out.exists() and args.keep:
            self._result |= {
                name: rows
                for name, rows in json.loads(args.out.read_text()).items()
                if isinstance(rows, list)
            }

    def kernels(self) -> None:
        """The bare kernels, ours and the peers'."""
        rows = run_stage(sys.executable, "late_engine.py", "kernels")["kernels"]
        if self._args.peers:
            for name in ("numkong", "maxsim-cpu"):
                for dim in (48, 96, 128):
                    rows.append(self._peer("kernel", name, "--dim", dim))
        self._result["kernels"] = [
            {key: row[key] for key in ("name", "isa", "dim", "threads", "mtokens_per_s")}
            for row in rows
        ]
        self._write()

    def ours(self, data: str, passages: int, regime: str, bits: int = 4) -> None:
        """Build and search one of our indexes."""
        vectors = getattr(self._args, data)
        folder = self._work / f"{data}-{passages}-{regime}-{bits}"
        build_file = folder / "build.json"
        if not build_file.exists():
            build = run_stage(
                sys.executable, "late_engine.py", "build", vectors, "--work", folder,
                "--passages", passages, "--regime", regime, "--bits", bits,
            )  # fmt: skip
            build_file.write_text(json.dumps(build))
        self._search(data, folder, json.loads(build_file.read_text()))

    def million(self) -> None:
        """A million synthetic passages."""
        folder = self._work / "million"
        build_file = folder / "build.json"
        if not build_file.exists():
            build = run_stage(
                sys.executable, "late_engine.py", "synthetic", self._args.mix, "--work", folder,
                "--passages", MILLION, "--tokens", 10**12, "--regime", "lists", "--queries", 50,
                "--out", self._work / "million-truth.npz",
            )  # fmt: skip
            build_file.write_text(json.dumps(build))
        truth = np.load(self._work / "million-truth.npz")
        self._search("mix", folder, json.loads(build_file.read_text()), truth[truth.files[0]])

    def short(self, passages: int, tokens: int) -> None:
        """Our index and the peers' over the same short passages."""
        data = f"mix{tokens}"
        folder = self._work / f"{data}-{passages}-vectors"
        if not (folder / "offsets.npy").exists():
            run_stage(
                sys.executable, "late_engine.py", "cut", self._args.mix,
                "--out", folder, "--passages", passages, "--tokens", tokens,
            )  # fmt: skip
        setattr(self._args, data, folder)
        self._texts[data] = f"mix, cut at {tokens} tokens"
        self.ours(data, passages, "compressed")
        self.ours(data, passages, "lists")
        for name in ("plaid", "warp"):
            if self._args.peers:
                self.peer(name, data, passages)

    def filters(self, data: str, passages: int, regime: str) -> None:
        """Latency under filters that keep 10 % and 1 % of the passages."""
        folder = self._work / f"{data}-{passages}-{regime}-4"
        for share in (0.1, 0.01):
            result = run_stage(
                sys.executable, "late_engine.py", "search", getattr(self._args, data),
                "--work", folder, "--share", share, "--queries", 50,
            )  # fmt: skip
            row = {"regime": result["regime"], "passages": result["passages"], "kept": share}
            row |= {key: result[key] for key in ("p50_ms", "p95_ms")}
            self._put("filters", row, ("regime", "passages", "kept"))

    def peer(self, name: str, data: str, passages: int, *options: str) -> None:
        """Search a peer's index, built first if it is missing."""
        folder = self._work / f"{name}-{data}-{passages}"
        rankings = self._work / f"{name}-{data}-{passages}.npz"
        reuse = ["--reuse"] if (folder / "build.json").exists() else []
        result = self._peer(
            name, getattr(self._args, data), "--work", folder, "--passages", passages,
            "--queries", self._queries(data), "--out", rankings, *reuse, *options,
        )  # fmt: skip
        self._row(result | {"regime": " ".join(options) or "defaults"}, rankings, data)

    def changes(self, passages: int) -> None:
        """Adding to and deleting from one of our whole indexes."""
        row = run_stage(
            sys.executable, "late_changes.py", self._args.mix,
            "--work", self._work / "changes", "--passages", passages,
        )  # fmt: skip
        self._put("changes", row, ("passages",))

    def _search(
        self, data: str, folder: Path, build: Json, truth: np.ndarray[Any, Any] | None = None
    ) -> None:
        rankings = folder / "rankings.npz"
        result = run_stage(
            sys.executable, "late_engine.py", "search", getattr(self._args, data),
            "--work", folder, "--out", rankings,
            "--queries", self._queries(data) if truth is None else len(truth),
        )  # fmt: skip
        self._row({"engine": "ours"} | result | build, rankings, data, truth)

    def _row(
        self, result: Json, rankings: Path, data: str, truth: np.ndarray[Any, Any] | None = None
    ) -> None:
        ids = np.load(rankings)["ids"]
        best = self._truth(data, result["passages"]) if truth is None else truth
        pairs = zip(best, ids, strict=False)
        recall = float(np.mean([len(set(a) & set(b)) / len(a) for a, b in pairs]))
        names = (
            "engine", "version", "regime", "passages", "tokens", "dim", "bits", "build_s",
            "p50_ms", "p95_ms", "qps", "bytes_per_token", "peak_rss_mb", "build_peak_rss_mb",
        )  # fmt: skip
        row = {name: result[name] for name in names if name in result}
        text = "synthetic" if truth is not None else self._texts.get(data, data)
        row |= {"recall_at_10": recall, "text": text}
        print(json.dumps(row), flush=True)
        self._put("rows", row, ("engine", "regime", "passages", "tokens", "bits"))

    def _put(self, table: str, row: Json, key: Sequence[str]) -> None:
        """Add a row to a table of the result, in place of an earlier one with the same key."""

        def key_of(one: Json) -> list[Any]:
            return [one.get(name) for name in key]

        others = [other for other in self._result.get(table, []) if key_of(other) != key_of(row)]
        self._result[table] = [*others, row]
        self._write()

    def _truth(self, data: str, passages: int) -> np.ndarray[Any, Any]:
        """The exact top passages of the first so many, i64 [q, k]; computed if not there yet."""
        file = self._work / f"{data}-truth.npz"
        if not file.exists() or f"top_{passages}" not in np.load(file).files:
            sizes = sorted({passages, *self._args.sizes})
            run_stage(
                sys.executable, "late_engine.py", "truth", getattr(self._args, data),
                "--out", file, "--queries", self._queries(data),
                "--sizes", *sizes,
            )  # fmt: skip
        return np.load(file)[f"top_{passages}"]

    def _queries(self, data: str) -> int:
        return 100 if data == "scifact" else 50

    def _peer(self, *arguments: object) -> Json:
        return run_stage(self._args.peers, "late_peers.py", *arguments)

    def _write(self) -> None:
        write_json(self._args.out, self._result)


def main() -> None:
    """Run the chosen steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scifact", type=Path, required=True)
    parser.add_argument("--mix", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--peers", help="the Python of the peers' environment")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--keep", action="store_true", help="add to what --out holds")
    parser.add_argument("--steps", nargs="+", default=["kernels", "ours", "peers", "million"])
    parser.add_argument("--peer-passages", type=int, default=100_000)
    parser.add_argument("--peer-tokens", type=int, default=40, help="of each passage, in `short`")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[1000, 5183, 10_000, 20_000, 100_000]
    )
    args = parser.parse_args()
    benchmark = Benchmark(args)
    if "kernels" in args.steps:
        benchmark.kernels()
    if "ours" in args.steps:
        for regime in ("exact", "compressed"):
            benchmark.ours("scifact", 5183, regime)
        benchmark.ours("mix", 1000, "exact")
        benchmark.ours("mix", 10_000, "exact")
        benchmark.ours("mix", 10_000, "compressed")
        benchmark.ours("mix", 20_000, "compressed")
        benchmark.ours("mix", 100_000, "compressed")
        benchmark.ours("mix", 100_000, "lists")
        benchmark.ours("mix", 100_000, "lists", 2)
        benchmark.filters("mix", 10_000, "exact")
        benchmark.filters("mix", 100_000, "compressed")
        benchmark.filters("mix", 100_000, "lists")
    if "changes" in args.steps:
        benchmark.changes(100_000)
    if "million" in args.steps:
        benchmark.million()
    if "peers" in args.steps and args.peers:
        for name in ("plaid", "warp"):
            benchmark.peer(name, "scifact", 5183)
    if "short" in args.steps:
        benchmark.short(args.peer_passages, args.peer_tokens)
    if "more-peers" in args.steps and args.peers:
        for name in ("plaid", "warp"):
            benchmark.peer(name, "mix", 20_000)


if __name__ == "__main__":
    main()
