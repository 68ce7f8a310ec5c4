"""`retrieval mcp` as an agent starts it: how long it waits for the first answers."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from service_steps.processes import processor_of

HELLO = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "benchmark", "version": "1"},
}


def waiting(folder: Path, queries: Sequence[str], runs: int = 5) -> Any:
    """Medians over processes: start to `initialize`, the first search, and a later one."""
    found = [_run(folder, queries) for _ in range(runs)]
    return {
        "runs": runs,
        **{
            name: round(statistics.median(one[name] for one in found), 3) for name in list(found[0])
        },
    }


def _run(folder: Path, queries: Sequence[str]) -> dict[str, float]:
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "retrieval", "mcp", "--index", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def send(**message: Any) -> None:
        stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        stdin.flush()

    def ask(id: int, method: str, params: Any) -> float:
        """Seconds until it is answered."""
        asked = time.perf_counter()
        send(id=id, method=method, params=params)
        answer = json.loads(stdout.readline())
        if "result" not in answer or answer["result"].get("isError"):
            raise RuntimeError(f"{method}: {answer}")
        return time.perf_counter() - asked

    def search(id: int) -> float:
        arguments = {"query": queries[id % len(queries)]}
        return ask(id, "tools/call", {"name": "search", "arguments": arguments})

    try:
        ask(1, "initialize", HELLO)
        ready, processor = time.perf_counter() - began, processor_of(process.pid)
        send(method="notifications/initialized")
        first = search(2)
        later = statistics.median(search(id) for id in range(3, 13))
    finally:
        process.kill()
        process.wait()
    return {
        "initialize_s": ready,
        "processor_s_until_initialize": processor,
        "first_search_s": first,
        "later_search_s": later,
    }
