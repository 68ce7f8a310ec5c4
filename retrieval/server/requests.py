"""Requests as checked values, and their work in threads, within limits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter
from starlette.requests import ClientDisconnect, Request

from retrieval.server.problems import Problem
from retrieval.service.arguments import Argument, checked, parsed

Result = TypeVar("Result")


@dataclass(slots=True)
class Limits:
    """What a request may take.

    Attributes:
        body: bytes.
        body_seconds: for the body to come in.
        threads: requests that are worked on at once, beside one that writes.
        waiting: requests that wait for a thread; one more is refused.
    """

    body: int = 16 << 20
    body_seconds: float = 30.0
    threads: int = 8
    waiting: int = 128
    _readers: CapacityLimiter | None = field(default=None, init=False)
    _writers: CapacityLimiter | None = field(default=None, init=False)

    async def in_thread(self, work: Callable[[], Result], *, writes: bool = False) -> Result:
        """Do blocking work in a thread; what writes has one of its own and holds up no search.

        Raises:
            Problem: too many requests wait already.
        """
        if self._readers is None or self._writers is None:
            self._readers, self._writers = CapacityLimiter(self.threads), CapacityLimiter(1)
        limiter = self._writers if writes else self._readers
        if limiter.statistics().tasks_waiting >= self.waiting:
            raise Problem(
                429, f"{self.waiting} requests wait already; try again", {"retry-after": "1"}
            )
        return await anyio.to_thread.run_sync(work, limiter=limiter)


async def body_of(request: Request, limits: Limits) -> Any:
    """The JSON value that a request brings.

    Raises:
        Problem: it is of another type, too large, too slow, or no JSON.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    # Whatever a page of another site may send unasked is of other types.
    if kind != "application/json":
        raise Problem(415, f"content-type is {kind!r}; send application/json")
    try:
        async with asyncio.timeout(limits.body_seconds):
            data = await _bytes(request, limits.body)
    except TimeoutError:
        raise Problem(
            408, f"the body did not come within {limits.body_seconds:g} s; send it at once"
        ) from None
    except ClientDisconnect:
        raise Problem(400, "the client went away before its body was there") from None
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Problem(400, f"the body is no JSON: {' '.join(str(error).split())[:200]}") from None


async def _bytes(request: Request, most: int) -> bytes:
    parts = bytearray()
    async for part in request.stream():
        parts += part
        if len(parts) > most:
            raise Problem(
                413, f"the body has more than {most} bytes; send less", {"connection": "close"}
            )
    return bytes(parts)


async def arguments_of(
    request: Request, limits: Limits, arguments: Sequence[Argument]
) -> dict[str, Any]:
    """The arguments that a request brings as a JSON object.

    Raises:
        Problem: see `body_of`.
        InputError: one is missing, unknown or cannot be used.
    """
    value = await body_of(request, limits)
    if not isinstance(value, dict):
        raise Problem(400, "the body is no JSON object; see /openapi.json")
    return checked(arguments, value)


def query_of(request: Request, arguments: Sequence[Argument]) -> dict[str, Any]:
    """The arguments that stand in a request's URL; the last counts of one given twice.

    Raises:
        InputError: one is missing, unknown or cannot be used.
    """
    return parsed(arguments, dict(request.query_params))


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
