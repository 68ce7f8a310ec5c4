"""Late interaction measured next to its peers, from one thousand to one million passages.

    python benchmarks/late_interaction.py --scifact VECTORS --mix VECTORS --work FOLDER \\
        --peers PYTHON --out benchmarks/results/late_interaction.json

VECTORS are folders of `late_vectors.py`; PYTHON is that of an environment with what
`peers-requirements.txt` lists. Every engine builds and searches in processes of its own, one after
another. Recall@10 is against exact float32 MaxSim over the same vectors; at a million passages,
which are synthetic, against exact int8 MaxSim. What a `--work` folder holds already is not built
again. The result is written after every step.

`--steps short` takes the first `--peer-tokens` vectors of each of `--peer-passages` passages of the
mix, few enough for the peers to build an index of, and measures ours and theirs on these, with the
same queries and the same exact ranking. Its rows say in `text` where passages were cut.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from environment import environment
from json_files import write_json

HERE = Path(__file__).parent
MILLION = 1_000_000
PACKAGES = ("modernbert-retrieval", "numpy", "faiss-cpu")

Json = dict[str, Any]


def call(python: str, script: str, *arguments: object) -> Json:
    """Run a stage in a process of its own; the object on its last line."""
    command = [python, str(HERE / script), *map(str, arguments)]
    print("$", *command[1:], flush=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: Json = json.loads(done.stdout.strip().splitlines()[-1])
    return found


class Benchmark:
    """The steps, and the result as it grows."""

    def __init__(self, given: argparse.Namespace) -> None:
        self._given = given
        self._work: Path = given.work
        self._work.mkdir(parents=True, exist_ok=True)
        self._texts: dict[str, str] = {}  # what rows call a set of vectors, where not by its name
        self._result: Json = environment(PACKAGES) | {"rows": [], "kernels": [], "changes": []}
        if given.out.exists() and given.keep:
            self._result |= {
                name: rows
                for name, rows in json.loads(given.out.read_text()).items()
                if isinstance(rows, list)
            }

    def kernels(self) -> None:
        """The bare kernel: ours and the peers'."""
        rows = call(sys.executable, "late_engine.py", "kernels")["kernels"]
        if self._given.peers:
            for name in ("numkong", "maxsim-cpu"):
                for dim in (48, 96, 128):
                    rows.append(self._peer("kernel", name, "--dim", dim))
        self._result["kernels"] = [
            {key: row[key] for key in ("name", "isa", "dim", "threads", "mtokens_per_s")}
            for row in rows
        ]
        self._write()

    def ours(self, data: str, passages: int, regime: str, bits: int = 4) -> None:
        """Build and search one index of ours."""
        vectors = getattr(self._given, data)
        folder = self._work / f"{data}-{passages}-{regime}-{bits}"
        built = folder / "build.json"
        if not built.exists():
            found = call(
                sys.executable, "late_engine.py", "build", vectors, "--work", folder,
                "--passages", passages, "--regime", regime, "--bits", bits,
            )  # fmt: skip
            built.write_text(json.dumps(found))
        self._search(data, folder, json.loads(built.read_text()))

    def million(self) -> None:
        """A million synthetic passages."""
        folder = self._work / "million"
        built = folder / "build.json"
        if not built.exists():
            found = call(
                sys.executable, "late_engine.py", "synthetic", self._given.mix, "--work", folder,
                "--passages", MILLION, "--tokens", 10**12, "--regime", "lists", "--queries", 50,
                "--out", self._work / "million-truth.npz",
            )  # fmt: skip
            built.write_text(json.dumps(found))
        truth = np.load(self._work / "million-truth.npz")
        self._search("mix", folder, json.loads(built.read_text()), truth[truth.files[0]])

    def short(self, passages: int, tokens: int) -> None:
        """Ours and the peers' on the same short passages, one after the other."""
        data = f"mix{tokens}"
        folder = self._work / f"{data}-{passages}-vectors"
        if not (folder / "offsets.npy").exists():
            call(
                sys.executable, "late_engine.py", "cut", self._given.mix,
                "--out", folder, "--passages", passages, "--tokens", tokens,
            )  # fmt: skip
        setattr(self._given, data, folder)
        self._texts[data] = f"mix, cut at {tokens} tokens"
        self.ours(data, passages, "compressed")
        self.ours(data, passages, "lists")
        for name in ("plaid", "warp"):
            if self._given.peers:
                self.peer(name, data, passages)

    def filters(self, data: str, passages: int, regime: str) -> None:
        """What a filter that keeps 1 % and 10 % costs."""
        folder = self._work / f"{data}-{passages}-{regime}-4"
        for share in (0.1, 0.01):
            found = call(
                sys.executable, "late_engine.py", "search", getattr(self._given, data),
                "--work", folder, "--share", share, "--queries", 50,
            )  # fmt: skip
            self._result.setdefault("filters", []).append(
                {"regime": found["regime"], "passages": found["passages"], "kept": share}
                | {key: found[key] for key in ("p50_ms", "p95_ms")}
            )
            self._write()

    def peer(self, name: str, data: str, passages: int, *options: str) -> None:
        """Search a peer's index, built first if it is not there."""
        folder = self._work / f"{name}-{data}-{passages}"
        rankings = self._work / f"{name}-{data}-{passages}.npz"
        reuse = ["--reuse"] if (folder / "build.json").exists() else []
        found = self._peer(
            name, getattr(self._given, data), "--work", folder, "--passages", passages,
            "--queries", self._queries(data), "--out", rankings, *reuse, *options,
        )  # fmt: skip
        self._row(found | {"regime": " ".join(options) or "defaults"}, rankings, data)

    def changes(self, passages: int) -> None:
        """Adding and deleting in a whole index of ours."""
        found = call(
            sys.executable, "late_changes.py", self._given.mix,
            "--work", self._work / "changes", "--passages", passages,
        )  # fmt: skip
        self._result["changes"].append(found)
        self._write()

    def _search(
        self, data: str, folder: Path, built: Json, truth: np.ndarray[Any, Any] | None = None
    ) -> None:
        rankings = folder / "rankings.npz"
        found = call(
            sys.executable, "late_engine.py", "search", getattr(self._given, data),
            "--work", folder, "--out", rankings,
            "--queries", self._queries(data) if truth is None else len(truth),
        )  # fmt: skip
        self._row({"engine": "ours"} | found | built, rankings, data, truth)

    def _row(
        self, found: Json, rankings: Path, data: str, truth: np.ndarray[Any, Any] | None = None
    ) -> None:
        ids = np.load(rankings)["ids"]
        best = self._truth(data, found["passages"]) if truth is None else truth
        pairs = zip(best, ids, strict=False)
        recall = float(np.mean([len(set(a) & set(b)) / len(a) for a, b in pairs]))
        names = (
            "engine", "version", "regime", "passages", "tokens", "dim", "bits", "build_s",
            "p50_ms", "p95_ms", "qps", "bytes_per_token", "peak_rss_mb", "build_peak_rss_mb",
        )  # fmt: skip
        row = {name: found[name] for name in names if name in found}
        text = "synthetic" if truth is not None else self._texts.get(data, data)
        row |= {"recall_at_10": recall, "text": text}
        # Measured again after an interruption, it takes the place of what was measured before.
        others = [other for other in self._result["rows"] if _key(other) != _key(row)]
        self._result["rows"] = [*others, row]
        print(json.dumps(row), flush=True)
        self._write()

    def _truth(self, data: str, passages: int) -> np.ndarray[Any, Any]:
        file = self._work / f"{data}-truth.npz"
        if not file.exists() or f"top_{passages}" not in np.load(file).files:
            sizes = sorted({passages, *self._given.sizes})
            call(
                sys.executable, "late_engine.py", "truth", getattr(self._given, data),
                "--out", file, "--queries", self._queries(data),
                "--sizes", *sizes,
            )  # fmt: skip
        return np.load(file)[f"top_{passages}"]

    def _queries(self, data: str) -> int:
        return 100 if data == "scifact" else 50

    def _peer(self, *arguments: object) -> Json:
        return call(self._given.peers, "late_peers.py", *arguments)

    def _write(self) -> None:
        write_json(self._given.out, self._result)


