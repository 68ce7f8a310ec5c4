"""What it costs to build a collection in shards, beside one index of the same documents."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from retrieval.sharded import ShardedIndex
from retrieval.types import Document
from shards_steps.stages import FOLDER, path
from tests.index.fake_encoder import FakeEncoder

SHARDS = 4
ROUNDS = 2
"""Each way is run so often, in turns."""

RAY = "2 workers of Ray"
ONE, TWO = "1 worker on one core", "2 workers"
WAYS: dict[str, tuple[str, ...]] = {
    "one index": (),
    ONE: ("--shards", str(SHARDS)),
    TWO: ("--shards", str(SHARDS), "--workers", "2"),
    RAY: ("--shards", str(SHARDS), "--ray", "local", "--workers", "2"),
}
DOCUMENTS = 10_500
UPDATES = 6


def build(folder: str) -> dict[str, Any]:
    """By way of building: seconds, processor seconds of all processes, but for Ray, and the memory
    of the one that took most, in bytes. Each way is run in a process of its own, whose children and
    theirs are counted.

    One worker is held to one core, since it would take them all otherwise. Of a build in shards its
    stages are told, and what two workers gain: by the clock, and by the processor time of the
    longest way, which other work on the machine does not change as much.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for _ in range(ROUNDS):
        for way, options in WAYS.items():
            try:
                made = _built(Path(folder) / "corpus.jsonl", way, options)
            except subprocess.CalledProcessError:
                if way != RAY:  # which may not start on a busy machine
                    raise
            else:
                found.setdefault(way, []).append(made)
    told: dict[str, Any] = {way: _median(several) for way, several in found.items()}
    for way in (ONE, TWO):
        ratio = told[way]["processor_seconds"] / told["one index"]["processor_seconds"]
        told[way]["of_one_index"] = round(ratio, 3)
    if RAY in told:
        del told[RAY]["processor_seconds"]  # nobody waits for its processes, so nobody is told
    for way in (TWO, RAY):
        if way not in told:
            continue
        longest = told[way]["longest_way_processor_seconds"]
        told[way]["times_as_fast_as_one"] = {
            "by_the_clock": round(told[ONE]["seconds"] / told[way]["seconds"], 3),
            "by_processor_time": round(told[ONE]["processor_seconds"] / longest, 3),
        }
    return told | {"rounds": ROUNDS, "shards": SHARDS}


def _built(source: Path, way: str, options: Sequence[str]) -> dict[str, Any]:
    work = Path(tempfile.mkdtemp())
    try:
        place = work / "made"
        index = str(place) if way == "one index" else f"file://{place}"
        command = ["index", str(source), "--index", index, *options]
        return _counted(command, work, cores=1 if way == ONE else None)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _median(several: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Medians of what several runs took, and the stages of the last."""
    return {
        name: round(statistics.median(one[name] for one in several), 2)
        if isinstance(value, float | int)
        else value
        for name, value in several[-1].items()
    }


def _counted(command: Sequence[str], work: Path, cores: int | None) -> dict[str, Any]:
    """Run `retrieval` in a process that counts what all that it starts takes."""
    code = (
        "import json, sys; from shards_steps.build import counted;"
        "print(json.dumps(counted(sys.argv[2:], int(sys.argv[1]))))"
    )
    here = Path(__file__).parents[1]
    stages = work / "stages"
    stages.mkdir()
    places = os.pathsep.join([str(here), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code, str(cores or 0), *command],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=os.environ
        | {"XDG_CACHE_HOME": str(work / "cache"), FOLDER: str(stages), "PYTHONPATH": places},
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found | (path(stages) if any(stages.iterdir()) else {})


def counted(command: Sequence[str], cores: int) -> dict[str, float]:
    """What `retrieval` with these arguments and all that it started took.

    Args:
        command: the arguments.
        cores: that it may use; 0 is all.
    """
    if cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    started = time.monotonic()
    module = "shards_steps.stages"
    subprocess.run([sys.executable, "-m", module, *command], check=True, stdout=sys.stderr)
    seconds = time.monotonic() - started
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "processor_seconds": round(used.ru_utime + used.ru_stime, 2),
        "seconds": round(seconds, 2),
        "most_bytes": used.ru_maxrss * 1024,
    }


def update() -> dict[str, Any]:
    """What is sent for one document that changes: each of some, in a collection of one shard.

    Words are drawn, and vectors are those of words: what is sent depends on neither.
    """
    drawn = random.Random(1)
    words = [f"word{n}" for n in range(20_000)]
    shares = [1 / (n + 1) for n in range(20_000)]

    def document(number: int) -> Document:
        texts = (" ".join(drawn.choices(words, shares, k=80)) for _ in range(2))
        return Document(f"folder{number % 50}/document-{number:06d}.md", "\n\n".join(texts))

    work = Path(tempfile.mkdtemp())
    try:
        with ShardedIndex.create(
            f"file://{work}/to",
            shards=1,
            encoder=FakeEncoder(384, 96),
            passage_tokens=100,
            cache=work / "cache",
        ) as index:
            index.add(map(document, range(DOCUMENTS)))
            status = index.status()
            step = DOCUMENTS // UPDATES
            sent = [index.add([document(step * n)]).sent for n in range(UPDATES)]
        return {
            "passages": status.passages,
            "bytes": status.bytes,
            "sent": sent,
            "shares": [round(one / status.bytes, 5) for one in sent],
        }
    finally:
        shutil.rmtree(work, ignore_errors=True)
