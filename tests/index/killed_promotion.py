"""A process that promotes and is killed while it does; see test_killed_promotion.

Reads one JSON object a line, `{"folder", "first", "last", "many", "die_at", "after"}`, forks a
writer for each, which adds the documents from `first` to `last` that make the index promote, and
reports its exit status. From `many` token vectors on, those of 4 bits become such of 2. The writer
kills itself at the `die_at`-th of the moments when it opens, makes or removes a file, runs an SQL
statement or compresses a block, counted from the begin of the promotion; or, whatever it is doing
then, `after` so many seconds of it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from pathlib import Path

import faiss  # before the fork, once for all writers
import tantivy

from retrieval.index import Index
from retrieval.index.writing import codecs
from retrieval.index.writing.session import Session
from retrieval.indexes.dense import lists
from retrieval.store import Commit, StoreWriter

from .fake_encoder import FakeEncoder
from .killed_writer import EVENTS, say
from .promoted import documents

lists.FEWEST = 40  # so that the dense vectors get their lists, too

assert faiss
assert tantivy


def promote(
    folder: str, first: int, last: int, many: int, die_at: int | None, after: float | None
) -> None:
    left: int | None = None

    def tick(*_: object) -> None:
        nonlocal left
        if left is not None:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def start(session: Session, *, ended: bool) -> None:
        nonlocal left
        left = die_at
        if after is not None:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)  # it ends the process, in C code, too
            signal.setitimer(signal.ITIMER_REAL, after)
        begin(session, ended=ended)
        if after is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
        left = None

    def commit(store: StoreWriter, change: Commit) -> None:
        store._connection.set_trace_callback(tick)
        real(store, change)

    codecs.MANY = many
    real, begin = StoreWriter.commit, Session._promote
    StoreWriter.commit = commit  # type: ignore[method-assign]
    Session._promote = start  # type: ignore[method-assign]
    sys.addaudithook(lambda event, _: tick() if event in EVENTS else None)
    with (
        Index.open(Path(folder), encoder=FakeEncoder()) as index,
        index.writing(progress=tick) as writer,
    ):
        for document in documents(first, last):
            writer.put(document)


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        writer = os.fork()
        if writer == 0:
            status = 3
            try:
                promote(**order)
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        say(str(os.waitstatus_to_exitcode(os.waitpid(writer, 0)[1])))


if __name__ == "__main__":
    main()
