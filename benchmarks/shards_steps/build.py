"""What it costs to build a collection in shards, beside one index of the same documents."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from retrieval.eval import load
from retrieval.sharded import ShardedIndex
from retrieval.types import Document

SHARDS = 4
WAYS = {
    "one index": (),
    "1 worker": ("--shards", str(SHARDS)),
    "2 workers": ("--shards", str(SHARDS), "--workers", "2"),
    "2 workers of Ray": ("--shards", str(SHARDS), "--ray", "local", "--workers", "2"),
}
UPDATES = 10

_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER
_STOP_SECONDS = 60


def build(folder: str) -> dict[str, Any]:
    """By way of building: processor seconds of all processes, seconds, and the memory of the one
    that took most, in bytes. Each way is run in a process of its own, whose children and theirs are
    counted."""
    work = Path(tempfile.mkdtemp())
    source = Path(folder) / "corpus.jsonl"
    try:
        found = {}
        for way, options in WAYS.items():
            place = work / way.replace(" ", "-")
            index = str(place) if way == "one index" else f"file://{place}"
            command = [*("-m", "retrieval", "index", str(source), "--index", index), *options]
            found[way] = _counted(command, work / f"{place.name}-cache")
        for way in list(WAYS)[1:]:
            ratio = found[way]["processor_seconds"] / found["one index"]["processor_seconds"]
            found[way]["of_one_index"] = round(ratio, 3)
        return found
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _counted(command: Sequence[str], cache: Path) -> dict[str, float]:
    """Run Python in a process that adopts what its children leave, and counts it all."""
    code = (
        "import json, sys; sys.path.insert(0, sys.argv[1]);"
        "from shards_steps.build import counted; print(json.dumps(counted(sys.argv[2:])))"
    )
    here = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code, here, *command],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=os.environ | {"XDG_CACHE_HOME": str(cache)},
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def counted(command: Sequence[str]) -> dict[str, float]:
    """What a Python command and all that it started took."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    started = time.monotonic()
    subprocess.run([sys.executable, *command], check=True, stdout=sys.stderr)
    seconds = time.monotonic() - started
    end = time.monotonic() + _STOP_SECONDS  # what Ray leaves stops by itself
    with suppress(ChildProcessError):
        while time.monotonic() < end:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.1)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "processor_seconds": round(used.ru_utime + used.ru_stime, 2),
        "seconds": round(seconds, 2),
        "most_bytes": used.ru_maxrss * 1024,
    }


def update(folder: str) -> dict[str, Any]:
    """What is sent for one document that changes: each of ten, in a collection of one shard."""
    (collection,) = load(folder, None)
    work = Path(tempfile.mkdtemp())
    try:
        with ShardedIndex.create(f"file://{work}/to", shards=1, cache=work / "cache") as index:
            documents = list(collection.documents)
            index.add(documents)
            status = index.status()
            step = max(1, len(documents) // UPDATES)
            sent = [
                index.add([Document(one.id, f"It was changed. {one.text}", one.title)]).sent
                for one in documents[::step][:UPDATES]
            ]
        return {
            "passages": status.passages,
            "bytes": status.bytes,
            "sent": sent,
            "shares": [round(one / status.bytes, 5) for one in sent],
        }
    finally:
        shutil.rmtree(work, ignore_errors=True)
