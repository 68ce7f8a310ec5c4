"""A server as a process, and the library in another one."""

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
    """A process that answers requests on a port of this machine."""

    def __init__(self, pid: int, port: int) -> None:
        self.pid, self.port = pid, port
        self.local = threading.local()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The answer, over a connection that each thread keeps."""
        data = None if body is None else json.dumps(body).encode()
        connection = getattr(self.local, "connection", None)
        if connection is not None:
            try:
                answer, got = self._asked(connection, method, path, data)
            except (http.client.RemoteDisconnected, ConnectionError):
                connection = None  # it was idle for too long, and the server closed it
        if connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
            self.local.connection = connection
            answer, got = self._asked(connection, method, path, data)
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer.status} {got[:300]!r}")
        return json.loads(got)

    def _asked(
        self, connection: http.client.HTTPConnection, method: str, path: str, data: bytes | None
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection.request(method, path, data, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer, answer.read()

    def get(self, path: str) -> Any:
        """The answer to GET."""
        return self.ask("GET", path)

    def memory(self) -> int:
        """Bytes that are resident."""
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGESIZE")

    def processor(self) -> float:
        """Seconds that it took of the processor."""
        return processor_of(self.pid)


def processor_of(pid: int) -> float:
    """Seconds that a process took of the processor."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Server]:
    """`retrieval serve`, ready; killed at the end, if it was not before."""
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
        # What it writes later is read, so that it never waits for room in the pipe.
        threading.Thread(target=process.stderr.read, daemon=True).start()
        port = int(line.split("http://127.0.0.1:")[1].split("/")[0])
        server = Server(process.pid, port)
        while server.get("/ready")["status"] != "ready":
            time.sleep(0.01)
        yield server
    finally:
        process.kill()
        process.wait()


LIBRARY = """
import json, sys, threading, time
from retrieval import Index
index = Index.open(sys.argv[1])
index.search("ready", 1)
def each(items, threads, work):
    given, lock, seconds = iter(items), threading.Lock(), []
    def run():
        while True:
            with lock:
                item = next(given, None)
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
    """The library in a process of its own: what, of which items, by how many threads."""
    process = subprocess.Popen(
        [sys.executable, "-c", LIBRARY, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def ask(what: str, items: Sequence[Any], threads: int) -> Any:
        stdin.write(json.dumps([what, items, threads]) + "\n")
        stdin.flush()
        return json.loads(stdout.readline())

    try:
        yield ask
    finally:
        process.kill()
        process.wait()
