"""A process in which one call fails; see `failing_calls`.

Reads one JSON object a line, `{"operation", "folder", "at", "error", "on"}`, forks a process for
each and prints one JSON object: `{"calls", "failed", "raised", "line", "exit"}`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import faiss  # before the fork, once for all
import tantivy

from retrieval.errors import RetrievalError
from retrieval.index import Index

from .interposing import Interposed
from .operations import OPERATIONS

assert faiss
assert tantivy
assert Index

LIMIT = 60  # seconds; more is a hang


def perform(interposed: Interposed, order: dict[str, Any]) -> dict[str, Any]:
    """Run the operation with the failure; what came of it."""
    folder = Path(order["folder"])
    raised = line = ""
    interposed.watch(folder)
    interposed.fail(order["at"], order["error"], on=order["on"])
    try:
        OPERATIONS[order["operation"]].run(folder)
    except RetrievalError as error:
        raised, line = "RetrievalError", str(error)
    except BaseException as error:
        raised, line = type(error).__name__, str(error)
    calls, failed = interposed.calls, interposed.failed
    interposed.fail(0, 0)
    return {"calls": calls, "failed": failed, "raised": raised, "line": line}


def main() -> None:
    interposed = Interposed(os.environ["LD_PRELOAD"])
    for line in sys.stdin:
        order = json.loads(line)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            signal.alarm(LIMIT)
            os.close(reading)
            with os.fdopen(writing, "w", encoding="utf-8") as report:
                json.dump(perform(interposed, order), report)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, encoding="utf-8") as report:
            said = report.read()
        exit = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(json.dumps((json.loads(said) if said else {}) | {"exit": exit}), flush=True)


if __name__ == "__main__":
    main()
