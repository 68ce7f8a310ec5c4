"""The encoder and search on a GPU: correctness, speed and memory.

    python benchmarks/gpu.py --out gpu.json                 at most eight minutes
    python benchmarks/gpu.py --out gpu.json --only encoding peers
    python benchmarks/gpu.py --out dry.json --dry           everything on a CPU, tiny, in a minute

Needs torch, numpy and tokenizers, and no network; transformers, sentence-transformers, triton,
flash-attn and faiss-gpu are measured where they are installed. It runs from a plain checkout, and
leaves out what is not installed there, compiled modules included.

Steps run in order of their value in a worker process. A fault on a GPU leaves its process unusable,
so another process then continues with the next step. The result is written after every row; a step
that fails or takes too long is recorded in it.
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
from gpu_steps.reporting import GPU_LOST, format_row, run_steps
from gpu_steps.table import STEP_LIMIT_S, STEPS

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
        sys.exit(_run_worker(names, dry=args.dry))
    if args.out is None:
        raise InputError("no --out: name the file for the result")
    Report(args.out, dry=args.dry, deadline=time.monotonic() + 60 * args.minutes).run(names)


def _run_worker(names: list[str], *, dry: bool) -> int:
    """Run steps in this process, and report them as lines of JSON on standard output."""
    # Libraries print, so standard output goes to standard error, and reports to a copy of it.
    reports = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    if dry:
        torch.set_num_threads(1)  # for so little work, threads cost more than they save
    return run_steps(
        {name: STEPS[name] for name in names},
        dry=dry,
        report=lambda line: print(json.dumps(line), file=reports, flush=True),
    )


class Report:
    """The result file, and the worker processes whose rows go into it."""

    def __init__(
        self, out: Path, *, dry: bool, deadline: float, worker: Sequence[str] | None = None
    ) -> None:
        """Start a report without rows.

        Args:
            out: the result's file.
            dry: whether this is a dry run, with tiny sizes on a CPU.
            deadline: `time.monotonic()` at which to stop.
            worker: a command that takes steps' names and prints their rows; None for this program.
        """
        self._out, self._deadline = out, deadline
        # A dry run tests that steps work, so that a busy machine must not stop one.
        self._limit = math.inf if dry else STEP_LIMIT_S
        this_program = [sys.executable, str(Path(__file__).resolve()), "--worker"]
        self._command = worker or [*this_program, *(["--dry"] if dry else []), "--only"]
        self._result: dict[str, Any] = {
            **environment(PACKAGES),
            "dry": dry,
            "finished": False,
            "steps": {},
        }

    def run(self, names: list[str]) -> None:
        """Run the steps, each worker continuing where the one before had to stop."""
        self._write()
        remaining = list(names)
        while remaining and time.monotonic() < self._deadline:
            remaining = self._run_in_worker(remaining)
        for name in remaining:
            self._result_of(name)["error"] = "no time was left for it"
        self._result["finished"] = not remaining
        self._write()

    def _run_in_worker(self, names: list[str]) -> list[str]:
        """Run steps in one worker process; the steps that it did not reach."""
        worker = subprocess.Popen(
            [*self._command, *names],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1", "HF_HUB_OFFLINE": "1"},
        )
        lines: queue.Queue[str | None] = queue.Queue()
        reader = threading.Thread(target=_read_lines, args=(worker, lines), daemon=True)
        reader.start()
        remaining, started = list(names), time.monotonic()
        try:
            while remaining:
                stop_at = min(self._deadline, started + self._limit)
                try:
                    line = lines.get(timeout=max(0.0, stop_at - time.monotonic()))
                except queue.Empty:
                    elapsed = time.monotonic() - started
                    self._result_of(remaining[0])["error"] = f"stopped after {elapsed:.0f} s"
                    return remaining[1:]
                if line is None:
                    code = worker.wait()
                    if code != GPU_LOST:  # which the worker has reported itself
                        self._result_of(remaining[0])["error"] = (
                            f"its process ended with code {code}"
                        )
                        return remaining[1:]
                    return remaining
                if self._record(json.loads(line)):
                    remaining, started = remaining[1:], time.monotonic()
        finally:
            worker.kill()
            worker.wait()
            reader.join()
            self._write()
        return remaining

    def _record(self, line: dict[str, Any]) -> bool:
        """Record one line of a worker; whether its step has ended."""
        step = self._result_of(line["step"])
        if "row" in line:
            step["rows"].append(line["row"])
            print(line["step"], format_row(line["row"]), flush=True)
        ended = "seconds" in line
        if ended:
            step["seconds"] = line["seconds"]
        if "error" in line:
            step["error"] = line["error"]
            print(line["step"], "FAILED:", line["error"], flush=True)
        self._write()
        return ended

    def _result_of(self, name: str) -> dict[str, Any]:
        result: dict[str, Any] = self._result["steps"].setdefault(name, {"rows": []})
        return result

    def _write(self) -> None:
        text = json.dumps(self._result, indent=1)
        part = self._out.with_name(f"{self._out.name}.part")
        part.write_text(f"{text}\n")
        part.replace(self._out)


def _read_lines(worker: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    """Put the worker's lines into a queue, and None at their end."""
    assert worker.stdout is not None
    with worker.stdout as output:
        for line in output:
            lines.put(line)
    lines.put(None)


if __name__ == "__main__":
    run_main(main)
