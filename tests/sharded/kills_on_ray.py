"""Trials of `kills` on a Ray cluster of this machine: a worker, a node, the driver is killed.

python -m tests.sharded.kills_on_ray FIRST STOP SCRATCH RESULT
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from retrieval.errors import RetrievalError
from retrieval.sharded.ray_executor import STARTED_WITH

from ..soak.stages import Tally
from .injected import PLAN, loadable
from .kills import answers, difference, outcome_of, start, update
from .router_kills import children

RESULT = "result "
"""Before what the driver says; Ray prints, too."""

KINDS = ("worker", "node", "driver")


class Cluster:
    """A cluster of two nodes in processes of this machine; the first is the head."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster as Nodes

        for name, value in STARTED_WITH.items():
            os.environ.setdefault(name, value)
        self._nodes = _started(lambda: Nodes(initialize_head=True, head_node_args=_node(1)))
        self._second = _started(lambda: self._nodes.add_node(**_node(1)))
        self.address: str = self._nodes.address

    def lose_a_node(self) -> None:
        """Kill the second node, with what it runs, and start another."""
        self._nodes.remove_node(self._second, allow_graceful=False)
        self._second = _started(lambda: self._nodes.add_node(**_node(1)))

    def replicas(self) -> list[int]:
        """The processes of actors that hold replicas of shards."""
        nodes = [self._nodes.head_node, *self._nodes.worker_nodes]
        raylets = [node.all_processes["raylet"][0].process.pid for node in nodes]
        return [one for raylet in raylets for one in children(raylet) if _is_replica(one)]

    def stop(self) -> None:
        """Stop all nodes."""
        self._nodes.shutdown()


def _is_replica(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().startswith(b"ray::ReplicaActor")
    except OSError:
        return False


def _started(start: Callable[[], Any]) -> Any:
    """What Ray starts; it gives a node half a minute, which is too little on a busy machine."""
    for _ in range(3):
        try:
            return start()
        except Exception as error:
            trouble = error
    raise trouble


def _node(cores: int) -> dict[str, Any]:
    return {"num_cpus": cores, "object_store_memory": 80 << 20, "include_dashboard": False}


def main(first: int, stop: int, scratch: Path, result: Path) -> None:
    """Run trials, and write their tally."""
    tally = Tally()
    begun, whole = scratch / "begun", scratch / "whole"
    with loadable():
        start(begun)
        before = answers(begun)
        shutil.copytree(begun, whole)
        update(whole)
        after = answers(whole)
    for number in range(first, stop):
        place = scratch / "trial"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(begun, place)
        kind = KINDS[number % len(KINDS)]
        outcome, wrong = _trial(number, kind, place, before, after)
        if wrong:
            tally.fault(number, f"{kind} killed ({outcome}): {wrong}")
        else:
            tally.note(f"{kind} killed: {outcome}")
    result.write_text(json.dumps([tally.trials, tally.outcomes, tally.faults]), encoding="utf-8")


def _trial(
    number: int, kind: str, place: Path, before: dict[str, Any], after: dict[str, Any]
) -> tuple[str, str]:
    drawn = random.Random(number)
    cluster = Cluster()
    try:
        plan = f"{drawn.randint(1, 25)} {place}" if kind == "worker" else None
        driver = subprocess.Popen(
            [sys.executable, "-m", "tests.sharded.kills_on_ray", "driver", cluster.address, place],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | ({PLAN: plan} if plan else {}),
        )
        assert driver.stdout is not None
        while driver.stdout.readline() not in ("connected\n", ""):  # then it begins
            pass
        if kind == "driver":
            threading.Timer(drawn.uniform(0, 6), lambda: driver.send_signal(signal.SIGKILL)).start()
        if kind == "node":
            time.sleep(drawn.uniform(0, 6))
            cluster.lose_a_node()
        said = driver.stdout.read()
        driver.wait()
    finally:
        cluster.stop()
    lines = [line for line in said.splitlines() if line.startswith(RESULT)]
    outcome = outcome_of(json.loads(lines[-1].removeprefix(RESULT)) if lines else {})
    with loadable():
        found = answers(place)
        expected = before if found["generation"] == before["generation"] else after
        if wrong := difference(found, expected):
            return outcome, f"what was committed is not there whole: {wrong}"
        try:
            update(place)
        except RetrievalError as error:
            return outcome, f"run again, it does not go on: {error}"
        if wrong := difference(answers(place), after):
            return outcome, f"run again, it comes to something else: {wrong}"
        left = [one for one in (place / "storage" / "building").rglob("*") if one.is_file()]
        return outcome, f"it leaves {left[:3]}" if left else ""


def drive(address: str, place: Path) -> None:
    """Build on the cluster, as a process that can be killed."""
    import ray

    plan = os.environ.get(PLAN)
    ray.init(
        address,
        log_to_driver=False,
        logging_level="ERROR",
        runtime_env={"env_vars": {PLAN: plan} if plan else {}},
    )
    print("connected", flush=True)
    try:
        with loadable():
            found: Any = update(place, ray=address)
    except RetrievalError as error:
        found = {"error": type(error).__name__, "said": str(error)}
    print(f"{RESULT}{json.dumps(found)}", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "driver":
        drive(sys.argv[2], Path(sys.argv[3]))
    else:
        main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]))
