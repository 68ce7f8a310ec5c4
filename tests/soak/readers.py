"""Readers in threads and processes beside a writer: each answer is of one generation, whole."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from retrieval.index import Index

from ..index.fake_encoder import FakeEncoder
from ..index.generations import generation, read_until, write_rounds
from .stages import Stage, Tally, python_path

COMMITS = 6
THREADS = 3
GROWTH = 1.1
"""Of memory from the tenth trial on."""


def _round(folder: Path) -> int:
    """Threads and a process read while a writer commits, merges and compacts; commits seen."""
    reading = subprocess.Popen(
        [sys.executable, "-m", "tests.soak.reading_process", str(folder)],
        stdin=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": python_path(), "OMP_NUM_THREADS": "1"},
    )
    done = threading.Event()
    with ThreadPoolExecutor(THREADS) as pool:
        readers = [pool.submit(read_until, folder, done.is_set) for _ in range(THREADS)]
        try:
            write_rounds(folder, count=COMMITS)
        finally:
            done.set()
            assert reading.stdin is not None
            reading.stdin.close()
            status = reading.wait(120)
        seen = sum(reader.result(120) for reader in readers)
    if status:
        raise AssertionError(f"the reading process ended with {status}")
    return seen


def run(numbers: range, tally: Tally, scratch: Path) -> None:
    """A trial is one index, `COMMITS` commits and all that its readers see of them."""
    before: tuple[int, int] | None = None
    for number in numbers:
        folder = scratch / f"index{number}"
        try:
            with Index.create(folder, encoder=FakeEncoder()) as index:
                index.add(generation(0))
            seen = _round(folder)
            with Index.open(folder, encoder=FakeEncoder()) as index:
                damage, segments = index.verify(), index.status().segments
        except Exception as error:  # a fault is what the stage looks for
            tally.fault(number, f"{type(error).__name__}: {error}")
            continue
        gc.collect()
        memory, descriptors = _resident(), len(list(Path("/proc/self/fd").iterdir()))
        if number == numbers.start + 10:
            before = (memory, descriptors)
        if damage:
            tally.fault(number, damage[0])
        elif segments > 12:
            tally.fault(number, f"{segments} segments after {COMMITS} commits")
        elif before and (memory > GROWTH * before[0] or descriptors > before[1]):
            tally.fault(number, f"memory {memory}, descriptors {descriptors}; before {before}")
        else:
            tally.note("each answer of one generation")
            tally.outcomes["(generations seen)"] += seen


def _resident() -> int:
    """Pages of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1])


STAGE = Stage(
    "readers",
    "threads and a process read while a writer commits and compacts; memory and descriptors",
    target=500,
    batch=20,
    run=run,
)
