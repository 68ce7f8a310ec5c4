"""What a GPU makes of the encoder and of search: is it right, how fast, with how much memory.

    python benchmarks/gpu.py --out gpu.json                 at most eight minutes
    python benchmarks/gpu.py --out gpu.json --only encoding peers
    python benchmarks/gpu.py --out dry.json --dry           everything on a CPU, tiny, in a minute

Needs torch, numpy and tokenizers, and no network; transformers, sentence-transformers, triton,
flash-attn and faiss-gpu are measured where they are installed. It runs from a plain checkout: what
is not installed there, compiled modules included, is left out.

Steps run in order of their value, in a process of their own, since a fault on a GPU spoils the
process that it happened in: the next process goes on with the next step. The result is written
after every row, and a step that fails or takes too long is a line in it.
"""

# ruff: noqa: E402  (a checkout that is not installed is found before it is imported)

from __future__ import annotations

import argparse
import json
import math
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch
from command import run_main
from environment import environment
from gpu_steps.reporting import SPOILT, as_row, work_through
from gpu_steps.table import LIMITS_S, STEPS

from retrieval.errors import InputError

MINUTES = 8.0
PACKAGES = (
    "modernbert-retrieval",
    "torch",
    "triton",
    "transformers",
    "sentence-transformers",
    "flash-attn",
    "faiss-gpu",
    "faiss-cpu",
    "tokenizers",
    "numpy",
)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="the result's JSON file")
    parser.add_argument("--dry", action="store_true", help="everything on a CPU with tiny shapes")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="for everything together")
    parser.add_argument("--only", nargs="+", metavar="STEP", choices=STEPS, help=", ".join(STEPS))
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    names = [name for name in STEPS if not args.only or name in args.only]
    if args.worker:
        sys.exit(_work(names, dry=args.dry))
    if args.out is None:
        raise InputError("no --out: name the file for the result")
    Report(args.out, dry=args.dry, deadline=time.monotonic() + 60 * args.minutes).run(names)


def _work(names: list[str], *, dry: bool) -> int:
    """Steps in this process, told in lines of JSON on standard output."""
    # Libraries print: what is not ours goes where it does no harm.
    told = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    if dry:
        torch.set_num_threads(1)  # so little work is done sooner without waiting for each other
    return work_through(
        {name: STEPS[name] for name in names},
        dry=dry,
        tell=lambda line: print(json.dumps(line), file=told, flush=True),
    )


class Report:
    """The result, as far as it has come."""

    def __init__(
        self, out: Path, *, dry: bool, deadline: float, worker: Sequence[str] | None = None
    ) -> None:
        """Begin one.

        Args:
            out: the file.
            dry: whether it is but to be seen that it runs.
            deadline: `time.monotonic()` at which to stop.
            worker: a command that takes steps' names and tells their rows; None is this program.
        """
        self._out, self._deadline = out, deadline
        # A dry run is to be seen through, however busy the machine is.
        self._limit = math.inf if dry else LIMITS_S
        own = [sys.executable, str(Path(__file__).resolve()), "--worker"]
        self._command = worker or [*own, *(["--dry"] if dry else []), "--only"]
        self._result: dict[str, Any] = {
            **environment(PACKAGES),
            "dry": dry,
            "finished": False,
            "steps": {},
        }

    def run(self, names: list[str]) -> None:
        """The steps, each process going on where the one before had to stop."""
        self._write()
        left = list(names)
        while left and time.monotonic() < self._deadline:
            left = self._work(left)
        for name in left:
            self._step(name)["error"] = "no time was left for it"
        self._result["finished"] = not left
        self._write()

    def _work(self, names: list[str]) -> list[str]:
        """The steps that one process did not get to."""
        worker = subprocess.Popen(
            [*self._command, *names],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1", "HF_HUB_OFFLINE": "1"},
        )
        lines: queue.Queue[str | None] = queue.Queue()
        reader = threading.Thread(target=_read, args=(worker, lines), daemon=True)
        reader.start()
        left, began = list(names), time.monotonic()
        try:
            while left:
                until = min(self._deadline, began + self._limit)
                try:
                    line = lines.get(timeout=max(0.0, until - time.monotonic()))
                except queue.Empty:
                    taken = time.monotonic() - began
                    self._step(left[0])["error"] = f"stopped after {taken:.0f} s"
                    return left[1:]
                if line is None:
                    code = worker.wait()
                    if code != SPOILT:  # a step that spoilt its process has said so itself
                        self._step(left[0])["error"] = f"its process ended with code {code}"
                        return left[1:]
                    return left
                if self._take(json.loads(line)):
                    left, began = left[1:], time.monotonic()
        finally:
            worker.kill()
            worker.wait()
            reader.join()
            self._write()
        return left

    def _take(self, told: dict[str, Any]) -> bool:
        """One line of a worker; whether its step is over."""
        step = self._step(told["step"])
        if "row" in told:
            step["rows"].append(told["row"])
            print(told["step"], as_row(told["row"]), flush=True)
        over = "seconds" in told
        if over:
            step["seconds"] = told["seconds"]
        if "error" in told:
            step["error"] = told["error"]
            print(told["step"], "FAILED:", told["error"], flush=True)
        self._write()
        return over

    def _step(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self._result["steps"].setdefault(name, {"rows": []})
        return found

    def _write(self) -> None:
        text = json.dumps(self._result, indent=1)
        part = self._out.with_name(f"{self._out.name}.part")
        part.write_text(f"{text}\n")
        part.replace(self._out)


def _read(worker: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    assert worker.stdout is not None
    with worker.stdout as told:
        for line in told:
            lines.put(line)
    lines.put(None)


if __name__ == "__main__":
    run_main(main)
