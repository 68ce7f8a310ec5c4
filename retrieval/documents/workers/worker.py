"""What runs in a worker process: one request after the other, until there is nobody to ask."""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import IO, Any

from retrieval.documents.formats.format import Parsed, Source
from retrieval.documents.workers import limits, wire
from retrieval.documents.workers.confinement import allow, confine, most_held
from retrieval.errors import DocumentError, InputError, MissingDependency

_ERRORS = ((DocumentError, "document"), (MissingDependency, "dependency"), (InputError, "input"))


def main() -> None:
    """Answer what comes on standard input, on standard output."""
    requests, replies = _channels()
    confine()
    _end_with(requests)  # after that: the kernel's filter holds for threads that start later
    served = 0
    while True:
        payload = wire.read(requests, sys.maxsize)
        if payload is None:
            return
        request = wire.loaded(payload)
        allow(request["size"], request["seconds"])
        data = wire.read(requests, sys.maxsize)
        if data is None:
            return
        served += 1
        last = False
        for kind, reply in _answers(request, data):
            last = last or kind in ("memory", "ended")
            wire.write(replies, reply)
        last = last or served >= limits.FILES or most_held() > limits.HELD
        wire.write(replies, wire.dumped(["end", last]))
        replies.flush()
        del data
        if last:
            return


def _channels() -> tuple[IO[bytes], IO[bytes]]:
    """Where requests come from and replies go to; a library that prints is not heard there."""
    requests, replies = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    os.close(nothing)
    return os.fdopen(requests, "rb"), os.fdopen(replies, "wb")


def _end_with(requests: IO[bytes]) -> None:
    """Leave, in the middle of a file too, once the process that asks is gone."""
    if not hasattr(select, "poll"):
        return
    poll = select.poll()
    poll.register(requests, 0)  # hanging up is always told

    def wait() -> None:
        poll.poll()
        os._exit(0)

    threading.Thread(target=wait, name="end", daemon=True).start()


def _answers(request: Any, data: bytes) -> Iterator[tuple[str, bytes]]:
    """Replies: ["parsed", ...] for each document of a file or ["value", ...], or what became of it.

    Yields:
        (the kind of a reply, the reply).
    """
    try:
        function = _function(*request["function"])
        if "given" in request:
            yield "value", wire.dumped(["value", function(data, *request["given"])])
            return
        made = function(data, Source(**request["source"]))
        for parsed in [made] if isinstance(made, Parsed) else made:
            yield "parsed", wire.dumped(["parsed", wire.parsed_as_lists(parsed)])
    except BaseException as error:  # of Rust, a panic is no Exception
        kind, *text = _said(error)
        yield kind, wire.dumped([kind, *text])


def _said(error: BaseException) -> list[str]:
    """What an error is called on the wire, and its text."""
    if isinstance(error, MemoryError):
        return ["memory"]
    if isinstance(error, RecursionError):
        return ["document", "is nested too deeply"]
    for kind, name in _ERRORS:
        if isinstance(error, kind):
            return [name, str(error)]
    # What is no Exception may have left a library in any state.
    usual = isinstance(error, Exception)
    return ["failed" if usual else "ended", f"{type(error).__name__}: {error}"]


def _function(module: str, name: str) -> Callable[..., Any]:
    found: Any = import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    function: Callable[..., Any] = found
    return function
