"""What it costs to build a collection in shards, beside one index of the same documents."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from retrieval.sharded import ShardedIndex
from retrieval.types import Document
from tests.index.fake_encoder import FakeEncoder

SHARDS = 4
RAY = "2 workers of Ray"
WAYS = {
    "one index": (),
    "1 worker": ("--shards", str(SHARDS)),
    "2 workers": ("--shards", str(SHARDS), "--workers", "2"),
    RAY: ("--shards", str(SHARDS), "--ray", "local", "--workers", "2"),
}
DOCUMENTS = 10_500
UPDATES = 6


def build(folder: str) -> dict[str, Any]:
    """By way of building: processor seconds of all processes, but for Ray, seconds, and the memory
    of the one that took most, in bytes. Each way is run in a process of its own, whose children and
    theirs are counted."""
    work = Path(tempfile.mkdtemp())
    source = Path(folder) / "corpus.jsonl"
    try:
        found = {}
        for way, options in WAYS.items():
            place = work / way.replace(" ", "-")
            index = str(place) if way == "one index" else f"file://{place}"
            command = [*("-m", "retrieval", "index", str(source), "--index", index), *options]
            found[way] = _counted(command, work / f"{place.name}-cache")
        del found[RAY]["processor_seconds"]  # nobody waits for its processes, so nobody is told
        for way in ("1 worker", "2 workers"):
            ratio = found[way]["processor_seconds"] / found["one index"]["processor_seconds"]
            found[way]["of_one_index"] = round(ratio, 3)
        return found
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _counted(command: Sequence[str], cache: Path) -> dict[str, float]:
    """Run Python in a process that counts what all that it starts takes."""
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
    started = time.monotonic()
    subprocess.run([sys.executable, *command], check=True, stdout=sys.stderr)
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
