"""Power cut at any moment: what was forced to the disk is kept, the rest is lost or torn."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from retrieval.errors import IndexNotFound, RetrievalError
from retrieval.index import Index

from ..index.fake_encoder import FakeEncoder
from ..index.killed_writer import after
from .disk_model import Disk, Record, read_trace
from .interposing import build
from .operations import Texts, wrong
from .stages import Stage, Tally, python_path

CUTS = 2000
"""Of one trace; more than it has records, so that there is a cut after each of them."""

OPERATIONS = 12

TRACED = "tests.soak.traced_process"


def traced(scratch: Path, seed: int) -> tuple[Path, list[Record]]:
    """Where an index was written, and all that was done to the files there."""
    library = build(scratch)
    if library is None:
        raise SystemExit("this stage needs Linux and a C compiler")
    folder, trace = scratch / f"traced{seed}", scratch / f"{seed}.trace"
    folder.mkdir()
    subprocess.run(
        [sys.executable, "-m", TRACED, folder, trace, str(seed), str(OPERATIONS)],
        env=os.environ
        | {"PYTHONPATH": python_path(), "LD_PRELOAD": str(library), "OMP_NUM_THREADS": "1"},
        check=True,
    )
    records = read_trace(trace)
    trace.unlink()
    shutil.rmtree(folder)
    return folder.resolve(), records


def allowed(records: Sequence[Record]) -> list[Texts]:
    """The states that may be found after these records; none while the index is being made."""
    states: list[Texts] = []
    coming: Texts = {}
    pending = False
    for record in records:
        if record.what != "note":
            continue
        (text,) = record.parts
        if text == "done":
            states, pending = [coming], False
        else:
            coming = after(dict(states[0]), json.loads(text.removeprefix("start ")))
            pending = True
    return [*states, coming] if pending else states


def judged(folder: Path, states: Sequence[Texts]) -> str | None:
    """What is wrong with what the cut left; None if nothing is."""
    try:
        if states:
            return wrong(folder, *states)
        try:
            Index.open(folder, encoder=FakeEncoder()).close()
        except IndexNotFound:
            Index.create(folder, encoder=FakeEncoder()).close()
        return wrong(folder, {})
    except RetrievalError as error:
        return str(error)


def run(numbers: range, tally: Tally, scratch: Path) -> None:
    """Trial n is a cut of trace n // CUTS."""
    seed, root, records = -1, Path(), []
    for number in numbers:
        if number // CUTS != seed:
            seed = number // CUTS
            root, records = traced(scratch, seed)
        chance = random.Random(number)
        length = number % CUTS % (len(records) + 1)
        disk = Disk(root)
        try:
            for record in records[:length]:
                disk.play(record)
        except KeyError:
            # Two threads' calls were written down in another order than they were made.
            tally.note("not judged")
            continue
        variant = None if chance.random() < 0.3 else chance
        left = scratch / "left"
        disk.cut(left, variant)
        states = allowed(records[:length])
        trouble = judged(left / "index", states)
        shutil.rmtree(left)
        if trouble:
            tally.fault(number, f"cut after record {length} of {len(records)}: {trouble}")
        else:
            tally.note("nothing lost" if states else "no index yet")


STAGE = Stage(
    "power",
    "power cut after each record of a trace: what was not forced to the disk is lost or torn",
    target=10_000,
    batch=100,
    run=run,
)
