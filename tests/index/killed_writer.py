"""A process that writes to an index until it is killed; see test_kill.

Reads one JSON object a line, `{"folder", "seed", "die_at"}`, forks a writer for each and reports on
standard output: `pid N`, then `start OPERATION` and `done` around each of the writer's calls, each
of which is one commit, then `exit STATUS`. With `die_at` the writer kills itself at the n-th of the
moments when it opens, makes, links, renames or removes a file or runs an SQL statement; without,
it goes on until someone else does.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import tantivy  # noqa: F401  (before the fork, once for all writers)

from retrieval.index import Index
from retrieval.store import Commit, StoreWriter
from retrieval.types import Document

from .fake_encoder import FakeEncoder

Texts = dict[str, str]

EVENTS = {"open", "os.mkdir", "os.remove", "os.rmdir", "os.link", "os.rename", "sqlite3.connect"}


def operation(rng: random.Random) -> dict[str, Any]:
    """Something to do: documents to add or replace, ids to delete, or a compaction."""
    ids = [f"d{n}" for n in rng.sample(range(30), rng.randint(1, 5))]
    kind = rng.choices(["add", "delete", "compact"], [12, 4, 1])[0]
    if kind == "add":
        return {"add": {id: f"word{rng.getrandbits(60):x} shared words" for id in ids}}
    return {"delete": ids} if kind == "delete" else {"compact": True}


def perform(index: Index, work: dict[str, Any]) -> None:
    if "add" in work:
        index.add(Document(id, text) for id, text in work["add"].items())
    elif "delete" in work:
        index.delete(work["delete"])
    else:
        index.compact()


def after(texts: Texts, work: dict[str, Any]) -> Texts:
    """The documents once an operation is committed."""
    left = {id: text for id, text in texts.items() if id not in work.get("delete", [])}
    return left | work.get("add", {})


def write(folder: str, seed: int, die_at: int | None) -> None:
    """Write to the index for ever."""
    say(f"pid {os.getpid()}")
    rng = random.Random(seed)
    left = die_at

    def tick(_: object = None) -> None:
        nonlocal left
        if left is not None:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def commit(store: StoreWriter, change: Commit) -> None:
        store._connection.set_trace_callback(tick)
        real(store, change)

    real = StoreWriter.commit
    StoreWriter.commit = commit  # type: ignore[method-assign]
    sys.addaudithook(lambda event, _: tick() if event in EVENTS else None)
    with Index.open(Path(folder), encoder=FakeEncoder()) as index:
        while True:
            work = operation(rng)
            say(f"start {json.dumps(work)}")
            perform(index, work)
            say("done")


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        writer = os.fork()
        if writer == 0:
            try:
                write(order["folder"], order["seed"], order["die_at"])
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(3)
        _, status = os.waitpid(writer, 0)
        say(f"exit {os.waitstatus_to_exitcode(status)}")


if __name__ == "__main__":
    main()
