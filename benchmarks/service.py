"""How the server holds: against the library in the same run, killed, sent nonsense, under load.

    python benchmarks/service.py COLLECTION --out FILE.json [--minutes 3] [--only PART...]

Indexes the first documents of a collection in BEIR's format (10,000 passages), starts
`retrieval serve` as a process of its own, and then:

- search: 16 clients ask over HTTP, and 16 threads of another process ask the library, in turns;
- embeddings: 4 clients send 16 texts of mixed lengths at once, and 4 threads of that process the
  same to the encoder, in turns;
- restart: the server is killed by SIGKILL after a document was added, and started again;
- hostile: damaged requests (`hostile_requests.py`) by 32 threads;
- mixed: readers, embeddings and a writer at once, each answer held to what the library gives for
  the generation that it is of.

`--only` measures some of these parts and leaves the others in the file as they are. Ratios are of
medians over rounds that alternate, so that they bear a machine that others use; times do not.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from command import as_command
from environment import environment
from hostile_requests import answer_to, hostile

from retrieval import Document, Index
from retrieval.eval import load_beir
from retrieval.service.scoring import count_tokens

PACKAGES = ("modernbert-retrieval", "starlette", "uvicorn", "prometheus-client", "numpy")
CLIENTS, EMBEDDERS, AT_ONCE = 16, 4, 16
PARTS = ("search", "embeddings", "restart", "hostile", "mixed")


def main() -> None:
    """Build, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collection", type=Path)
    parser.add_argument("--index", type=Path, help="made there, or taken if it is there")
    parser.add_argument("--passages", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--queries", type=int, default=96, help="of a round")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART")
    parser.add_argument("--note", default="")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    dataset = load_beir(given.collection)
    queries = list(dataset.queries.values())
    texts = mixed_lengths([one.text for one in itertools.islice(dataset.documents, 600)])
    before = json.loads(given.out.read_text()) if given.out and given.out.exists() else {}
    here = environment(PACKAGES)
    now = {name: here.pop(name) for name in ("commit", "uncommitted_changes", "date")}
    now |= {"note": given.note, "load": os.getloadavg()}
    result: dict[str, Any] = here | {
        "collection": dataset.name,
        "measured": dict(before.get("measured", {})),
        **{part: before[part] for part in PARTS if part in before and part not in given.only},
    }

    def tell(name: str, found: Any) -> None:
        result[name] = found
        result["measured"][name] = now
        print(name, json.dumps(found), flush=True)
        if given.out:
            given.out.write_text(json.dumps(result, indent=1) + "\n")

    with tempfile.TemporaryDirectory() as scratch:
        if {"search", "embeddings"} & set(given.only):
            folder = given.index or Path(scratch) / "index"
            if not (folder / "store.sqlite").exists():
                build(folder, iter(dataset.documents), given.passages)
            with serving(folder) as server, library(folder) as inside:
                tell("passages", server.get("/v1/indexes/default/status")["passages"])
                if "search" in given.only:
                    tell("search", search(server, inside, queries, given.rounds, given.queries))
                if "embeddings" in given.only:
                    tell("embeddings", embeddings(server, inside, texts, given.rounds))
        small = Path(scratch) / "small"
        build(small, iter(dataset.documents), 200)
        if "restart" in given.only:
            tell("restart", [restart(small, number) for number in range(5)])
        if "hostile" in given.only:
            with serving(small, "--allow-write") as server:
                tell("hostile", nonsense(server, given.requests))
        if "mixed" in given.only:
            tell("mixed", mixed(small, queries[:10], given.minutes))


