"""The campaign against faults: killed processes, failing calls, power cuts, damage, odd inputs.

    python -m tests.soak [--stages kills calls ...] [--trials N | --minutes M] [--out FILE]

Every trial is decided by its number: the same number is the same trial. The results are written
after each batch, and a run goes on where the file left off. A fault ends the run with status 1,
after all that was asked for.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from retrieval.eval.machine import machine, versions
from retrieval.files.whole import write_whole

from ..sharded import faults_on_s3, kills
from . import clocks, damage, extremes, failing_calls, inputs, power_loss, readers, sequences
from .stages import Stage, Tally

STAGES: tuple[Stage, ...] = (
    failing_calls.KILLS,
    failing_calls.CALLS,
    power_loss.STAGE,
    damage.FLIPS,
    damage.REPLACES,
    inputs.STAGE,
    clocks.STAGE,
    extremes.STAGE,
    readers.STAGE,
    sequences.STAGE,
    kills.STAGE,
    kills.FULL_DISK,
    kills.ON_RAY,
    faults_on_s3.STAGE,
)


def main() -> int:
    """Run batches of each stage in turn until all have their number; 1 if there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [stage.name for stage in STAGES]
    parser.add_argument("--stages", nargs="+", choices=names, default=names, metavar="STAGE")
    parser.add_argument("--trials", type=int, help="of each stage, instead of the whole campaign")
    parser.add_argument("--minutes", type=float, help="start no batch after that")
    parser.add_argument("--out", type=Path, default=Path("build/soak.json"))
    given = parser.parse_args()
    results = _read(given.out)
    end = time.monotonic() + 60 * given.minutes if given.minutes else None
    waiting = [stage for stage in STAGES if stage.name in given.stages]
    while waiting and (end is None or time.monotonic() < end):
        stage = waiting.pop(0)
        row = results["stages"].setdefault(stage.name, _empty(stage))
        target = stage.target if given.trials is None else given.trials
        numbers = range(row["trials"], min(target, row["trials"] + stage.batch))
        if numbers:
            _batch(stage, numbers, row)
            given.out.parent.mkdir(parents=True, exist_ok=True)
            write_whole(given.out, json.dumps(results, indent=1) + "\n")
        if row["trials"] < target:
            waiting.append(stage)
    faults = sum(len(row["faults"]) for row in results["stages"].values())
    print(f"{given.out}: {faults} faults")
    return 1 if faults else 0


def _batch(stage: Stage, numbers: range, row: dict[str, Any]) -> None:
    tally, started = Tally(), time.monotonic()
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as scratch:
        stage.run(numbers, tally, Path(scratch))
    row["trials"] = numbers.stop
    row["seconds"] = round(row["seconds"] + time.monotonic() - started, 1)
    row["faults"] += tally.faults
    for outcome, count in tally.outcomes.items():
        row["outcomes"][outcome] = row["outcomes"].get(outcome, 0) + count
    print(
        f"{stage.name}: {numbers.stop} of {stage.target}, {len(row['faults'])} faults", flush=True
    )
    for fault in tally.faults:
        print(f"  {fault}", flush=True)


def _empty(stage: Stage) -> dict[str, Any]:
    return {"what": stage.what, "trials": 0, "seconds": 0.0, "outcomes": {}, "faults": []}


def _read(file: Path) -> dict[str, Any]:
    if file.exists():
        read: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return read
    about = {
        "machine": asdict(machine()),
        "versions": versions(["retrieval", "tantivy", "faiss-cpu"]),
    }
    return about | {"stages": {}}


if __name__ == "__main__":
    sys.exit(main())
