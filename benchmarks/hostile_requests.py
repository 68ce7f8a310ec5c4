"""Malformed requests, the same ones for a given seed; `benchmarks/service.py` and a test send them.

Each is a well-formed request that was damaged once or a few times: its JSON cut, nested, doubled or
with other types and sizes, bytes flipped, headers repeated, removed or wrong, its path oddly
encoded, its body sent in pieces, slower or shorter than declared.
"""

from __future__ import annotations

import json
import random
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

WELL_FORMED: tuple[tuple[str, str, Any], ...] = (
    ("POST", "/v1/indexes/default/search", {"query": "who waits", "k": 3, "where": "n == 1"}),
    ("POST", "/v1/indexes/default/search", {"queries": ["who", "waits"], "explain": True}),
    ("GET", "/v1/search?q=who+waits&k=3", None),
    ("POST", "/v1/indexes/default/documents", {"documents": [{"id": "z", "text": "zebras"}]}),
    ("GET", "/v1/indexes/default/documents?limit=2", None),
    ("DELETE", "/v1/indexes/default/documents?id=z", None),
    ("GET", "/v1/indexes/default/overview", None),
    ("GET", "/v1/indexes/default/view/z", None),
    ("GET", "/v1/indexes/default/pages/z?page=1&width=300", None),
    ("GET", "/v1/indexes/default/related/z?line=1&k=2", None),
    ("POST", "/v1/indexes/default/search", {"vector": [0.5] * 8, "context_lines": 2}),
    ("POST", "/v1/embeddings", {"input": ["who waits"], "encoding_format": "base64"}),
    ("POST", "/embed", {"inputs": "who waits"}),
    ("POST", "/rerank", {"query": "who", "documents": ["who waits", {"text": "no"}]}),
    ("POST", "/rerank", {"query": "who", "texts": ["who waits"], "raw_scores": True}),
    (
        "POST",
        "/v1/vector_stores/default/search",
        {"query": "who", "filters": {"type": "eq", "key": "n", "value": 1}},
    ),
    (
        "POST",
        "/mcp",
        {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "initialize",
            "params": {"protocolVersion": "2025-11-25"},
        },
    ),
    ("GET", "/metrics", None),
)

