"""The server and the library, each in a process of its own."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Server:
    """A server process of this machine, and requests to it."""

    def __init__(self, pid: int, port: int) -> None:
        self.pid, self.port = pid, port
        self.local = threading.local()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The answer to a request, over a connection that each thread keeps open."""
        data = None if body is None else json.dumps(body).encode()
        connection = getattr(self.local, "connection", None)
        if connection is not None:
            try:
                response, content = self._send(connection, method, path, data)
            except (http.client.RemoteDisconnected, ConnectionError):
                connection = None  # it was idle for too long, and the server closed it
        if connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
            self.local.connection = connection
            response, content = self._send(connection, method, path, data)
        if response.status != 200:
            raise RuntimeError(f"{method} {path}: {response.status} {content[:300]!r}")
        return json.loads(content)

    def _send(
        self, connection: http.client.HTTPConnection, method: str, path: str, data: bytes | None
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection.request(method, path, data, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response, response.read()

    def get(self, path: str) -> Any:
        """The answer to a GET request."""
        return self.ask("GET", path)

    def resident_bytes(self) -> int:
        """Resident memory of the process in bytes."""
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGESIZE")

    def cpu_seconds(self) -> float:
        """CPU seconds of the process so far."""
        return cpu_seconds_of(self.pid)


def cpu_seconds_of(pid: int) -> float:
    """User and system seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Server]:
    """Run `retrieval serve` until it is ready; killed at the end, if not before."""
    command = [sys.executable, "-m", "retrieval", "serve", "--index", str(folder), "--port", "0"]
    process = subprocess.Popen(
        [*command, *options],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        if " at http://" not in line:
            raise RuntimeError(line + process.stderr.read())
        # Its log is read on, so that it never blocks on a full pipe.
        threading.Thread(target=process.stderr.read, daemon=True).start()
        port = int(line.split("http://127.0.0.1:")[1].split("/")[0])
        server = Server(process.pid, port)
        while server.get("/ready")["status"] != "ready":
            time.sleep(0.01)
        yield server
    finally:
        process.kill()
        process.wait()


LIBRARY_PROGRAM = """
import json, sys, threading, time
from retrieval import Index
index = Index.open(sys.argv[1])
index.search("ready", 1)
def each(items, threads, work):
    remaining, lock, seconds = iter(items), threading.Lock(), []
    def run():
        while True:
            with lock:
                item = next(remaining, None)
            if item is None:
                return
            began = time.perf_counter()
            work(item)
            seconds.append(time.perf_counter() - began)
    workers = [threading.Thread(target=run) for _ in range(threads)]
    began, processor = time.perf_counter(), time.process_time()
    [one.start() for one in workers]
    [one.join() for one in workers]
    return {"seconds": seconds, "whole": time.perf_counter() - began,
            "processor": time.process_time() - processor}
for line in sys.stdin:
    what, items, threads = json.loads(line)
    work = {"search": lambda query: index.search(query, 10),
            "embed": index.encoder.encode_documents}[what]
    print(json.dumps(each(items, threads, work)), flush=True)
"""


@contextmanager
def library(folder: Path) -> Iterator[Callable[[str, Sequence[Any], int], Any]]:
    """Run the library in a process of its own.

    Gives a function of a kind of call (`search`, `embed`), its arguments, and a number of threads,
    which returns the seconds of each call, of all together, and of the CPU.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", LIBRARY_PROGRAM, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def ask(kind: str, items: Sequence[Any], threads: int) -> Any:
        stdin.write(json.dumps([kind, items, threads]) + "\n")
        stdin.flush()
        return json.loads(stdout.readline())

    try:
        yield ask
    finally:
        process.kill()
        process.wait()
