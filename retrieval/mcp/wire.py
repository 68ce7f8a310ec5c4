"""The messages of the Model Context Protocol: JSON-RPC 2.0, for a server with tools.

https://modelcontextprotocol.io/specification/2025-11-25. Features that only older versions have are
supported for clients that negotiated them: batches of messages (2025-03-26). The transport is
`lines` or `http`.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from retrieval.cancellation import CancelledError, cancelled_by

VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
"""Versions of the protocol, the newest first."""

MAX_CALLS = 64
"""Maximum concurrent calls; further ones are refused."""

MAX_BATCH = 128
"""Messages of a batch. A longer one is answered by one error: an answer to each would be far longer
than what was sent, as a message may be a single character."""

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND = -32700, -32600, -32601
INVALID_PARAMS, INTERNAL_ERROR, BUSY = -32602, -32603, -32000

Message = dict[str, Any]
Reply = Callable[[Message | list[Message] | None], None]
"""Called once with the answer to a message; None if there is none."""

_One = Callable[[Message | None], None]

Tell = Callable[[Message], None]
"""Called with messages that precede the answer: progress of a call."""

Start = Callable[..., object]
"""Runs a function with its arguments in another thread."""


class ToolError(Exception):
    """A tool cannot do what was asked; the text is one line for the caller."""


class _RequestError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The result of a tool: text to read, and the same as an object."""

    text: str
    structured: Mapping[str, Any]


@dataclass(slots=True)
class Call:
    """A running call of a tool.

    Attributes:
        cancelled: set when the client cancels the call or disconnects.
        began: when it was received, by the monotonic clock: it may wait for a thread.
    """

    _send: Callable[[Message], None]
    _token: str | int | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)
    began: float = field(default_factory=time.monotonic)
    _last: float = -1.0

    def progress(self, done: float, total: float | None, message: str) -> None:
        """Report progress, if the client asked for it; `done` has to increase, else it is dropped.

        Raises:
            CancelledError: the client cancelled the call.
        """
        if self.cancelled.is_set():
            raise CancelledError
        if self._token is None or done <= self._last:
            return
        self._last = done
        parameters: Message = {"progressToken": self._token, "progress": done, "message": message}
        if total is not None:
            parameters["total"] = total
        self._send(_message(method="notifications/progress", params=parameters))


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool.

    Attributes:
        name, title, description: what the client shows to its model and its user.
        input_schema: JSON Schema of its arguments.
        output_schema: JSON Schema of the structured result.
        run: maps arguments to a result; raises ToolError.
        read_only: whether it makes no changes.
    """

    name: str
    title: str
    description: str
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any]
    run: Callable[[Mapping[str, Any], Call], ToolResult]
    read_only: bool = True

    def described(self) -> Message:
        """Its description in `tools/list`."""
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputSchema": dict(self.input_schema),
            "outputSchema": dict(self.output_schema),
            "annotations": {
                "title": self.title,
                "readOnlyHint": self.read_only,
                "destructiveHint": False,
                "idempotentHint": True,
                "openWorldHint": False,
            },
        }


@dataclass(frozen=True, slots=True)
class Server:
    """A server.

    Attributes:
        name, version: the server's, as shown by clients.
        tools: the tools that can be called.
        instructions: information about the server for the client's model.
        on_initialized: called once `initialize` was answered.
    """

    name: str
    version: str
    tools: Sequence[Tool]
    instructions: str = ""
    on_initialized: Callable[[], object] = lambda: None


class Session:
    """Handles one client's messages."""

    def __init__(self, server: Server, start: Start) -> None:
        """Set the server.

        Args:
            server: the server.
            start: runs tool calls.
        """
        self._server = server
        self._start = start
        self._tools = {tool.name: tool for tool in server.tools}
        self._version: str | None = None
        self._calls: dict[str | int, Call] = {}
        self._lock = threading.Lock()  # guards `_calls`

    @property
    def calls(self) -> int:
        """Number of running calls."""
        return len(self._calls)

    def receive(self, value: Any, reply: Reply, tell: Tell) -> None:
        """Handle what the client sent; it is answered at once or from another thread.

        Args:
            value: a message, or a batch of them.
            reply: called with the answer.
            tell: called with messages that precede it.
        """
        if isinstance(value, list) and len(value) > MAX_BATCH:
            said = f"a batch of {len(value):,} messages; send {MAX_BATCH} at most"
            reply(error_message(None, INVALID_REQUEST, said))
        elif isinstance(value, list) and value and self._version == "2025-03-26":
            batch = _Batch(len(value), reply)
            for one in value:
                self._handle(one, batch.add, tell)
        else:
            self._handle(value, reply, tell)

    def cancel_all(self) -> None:
        """Cancel all running calls, as the client disconnected."""
        with self._lock:
            for call in self._calls.values():
                call.cancelled.set()

    def _handle(self, message: Any, reply: _One, tell: Tell) -> None:
        if not isinstance(message, dict):
            reply(error_message(None, INVALID_REQUEST, "a message is an object"))
            return
        method, id = message.get("method"), message.get("id")
        if not isinstance(method, str):
            answers = (
                "result" in message or "error" in message
            )  # the client's, of which none is due
            said = "the message names no method"
            reply(None if answers else error_message(_id_or_none(id), INVALID_REQUEST, said))
            return
        if "id" not in message:
            self._notified(method, message.get("params"))
            reply(None)
            return
        if _id_or_none(id) is None:
            reply(error_message(None, INVALID_REQUEST, "an id has to be a text or a whole number"))
            return
        try:
            parameters = message.get("params", {})
            if message.get("jsonrpc") != "2.0":
                raise _RequestError(INVALID_REQUEST, 'the message has no "jsonrpc": "2.0"')
            if not isinstance(parameters, dict):
                raise _RequestError(INVALID_PARAMS, "params is not an object")
            self._request(id, method, parameters, reply, tell)
        except _RequestError as error:
            reply(error_message(id, error.code, str(error)))

    def _request(self, id: Any, method: str, parameters: Message, reply: _One, tell: Tell) -> None:
        if method == "initialize":
            reply(_message(id=id, result=self._initialize(parameters)))
            self._server.on_initialized()
        elif method == "ping":
            reply(_message(id=id, result={}))
        elif method not in ("tools/list", "tools/call"):
            raise _RequestError(METHOD_NOT_FOUND, f"no method {method[:100]!r}")
        elif self._version is None:
            raise _RequestError(INVALID_REQUEST, "send `initialize` first")
        elif method == "tools/list":
            tools = [tool.described() for tool in self._tools.values()]
            reply(_message(id=id, result={"tools": tools}))
        else:
            self._call(id, parameters, reply, tell)

    def _initialize(self, parameters: Message) -> Message:
        asked = parameters.get("protocolVersion")
        if not isinstance(asked, str):
            raise _RequestError(INVALID_PARAMS, "initialize names no protocolVersion")
        self._version = asked if asked in VERSIONS else VERSIONS[0]
        return {
            "protocolVersion": self._version,
            "capabilities": {"tools": {"listChanged": False}},
            "serverInfo": {"name": self._server.name, "version": self._server.version},
            **({"instructions": said} if (said := self._server.instructions) else {}),
        }

    def _notified(self, method: str, parameters: Any) -> None:
        if method == "notifications/cancelled" and isinstance(parameters, dict):
            id = _id_or_none(parameters.get("requestId"))
            with self._lock:
                call = None if id is None else self._calls.get(id)
            if call is not None:
                call.cancelled.set()

    def _call(self, id: Any, parameters: Message, reply: _One, tell: Tell) -> None:
        name, arguments = parameters.get("name"), parameters.get("arguments")
        tool = self._tools.get(name) if isinstance(name, str) else None
        if tool is None:
            raise _RequestError(INVALID_PARAMS, f"no tool {str(name)[:100]!r}")
        if not isinstance(arguments, dict | None):
            raise _RequestError(INVALID_PARAMS, "arguments is not an object")
        meta = parameters.get("_meta")
        token = meta.get("progressToken") if isinstance(meta, dict) else None
        call = Call(tell, _id_or_none(token))
        with self._lock:
            if id in self._calls:
                raise _RequestError(INVALID_REQUEST, f"a call with the id {id!r} is running")
            if len(self._calls) >= MAX_CALLS:
                raise _RequestError(BUSY, f"{MAX_CALLS} calls are running; wait for one of them")
            self._calls[id] = call
        self._start(self._run, id, tool, arguments or {}, call, reply)

    def _run(self, id: Any, tool: Tool, arguments: Message, call: Call, reply: _One) -> None:
        answer: Message | None
        try:
            if call.cancelled.is_set():
                raise CancelledError
            with cancelled_by(call.cancelled):
                result = tool.run(arguments, call)
            answer = _message(id=id, result=_shaped(result.text, result.structured))
        except ToolError as error:
            answer = _message(id=id, result=_shaped(str(error), None))
        except CancelledError:
            answer = None
        except Exception as error:  # a bug of ours; the client's other calls continue
            text = " ".join(f"unexpected {type(error).__name__}: {error}".split())
            answer = error_message(id, INTERNAL_ERROR, text[:500])
        if call.cancelled.is_set():
            answer = None
        with self._lock:
            del self._calls[id]
        reply(answer)


