"""What a server does when it is killed, and when it is sent nonsense."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hostile_requests import answer_to, hostile

from service_steps.processes import Server, serving
from service_steps.rounds import growth


def restart(folder: Path, number: int) -> Any:
    """Kill the server right after it said that a document is in, and start it again."""
    id = f"added-{number}"
    with serving(folder) as server:
        server.ask(
            "POST",
            "/v1/indexes/default/documents",
            {"documents": [{"id": id, "text": f"zebras graze, for the time {number}"}]},
        )
        os.kill(server.pid, signal.SIGKILL)
    began = time.perf_counter()
    with serving(folder) as server:
        ready, processor = time.perf_counter() - began, server.processor()
        kept = server.get(f"/v1/indexes/default/documents/{id}")["id"] == id
        server.get("/v1/search?q=zebras&k=1")
        first = time.perf_counter() - began
    return {
        "ready_s": round(ready, 2),
        "processor_s_until_ready": round(processor, 2),
        "first_answer_s": round(first, 2),
        "kept": kept,
    }


def nonsense(server: Server, count: int) -> Any:
    """Damaged requests: their answers, and how much memory the server has."""
    requests = itertools.islice(hostile(1), count)
    statuses: Counter[str] = Counter()
    memory: list[float] = []

    def send(sent: Any) -> str:
        try:
            return str(answer_to(server.port, sent))
        except TimeoutError:
            return "hang"

    with ThreadPoolExecutor(32) as pool:
        for batch in iter(lambda: list(itertools.islice(requests, 500)), []):
            statuses.update(pool.map(send, batch))
            memory.append(round(server.memory() / 2**20, 1))
    hangs = statuses.pop("hang", 0)
    return {
        "requests": count,
        "answers": dict(sorted(statuses.items())),
        "faults": sum(many for status, many in statuses.items() if status.startswith("5")),
        "hangs": hangs,
        "serves_on": server.get("/ready")["status"] == "ready",
        "memory_mb": memory,
        "growth_after_the_first_quarter": growth(memory[len(memory) // 4 :]),
    }
