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

from service_steps.processes import cpu_seconds_of

INITIALIZE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "benchmark", "version": "1"},
}


def mcp_latencies(folder: Path, queries: Sequence[str], runs: int = 5) -> Any:
    """Medians over processes, in seconds: of initialising, the first search, and later ones."""
    samples = [_run_once(folder, queries) for _ in range(runs)]
    return {
        "runs": runs,
        **{
            name: round(statistics.median(sample[name] for sample in samples), 3)
            for name in list(samples[0])
        },
    }


def _run_once(folder: Path, queries: Sequence[str]) -> dict[str, float]:
    """Start a server, initialise it and search; the seconds of each."""
    started = time.perf_counter()
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
        """Seconds until a request is answered."""
        sent = time.perf_counter()
        send(id=id, method=method, params=params)
        answer = json.loads(stdout.readline())
        if "result" not in answer or answer["result"].get("isError"):
            raise RuntimeError(f"{method}: {answer}")
        return time.perf_counter() - sent

    def search(id: int) -> float:
        arguments = {"query": queries[id % len(queries)]}
        return ask(id, "tools/call", {"name": "search", "arguments": arguments})

    try:
        ask(1, "initialize", INITIALIZE)
        initialize_s, cpu_s = time.perf_counter() - started, cpu_seconds_of(process.pid)
        send(method="notifications/initialized")
        first_search_s = search(2)
        later_search_s = statistics.median(search(id) for id in range(3, 13))
    finally:
        process.kill()
        process.wait()
    return {
        "initialize_s": initialize_s,
        "processor_s_until_initialize": cpu_s,
        "first_search_s": first_search_s,
        "later_search_s": later_search_s,
    }
