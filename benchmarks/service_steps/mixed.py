"""Readers, embeddings and a writer at once."""

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


def mixed(folder: Path, queries: Sequence[str], minutes: float) -> Any:
    """Readers, embeddings and a writer; each answer is held to the library's of its generation."""
    texts = [f"{query} and what else, part {at}" for at, query in enumerate(queries * 3)]
    where = "mixed_version >= 0"
    expected: dict[tuple[int, str], list[str]] = {}
    seen: Counter[tuple[int, str, tuple[str, ...]]] = Counter()
    errors: list[str] = []
    memory: list[float] = []
    asked: Counter[str] = Counter()

    def guarded(work: Callable[[], None], end: float) -> None:
        while time.monotonic() < end:
            try:
                work()
            except Exception as error:
                errors.append(f"{type(error).__name__}: {error}")

    with serving(folder) as server, Index.open(folder) as inside:

        def write() -> None:
            asked["write"] += 1
            version = asked["write"]
            documents = [
                {
                    "id": f"mixed-{at}",
                    "text": f"{text} in version {version}, {(at * version) % 7 * 'again '}",
                    "metadata": {"mixed_version": version},
                }
                for at, text in enumerate(texts)
            ]
            server.ask("POST", "/v1/indexes/default/documents", {"documents": documents})
            inside.refresh()
            for query in queries:
                hits = inside.search(query, 10, where=where)
                expected[version, query] = [hit.document_id for hit in hits]
            time.sleep(0.5)

        turns = itertools.cycle(queries)

        def read() -> None:
            query = next(turns)
            body = {"query": query, "k": 10, "where": where}
            hits = server.ask("POST", "/v1/indexes/default/search", body)["hits"]
            asked["search"] += 1
            versions = {hit["metadata"]["mixed_version"] for hit in hits}
            if len(versions) > 1:
                errors.append(f"an answer of the generations {sorted(versions)}")
            elif not versions and expected:
                errors.append("an answer without hits")
            elif versions:
                seen[versions.pop(), query, tuple(hit["document_id"] for hit in hits)] += 1

        def embed() -> None:
            server.ask("POST", "/v1/embeddings", {"input": texts[:8]})
            server.ask("POST", "/rerank", {"query": queries[0], "documents": texts[:8]})
            asked["model"] += 2

        def watch() -> None:
            memory.append(round(server.memory() / 2**20, 1))
            time.sleep(min(2.0, minutes))

        end = time.monotonic() + 60 * minutes
        works = [write, *[read] * 6, embed, watch]
        threads = [threading.Thread(target=guarded, args=[work, end]) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    compared = [(key, many) for key, many in seen.items() if key[:2] in expected]
    wrong = sum(many for key, many in compared if list(key[2]) != expected[key[0], key[1]])
    return {
        "minutes": minutes,
        "requests": dict(asked),
        "answers_compared": sum(many for _, many in compared),
        "wrong": wrong,
        "errors": len(errors),
        "first_errors": errors[:3],
        "memory_mb": memory[:: max(1, len(memory) // 40)],
        "growth_after_the_first_quarter": growth(memory[len(memory) // 4 :]),
    }