_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 2**63, -(2**63), 10**40, 1.5, 1e308, "", " ", "\0", "\ud800", "\u202e",
    "a" * 30_000, "../../etc/passwd", "$where", "{{7*7}}", [], {}, [[[]]], [None] * 100,
    {"$gt": ""}, {"type": "eq"}, "title matches '(a+)+$'", "(" * 500, '"' * 50, "-x",
)  # fmt: skip
_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"Content-Length", b"-1"), (b"Content-Length", b"99999999999"), (b"Content-Length", b"x"),
    (b"Transfer-Encoding", b"chunked"), (b"Transfer-Encoding", b"gzip"),
    (b"Host", b"evil.example"), (b"Origin", b"http://evil.example"),
    (b"Content-Type", b"text/plain"), (b"Content-Type", b"application/x-ndjson"),
    (b"Expect", b"100-continue"), (b"Content-Encoding", b"gzip"),
    (b"Authorization", b"Bearer \xff\xfe"), (b"Cookie", b"a" * 60_000),
    (b"Mcp-Session-Id", b"\xe4"), (b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"),
    (b"X-A\x00", b"1"), (b"Range", b"bytes=0-"), (b"Accept", b"text/event-stream"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it goes over the wire: pieces, with so many seconds before each."""

    pieces: tuple[bytes, ...]
    pause: float = 0.0


def hostile_requests(seed: int) -> Iterator[Request]:
    """Damaged requests without end."""
    rng = random.Random(seed)
    while True:
        method, path, body = rng.choice(WELL_FORMED)
        data = b""
        if body is not None:
            value = body
            for _ in range(rng.randrange(3)):
                value = _damage(rng, value)
            data = _damaged_json(rng, value)
        yield _damaged_request(rng, method, path, data)


def send_request(
    port: int, request: Request, *, patience: float = 1.0, timeout: float = 60.0
) -> int | None:
    """Send a request; the status of the answer, or None if the connection was closed.

    A server waits for the rest of a request that is shorter than declared. After `patience` seconds
    without an answer the writing side is shut down, upon which it may close the connection.

    Args:
        port: of the server.
        request: what to send.
        patience: seconds until the writing side is shut down.
        timeout: seconds to wait from then on.

    Raises:
        TimeoutError: neither an answer nor the end of the connection came.
    """
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as connection:
        try:
            for piece in request.pieces:
                time.sleep(request.pause)
                connection.sendall(piece)
            try:
                answer = connection.recv(4096)
            except TimeoutError:
                connection.shutdown(socket.SHUT_WR)
                connection.settimeout(timeout)
                answer = connection.recv(4096)
        except TimeoutError:
            raise
        except OSError:  # the server closed it already
            pass
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else None


def _damage(rng: random.Random, value: Any) -> Any:
    """The value with one part replaced, removed, or moved."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        key = rng.choice(list(value))
        rest = {name: item for name, item in value.items() if name != key}
        match rng.randrange(4):
            case 0:
                return rest
            case 1:
                return rest | {str(rng.choice(_VALUES))[:50]: value[key]}
            case 2:
                return rest | {key: rng.choice(_VALUES)}
            case _:
                return rest | {key: _damage(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.7:
        position = rng.randrange(len(value))
        return [
            *value[:position],
            _damage(rng, value[position]),
            *value[position:] * rng.randrange(1, 80),
        ]
    if rng.random() < 0.2:
        for _ in range(rng.choice((3, 60, 2000))):
            value = [value]
        return value
    return rng.choice(_VALUES)


def _damaged_json(rng: random.Random, value: Any) -> bytes:
    """The value as JSON, which may be cut, altered or doubled, in one of several encodings."""
    try:
        text = json.dumps(value, ensure_ascii=rng.random() < 0.7)
    except RecursionError:
        text = "[" * 5000
    data = text.encode(rng.choice(("utf-8",) * 6 + ("utf-16", "utf-8-sig")), "surrogatepass")
    match rng.randrange(8):
        case 0:
            return data[: rng.randrange(len(data) + 1)]
        case 1:
            position = rng.randrange(len(data))
            return data[:position] + bytes([rng.randrange(256)]) + data[position + 1 :]
        case 2:
            return data + data
    return data


def _damaged_request(rng: random.Random, method: str, path: str, data: bytes) -> Request:
    """The request with method, path, headers or framing damaged, if at all."""
    if rng.random() < 0.1:
        method = rng.choice(("PUT", "HEAD", "OPTIONS", "get", "BREW", "POST"))
    if rng.random() < 0.2:
        position = rng.randrange(len(path))
        odd = rng.choice(("%00", "%ff", "..%2f", "%", "//", "?", "%ed%a0%80", "a" * 5000, "\t"))
        path = path[:position] + odd + path[position:]
    headers = [(b"Host", b"localhost"), (b"Content-Length", str(len(data)).encode())]
    if data:
        headers.append((b"Content-Type", b"application/json"))
    for _ in range(rng.choice((0, 0, 0, 1, 2))):
        if rng.random() < 0.3 and headers:
            headers.pop(rng.randrange(len(headers)))
        else:
            headers.insert(rng.randrange(len(headers) + 1), rng.choice(_HEADERS))
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    whole = f"{method} {path} HTTP/1.1\r\n".encode("latin-1", "replace") + lines + b"\r\n" + data
    if rng.random() < 0.05:
        whole = whole[: rng.randrange(len(whole))]
    if rng.random() < 0.1 and len(whole) > 2:
        position = rng.randrange(1, len(whole))
        return Request((whole[:position], whole[position:]), rng.choice((0.0, 0.02)))
    return Request((whole,))
