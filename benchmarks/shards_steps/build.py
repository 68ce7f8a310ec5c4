"""What building a collection in shards costs, beside one index of the same documents."""

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

from timing import cpu_seconds

from retrieval.sharded import ShardedIndex
from retrieval.types import Document
from shards_steps.stages import STAGES_FOLDER, critical_path
from tests.index.fake_encoder import FakeEncoder

SHARDS = 4
ROUNDS = 2
"""How often each variant is built. Variants take turns, so that load from elsewhere meets all."""

RAY_WORKERS = "2 workers of Ray"
ONE_WORKER, TWO_WORKERS = "1 worker on one core", "2 workers"
VARIANTS: dict[str, tuple[str, ...]] = {
    "one index": (),
    ONE_WORKER: ("--shards", str(SHARDS)),
    TWO_WORKERS: ("--shards", str(SHARDS), "--workers", "2"),
    RAY_WORKERS: ("--shards", str(SHARDS), "--ray", "local", "--workers", "2"),
}
"""Options of `retrieval index` by the name of the variant."""
DOCUMENTS = 10_500
UPDATES = 6


def build(folder: str) -> dict[str, Any]:
    """Wall seconds, CPU seconds and peak memory of each variant of building a collection.

    Each variant runs in a child process, and the processes that it starts count as well. Those of a
    Ray cluster do not, so its CPU time is left out. Memory is that of the largest process, in
    bytes. One worker is held to one core, since it would use all of them otherwise.

    Of builds in shards the result has the stages and the speedup of two workers: by wall time, and
    by the CPU time of the critical path, which other load on the machine changes less.
    """
    runs: dict[str, list[dict[str, Any]]] = {}
    for _ in range(ROUNDS):
        for variant, options in VARIANTS.items():
            try:
                run = _build_once(Path(folder) / "corpus.jsonl", variant, options)
            except subprocess.CalledProcessError:
                if variant != RAY_WORKERS:  # Ray may fail to start on a busy machine
                    raise
            else:
                runs.setdefault(variant, []).append(run)
    result: dict[str, Any] = {
        variant: _median_run(variant_runs) for variant, variant_runs in runs.items()
    }
    for variant in (ONE_WORKER, TWO_WORKERS):
        ratio = result[variant]["processor_seconds"] / result["one index"]["processor_seconds"]
        result[variant]["of_one_index"] = round(ratio, 3)
    if RAY_WORKERS in result:
        # Nobody waits for the cluster's processes, so their CPU time is unknown.
        del result[RAY_WORKERS]["processor_seconds"]
    for variant in (TWO_WORKERS, RAY_WORKERS):
        if variant not in result:
            continue
        critical_path_s = result[variant]["longest_way_processor_seconds"]
        result[variant]["times_as_fast_as_one"] = {
            "by_the_clock": round(result[ONE_WORKER]["seconds"] / result[variant]["seconds"], 3),
            "by_processor_time": round(
                result[ONE_WORKER]["processor_seconds"] / critical_path_s, 3
            ),
        }
    return result | {"rounds": ROUNDS, "shards": SHARDS}


def _build_once(source: Path, variant: str, options: Sequence[str]) -> dict[str, Any]:
    work = Path(tempfile.mkdtemp())
    try:
        target = work / "made"
        index = str(target) if variant == "one index" else f"file://{target}"
        command = ["index", str(source), "--index", index, *options]
        return _run_in_child(command, work, cores=1 if variant == ONE_WORKER else None)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _median_run(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Medians of the numbers of several runs; the stages of the last run."""
    return {
        name: round(statistics.median(run[name] for run in runs), 2)
        if isinstance(value, float | int)
        else value
        for name, value in runs[-1].items()
    }


def _run_in_child(command: Sequence[str], work: Path, cores: int | None) -> dict[str, Any]:
    """Run `retrieval` in a process that measures it together with all processes it starts."""
    code = (
        "import json, sys; from shards_steps.build import measure_command;"
        "print(json.dumps(measure_command(sys.argv[2:], int(sys.argv[1]))))"
    )
    benchmarks = Path(__file__).parents[1]
    stages = work / "stages"
    stages.mkdir()
    python_path = os.pathsep.join([str(benchmarks), *sys.path])
    completed = subprocess.run(
        [sys.executable, "-c", code, str(cores or 0), *command],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=os.environ
        | {
            "XDG_CACHE_HOME": str(work / "cache"),
            STAGES_FOLDER: str(stages),
            "PYTHONPATH": python_path,
        },
    )
    result: dict[str, Any] = json.loads(completed.stdout.splitlines()[-1])
    return result | (critical_path(stages) if any(stages.iterdir()) else {})


def measure_command(command: Sequence[str], cores: int) -> dict[str, float]:
    """CPU seconds, wall seconds and peak memory of `retrieval` and the processes that it starts.

    Args:
        command: the arguments of `retrieval`.
        cores: how many cores it may use; 0 for all.
    """
    if cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    started = time.monotonic()
    module = "shards_steps.stages"
    subprocess.run([sys.executable, "-m", module, *command], check=True, stdout=sys.stderr)
    seconds = time.monotonic() - started
    peak_rss_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {
        "processor_seconds": round(cpu_seconds(resource.RUSAGE_CHILDREN), 2),
        "seconds": round(seconds, 2),
        "most_bytes": peak_rss_kib * 1024,
    }


def update() -> dict[str, Any]:
    """Bytes sent for each of several single-document updates of a collection with one shard.

    Texts are random words and vectors come from a fake encoder, since neither changes what is sent.
    """
    rng = random.Random(1)
    words = [f"word{n}" for n in range(20_000)]
    frequencies = [1 / (n + 1) for n in range(20_000)]

    def document(number: int) -> Document:
        texts = (" ".join(rng.choices(words, frequencies, k=80)) for _ in range(2))
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
            stride = DOCUMENTS // UPDATES
            sent = [index.add([document(stride * n)]).sent for n in range(UPDATES)]
        return {
            "passages": status.passages,
            "bytes": status.bytes,
            "sent": sent,
            "shares": [round(nbytes / status.bytes, 5) for nbytes in sent],
        }
    finally:
        shutil.rmtree(work, ignore_errors=True)
