"""Concurrent searches, embeddings and writes."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from retrieval import Index
from service_steps.processes import serving
from service_steps.rounds import growth

READERS = 6
MEMORY_SAMPLES = 60  # at least, of a run


def mixed_load(folder: Path, queries: Sequence[str], minutes: float) -> Any:
    """Search, embed and write at once; each answer is compared with the library's.

    Every write replaces the same documents and gives them a version, which tells of a hit the
    generation that it comes from.
    """
    texts = [f"{query} and what else, part {number}" for number, query in enumerate(queries * 3)]
    where = "mixed_version >= 0"
    expected: dict[tuple[int, str], list[str]] = {}
    answers: Counter[tuple[int, str, tuple[str, ...]]] = Counter()
    requests: Counter[str] = Counter()
    errors: list[str] = []
    memory_mib: list[float] = []
    counting = threading.Lock()  # `+=` on a counter is not atomic

    def repeat(work: Callable[[], None], end: float) -> None:
        while time.monotonic() < end:
            try:
                work()
            except Exception as error:
                errors.append(f"{type(error).__name__}: {error}")

    with serving(folder) as server, Index.open(folder) as in_library:
        versions = itertools.count(1)

        def write() -> None:
            version = next(versions)
            documents = [
                {
                    "id": f"mixed-{number}",
                    "text": f"{text} in version {version}, {(number * version) % 7 * 'again '}",
                    "metadata": {"mixed_version": version},
                }
                for number, text in enumerate(texts)
            ]
            server.ask("POST", "/v1/indexes/default/documents", {"documents": documents})
            with counting:
                requests["write"] += 1
            in_library.refresh()
            for query in queries:
                hits = in_library.search(query, 10, where=where)
                expected[version, query] = [hit.document_id for hit in hits]
            time.sleep(0.5)

        turns = itertools.cycle(queries)

        def read() -> None:
            query = next(turns)
            body = {"query": query, "k": 10, "where": where}
            hits = server.ask("POST", "/v1/indexes/default/search", body)["hits"]
            found_versions = {hit["metadata"]["mixed_version"] for hit in hits}
            if len(found_versions) > 1:
                errors.append(f"an answer of the generations {sorted(found_versions)}")
            elif not found_versions and expected:
                errors.append("an answer without hits")
            with counting:
                requests["search"] += 1
                if len(found_versions) == 1:
                    ids = tuple(hit["document_id"] for hit in hits)
                    answers[found_versions.pop(), query, ids] += 1

        def embed() -> None:
            server.ask("POST", "/v1/embeddings", {"input": texts[:8]})
            server.ask("POST", "/rerank", {"query": queries[0], "documents": texts[:8]})
            with counting:
                requests["model"] += 2

        def watch_memory() -> None:
            memory_mib.append(round(server.resident_bytes() / 2**20, 1))
            time.sleep(min(2.0, 60 * minutes / MEMORY_SAMPLES))

        end = time.monotonic() + 60 * minutes
        works = [write, *[read] * READERS, embed, watch_memory]
        threads = [threading.Thread(target=repeat, args=[work, end]) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    compared = {key: times for key, times in answers.items() if key[:2] in expected}
    wrong = sum(
        times
        for (version, query, ids), times in compared.items()
        if list(ids) != expected[version, query]
    )
    return {
        "minutes": minutes,
        "requests": dict(requests),
        "answers_compared": sum(compared.values()),
        "wrong": wrong,
        "errors": len(errors),
        "first_errors": errors[:3],
        "memory_mb": memory_mib[:: max(1, len(memory_mib) // 40)],
        "growth_after_the_first_quarter": growth(memory_mib[len(memory_mib) // 4 :]),
    }