class _Batch:
    """Collects the answers to a batch's messages, and sends them together."""

    def __init__(self, awaited: int, reply: Reply) -> None:
        self._awaited = awaited
        self._reply = reply
        self._answers: list[Message] = []
        self._lock = threading.Lock()

    def add(self, answer: Message | None) -> None:
        with self._lock:
            self._awaited -= 1
            if answer is not None:
                self._answers.append(answer)
            if self._awaited == 0:
                self._reply(self._answers or None)


def _shaped(text: str, structured: Mapping[str, Any] | None) -> Message:
    content: Message = {"content": [{"type": "text", "text": text}]}
    if structured is None:
        return content | {"isError": True}
    return content | {"structuredContent": dict(structured), "isError": False}


def _message(**fields: Any) -> Message:
    return {"jsonrpc": "2.0", **fields}


def error_message(id: str | int | None, code: int, message: str) -> Message:
    """An error answer to the request with that id."""
    return _message(id=id, error={"code": code, "message": message})


def _id_or_none(id: Any) -> str | int | None:
    return id if isinstance(id, str | int) and not isinstance(id, bool) else None


def decoded(data: bytes) -> Any:
    """Parse JSON.

    Raises:
        ValueError, RecursionError: it is not JSON.
    """
    return json.loads(data.decode("utf-8"), parse_constant=_no_constant)


def encoded(message: Message | list[Message]) -> bytes:
    """A message as JSON, in ASCII and without line ends."""
    return json.dumps(message, allow_nan=False, separators=(",", ":")).encode("ascii")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
