"""What it costs to see that nothing has changed: a walk of known files against a bare one.

    python benchmarks/rewalk.py --out FILE.json [--files 50000] [--runs 15]

Makes a repository of small files in folders of a few each, with a `.gitignore`, ignored folders and
all files tracked, walks it once, and then in turns: bare, by os.scandir and stat; and by a
Discovery that knows every file. Times are those of the process and of the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from environment import environment

from retrieval.documents import KnownFile, discover

PACKAGES = ("modernbert-retrieval",)
RULES = "*.log *.py[cod] __pycache__/ /build/ .env* !.env.example *~ /docs/_build/ node_modules"


def main() -> None:
    """Make the files, walk, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--to-a-folder", type=int, default=12)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--note", default="", help="what else the machine was doing")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        top = Path(scratch) / "repository"
        make(top, arguments.files, arguments.to_a_folder)
        found = {file.id: file for file in discover([top], top)}
        known = {id: KnownFile(file.size, file.times) for id, file in found.items()}
        rows = measured(top, known, arguments.runs)
    result = {
        "environment": environment(PACKAGES),
        "note": arguments.note,
        "load": os.getloadavg(),
        "files": len(known),
        "rows": rows,
        "ratio": {
            kind: round(
                statistics.median(row[kind] for row in rows if row["walk"] == "known")
                / statistics.median(row[kind] for row in rows if row["walk"] == "bare"),
                3,
            )
            for kind in ("process_seconds", "clock_seconds")
        },
    }
    print(json.dumps({name: result[name] for name in ("files", "load", "ratio")}))
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n")


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


def measured(top: Path, known: dict[str, KnownFile], runs: int) -> list[dict[str, Any]]:
    """Both walks in turns, so that whatever else goes on meets both."""
    rows = []
    for run in range(runs):
        for walk, once in (("bare", lambda: bare(top)), ("known", lambda: again(top, known))):
            count, process, clock = timed(once)
            assert count == len(known), (walk, count, len(known))
            rows.append(
                {"run": run, "walk": walk, "process_seconds": process, "clock_seconds": clock}
            )
    return rows


def timed(once: Callable[[], int]) -> tuple[int, float, float]:
    """What it gives, and its seconds by the process's clock and by the wall's."""
    process, clock = time.process_time(), time.perf_counter()
    count = once()
    return count, time.process_time() - process, time.perf_counter() - clock


def bare(top: Path) -> int:
    """How many `.py` files there are; every file is asked for its status."""
    count, pending = 0, [str(top)]
    while pending:
        with os.scandir(pending.pop()) as listing:
            for entry in listing:
                if not entry.is_dir(follow_symlinks=False):
                    entry.stat(follow_symlinks=False)
                    count += entry.name.endswith(".py")
                elif entry.name != ".git":
                    pending.append(entry.path)
    return count


def again(top: Path, known: dict[str, KnownFile]) -> int:
    """How many of the known files are as they were."""
    discovery = discover([top], top, known=known)
    assert not list(discovery)
    return len(discovery.unchanged)


if __name__ == "__main__":
    main()
