"""Messages as HTTP requests: the protocol's streamable HTTP transport.

https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#streamable-http. A message
is the body of a POST, and its answer is the response body: JSON, or, for a call whose client wants
progress, a stream of events. The server sends nothing on its own initiative, so there is no stream
to GET.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from retrieval import __version__
from retrieval.mcp.tools import Tools, instructions, make_tools
from retrieval.mcp.wire import (
    BUSY,
    INVALID_REQUEST,
    VERSIONS,
    Message,
    Server,
    Session,
    encoded,
    error_message,
)
from retrieval.service.kept_collection import KeptCollection
from retrieval.service.kept_open import KeptOpen

MOST_SESSIONS = 128
"""Maximum sessions; with one more, the least recently used one ends."""

MOST_CALLS = 64
"""Maximum running calls of all sessions; further ones are refused."""

SESSION, VERSION = "mcp-session-id", "mcp-protocol-version"

_THREADS = 4

_Answer = Message | list[Message] | None


class StreamableHttp:
    """Handles the clients of one server, each in its own session."""

    def __init__(self, kept: Mapping[str, KeptOpen | KeptCollection], *, allow_write: bool) -> None:
        """Set the indexes.

        Args:
            kept: the indexes by name.
            allow_write: update indexes before searches, and offer the tool `index`.
        """
        self._tools = {name: _tools_over(one, allow_write) for name, one in kept.items()}
        self._servers = {
            name: Server(
                "retrieval",
                __version__,
                make_tools(self._tools[name], allow_write=allow_write),
                instructions(one.folder if isinstance(one, KeptOpen) else one.place),
            )
            for name, one in kept.items()
        }
        self._sessions: OrderedDict[str, tuple[str, Session]] = OrderedDict()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="mcp-call")

    async def post(self, request: Request, name: str, value: Any) -> Response:
        """Respond to a message, or a batch of them, for the index of that name."""
        version = request.headers.get(VERSION)
        if version is not None and version not in VERSIONS:
            said = f"version {version[:40]!r} is not supported; choose from {', '.join(VERSIONS)}"
            return _refused(400, said, value)
        headers: dict[str, str] = {}
        if isinstance(value, dict) and value.get("method") == "initialize":
            id, session = self._begin(name)
            headers[SESSION] = id
        else:
            id = request.headers.get(SESSION, "")
            if not id:
                return _refused(400, "there is no Mcp-Session-Id; send `initialize` first", value)
            known = self._sessions.get(id)
            if known is None or known[0] != name:
                return _refused(404, "the session has ended; initialize again", value)
            self._sessions.move_to_end(id)
            session = known[1]
        under_way = sum(one.calls for _, one in self._sessions.values())
        if under_way >= MOST_CALLS and _calls_a_tool(value):
            said = f"{MOST_CALLS} calls are running; try again"
            return _refused(429, said, value, code=BUSY, headers={"retry-after": "1"})
        return await _answered(session, value, _wants_events(request, value), headers)

    def delete(self, request: Request) -> Response:
        """End a session."""
        known = self._sessions.pop(request.headers.get(SESSION, ""), None)
        if known is None:
            return _refused(404, "there is no such session", None)
        known[1].cancel_all()
        return Response(status_code=204)

    def close(self) -> None:
        """End all sessions."""
        for _, session in self._sessions.values():
            session.cancel_all()
        self._sessions.clear()
        for tools in self._tools.values():
            tools.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _begin(self, name: str) -> tuple[str, Session]:
        session = Session(self._servers[name], self._pool.submit)
        id = secrets.token_urlsafe(24)
        self._sessions[id] = name, session
        while len(self._sessions) > MOST_SESSIONS:
            _, (_, oldest) = self._sessions.popitem(last=False)
            oldest.cancel_all()
        return id, session


def _tools_over(kept: KeptOpen | KeptCollection, allow_write: bool) -> Tools:
    return Tools(lambda: kept, allow_write=allow_write, allow_making=False)


def _calls_a_tool(value: Any) -> bool:
    """Whether a message, or one of a batch, is a tool call; others are answered at once."""
    messages = value if isinstance(value, list) else [value]
    return any(isinstance(one, dict) and one.get("method") == "tools/call" for one in messages)


def _wants_events(request: Request, value: Any) -> bool:
    """Whether a client accepts a stream of events and asked for progress of its call."""
    parameters = value.get("params") if isinstance(value, dict) else None
    meta = parameters.get("_meta") if isinstance(parameters, dict) else None
    asked = isinstance(meta, dict) and "progressToken" in meta
    return asked and "text/event-stream" in request.headers.get("accept", "")


async def _answered(
    session: Session, value: Any, events: bool, headers: Mapping[str, str]
) -> Response:
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[_Answer] = loop.create_future()
    told: asyncio.Queue[Any] = asyncio.Queue()

    def soon(what: Callable[..., object], *given: Any) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(what, *given)

    def replied(message: _Answer) -> None:
        soon(lambda: None if answer.done() else answer.set_result(message))

    session.receive(value, replied, lambda message: soon(told.put_nowait, message))
    if events:
        return StreamingResponse(
            _events(answer, told), media_type="text/event-stream", headers=headers
        )
    message = await answer
    if message is None:
        return Response(status_code=202, headers=headers)
    return Response(encoded(message), media_type="application/json", headers=headers)


async def _events(
    answer: asyncio.Future[_Answer], told: asyncio.Queue[Any]
) -> AsyncIterator[bytes]:
    """Progress of a call as events, and finally its answer."""
    done = object()
    answer.add_done_callback(lambda _: told.put_nowait(done))
    while (message := await told.get()) is not done:
        yield _event(message)
    last = answer.result()
    for one in last if isinstance(last, list) else [last]:
        if one is not None:
            yield _event(one)


def _event(message: Message) -> bytes:
    return b"event: message\ndata: " + encoded(message) + b"\n\n"


def _refused(
    status: int,
    said: str,
    value: Any,
    *,
    code: int = INVALID_REQUEST,
    headers: Mapping[str, str] | None = None,
) -> Response:
    id = value.get("id") if isinstance(value, dict) else None
    known = id if isinstance(id, str | int) and not isinstance(id, bool) else None
    body = encoded(error_message(known, code, said))
    return Response(body, status, headers=headers, media_type="application/json")
