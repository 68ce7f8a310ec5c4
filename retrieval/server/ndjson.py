"""Newline-delimited JSON: one value a line, read and answered while it comes.

https://github.com/ndjson/ndjson-spec
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from retrieval.server.answers import as_json
from retrieval.server.problems import CLIENT_GONE, Problem, described
from retrieval.server.requests import Limits, content_type, json_of, too_slow

TYPE = "application/x-ndjson"
TYPES = frozenset({TYPE, "application/jsonl"})
"""What it is called; no name is registered."""

AT_ONCE = 256
AT_ONCE_BYTES = 4 << 20
AT_ONCE_S = 1.0
"""Lines are handed on when there are so many, of so many bytes, or after so long."""


def brings_lines(request: Request) -> bool:
    """Whether a request's body is lines."""
    return content_type(request) in TYPES


def wants_lines(request: Request) -> bool:
    """Whether a request asks to be answered by lines."""
    accepted = request.headers.get("accept", "").split(",")
    return any(one.partition(";")[0].strip().lower() in TYPES for one in accepted)


async def batches_of(
    request: Request, limits: Limits
) -> AsyncGenerator[list[tuple[int, bytes]], None]:
    """The lines of a body that are not blank, with their numbers from 1, some at a time.

    Nothing is read while a batch is worked on, so that who sends waits for who works; and a client
    that waits for what became of its lines before it sends more is told.

    Raises:
        Problem: a line is too long, or the next bytes do not come for too long.
        ClientDisconnect: the client went away before the end.
    """
    batch: list[tuple[int, bytes]] = []
    rest, number, since, ended = bytearray(), 0, time.monotonic(), False
    try:
        while not ended:
            part, ended = await _part(request, AT_ONCE_S if batch else limits.body_seconds)
            if not (part or ended or batch):
                raise too_slow(limits)
            limits.hold(request, len(part), whole=False)
            rest += part
            lines: list[bytearray] = []
            if ended or b"\n" in part:
                *lines, rest = (rest + b"\n" if ended else rest).split(b"\n")
            fits = list(itertools.takewhile(lambda line: len(line) <= limits.body, lines))
            for line in fits:
                number += 1
                if line.strip():
                    batch.append((number, bytes(line)))
            too_long = len(fits) < len(lines) or len(rest) > limits.body
            size = sum(len(line) for _, line in batch)
            waited = time.monotonic() - since
            full = len(batch) >= AT_ONCE or size >= AT_ONCE_BYTES or waited >= AT_ONCE_S
            if batch and (full or too_long or ended or not part):
                yield batch
                limits.release(request, but=len(rest))
                batch, since = [], time.monotonic()
            if too_long:
                raise Problem(413, f"line {number + 1} has more than {limits.body} bytes")
    finally:
        limits.release(request)


async def _part(request: Request, seconds: float) -> tuple[bytes, bool]:
    """The next part of a body, and whether it was the last; nothing if none came in time."""
    # Starlette's `Request.stream` is over once a wait for its next part was given up.
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                part, last = message.get("body", b""), not message.get("more_body", False)
                if part or last:
                    return part, last
    except TimeoutError:
        return b"", False


def value_of(line: bytes) -> Any:
    """The JSON value of a line.

    Raises:
        Problem: it is none.
    """
    return json_of(line, "the line")


class JsonLines(Response):
    """An answer that is sent a line at a time, while the request may still come in.

    Starlette's own `StreamingResponse` waits for the client to go away, and by that takes the rest
    of the request's body from whoever reads it.
    """

    media_type = TYPE

    def __init__(
        self, values: AsyncGenerator[Any, None], headers: Mapping[str, str] | None = None
    ) -> None:
        """Say what is sent; an error of it becomes the last line, `{"error": ...}`."""
        super().__init__(headers=headers)
        del self.headers["content-length"]
        self._values = values

    @classmethod
    async def begun(cls, values: AsyncGenerator[Any, None]) -> JsonLines:
        """An answer of these values; what the first raises is raised, and no line of it."""
        try:
            first = await anext(values)
        except StopAsyncIteration:
            return cls(values)
        return cls(_again(first, values))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        async with aclosing(self._values) as values:
            try:
                async for value in values:
                    await send(_line(value))
            except ClientDisconnect:
                pass
            except Exception as error:
                said = described(error)
                if said.status != CLIENT_GONE:
                    await send(_line({"error": said.body}))
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _again(first: Any, rest: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
    """The values, of which the first was taken already."""
    async with aclosing(rest):
        yield first
        async for one in rest:
            yield one


def _line(value: Any) -> dict[str, Any]:
    return {"type": "http.response.body", "body": as_json(value) + b"\n", "more_body": True}
