"""Messages as lines of two streams: one message per line, in UTF-8."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

from retrieval.mcp.wire import (
    INVALID_REQUEST,
    PARSE_ERROR,
    Message,
    Server,
    Session,
    decoded,
    encoded,
    error_message,
)

MAX_LINE = 4 << 20
"""Maximum bytes of a message; longer ones are refused."""

_THREADS = 4


def serve_lines(server: Server, lines: BinaryIO, out: BinaryIO, *, grace: float = 10.0) -> None:
    """Serve one client until its input ends or nobody reads the answers.

    Args:
        server: the server.
        lines: messages, one per line.
        out: stream for the answers.
        grace: seconds that running calls have to finish once the input ended.
    """
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="mcp-call")
    session = Session(server, pool.submit)
    client = _Client(session, out)
    try:
        while line := lines.readline(MAX_LINE + 1):
            if len(line) > MAX_LINE:
                while line and not line.endswith(b"\n"):
                    line = lines.readline(MAX_LINE)
                client.send(error_message(None, INVALID_REQUEST, f"more than {MAX_LINE} bytes"))
            elif line.strip():
                client.receive(line)
    except BrokenPipeError:
        grace = 0.0
    finally:
        end = threading.Timer(grace, session.cancel_all)
        end.daemon = True
        end.start()
        pool.shutdown()
        end.cancel()


class _Client:
    """The other end of the streams."""

    def __init__(self, session: Session, out: BinaryIO) -> None:
        self._session = session
        self._out = out
        self._writing = threading.Lock()

    def receive(self, line: bytes) -> None:
        """Answer a line."""
        try:
            value = decoded(line)
        except (ValueError, RecursionError):
            said = "the line is not JSON; send one message per line"
            self.send(error_message(None, PARSE_ERROR, said))
            return
        self._session.receive(value, self.send, self.send)

    def send(self, message: Message | list[Message] | None) -> None:
        """Write a message, unless it is None."""
        if message is None:
            return
        line = encoded(message) + b"\n"
        with self._writing:
            try:
                self._out.write(line)
                self._out.flush()
            except (OSError, ValueError):  # the reader is gone, or the stream was closed
                self._session.cancel_all()