def _key(row: Json) -> tuple[Any, ...]:
    """What tells rows apart."""
    return tuple(row.get(name) for name in ("engine", "regime", "passages", "tokens", "bits"))


def main() -> None:
    """Run what the command line asks for."""
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
    run = Benchmark(args)
    if "kernels" in args.steps:
        run.kernels()
    if "ours" in args.steps:
        for regime in ("exact", "compressed"):
            run.ours("scifact", 5183, regime)
        run.ours("mix", 1000, "exact")
        run.ours("mix", 10_000, "exact")
        run.ours("mix", 10_000, "compressed")
        run.ours("mix", 20_000, "compressed")
        run.ours("mix", 100_000, "compressed")
        run.ours("mix", 100_000, "lists")
        run.ours("mix", 100_000, "lists", 2)
        run.filters("mix", 10_000, "exact")
        run.filters("mix", 100_000, "compressed")
        run.filters("mix", 100_000, "lists")
    if "changes" in args.steps:
        run.changes(100_000)
    if "million" in args.steps:
        run.million()
    if "peers" in args.steps and args.peers:
        for name in ("plaid", "warp"):
            run.peer(name, "scifact", 5183)
    if "short" in args.steps:
        run.short(args.peer_passages, args.peer_tokens)
    if "more-peers" in args.steps and args.peers:
        for name in ("plaid", "warp"):
            run.peer(name, "mix", 20_000)


if __name__ == "__main__":
    main()
