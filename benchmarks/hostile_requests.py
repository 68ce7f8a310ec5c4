"""Requests that no honest client sends, always the same for a seed: `benchmarks/service.py` and a
test send them.

Each is a well-formed request that was damaged once or a few times: its JSON cut, nested, doubled or
made of other types and sizes, its bytes flipped, its headers repeated, removed or lied in, its path
encoded oddly, its body sent in pieces, slower or shorter than was said.
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
class Sent:
    """A request as it goes over the wire: pieces, with so many seconds before each."""

    pieces: tuple[bytes, ...]
    pause: float = 0.0


def hostile(seed: int) -> Iterator[Sent]:
    """Damaged requests without end."""
    chance = random.Random(seed)
    while True:
        method, path, body = chance.choice(WELL_FORMED)
        data = b""
        if body is not None:
            value = body
            for _ in range(chance.randrange(3)):
                value = _damaged(chance, value)
            data = _text(chance, value)
        yield _sent(chance, method, path, data)


def answer_to(port: int, sent: Sent, *, patience: float = 1.0, timeout: float = 60.0) -> int | None:
    """Send it, and say with what status it was answered; None if the connection was closed.

    A server waits for the rest of a request that is shorter than it says: after a while without an
    answer nothing more is promised, by which it may close the connection.

    Args:
        port: of the server.
        sent: what is sent.
        patience: seconds until the end of what is sent is told.
        timeout: seconds from then on.

    Raises:
        TimeoutError: neither happened.
    """
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as connection:
        try:
            for piece in sent.pieces:
                time.sleep(sent.pause)
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


def _damaged(chance: random.Random, value: Any) -> Any:
    """The value with one part of it made something else, left out, or put elsewhere."""
    if isinstance(value, dict) and value and chance.random() < 0.8:
        key = chance.choice(list(value))
        rest = {name: one for name, one in value.items() if name != key}
        match chance.randrange(4):
            case 0:
                return rest
            case 1:
                return rest | {str(chance.choice(_VALUES))[:50]: value[key]}
            case 2:
                return rest | {key: chance.choice(_VALUES)}
            case _:
                return rest | {key: _damaged(chance, value[key])}
    if isinstance(value, list) and value and chance.random() < 0.7:
        at = chance.randrange(len(value))
        return [*value[:at], _damaged(chance, value[at]), *value[at:] * chance.randrange(1, 80)]
    if chance.random() < 0.2:
        for _ in range(chance.choice((3, 60, 2000))):
            value = [value]
        return value
    return chance.choice(_VALUES)


def _text(chance: random.Random, value: Any) -> bytes:
    try:
        text = json.dumps(value, ensure_ascii=chance.random() < 0.7)
    except RecursionError:
        text = "[" * 5000
    data = text.encode(chance.choice(("utf-8",) * 6 + ("utf-16", "utf-8-sig")), "surrogatepass")
    match chance.randrange(8):
        case 0:
            return data[: chance.randrange(len(data) + 1)]
        case 1:
            at = chance.randrange(len(data))
            return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
        case 2:
            return data + data
    return data


def _sent(chance: random.Random, method: str, path: str, data: bytes) -> Sent:
    if chance.random() < 0.1:
        method = chance.choice(("PUT", "HEAD", "OPTIONS", "get", "BREW", "POST"))
    if chance.random() < 0.2:
        at = chance.randrange(len(path))
        odd = chance.choice(("%00", "%ff", "..%2f", "%", "//", "?", "%ed%a0%80", "a" * 5000, "\t"))
        path = path[:at] + odd + path[at:]
    headers = [(b"Host", b"localhost"), (b"Content-Length", str(len(data)).encode())]
    if data:
        headers.append((b"Content-Type", b"application/json"))
    for _ in range(chance.choice((0, 0, 0, 1, 2))):
        if chance.random() < 0.3 and headers:
            headers.pop(chance.randrange(len(headers)))
        else:
            headers.insert(chance.randrange(len(headers) + 1), chance.choice(_HEADERS))
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    whole = f"{method} {path} HTTP/1.1\r\n".encode("latin-1", "replace") + lines + b"\r\n" + data
    if chance.random() < 0.05:
        whole = whole[: chance.randrange(len(whole))]
    if chance.random() < 0.1 and len(whole) > 2:
        at = chance.randrange(1, len(whole))
        return Sent((whole[:at], whole[at:]), chance.choice((0.0, 0.02)))
    return Sent((whole,))
