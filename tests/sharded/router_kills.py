"""Servers that route a collection's queries are killed while clients ask: what those see.

Two servers run, each the router of replicas of its own, or on a Ray cluster of the same actors.
Clients ask whichever answers. In turns one server is killed by SIGKILL and started again.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..soak.stages import python_path

CLIENTS = 2
WAIT_S = 120.0
"""A server that does not answer for so long does not come again."""

Ranking = list[list[Any]]


@dataclass
class Outcome:
    """What was seen.

    Attributes:
        answers: how many searches were answered.
        wrong: how many of them otherwise than one index answers.
        refused: how many tries found no server, or an error.
        resumed: seconds from each kill until every client had its next answer.
        restarted: seconds from each kill until the server that was started again answered.
        orphans: processes of killed servers that were still there `ENDED_S` later.
    """

    answers: int = 0
    wrong: int = 0
    refused: int = 0
    resumed: list[float] = field(default_factory=list)
    restarted: list[float] = field(default_factory=list)
    orphans: int = 0


ENDED_S = 10.0


class Server:
    """A server in a process of its own."""

    def __init__(self, url: str, cache: Path, ray: str | None) -> None:
        self._path = f"/v1/indexes/{url.rpartition('/')[2]}/search"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.sharded.router_process", url, str(cache)]
            + ([ray] if ray else []),
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": python_path()},
        )
        assert self._process.stdout is not None
        self.at = urlsplit(self._process.stdout.readline().strip())

    def search(self, query: str) -> Ranking:
        """The ranking of a query; raises OSError or another if there is no answer."""
        assert self.at.hostname is not None
        connection = http.client.HTTPConnection(self.at.hostname, self.at.port, timeout=WAIT_S)
        try:
            body = json.dumps({"query": query, "k": 10})
            connection.request("POST", self._path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            found = json.loads(answer.read())
            if answer.status != 200:
                raise ConnectionError(str(found))
        finally:
            connection.close()
        return ranking(found["hits"])

    def wait(self, query: str) -> None:
        """Until it answers."""
        began = time.monotonic()
        while True:
            try:
                self.search(query)
                return
            except (OSError, http.client.HTTPException, ValueError) as error:
                assert time.monotonic() - began < WAIT_S, f"a server did not come again: {error}"
                time.sleep(0.05)

    def kill(self) -> list[int]:
        """End it by SIGKILL; the processes that it had started."""
        own = children(self._process.pid)
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        return own


def ranking(hits: Sequence[Mapping[str, Any]]) -> Ranking:
    """What is compared: which passages in which order."""
    return [[hit["document_id"], hit["passage"]["ordinal"]] for hit in hits]


def children(process: int) -> list[int]:
    """The processes that a process has started."""
    found: list[int] = []
    for task in Path(f"/proc/{process}/task").iterdir():
        with suppress(OSError):
            found += map(int, (task / "children").read_text().split())
    return found


def is_running(process: int) -> bool:
    """Whether a process has not ended."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def run(
    url: str,
    cache: Path,
    expected: Mapping[str, Ranking],
    kills: int,
    seed: int,
    ray: str | None = None,
) -> Outcome:
    """Kill servers so many times.

    Args:
        url: of the collection.
        cache: of copies of shards.
        expected: rankings by query.
        kills: how many.
        seed: decides when each comes.
        ray: the address of a cluster that holds the replicas; None is processes of each server.
    """
    drawn, seen = random.Random(seed), Outcome()
    some = next(iter(expected))
    servers = [Server(url, cache, ray) for _ in range(2)]
    stop, lock = threading.Event(), threading.Lock()
    answered = [0.0] * CLIENTS

    def client(number: int) -> None:
        own = random.Random(seed + number)
        turn = number
        while not stop.is_set():
            query = own.choice(list(expected))
            try:
                right = servers[turn % 2].search(query) == expected[query]
            except (OSError, http.client.HTTPException, ValueError):
                turn += 1
                with lock:
                    seen.refused += 1
                time.sleep(0.01)
                continue
            with lock:
                seen.answers += 1
                seen.wrong += not right
                answered[number] = time.monotonic()

    clients = [threading.Thread(target=client, args=[number]) for number in range(CLIENTS)]
    try:
        for server in servers:
            server.wait(some)
        for one in clients:
            one.start()
        for number in range(kills):
            time.sleep(drawn.uniform(0.0, 0.5))
            at = number % 2
            killed = time.monotonic()
            started = servers[at].kill()
            began = time.monotonic()
            while min(answered) < began:
                assert time.monotonic() - began < WAIT_S, "clients are not answered any more"
                time.sleep(0.005)
            seen.resumed.append(min(answered) - killed)
            servers[at] = Server(url, cache, ray)
            servers[at].wait(some)
            seen.restarted.append(time.monotonic() - killed)
            while any(map(is_running, started)) and time.monotonic() - killed < ENDED_S:
                time.sleep(0.05)
            seen.orphans += sum(map(is_running, started))
    finally:
        stop.set()
        for one in clients:
            if one.ident is not None:
                one.join()
        for server in servers:
            server.kill()
    return seen
