"""What it costs to see that nothing has changed: syncs of unchanged files beside a bare walk.

    python benchmarks/rewalk.py --out FILE.json [--files 50000] [--runs 15]

Creates a repository of small tracked files in small folders, with a `.gitignore` and ignored
folders, indexes it once by an encoder that costs nothing, and then measures in turns:

- bare: a walk by os.scandir and stat, of files and folders alone;
- os.walk: the same by os.walk and os.stat;
- walk: a Discovery that knows every file;
- sync: `retrieval.sync.sync` of the index;
- look: whether files have changed, without and (`search`) with the time limit of a search;
- command: `retrieval index` as a process of its own, and `start`: `retrieval --version`.

Times are CPU time, user and system, and wall time.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from environment import environment
from json_files import write_json
from numpy.typing import NDArray
from timing import cpu_seconds

from retrieval.documents import Stamp, discover
from retrieval.index import Index
from retrieval.sync import sync
from retrieval.sync.changes import LOOK_S, changes
from retrieval.types import Embeddings

PACKAGES = ("modernbert-retrieval", "numpy")
RULES = "*.log *.py[cod] __pycache__/ /build/ .env* !.env.example *~ /docs/_build/ node_modules"


def main() -> None:
    """Create the files and the index, measure, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--to-a-folder", type=int, default=12)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--note", default="", help="what else the machine was doing")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        top = Path(scratch) / "repository"
        create_repository(top, args.files, args.to_a_folder)
        with Index.create(top / ".retrieval", encoder=NullEncoder()) as index:
            added = sync(index, [top]).added
            assert added == args.files, added
        # File times are trusted only once they are two seconds old.
        with Index.open(top / ".retrieval", encoder=NullEncoder()) as index:
            time.sleep(2)
            sync(index)
            rows = measure_ways(top, index, args.files, args.runs)
    result = {
        "environment": environment(PACKAGES),
        "note": args.note,
        "load": os.getloadavg(),
        "files": args.files,
        "to_a_folder": args.to_a_folder,
        "runs": args.runs,
        "look_seconds": LOOK_S,
        "median": {way: medians(rows, way) for way in rows[0]["took"]},
        "rows": rows,
    }
    bare = result["median"]["bare"]
    result["ratio"] = {
        way: {kind: round(value / bare[kind], 3) for kind, value in seconds.items()}
        for way, seconds in result["median"].items()
    }
    print(json.dumps({name: result[name] for name in ("files", "load", "median", "ratio")}))
    if args.out:
        write_json(args.out, result)


class NullEncoder:
    """An encoder of one-dimensional vectors that costs nothing."""

    name = "nothing"
    fingerprint = "0" * 64
    dense_dim = 1
    token_dim = None
    max_tokens = 512

    def token_spans(self, text: str) -> NDArray[np.int64]:
        """A token for each character."""
        return np.stack([np.arange(len(text)), np.arange(1, len(text) + 1)], axis=1)

    def encode_documents(self, texts: Sequence[str]) -> Embeddings:
        """A one for each text."""
        return Embeddings(np.ones((len(texts), 1), np.float32), None, None)

    encode_queries = encode_documents


def create_repository(top: Path, files: int, to_a_folder: int) -> None:
    """A git repository of `files` tracked files; every tenth folder has ignored ones as well."""
    for number in range(files):
        folder = number // to_a_folder
        path = top / f"part{folder % 40}" / f"module{folder // 40}" / f"step_{number}.py"
        if number % to_a_folder == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
            if folder % 10 == 0:
                (path.parent / "__pycache__").mkdir()
                (path.parent / "run.log").write_text("a line\n")
        path.write_text(f"value = {number}\n")
    (top / ".gitignore").write_text(RULES.replace(" ", "\n"))
    if shutil.which("git"):
        subprocess.run(["git", "init", "-q", str(top)], check=True)
        subprocess.run(["git", "-C", str(top), "add", "-A"], check=True)


def measure_ways(top: Path, index: Index, files: int, runs: int) -> list[dict[str, Any]]:
    """Rows of all ways in turns, so that load from elsewhere meets all of them."""
    known: dict[str, Stamp] = {row[2]: row for row in index.known_files()}
    program = [sys.executable, "-m", "retrieval"]
    reindex = [*program, "index", "--index", str(index.path), "--json"]
    ways: dict[str, Callable[[], int]] = {
        "bare": lambda: walk_by_scandir(top),
        "os.walk": lambda: walk_by_os(top),
        "walk": lambda: walk_by_discovery(top, known),
        "sync": lambda: sync(index).unchanged,
        "look": lambda: files if not changes(index, 60) else 0,
        "search": lambda: files if not changes(index) else 0,
        "command": lambda: json.loads(subprocess.check_output(reindex))["unchanged"],
        "start": lambda: files if subprocess.check_output([*program, "--version"]) else 0,
    }
    rows = []
    for run in range(runs):
        times = {}
        for way, work in ways.items():
            count, cpu_s, wall_s = time_once(work)
            assert count == files, (way, count, files)
            times[way] = {"processor": round(cpu_s, 4), "clock": round(wall_s, 4)}
        rows.append({"run": run, "took": times})
    return rows


def medians(rows: list[dict[str, Any]], way: str) -> dict[str, float]:
    """The median CPU and wall seconds of one way."""
    return {
        kind: round(statistics.median(row["took"][way][kind] for row in rows), 4)
        for kind in ("processor", "clock")
    }


def cpu_seconds_with_children() -> float:
    """CPU seconds of this process and of the children that it waited for."""
    return cpu_seconds() + cpu_seconds(resource.RUSAGE_CHILDREN)


def time_once(work: Callable[[], int]) -> tuple[int, float, float]:
    """The value of a call, and its CPU and wall seconds."""
    cpu_before, started = cpu_seconds_with_children(), time.perf_counter()
    value = work()
    return value, cpu_seconds_with_children() - cpu_before, time.perf_counter() - started


def walk_by_scandir(top: Path) -> int:
    """The number of `.py` files, with a stat of every file."""
    count, pending = 0, [str(top)]
    while pending:
        with os.scandir(pending.pop()) as listing:
            for entry in listing:
                if not entry.is_dir(follow_symlinks=False):
                    entry.stat(follow_symlinks=False)
                    count += entry.name.endswith(".py")
                elif entry.name not in (".git", ".retrieval"):
                    pending.append(entry.path)
    return count


def walk_by_os(top: Path) -> int:
    """The same by os.walk."""
    count = 0
    for folder, folders, names in os.walk(top):
        folders[:] = [name for name in folders if name not in (".git", ".retrieval")]
        for name in names:
            os.stat(os.path.join(folder, name))  # noqa: PTH116, PTH118 -- what it is about
            count += name.endswith(".py")
    return count


def walk_by_discovery(top: Path, known: dict[str, Stamp]) -> int:
    """How many of the known files are unchanged."""
    discovery = discover([top], top, exclude=[top / ".retrieval"], known=known)
    assert not list(discovery)
    return len(discovery.unchanged)


if __name__ == "__main__":
    main()