def build(folder: Path, documents: Iterator[Document], passages: int) -> None:
    """Index the first documents, until there are about so many passages."""
    with Index.create(folder) as index:
        while (missing := passages - index.status().passages) > 0:
            if not (batch := list(itertools.islice(documents, max(missing // 2, 1)))):
                break
            index.add(batch)


def mixed_lengths(texts: Sequence[str]) -> list[str]:
    """The texts cut after 4 to 256 words, always the same."""
    lengths = itertools.cycle((4, 8, 16, 32, 64, 128, 256))
    return [" ".join(text.split()[:count]) for text, count in zip(texts, lengths, strict=False)]


class Server:
    """`retrieval serve` as a process."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process, self.port = process, port
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
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGESIZE")

    def processor(self) -> float:
        """Seconds that it took of the processor."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Server]:
    """A server that is ready."""
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
        server = Server(process, port)
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


def by_clients(
    server: Server, items: Sequence[Any], clients: int, work: Callable[[Any], object]
) -> Any:
    """Seconds of each item and of all, and those that the server took of the processor."""

    def timed(item: Any) -> float:
        began = time.perf_counter()
        work(item)
        return time.perf_counter() - began

    began, processor = time.perf_counter(), server.processor()
    with ThreadPoolExecutor(clients) as pool:
        seconds = list(pool.map(timed, items))
    return {
        "seconds": seconds,
        "whole": time.perf_counter() - began,
        "processor": server.processor() - processor,
    }


def in_turns(rounds: int, first: Callable[[int], Any], second: Callable[[int], Any]) -> list[Any]:
    """The pairs of rounds, of which each begins with the other one; the first does not count."""
    pairs = []
    for number in range(rounds + 1):
        if number % 2:
            b, a = second(number), first(number)
        else:
            a, b = first(number), second(number)
        pairs.append((a, b))
    return pairs[1:]


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
        "clients": CLIENTS,
        "queries_of_a_round": count,
        "rounds": rounds,
        "p50_ms": [round(one, 1) for one in _medians(p50)],
        "queries_per_second": [round(one, 2) for one in _medians(rate)],
        "processor_ms_of_a_query": [round(one, 1) for one in _medians(processor)],
        "p50_ratio": _ratio(p50),
        "throughput_ratio": _ratio(rate),
        "of_each": "HTTP first, the library second",
    }


def embeddings(server: Server, inside: Any, texts: Sequence[str], rounds: int) -> Any:
    """Embeddings over HTTP against the encoder, in calls of the same texts."""
    calls = [list(texts[at : at + AT_ONCE]) for at in range(0, 16 * AT_ONCE, AT_ONCE)]
    from retrieval.encoders import load_encoder

    encoder = load_encoder()
    tokens = sum(count_tokens(encoder, call) for call in calls)
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
        "tokens_per_second": [round(one) for one in _medians(rate)],
        "processor_us_of_a_token": [round(one, 1) for one in _medians(processor)],
        "ratio": _ratio(rate),
        "of_each": "HTTP first, the library second",
    }


def restart(folder: Path, number: int) -> Any:
    """Kill the server right after it said that a document is in, and start it again."""
    id = f"added-{number}"
    with serving(folder) as server:
        server.ask(
            "POST",
            "/v1/indexes/default/documents",
            {"documents": [{"id": id, "text": f"zebras graze, for the time {number}"}]},
        )
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
    began = time.perf_counter()
    with serving(folder) as server:
        ready, processor = time.perf_counter() - began, server.processor()
        kept = server.get(f"/v1/indexes/default/documents/{id}")["id"] == id
        server.get("/v1/search?q=zebras&k=1")
        first = time.perf_counter() - began
    return {
        "ready_s": round(ready, 2),
        "processor_s_until_ready": round(processor, 2),
        "first_answer_s": round(first, 2),
        "kept": kept,
    }


def nonsense(server: Server, count: int) -> Any:
    """Damaged requests: their answers, and how much memory the server has."""
    requests = itertools.islice(hostile(1), count)
    statuses: Counter[str] = Counter()
    memory: list[float] = []

    def send(sent: Any) -> str:
        try:
            return str(answer_to(server.port, sent))
        except TimeoutError:
            return "hang"

    with ThreadPoolExecutor(32) as pool:
        for batch in iter(lambda: list(itertools.islice(requests, 500)), []):
            statuses.update(pool.map(send, batch))
            memory.append(round(server.memory() / 2**20, 1))
    hangs = statuses.pop("hang", 0)
    return {
        "requests": count,
        "answers": dict(sorted(statuses.items())),
        "faults": sum(many for status, many in statuses.items() if status.startswith("5")),
        "hangs": hangs,
        "serves_on": server.get("/ready")["status"] == "ready",
        "memory_mb": memory,
        "growth_after_the_first_quarter": _growth(memory[len(memory) // 4 :]),
    }


def mixed(folder: Path, queries: Sequence[str], minutes: float) -> Any:
    """Readers, embeddings and a writer; each answer is held to the library's of its generation."""
    texts = [f"{query} and what else, part {at}" for at, query in enumerate(queries * 3)]
    where = "mixed_version >= 0"
    end = time.monotonic() + 60 * minutes
    expected: dict[tuple[int, str], list[str]] = {}
    seen: Counter[tuple[int, str, tuple[str, ...]]] = Counter()
    errors: list[str] = []
    memory: list[float] = []
    asked: Counter[str] = Counter()

    def guarded(work: Callable[[], None]) -> None:
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

        works = [write, *[read] * 6, embed, watch]
        threads = [threading.Thread(target=guarded, args=[work]) for work in works]
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
        "growth_after_the_first_quarter": _growth(memory[len(memory) // 4 :]),
    }


def _medians(pairs: Sequence[Sequence[float]]) -> list[float]:
    return [statistics.median(one) for one in zip(*pairs, strict=True)]


def _ratio(pairs: Sequence[Sequence[float]]) -> float:
    first, second = _medians(pairs)
    return round(first / second, 3)


def _growth(memory: Sequence[float]) -> float:
    """The last fifth's median over the first fifth's, less one."""
    part = max(1, len(memory) // 5)
    return round(statistics.median(memory[-part:]) / statistics.median(memory[:part]) - 1, 3)


if __name__ == "__main__":
    as_command(main)
