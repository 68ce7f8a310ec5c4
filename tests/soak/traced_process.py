"""A process whose calls on files are written down while it writes an index; see `power_loss`.

    python -m tests.soak.traced_process FOLDER TRACE SEED OPERATIONS

It makes an index in FOLDER/index and works on it; the notes in the trace say where each operation
starts and that it is done.
"""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path

from retrieval.index import Index

from ..index.fake_encoder import FakeEncoder
from ..index.killed_writer import operation, perform
from .interposing import Interposed
from .operations import EARLY, joined_when_few, lists_of_few


def main() -> None:
    folder, trace, seed, count = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4]
    interposed = Interposed(os.environ["LD_PRELOAD"])
    interposed.watch(folder)
    interposed.trace(trace)
    rng = random.Random(seed)
    with (
        lists_of_few(),
        joined_when_few(),
        Index.create(folder / "index", encoder=FakeEncoder(), late=EARLY) as index,
    ):
        interposed.note("done")
        for _ in range(int(count)):
            work = operation(rng)
            interposed.note(f"start {json.dumps(work)}")
            perform(index, work)
            interposed.note("done")


if __name__ == "__main__":
    main()
