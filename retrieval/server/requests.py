"""Requests as checked values, and running their work in threads, within limits."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import anyio
import anyio.to_thread
from anyio import CapacityLimiter
from starlette.requests import ClientDisconnect, Request

from retrieval.cancellation import CancelledError, cancelled_by, check_cancelled
from retrieval.server.problems import Problem
from retrieval.service.arguments import Argument, checked, parsed
from retrieval.threads import usable

Result = TypeVar("Result")


@dataclass(slots=True)
class Limits:
    """Limits of requests.

    Attributes:
        body: maximum bytes of a body.
        bodies: maximum bytes of all requests' bodies at a time; further ones are refused.
        body_seconds: time for the body to arrive; for a body of lines, for each part of it.
        seconds: time for read-only requests, including the wait for a thread.
        threads: number of requests processed at a time, besides a writing one; on few cores more
            would only take time from the thread that sends responses.
        waiting: maximum requests waiting for a thread; further ones are refused.
    """

    body: int = 16 << 20
    bodies: int = 256 << 20
    body_seconds: float = 30.0
    seconds: float = 60.0
    threads: int = field(default_factory=lambda: min(max(8, 4 * usable()), 64))
    waiting: int = 128
    _readers: CapacityLimiter | None = field(default=None, init=False)
    _writers: CapacityLimiter | None = field(default=None, init=False)
    _held: int = field(default=0, init=False)

    async def in_thread(
        self, request: Request, work: Callable[[], Result], *, writes: bool = False
    ) -> Result:
        """Do a request's blocking work in a thread; its body must have arrived.

        Writing has a separate thread and does not block searches. Once the client disconnects or
        time is up, work that has not begun is dropped, and read-only work ends where it checks for
        cancellation (see `retrieval.cancellation`); writing that has begun is finished.

        Raises:
            Problem: too many requests wait already, or time is up.
            CancelledError: the client disconnected.
        """
        ended = threading.Event()
        found: list[Result] = []
        raised: Exception = CancelledError()
        async with anyio.create_task_group() as group:

            async def end() -> None:
                nonlocal raised
                with anyio.move_on_after(None if writes else self.seconds) as time_left:
                    await _disconnected(request)
                if time_left.cancelled_caught:
                    raised = Problem(503, _TOO_LONG.format(self.seconds), _LATER)
                ended.set()
                group.cancel_scope.cancel()

            group.start_soon(end)
            try:
                found.append(await self._in_thread(work, ended, writes=writes))
            except CancelledError:
                pass
            except Exception as error:
                raised = error
            group.cancel_scope.cancel()
        if not found:
            raise raised
        return found[0]

    async def write(self, work: Callable[[], Result]) -> Result:
        """Like `in_thread` for writing, while the rest of the request may still be arriving.

        Raises:
            Problem: too many requests wait already.
        """
        return await self._in_thread(work, threading.Event(), writes=True)

    async def _in_thread(
        self, work: Callable[[], Result], ended: threading.Event, *, writes: bool
    ) -> Result:
        if self._readers is None or self._writers is None:
            self._readers, self._writers = CapacityLimiter(self.threads), CapacityLimiter(1)
        limiter = self._writers if writes else self._readers
        if limiter.statistics().tasks_waiting >= self.waiting:
            raise Problem(429, f"{self.waiting} requests wait already; try again", _LATER)

        def working() -> Result:
            with cancelled_by(ended):
                check_cancelled()
                if not writes:
                    return work()
            return work()

        # The wait for a thread can be cancelled; running work is awaited.
        return await anyio.to_thread.run_sync(working, limiter=limiter)

    def hold(self, request: Request, count: int, *, whole: bool = True) -> None:
        """Count bytes of a request's body as held, until `release`.

        Args:
            request: the request.
            count: number of additional bytes.
            whole: whether the body is held as a whole, so that its size is limited.

        Raises:
            Problem: all requests together hold too many bytes.
        """
        held = request.scope.get(_HELD, 0) + count
        if whole and held > self.body:
            raise Problem(
                413, f"the body has more than {self.body} bytes; send less", {"connection": "close"}
            )
        if self._held + count > self.bodies:
            raise Problem(
                429,
                f"{self.bodies} bytes of requests are held already; try again",
                _LATER | {"connection": "close"},
            )
        self._held += count
        request.scope[_HELD] = held

    def release(self, request: Request, *, but: int = 0) -> None:
        """Stop counting a request's body, except so many bytes, once it was answered."""
        self._held -= request.scope.pop(_HELD, 0) - but
        if but:
            request.scope[_HELD] = but

    @property
    def held(self) -> int:
        """Bytes of the bodies of unanswered requests."""
        return self._held

    def waiting_now(self) -> tuple[int, int]:
        """How many requests wait for a reading thread, and for the writing one."""
        readers, writers = (
            0 if one is None else one.statistics().tasks_waiting
            for one in (self._readers, self._writers)
        )
        return readers, writers


_HELD = "retrieval.body_bytes"
_LATER = {"retry-after": "1"}
_TOO_LONG = "it took longer than {:g} s; ask for less, or try again"


async def _disconnected(request: Request) -> None:
    """Wait until the client disconnects."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def body_of(request: Request, limits: Limits) -> Any:
    """The JSON value in a request's body.

    Raises:
        Problem: it has another type, is too large, too slow, or not JSON.
    """
    kind = content_type(request)
    # Pages of other sites can send only other types without asking permission.
    if kind != "application/json":
        raise Problem(415, f"content-type is {kind!r}; send application/json")
    try:
        async with asyncio.timeout(limits.body_seconds):
            data = await _bytes(request, limits)
    except TimeoutError:
        raise too_slow(limits) from None
    except ClientDisconnect:
        raise Problem(400, "the client disconnected before its body arrived") from None
    return json_of(data, "the body")


def content_type(request: Request) -> str:
    """The media type of a request's body, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def json_of(data: bytes, what: str) -> Any:
    """Parse JSON.

    Raises:
        Problem: it is not JSON; `what` names the data.
    """
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Problem(400, f"{what} is not JSON: {' '.join(str(error).split())[:200]}") from None


def too_slow(limits: Limits) -> Problem:
    """The error for a body that does not arrive in time."""
    return Problem(
        408, f"the body did not arrive within {limits.body_seconds:g} s; send it without pauses"
    )


async def _bytes(request: Request, limits: Limits) -> bytes:
    parts = bytearray()
    async for part in request.stream():
        limits.hold(request, len(part))
        parts += part
    return bytes(parts)


async def arguments_of(
    request: Request, limits: Limits, arguments: Sequence[Argument]
) -> dict[str, Any]:
    """The arguments in a request's JSON object.

    Raises:
        Problem: see `body_of`.
        InputError: one is missing, unknown or cannot be used.
    """
    value = await body_of(request, limits)
    if not isinstance(value, dict):
        raise Problem(400, "the body is not a JSON object; see /openapi.json")
    return checked(arguments, value)


def query_of(request: Request, arguments: Sequence[Argument]) -> dict[str, Any]:
    """The arguments in a request's URL; if one is given twice, the last counts.

    Raises:
        InputError: one is missing, unknown or cannot be used.
    """
    return parsed(arguments, dict(request.query_params))


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
