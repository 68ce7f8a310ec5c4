"""What it costs to see that nothing has changed: syncs of unchanged files against a bare walk.

    python benchmarks/rewalk.py --out FILE.json [--files 50000] [--runs 15]

Makes a repository of small files in folders of a few each, with a `.gitignore`, ignored folders and
all files tracked, indexes it once by an encoder that costs nothing, and then in turns:

- bare: a walk by os.scandir and stat, of files and folders alone;
- os.walk: the same by os.walk and os.stat;
- walk: a Discovery that knows every file;
- sync: `retrieval.sync.sync` of the index;
- look: whether files have changed, without and (`search`) with the bound that a search puts on it;
- command: `retrieval index` as a process of its own, and `start`: `retrieval --version`.

Times are of the processor, user and system, and of the clock.
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

from retrieval.documents import Stamp, discover
from retrieval.index import Index
from retrieval.sync import sync
from retrieval.sync.changes import LOOK_S, changes
from retrieval.types import Embeddings

PACKAGES = ("modernbert-retrieval", "numpy")
RULES = "*.log *.py[cod] __pycache__/ /build/ .env* !.env.example *~ /docs/_build/ node_modules"


def main() -> None:
    """Make the files and the index, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--to-a-folder", type=int, default=12)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--note", default="", help="what else the machine was doing")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        top = Path(scratch) / "repository"
        make(top, args.files, args.to_a_folder)
        with Index.create(top / ".retrieval", encoder=Nothing()) as index:
            added = sync(index, [top]).added
            assert added == args.files, added
        # Files are told by their times only once these are two seconds old.
        with Index.open(top / ".retrieval", encoder=Nothing()) as index:
            time.sleep(2)
            sync(index)
            rows = measured(top, index, args.files, args.runs)
    result = {
        "environment": environment(PACKAGES),
        "note": args.note,
        "load": os.getloadavg(),
        "files": args.files,
        "to_a_folder": args.to_a_folder,
        "runs": args.runs,
        "look_seconds": LOOK_S,
        "median": {what: medians(rows, what) for what in rows[0]["took"]},
        "rows": rows,
    }
    bare = result["median"]["bare"]
    result["ratio"] = {
        what: {kind: round(value / bare[kind], 3) for kind, value in seconds.items()}
        for what, seconds in result["median"].items()
    }
    print(json.dumps({name: result[name] for name in ("files", "load", "median", "ratio")}))
    if args.out:
        write_json(args.out, result)


class Nothing:
    """An encoder whose vectors say nothing."""

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


def make(top: Path, files: int, to_a_folder: int) -> None:
    """A repository: `files` tracked ones, and in every tenth folder something ignored."""
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


def measured(top: Path, index: Index, files: int, runs: int) -> list[dict[str, Any]]:
    """All in turns, so that whatever else goes on meets all."""
    known: dict[str, Stamp] = {row[2]: row for row in index.known_files()}
    program = [sys.executable, "-m", "retrieval"]
    again = [*program, "index", "--index", str(index.path), "--json"]
    ways: dict[str, Callable[[], int]] = {
        "bare": lambda: bare(top),
        "os.walk": lambda: bare_by_os_walk(top),
        "walk": lambda: walked(top, known),
        "sync": lambda: sync(index).unchanged,
        "look": lambda: files if not changes(index, 60) else 0,
        "search": lambda: files if not changes(index) else 0,
        "command": lambda: json.loads(subprocess.check_output(again))["unchanged"],
        "start": lambda: files if subprocess.check_output([*program, "--version"]) else 0,
    }
    rows = []
    for run in range(runs):
        took = {}
        for what, once in ways.items():
            count, processor, clock = timed(once)
            assert count == files, (what, count, files)
            took[what] = {"processor": round(processor, 4), "clock": round(clock, 4)}
        rows.append({"run": run, "took": took})
    return rows


def medians(rows: list[dict[str, Any]], what: str) -> dict[str, float]:
    """The median seconds of one of those, of the processor and of the clock."""
    return {
        kind: round(statistics.median(row["took"][what][kind] for row in rows), 4)
        for kind in ("processor", "clock")
    }


def processor_seconds() -> float:
    """User and system time of this process and of those that it waited for."""
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def timed(once: Callable[[], int]) -> tuple[int, float, float]:
    """What it gives, and its seconds of the processor and of the clock."""
    processor, clock = processor_seconds(), time.perf_counter()
    count = once()
    return count, processor_seconds() - processor, time.perf_counter() - clock


def bare(top: Path) -> int:
    """How many `.py` files there are; every file is asked for its status."""
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


def bare_by_os_walk(top: Path) -> int:
    """As `bare`."""
    count = 0
    for folder, folders, names in os.walk(top):
        folders[:] = [name for name in folders if name not in (".git", ".retrieval")]
        for name in names:
            os.stat(os.path.join(folder, name))  # noqa: PTH116, PTH118 -- what it is about
            count += name.endswith(".py")
    return count


def walked(top: Path, known: dict[str, Stamp]) -> int:
    """How many of the known files are as they were."""
    discovery = discover([top], top, exclude=[top / ".retrieval"], known=known)
    assert not list(discovery)
    return len(discovery.unchanged)


if __name__ == "__main__":
    main()
