"""Newline-delimited JSON: one value per line, read and sent as a stream.

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
"""Its media types; none is registered."""

AT_ONCE = 256
AT_ONCE_BYTES = 4 << 20
AT_ONCE_S = 1.0
"""Limits of a batch of lines: number, bytes and waiting time."""


def brings_lines(request: Request) -> bool:
    """Whether a request's body consists of lines."""
    return content_type(request) in TYPES


def wants_lines(request: Request) -> bool:
    """Whether a request asks for a response in lines."""
    accepted = request.headers.get("accept", "").split(",")
    return any(one.partition(";")[0].strip().lower() in TYPES for one in accepted)


async def batches_of(
    request: Request, limits: Limits
) -> AsyncGenerator[list[tuple[int, bytes]], None]:
    """The non-blank lines of a body, with their numbers from 1, in batches.

    Nothing is read while a batch is processed, so the sender is slowed down to the speed of
    processing; and a client that waits for the result of its lines before it sends more gets it.

    Raises:
        Problem: a line is too long, or the next bytes do not arrive in time.
        ClientDisconnect: the client disconnected before the end.
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
    """The next part of a body, and whether it was the last; empty if none arrived in time."""
    # Starlette's `Request.stream` cannot be continued after a wait for a part timed out.
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
        Problem: it is not JSON.
    """
    return json_of(line, "the line")


class JsonLines(Response):
    """A response that is sent line by line, while the request may still be arriving.

    Starlette's own `StreamingResponse` waits for the client to disconnect, and thereby consumes the
    rest of the request's body.
    """

    media_type = TYPE

    def __init__(
        self, values: AsyncGenerator[Any, None], headers: Mapping[str, str] | None = None
    ) -> None:
        """Set the values to send; an error becomes the last line, `{"error": ...}`."""
        super().__init__(headers=headers)
        del self.headers["content-length"]
        self._values = values

    @classmethod
    async def begun(cls, values: AsyncGenerator[Any, None]) -> JsonLines:
        """A response with these values; an error of the first is raised instead of sent."""
        try:
            first = await anext(values)
        except StopAsyncIteration:
            return cls(values)
        return cls(_again(first, values))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
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
                    # That the client is gone is noticed here; asyncio logs each line after it.
                    await asyncio.sleep(0)
            except ClientDisconnect:
                pass
            except Exception as error:
                said = described(error)
                if said.status != CLIENT_GONE:
                    await send(_line({"error": said.body}))
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _again(first: Any, rest: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
    """The values, after the first was taken already."""
    async with aclosing(rest):
        yield first
        async for one in rest:
            yield one


def _line(value: Any) -> dict[str, Any]:
    return {"type": "http.response.body", "body": as_json(value) + b"\n", "more_body": True}
