"""A build whose stages are timed: the wall time of each, and the CPU time of its process.

Run as a program in place of `retrieval`. Worker processes import this module too, since what they
run is `write_shard_timed`.
"""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from retrieval.cli.entry import run
from retrieval.sharded import building
from retrieval.sharded.writing import ShardResult, ShardTask, write_shard
from retrieval.types import Encoder

TAKE_CODEC = "take codec"
STAGES_FOLDER = "SHARDS_STAGES"
"""The environment variable with the folder that gets a file for each stage."""


def timed_stage(name: str, work: Callable[[], Any]) -> Any:
    """Call `work`, and write down when the stage ran and its CPU time; returns the call's value."""
    started, cpu_before = time.monotonic(), time.process_time()
    try:
        return work()
    finally:
        stage = {
            "stage": name,
            "process": os.getpid(),
            "began": started,
            "ended": time.monotonic(),
            "processor_seconds": round(time.process_time() - cpu_before, 3),
            "of_its_process": round(time.process_time(), 3),  # since the process started
        }
        file = Path(os.environ[STAGES_FOLDER]) / f"{uuid.uuid4().hex}.json"
        file.write_text(json.dumps(stage), encoding="utf-8")


def write_shard_timed(task: ShardTask, encoder: Encoder | None = None) -> ShardResult:
    """`write_shard` as a timed stage."""
    kind = "shard" if task.sections else TAKE_CODEC
    return timed_stage(f"{kind} {task.number}", lambda: write_shard(task, encoder))


def main(command: Sequence[str]) -> None:
    """Run `retrieval` with these arguments."""
    building.write_shard = write_shard_timed
    for name in ("_spooled", "written", "commit"):
        _time_calls(name)
    code = timed_stage("all", lambda: run(command))
    if code:
        raise SystemExit(code)


def _time_calls(name: str) -> None:
    """Replace a function of `building` by one that times its calls as a stage."""
    original = getattr(building, name)

    def timed(*arguments: Any) -> Any:
        return timed_stage(name.lstrip("_"), lambda: original(*arguments))

    setattr(building, name, timed)


def critical_path(folder: Path) -> dict[str, Any]:
    """The stages of a build in order of their start, and the CPU seconds of its critical path.

    That path is the process that distributes and commits, then the worker that wrote most, then the
    longest task that waited for it: the build's wall time if each process had a core of its own.
    """
    stages = [json.loads(file.read_text(encoding="utf-8")) for file in folder.glob("*.json")]
    stages.sort(key=lambda stage: stage["began"])
    (build,) = (stage for stage in stages if stage["stage"] == "all")
    cpu_by_process: dict[int, float] = {}
    for stage in stages:
        process = stage["process"]
        cpu_by_process[process] = max(cpu_by_process.get(process, 0.0), stage["of_its_process"])
    workers = [
        seconds for process, seconds in cpu_by_process.items() if process != build["process"]
    ]
    # Tasks that take over the codec run once all shards are written, in whichever process.
    codec_tasks = [
        stage["processor_seconds"] for stage in stages if stage["stage"].startswith(TAKE_CODEC)
    ]
    process_numbers = {process: position for position, process in enumerate(cpu_by_process)}
    rows = [
        {
            "stage": stage["stage"],
            "process": process_numbers[stage["process"]],
            "began": round(stage["began"] - build["began"], 2),
            "seconds": round(stage["ended"] - stage["began"], 2),
            "processor_seconds": stage["processor_seconds"],
        }
        for stage in stages
    ]
    critical_s = (
        cpu_by_process[build["process"]] + max(workers, default=0.0) + max(codec_tasks, default=0.0)
    )
    return {"longest_way_processor_seconds": round(critical_s, 2), "stages": rows}


if __name__ == "__main__":
    main(sys.argv[1:])
