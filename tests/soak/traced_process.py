"""A process whose calls on files are written down while it writes an index; see `power_loss`.

    python -m tests.soak.traced_process FOLDER TRACE SEED OPERATIONS

It makes an index in FOLDER/index and works on it; the notes in the trace say where each operation
starts and that it is done.
"""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from retrieval.index import Index

from ..index.fake_encoder import FakeEncoder
from ..index.killed_writer import operation, perform
from .interposing import Interposed
from .operations import EARLY, joined_when_few, lists_of_few


@contextmanager
def on_a_disk_of_its_own(folder: Path) -> Iterator[None]:
    """Files come into the folder from elsewhere by their bytes, as between two file systems.

    Both may be in memory here, and what comes by a link would not be in the trace.
    """
    link = os.link

    def within(source: Any, target: Any, **options: Any) -> None:
        if folder not in Path(source).parents:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), source)
        link(source, target, **options)

    with patch.object(os, "link", within), patch.object(shutil, "_USE_CP_SENDFILE", False):
        yield


def main() -> None:
    folder, trace, seed, count = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4]
    interposed = Interposed(os.environ["LD_PRELOAD"])
    interposed.watch(folder)
    interposed.trace(trace)
    rng = random.Random(seed)
    with (
        lists_of_few(),
        joined_when_few(),
        on_a_disk_of_its_own(folder),
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
