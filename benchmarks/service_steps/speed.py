"""Over HTTP against the library, in rounds that take turns."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from retrieval.encoders import load_encoder
from retrieval.service.scoring import count_tokens
from service_steps.processes import Server
from service_steps.rounds import by_clients, in_turns, medians, ratio

CLIENTS, EMBEDDERS, CALLS, AT_ONCE = 16, 4, 16, 16


def search(server: Server, inside: Any, queries: Sequence[str], rounds: int, count: int) -> Any:
    """Search over HTTP against the library, each by so many clients at once."""

    def some(number: int) -> list[str]:
        return [queries[(number * count + at) % len(queries)] for at in range(count)]

    pairs = in_turns(
        rounds,
        lambda number: by_clients(
            server,
            some(number),
            CLIENTS,
            lambda query: server.ask(
                "POST", "/v1/indexes/default/search", {"query": query, "k": 10}
            ),
        ),
        lambda number: inside("search", some(number), CLIENTS),
    )
    p50 = [[1000 * statistics.median(one["seconds"]) for one in pair] for pair in pairs]
    rate = [[count / one["whole"] for one in pair] for pair in pairs]
    processor = [[1000 * one["processor"] / count for one in pair] for pair in pairs]
    return {
        "passages": server.get("/v1/indexes/default/status")["passages"],
        "clients": CLIENTS,
        "queries_of_a_round": count,
        "rounds": rounds,
        "p50_ms": [round(one, 1) for one in medians(p50)],
        "queries_per_second": [round(one, 2) for one in medians(rate)],
        "processor_ms_of_a_query": [round(one, 1) for one in medians(processor)],
        "p50_ratio": ratio(p50),
        "throughput_ratio": ratio(rate),
        "of_each": "HTTP first, the library second",
    }


def calls_of(texts: Sequence[str]) -> tuple[list[list[str]], int]:
    """A round's calls, and how many tokens their texts have, special ones not counted."""
    texts = texts[: CALLS * AT_ONCE]
    calls = [list(texts[at : at + AT_ONCE]) for at in range(0, len(texts), AT_ONCE)]
    encoder = load_encoder()
    return calls, sum(count_tokens(encoder, call) for call in calls)


def embeddings(server: Server, inside: Any, texts: Sequence[str], rounds: int) -> Any:
    """Embeddings over HTTP against the encoder, in calls of the same texts."""
    calls, tokens = calls_of(texts)
    pairs = in_turns(
        rounds,
        lambda number: by_clients(
            server,
            calls,
            EMBEDDERS,
            lambda call: server.ask(
                "POST", "/v1/embeddings", {"input": call, "encoding_format": "base64"}
            ),
        ),
        lambda number: inside("embed", calls, EMBEDDERS),
    )
    rate = [[tokens / one["whole"] for one in pair] for pair in pairs]
    processor = [[1e6 * one["processor"] / tokens for one in pair] for pair in pairs]
    return {
        "clients": EMBEDDERS,
        "texts_of_a_call": AT_ONCE,
        "tokens_of_a_round": tokens,
        "rounds": rounds,
        "tokens_per_second": [round(one) for one in medians(rate)],
        "processor_us_of_a_token": [round(one, 1) for one in medians(processor)],
        "ratio": ratio(rate),
        "of_each": "HTTP first, the library second",
    }
