"""The n-th call on a file fails, for each n of an operation: an error in one line, nothing lost."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from retrieval.errors import IndexNotFound, RetrievalError
from retrieval.index import Index

from ..index.fake_encoder import FakeEncoder
from .interposing import KILL, SHORT_WRITE, build
from .operations import BEFORE, OPERATIONS, wrong
from .stages import Stage, Tally, python_path

ERRORS = {
    "no space": errno.ENOSPC,
    "input/output error": errno.EIO,
    "too many files": errno.EMFILE,
    "no memory": errno.ENOMEM,
    "interrupted": errno.EINTR,
    "short write": SHORT_WRITE,
    "killed": KILL,
}

LASTING = ("no space", "input/output error", "too many files", "no memory")
"""Errors that the calls after it may have as well."""


class Failing:
    """Runs operations in processes of their own, in which a call fails."""

    def __init__(self, library: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.soak.failing_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ
            | {"PYTHONPATH": python_path(), "LD_PRELOAD": str(library), "OMP_NUM_THREADS": "1"},
        )

    def run(self, operation: str, folder: Path, at: int, error: int, on: bool) -> dict[str, Any]:
        """What came of it; see `failing_process`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"operation": operation, "folder": str(folder), "at": at, "error": error, "on": on}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        made: dict[str, Any] = json.loads(self._process.stdout.readline())
        return made

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


@contextmanager
def failing(scratch: Path) -> Iterator[Failing | None]:
    """Processes whose calls fail; None where they cannot be had."""
    library = build(scratch)
    if library is None:
        yield None
        return
    made = Failing(library)
    try:
        yield made
    finally:
        made.close()


def trials(
    processes: Failing, goods: Mapping[str, Path], scratch: Path, errors: Sequence[str]
) -> list[tuple[str, str, bool, int]]:
    """Every operation, error and call, and whether those after it fail too.

    In random order, but so that each call has failed once before any fails in another way.
    """
    calls = []
    for operation, good in goods.items():
        copy = shutil.copytree(good, scratch / "counted")
        outcome = processes.run(operation, copy, 0, 0, False)
        shutil.rmtree(copy)
        assert not outcome["raised"], (operation, outcome)
        assert outcome["calls"] > 10, (operation, outcome)
        calls += [(operation, at) for at in range(1, outcome["calls"] + 1)]
    random.Random(7).shuffle(calls)
    ways = [
        (error, on) for error in errors for on in ((False, True) if error in LASTING else (False,))
    ]
    return [
        (operation, *ways[(place + turn) % len(ways)], at)
        for turn in range(len(ways))
        for place, (operation, at) in enumerate(calls)
    ]


def judged(operation: str, folder: Path, error: str, outcome: dict[str, Any]) -> str | None:
    """What must not be, of an outcome and of the index that it left; None if all is well."""
    raised = outcome.get("raised")
    if error != "killed" or outcome["exit"] != -signal.SIGKILL:
        if outcome["exit"] != 0:
            return f"the process ended with {outcome['exit']}"
        if raised not in ("", "RetrievalError"):
            return f"raised {raised}: {outcome['line'][:200]}"
        if "\n" in outcome["line"]:
            return f"more than a line: {outcome['line']!r}"
    done = raised == ""
    try:
        if operation == "create":
            return _created(folder / "made", whole=done)
        known = OPERATIONS[operation]
        if done:
            return wrong(folder, known.after)
        return wrong(folder, BEFORE, known.after, whole=known.whole)
    except RetrievalError as trouble:
        return f"afterwards: {trouble}"


def _created(folder: Path, *, whole: bool) -> str | None:
    try:
        Index.open(folder, encoder=FakeEncoder()).close()
    except IndexNotFound as error:
        if whole:
            return f"created without an error, then: {error}"
        Index.create(folder, encoder=FakeEncoder()).close()
    return wrong(folder, {})


def _run(errors: Sequence[str], numbers: range, tally: Tally, scratch: Path) -> None:
    """The trials of these numbers, of all that there are with these errors."""
    goods = {}
    for name, operation in OPERATIONS.items():
        made = scratch / f"good {operation.prepare.__name__}"
        if not made.exists():
            operation.prepare(made)
        goods[name] = made
    with failing(scratch) as processes:
        if processes is None:
            raise SystemExit("this stage needs Linux and a C compiler")
        every = trials(processes, goods, scratch, errors)
        for number in numbers:
            operation, error, on, at = every[number % len(every)]
            folder = shutil.copytree(goods[operation], scratch / "tried")
            outcome = processes.run(operation, folder, at, ERRORS[error], on)
            trouble = judged(operation, folder, error, outcome)
            shutil.rmtree(folder)
            if trouble:
                calls = f"call {at} and all after it" if on else f"call {at}"
                tally.fault(
                    number, f"{operation}, {calls}, {outcome.get('failed')}: {error}: {trouble}"
                )
            elif outcome.get("raised", "killed"):
                tally.note("killed" if error == "killed" else "refused in one line")
            else:
                tally.note("done all the same")


CALLS = Stage(
    "calls",
    "the n-th call on a file of the index fails, or it and all after it",
    target=62_500,
    batch=100,
    run=partial(_run, [error for error in ERRORS if error != "killed"]),
)

KILLS = Stage(
    "kills",
    "the process is killed before its n-th call on a file of the index",
    target=6_250,
    batch=100,
    run=partial(_run, ["killed"]),
)
