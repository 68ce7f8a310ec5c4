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
"""Of memory that stays, against what the process had when it had settled. What a trial leaves comes
and goes, up to a third of all, as threads take memory from each other's arenas: so the least of a
batch counts, the most of the first five of these is what the process has settled at, and it has
grown if each of the latest five is above that."""

STAYS = 5  # batches

_seen: list[tuple[int, int]] = []
"""Memory and descriptors after each batch of this process."""


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
    memory, descriptors = [], []
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
        memory.append(_resident())
        descriptors.append(len(list(Path("/proc/self/fd").iterdir())))
        if damage:
            tally.fault(number, damage[0])
        elif segments > 12:
            tally.fault(number, f"{segments} segments after {COMMITS} commits")
        else:
            tally.note("each answer of one generation")
            tally.outcomes["(generations seen)"] += seen
    if memory:
        _judge_growth(numbers.stop, min(memory), max(descriptors), tally)


def _judge_growth(number: int, memory: int, descriptors: int, tally: Tally) -> None:
    _seen.append((memory, descriptors))
    pages, opened = zip(*_seen, strict=True)
    settled, held = max(pages[:STAYS]), max(opened[:STAYS])
    grown = len(_seen) >= 2 * STAYS and min(pages[-STAYS:]) > GROWTH * settled
    if grown or descriptors > held:
        found = f"memory {pages[-STAYS:]} pages, descriptors {descriptors}"
        tally.faults.append(f"up to trial {number}: {found}; before {settled}, {held}")


def _resident() -> int:
    """Pages of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1])


STAGE = Stage(
    "readers",
    "threads and a process read while a writer commits and compacts; memory and descriptors",
    target=8_000,  # six hours or so, on two cores
    batch=20,
    run=run,
)
