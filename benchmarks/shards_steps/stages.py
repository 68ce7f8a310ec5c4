"""A build whose stages are counted: when each began and ended, and its process's processor time.

Processes of a pool and of a cluster load this module, too: `write` is what they run.
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

TAKING = "take codec"
FOLDER = "SHARDS_STAGES"
"""In the environment: where a file for each stage is written."""


def counted(name: str, work: Callable[[], Any]) -> Any:
    """What a function returns, whose time is written down."""
    began, used = time.monotonic(), time.process_time()
    try:
        return work()
    finally:
        stage = {
            "stage": name,
            "process": os.getpid(),
            "began": began,
            "ended": time.monotonic(),
            "processor_seconds": round(time.process_time() - used, 3),
            "of_its_process": round(time.process_time(), 3),  # from its start on
        }
        place = Path(os.environ[FOLDER]) / f"{uuid.uuid4().hex}.json"
        place.write_text(json.dumps(stage), encoding="utf-8")


def write(task: ShardTask, encoder: Encoder | None = None) -> ShardResult:
    """`write_shard`, counted."""
    what = "shard" if task.sections else TAKING
    return counted(f"{what} {task.number}", lambda: write_shard(task, encoder))


def main(command: Sequence[str]) -> None:
    """Run `retrieval` with these arguments."""
    building.write_shard = write
    for name in ("_spooled", "written", "commit"):
        _count(name)
    code = counted("all", lambda: run(command))
    if code:
        raise SystemExit(code)


def _count(name: str) -> None:
    usual = getattr(building, name)

    def through(*arguments: Any) -> Any:
        return counted(name.lstrip("_"), lambda: usual(*arguments))

    setattr(building, name, through)


def path(folder: Path) -> dict[str, Any]:
    """Of a build's stages: they, in their order, and the processor seconds of its longest way.

    That is the time of the process that shares out and commits, of the one that wrote most, and of
    the longest task that waited for it: what it takes at most where each has a core of its own.
    """
    stages = [json.loads(file.read_text(encoding="utf-8")) for file in folder.glob("*.json")]
    stages.sort(key=lambda stage: stage["began"])
    (whole,) = (stage for stage in stages if stage["stage"] == "all")
    used: dict[int, float] = {}
    for stage in stages:
        number = stage["process"]
        used[number] = max(used.get(number, 0.0), stage["of_its_process"])
    others = [seconds for number, seconds in used.items() if number != whole["process"]]
    # What is done once all shards are written, by whichever process, comes after all else.
    last = [one["processor_seconds"] for one in stages if one["stage"].startswith(TAKING)]
    processes = {number: place for place, number in enumerate(used)}
    shown = [
        {
            "stage": stage["stage"],
            "process": processes[stage["process"]],
            "began": round(stage["began"] - whole["began"], 2),
            "seconds": round(stage["ended"] - stage["began"], 2),
            "processor_seconds": stage["processor_seconds"],
        }
        for stage in stages
    ]
    longest = used[whole["process"]] + max(others, default=0.0) + max(last, default=0.0)
    return {"longest_way_processor_seconds": round(longest, 2), "stages": shown}


if __name__ == "__main__":
    main(sys.argv[1:])
