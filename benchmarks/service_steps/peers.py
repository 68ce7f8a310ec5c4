"""Embeddings over HTTP, against other servers that speak OpenAI's form."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from retrieval.errors import InputError
from service_steps.processes import Server
from service_steps.rounds import by_clients
from service_steps.speed import AT_ONCE, EMBEDDERS, calls_of


@dataclass(frozen=True, slots=True)
class Peer:
    """Where a server answers.

    Attributes:
        server: its process and port.
        path: what stands before `/models` and `/embeddings` there.
    """

    server: Server
    path: str

    def model(self) -> str:
        """The first that it names."""
        return str(self.server.get(f"{self.path}/models")["data"][0]["id"])

    def embed(self, model: str, texts: Sequence[str]) -> Any:
        """What it answers to a request for embeddings."""
        body = {"model": model, "input": texts, "encoding_format": "base64"}
        return self.server.ask("POST", f"{self.path}/embeddings", body)


def peer(told: str) -> tuple[str, Peer]:
    """What `--peer` names: `NAME=PID=URL`, the URL being what OpenAI's clients call `base_url`.

    Raises:
        InputError: it has another form, or the server is on another machine.
    """
    name, _, rest = told.partition("=")
    pid, _, url = rest.partition("=")
    place = urlsplit(url)
    if not pid.isdigit() or place.scheme != "http" or place.hostname != "127.0.0.1":
        raise InputError(f"--peer {told!r} is none; give NAME=PID=http://127.0.0.1:PORT/PATH")
    return name, Peer(Server(int(pid), place.port or 80), place.path.rstrip("/"))


def against(peers: Mapping[str, Peer], texts: Sequence[str], rounds: int) -> Any:
    """Tokens a second of each, in rounds in which they take turns, each in every place.

    The first round does not count.
    """
    calls, tokens = calls_of(texts)
    asking = {name: _asking(one) for name, one in peers.items()}
    names = list(peers)
    found: dict[str, list[Any]] = {name: [] for name in names}
    for number in range(rounds + 1):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            found[name].append(by_clients(peers[name].server, calls, EMBEDDERS, asking[name]))
    return {
        "clients": EMBEDDERS,
        "texts_of_a_call": AT_ONCE,
        "tokens_of_a_round": tokens,
        "rounds": rounds,
        "servers": {name: _shown(found[name][1:], tokens) for name in names},
    }


def _asking(one: Peer) -> Callable[[Sequence[str]], Any]:
    return partial(one.embed, one.model())


def _shown(rounds: Sequence[Any], tokens: int) -> Any:
    def median(of: Callable[[Any], float]) -> float:
        return statistics.median(map(of, rounds))

    return {
        "tokens_per_second": round(median(lambda one: tokens / one["whole"])),
        "ms_of_a_call": round(median(lambda one: 1000 * statistics.median(one["seconds"])), 1),
        "processor_us_of_a_token": round(median(lambda one: 1e6 * one["processor"] / tokens), 1),
    }
