"""A server that is killed, and one that receives damaged requests."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hostile_requests import hostile_requests, send_request

from service_steps.processes import Server, serving
from service_steps.rounds import growth


def restart(folder: Path, number: int) -> Any:
    """Kill the server right after it confirmed a document, start it again, and look for it."""
    id = f"added-{number}"
    with serving(folder) as server:
        server.ask(
            "POST",
            "/v1/indexes/default/documents",
            {"documents": [{"id": id, "text": f"zebras graze, for the time {number}"}]},
        )
        os.kill(server.pid, signal.SIGKILL)
    started = time.perf_counter()
    with serving(folder) as server:
        ready_s, cpu_s = time.perf_counter() - started, server.cpu_seconds()
        kept = server.get(f"/v1/indexes/default/documents/{id}")["id"] == id
        server.get("/v1/search?q=zebras&k=1")
        first_answer_s = time.perf_counter() - started
    return {
        "ready_s": round(ready_s, 2),
        "processor_s_until_ready": round(cpu_s, 2),
        "first_answer_s": round(first_answer_s, 2),
        "kept": kept,
    }


def damaged_requests(server: Server, count: int) -> Any:
    """Send damaged requests; the statuses of the answers, and memory after each batch."""
    requests = itertools.islice(hostile_requests(1), count)
    statuses: Counter[str] = Counter()
    memory_mib: list[float] = []

    def send(request: Any) -> str:
        try:
            return str(send_request(server.port, request))
        except TimeoutError:
            return "hang"

    with ThreadPoolExecutor(32) as pool:
        for batch in iter(lambda: list(itertools.islice(requests, 500)), []):
            statuses.update(pool.map(send, batch))
            memory_mib.append(round(server.resident_bytes() / 2**20, 1))
    hangs = statuses.pop("hang", 0)
    return {
        "requests": count,
        "answers": dict(sorted(statuses.items())),
        "faults": sum(times for status, times in statuses.items() if status.startswith("5")),
        "hangs": hangs,
        "serves_on": server.get("/ready")["status"] == "ready",
        "memory_mb": memory_mib,
        "growth_after_the_first_quarter": growth(memory_mib[len(memory_mib) // 4 :]),
    }
