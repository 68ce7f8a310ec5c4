"""Embeddings over HTTP, beside other servers with OpenAI's interface."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from retrieval.errors import InputError
from service_steps.processes import Server
from service_steps.rounds import call_from_clients
from service_steps.speed import EMBEDDING_CLIENTS, TEXTS_PER_CALL, calls_and_tokens


@dataclass(frozen=True, slots=True)
class Peer:
    """An endpoint of a server.

    Attributes:
        server: its process and port.
        path: the prefix of `/models` and `/embeddings`.
    """

    server: Server
    path: str

    def model(self) -> str:
        """The first model that the server lists."""
        return str(self.server.get(f"{self.path}/models")["data"][0]["id"])

    def embed(self, model: str, texts: Sequence[str]) -> Any:
        """The answer to a request for embeddings."""
        body = {"model": model, "input": texts, "encoding_format": "base64"}
        return self.server.ask("POST", f"{self.path}/embeddings", body)


def parse_peer(argument: str) -> tuple[str, Peer]:
    """Parse an argument of `--peer`: `NAME=PID=URL`, with the `base_url` of OpenAI's clients.

    Raises:
        InputError: the argument has another form, or the server is on another machine.
    """
    name, _, rest = argument.partition("=")
    pid, _, url = rest.partition("=")
    parts = urlsplit(url)
    if not pid.isdigit() or parts.scheme != "http" or parts.hostname != "127.0.0.1":
        raise InputError(f"--peer {argument!r} is none; give NAME=PID=http://127.0.0.1:PORT/PATH")
    return name, Peer(Server(int(pid), parts.port or 80), parts.path.rstrip("/"))


def compare_servers(peers: Mapping[str, Peer], texts: Sequence[str], rounds: int) -> Any:
    """Throughput of each server, in rounds in which all take turns and each takes every position.

    The first round is a warmup and is not counted.
    """
    calls, tokens = calls_and_tokens(texts)
    embed_calls = {name: _embed_call(server) for name, server in peers.items()}
    names = list(peers)
    rounds_of: dict[str, list[Any]] = {name: [] for name in names}
    for number in range(rounds + 1):
        offset = number % len(names)
        for name in names[offset:] + names[:offset]:
            rounds_of[name].append(
                call_from_clients(peers[name].server, calls, EMBEDDING_CLIENTS, embed_calls[name])
            )
    return {
        "clients": EMBEDDING_CLIENTS,
        "texts_of_a_call": TEXTS_PER_CALL,
        "tokens_of_a_round": tokens,
        "rounds": rounds,
        "servers": {name: _medians(rounds_of[name][1:], tokens) for name in names},
    }


def _embed_call(server: Peer) -> Callable[[Sequence[str]], Any]:
    """A function that embeds texts by the server's first model."""
    return partial(server.embed, server.model())


def _medians(rounds: Sequence[Any], tokens: int) -> Any:
    """Medians over a server's rounds."""

    def median(value_of: Callable[[Any], float]) -> float:
        return statistics.median(map(value_of, rounds))

    return {
        "tokens_per_second": round(median(lambda round_: tokens / round_["whole"])),
        "ms_of_a_call": round(
            median(lambda round_: 1000 * statistics.median(round_["seconds"])), 1
        ),
        "processor_us_of_a_token": round(
            median(lambda round_: 1e6 * round_["processor"] / tokens), 1
        ),
    }
