"""A way to an S3 server on which requests fail, wait or are cut off, by chance."""

from __future__ import annotations

import http.client
import random
import re
import socket
import struct
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Kind = Literal[
    "server errors",
    "throttled",
    "slow",
    "connections lost",
    "answers cut off",
    "credentials expire",
    "clock of the builder",
    "clock of the storage",
]

PASSING: tuple[Kind, ...] = (
    "server errors",
    "throttled",
    "slow",
    "connections lost",
    "answers cut off",
    "clock of the storage",
)
"""What the library that speaks S3 gets over, by asking again."""

LASTING: tuple[Kind, ...] = ("credentials expire", "clock of the builder")
"""What stays, from some request on."""

_CODES: dict[Kind, tuple[int, str]] = {
    "server errors": (500, "InternalError"),
    "throttled": (503, "SlowDown"),
    "credentials expire": (403, "ExpiredToken"),
    "clock of the builder": (403, "RequestTimeTooSkewed"),
}
SHARE = 0.15
"""Of requests that something befalls."""

_SKEW = timedelta(days=30)
_ISO = re.compile(rb"<LastModified>([^<]*)</LastModified>")


class FaultyS3:
    """A server that hands requests on to one that speaks S3, but for what befalls them.

    Attributes:
        options: of the storage behind it, by which it is reached.
        requests: how many there were.
        befell: how many of them something befell.
    """

    def __init__(self, options: Mapping[str, str], kind: Kind, seed: int, first: int = 0) -> None:
        """Start it.

        Args:
            options: by which the server behind it is reached.
            kind: what befalls requests.
            seed: of the chance.
            first: the request that what lasts begins with.
        """
        self.requests = self.befell = 0
        self._kind, self._first = kind, first
        self._drawn = random.Random(seed)
        self._lock = threading.Lock()
        self._behind = urlsplit(options["endpoint"])
        here = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                here.answer(self, body)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """A connection that was lost on purpose."""

        self._server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.options = {**options, "endpoint": f"http://127.0.0.1:{self._server.server_port}"}

    def __enter__(self) -> FaultyS3:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        """Answer a request, or do to it what is due."""
        with self._lock:
            self.requests += 1
            chance, second = self._drawn.random(), self._drawn.random()
            lasting = self._kind in LASTING and self.requests > self._first
            due = lasting or (self._kind in PASSING and chance < SHARE)
            self.befell += due
        before = second < 0.5  # whether it is done before it fails
        if not due:
            _send(request, *self._asked(request, body))
        elif self._kind == "slow":
            time.sleep(0.02 + 0.3 * second)
            _send(request, *self._asked(request, body))
        elif self._kind in _CODES:
            if before and not lasting:
                self._asked(request, body)
            code, name = _CODES[self._kind]
            said = f"<Error><Code>{name}</Code><Message>{name} (injected)</Message></Error>"
            _send(request, code, {"Content-Type": "application/xml"}, said.encode())
        elif self._kind == "connections lost":
            if before:
                self._asked(request, body)
            _lose(request)
        elif self._kind == "answers cut off":
            code, headers, content = self._asked(request, body)
            _send(request, code, headers, content, cut=len(content) // 2)
            _lose(request)
        else:
            _send(request, *self._asked(request, body))

    def _asked(
        self, request: BaseHTTPRequestHandler, body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """What the server behind answers; by another clock, where that is asked for."""
        assert self._behind.hostname is not None
        behind = http.client.HTTPConnection(self._behind.hostname, self._behind.port, timeout=30)
        try:
            behind.request(request.command, request.path, body, dict(request.headers.items()))
            answer = behind.getresponse()
            content = answer.read()
            headers = {
                name: value
                for name, value in answer.getheaders()
                if name.lower() not in ("transfer-encoding", "connection", "date", "server")
            }
        finally:
            behind.close()
        if self._kind == "clock of the storage":
            for name in [name for name in headers if name.lower() == "last-modified"]:
                told = parsedate_to_datetime(headers[name]) + _SKEW
                headers[name] = format_datetime(told, usegmt=True)
            content = _ISO.sub(_later, content)
            if request.command != "HEAD":
                headers["Content-Length"] = str(len(content))
        return answer.status, headers, content


def _later(found: re.Match[bytes]) -> bytes:
    told = datetime.fromisoformat(found[1].decode()) + _SKEW
    return f"<LastModified>{told.isoformat().replace('+00:00', 'Z')}</LastModified>".encode()


def _send(
    request: BaseHTTPRequestHandler,
    code: int,
    headers: Mapping[str, str],
    content: bytes,
    *,
    cut: int | None = None,
) -> None:
    request.send_response_only(code)
    for name, value in headers.items():
        if name.lower() != "content-length":
            request.send_header(name, value)
    length = str(len(content))
    if request.command == "HEAD":  # whose content is not sent, and its length is
        length = next((v for n, v in headers.items() if n.lower() == "content-length"), "0")
    request.send_header("Content-Length", length)
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(content[:cut])
    request.wfile.flush()


def _lose(request: BaseHTTPRequestHandler) -> None:
    """Reset the connection."""
    request.close_connection = True
    with suppress(OSError):
        request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.connection.close()
