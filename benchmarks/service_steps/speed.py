"""Throughput and latency over HTTP, beside the library, in alternating rounds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from retrieval.encoders import load_encoder
from retrieval.service.scoring import count_tokens
from service_steps.processes import Server
from service_steps.rounds import alternate, call_from_clients, medians, ratio

CLIENTS, EMBEDDING_CLIENTS, CALLS, TEXTS_PER_CALL = 16, 4, 16, 16


def search(server: Server, in_library: Any, queries: Sequence[str], rounds: int, count: int) -> Any:
    """Search over HTTP and in the library, each from `CLIENTS` threads at once."""

    def queries_of_round(number: int) -> list[str]:
        return [queries[(number * count + offset) % len(queries)] for offset in range(count)]

    pairs = alternate(
        rounds,
        lambda number: call_from_clients(
            server,
            queries_of_round(number),
            CLIENTS,
            lambda query: server.ask(
                "POST", "/v1/indexes/default/search", {"query": query, "k": 10}
            ),
        ),
        lambda number: in_library("search", queries_of_round(number), CLIENTS),
    )
    p50_ms = [[1000 * statistics.median(result["seconds"]) for result in pair] for pair in pairs]
    queries_per_s = [[count / result["whole"] for result in pair] for pair in pairs]
    cpu_ms = [[1000 * result["processor"] / count for result in pair] for pair in pairs]
    return {
        "passages": server.get("/v1/indexes/default/status")["passages"],
        "clients": CLIENTS,
        "queries_of_a_round": count,
        "rounds": rounds,
        "p50_ms": [round(value, 1) for value in medians(p50_ms)],
        "queries_per_second": [round(value, 2) for value in medians(queries_per_s)],
        "processor_ms_of_a_query": [round(value, 1) for value in medians(cpu_ms)],
        "p50_ratio": ratio(p50_ms),
        "throughput_ratio": ratio(queries_per_s),
        "of_each": "HTTP first, the library second",
    }


def calls_and_tokens(texts: Sequence[str]) -> tuple[list[list[str]], int]:
    """The calls of a round, and the number of tokens in them, special tokens left out."""
    texts = texts[: CALLS * TEXTS_PER_CALL]
    calls = [list(texts[at : at + TEXTS_PER_CALL]) for at in range(0, len(texts), TEXTS_PER_CALL)]
    encoder = load_encoder()
    return calls, sum(count_tokens(encoder, call) for call in calls)


def embeddings(server: Server, in_library: Any, texts: Sequence[str], rounds: int) -> Any:
    """Embeddings over HTTP and by the encoder, in calls of the same texts."""
    calls, tokens = calls_and_tokens(texts)
    pairs = alternate(
        rounds,
        lambda number: call_from_clients(
            server,
            calls,
            EMBEDDING_CLIENTS,
            lambda call: server.ask(
                "POST", "/v1/embeddings", {"input": call, "encoding_format": "base64"}
            ),
        ),
        lambda number: in_library("embed", calls, EMBEDDING_CLIENTS),
    )
    tokens_per_s = [[tokens / result["whole"] for result in pair] for pair in pairs]
    cpu_us = [[1e6 * result["processor"] / tokens for result in pair] for pair in pairs]
    return {
        "clients": EMBEDDING_CLIENTS,
        "texts_of_a_call": TEXTS_PER_CALL,
        "tokens_of_a_round": tokens,
        "rounds": rounds,
        "tokens_per_second": [round(value) for value in medians(tokens_per_s)],
        "processor_us_of_a_token": [round(value, 1) for value in medians(cpu_us)],
        "ratio": ratio(tokens_per_s),
        "of_each": "HTTP first, the library second",
    }
