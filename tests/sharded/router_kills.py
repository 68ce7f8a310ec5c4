"""Servers of a collection are killed while clients ask: what those see.

One server runs or several, each the router of replicas of its own, or of the same actors of a Ray
cluster, or one that searches in its own process. Clients ask whichever answers. In turns one server
is killed by SIGKILL and started again at the same port.
"""

from __future__ import annotations

import http.client
import json
import math
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..soak.stages import python_path

PROCESSES, HERE = "processes", "here"

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

    def __init__(self, url: str, cache: Path, where: str) -> None:
        self._path = f"/v1/indexes/{url.rpartition('/')[2]}/search"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port: int = free.getsockname()[1]
        self._command = [sys.executable, "-m", "tests.sharded.router_process"]
        self._command += [url, str(cache), str(self._port), where]
        self.start()

    def start(self) -> None:
        """Start it, again if it was killed; it is not waited for."""
        self._process = subprocess.Popen(
            self._command,
            stdout=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": python_path()},
        )

    def search(self, query: str) -> Ranking:
        """The ranking of a query; raises OSError or another if there is no answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=WAIT_S)
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
    *,
    where: str = PROCESSES,
    servers: int = 2,
) -> Outcome:
    """Kill servers so many times.

    Args:
        url: of the collection.
        cache: of copies of shards.
        expected: rankings by query.
        kills: how many.
        seed: decides when each comes.
        where: shards are searched: `PROCESSES` of each server, `HERE` for the server itself, or the
            address of a Ray cluster.
        servers: how many run at a time.
    """
    drawn, seen = random.Random(seed), Outcome()
    running = [Server(url, cache, where) for _ in range(servers)]
    stop, lock = threading.Event(), threading.Lock()
    killed = math.inf
    waiting: set[int] = set()  # clients that had no answer to what they asked since the last kill

    def client(number: int) -> None:
        own = random.Random(seed + number)
        turn = number
        while not stop.is_set():
            query = own.choice(list(expected))
            began = time.monotonic()
            try:
                right = running[turn % servers].search(query) == expected[query]
            except (OSError, http.client.HTTPException, ValueError):
                turn += 1
                with lock:
                    seen.refused += 1
                time.sleep(0.01)
                continue
            with lock:
                seen.answers += 1
                seen.wrong += not right
                if began > killed:
                    waiting.discard(number)

    clients = [threading.Thread(target=client, args=[number]) for number in range(CLIENTS)]
    try:
        for server in running:
            server.wait(next(iter(expected)))
        for one in clients:
            one.start()
        for number in range(kills):
            time.sleep(drawn.uniform(0.0, 0.5))
            server = running[number % servers]
            with lock:
                killed = math.inf
                waiting.update(range(CLIENTS))
            started = server.kill()
            killed = time.monotonic()
            server.start()
            while waiting:
                assert time.monotonic() - killed < WAIT_S, "clients are not answered any more"
                time.sleep(0.005)
            seen.resumed.append(time.monotonic() - killed)
            server.wait(next(iter(expected)))
            seen.restarted.append(time.monotonic() - killed)
            while any(map(is_running, started)) and time.monotonic() - killed < ENDED_S:
                time.sleep(0.05)
            seen.orphans += sum(map(is_running, started))
    finally:
        stop.set()
        for one in clients:
            if one.ident is not None:
                one.join()
        for server in running:
            server.kill()
    return seen
