"""The wire format of the Model Context Protocol: JSON-RPC 2.0, one message a line, for a server
with tools.

https://modelcontextprotocol.io/specification/2025-11-25. What older versions have more of is served
to those that negotiated it: a batch of messages in one line (2025-03-26).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from retrieval.cancellation import CancelledError, cancelled_by

VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
"""Versions of the protocol, the newest first."""

MAX_LINE = 4 << 20
"""Bytes of a message; a longer one is refused."""

MAX_CALLS = 64
"""Calls that may be under way at once; one more is refused."""

_THREADS = 4

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND = -32700, -32600, -32601
INVALID_PARAMS, INTERNAL_ERROR, BUSY = -32602, -32603, -32000

Message = dict[str, Any]
_Reply = Callable[[Message | None], None]


class ToolError(Exception):
    """A tool cannot do what was asked; the text is one line for whoever called it."""


class _RequestError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool answers: text to read, and the same as an object."""

    text: str
    structured: Mapping[str, Any]


@dataclass(slots=True)
class Call:
    """A call of a tool under way.

    Attributes:
        cancelled: set when the client wants no answer any more, or went away.
    """

    _send: Callable[[Message], None]
    _token: str | int | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)
    _last: float = -1.0

    def progress(self, done: float, total: float | None, message: str) -> None:
        """Say how far it is, if the client asked to be told; `done` that does not rise is dropped.

        Raises:
            CancelledError: the client wants no answer any more.
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
        output_schema: JSON Schema of the structured answer.
        run: arguments in, answer out; raises ToolError.
        read_only: whether it changes nothing.
    """

    name: str
    title: str
    description: str
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any]
    run: Callable[[Mapping[str, Any], Call], ToolResult]
    read_only: bool = True

    def described(self) -> Message:
        """As `tools/list` answers."""
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


class Server:
    """Answers one client, whose messages come as lines."""

    def __init__(
        self,
        name: str,
        version: str,
        tools: Sequence[Tool],
        *,
        instructions: str = "",
        on_initialized: Callable[[], object] = lambda: None,
    ) -> None:
        """Say what is served.

        Args:
            name, version: of the server, as the client shows it.
            tools: what can be called.
            instructions: what the client's model is told of the server.
            on_initialized: called once `initialize` was answered.
        """
        self._info = {"name": name, "version": version}
        self._tools = {tool.name: tool for tool in tools}
        self._instructions = instructions
        self._on_initialized = on_initialized
        self._version: str | None = None
        self._calls: dict[str | int, Call] = {}
        self._lock = threading.Lock()  # guards `_calls`
        self._writing = threading.Lock()

    def serve(self, lines: BinaryIO, out: BinaryIO, *, grace: float = 10.0) -> None:
        """Answer until the lines end or nobody reads the answers.

        Args:
            lines: messages, one a line, in UTF-8.
            out: takes the answers.
            grace: seconds that calls under way have to end once the lines ended.
        """
        self._out = out
        pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="mcp-call")
        self._start = pool.submit
        try:
            while line := lines.readline(MAX_LINE + 1):
                if len(line) > MAX_LINE:
                    while line and not line.endswith(b"\n"):
                        line = lines.readline(MAX_LINE)
                    self._send(_error(None, INVALID_REQUEST, f"more than {MAX_LINE} bytes"))
                elif line.strip():
                    self._receive(line)
        except BrokenPipeError:
            grace = 0.0
        finally:
            end = threading.Timer(grace, self._cancel_all)
            end.daemon = True
            end.start()
            pool.shutdown()
            end.cancel()

    def _receive(self, line: bytes) -> None:
        try:
            value = json.loads(line.decode("utf-8"), parse_constant=_no_constant)
        except (ValueError, RecursionError):
            self._send(_error(None, PARSE_ERROR, "the line is no JSON; send one message a line"))
            return
        if isinstance(value, list) and value and self._version == "2025-03-26":
            batch = _Batch(sum(_wants_answer(one) for one in value), self._send)
            for one in value:
                self._handle(one, batch.add)
        else:
            self._handle(value, lambda answer: self._send(answer) if answer else None)

    def _handle(self, message: Any, reply: _Reply) -> None:
        if not isinstance(message, dict):
            reply(_error(None, INVALID_REQUEST, "a message is an object"))
            return
        method, id = message.get("method"), message.get("id")
        if not isinstance(method, str):
            if "result" not in message and "error" not in message:  # no answer of the client's
                reply(_error(_id_or_none(id), INVALID_REQUEST, "the message names no method"))
            return
        if "id" not in message:
            self._notified(method, message.get("params"))
            return
        if _id_or_none(id) is None:
            reply(_error(None, INVALID_REQUEST, "an id is a text or a whole number"))
            return
        try:
            parameters = message.get("params", {})
            if message.get("jsonrpc") != "2.0":
                raise _RequestError(INVALID_REQUEST, 'the message has no "jsonrpc": "2.0"')
            if not isinstance(parameters, dict):
                raise _RequestError(INVALID_PARAMS, "params is no object")
            self._request(id, method, parameters, reply)
        except _RequestError as error:
            reply(_error(id, error.code, str(error)))

    def _request(self, id: Any, method: str, parameters: Message, reply: _Reply) -> None:
        if method == "initialize":
            reply(_message(id=id, result=self._initialize(parameters)))
            self._on_initialized()
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
            self._call(id, parameters, reply)

    def _initialize(self, parameters: Message) -> Message:
        asked = parameters.get("protocolVersion")
        if not isinstance(asked, str):
            raise _RequestError(INVALID_PARAMS, "initialize names no protocolVersion")
        self._version = asked if asked in VERSIONS else VERSIONS[0]
        return {
            "protocolVersion": self._version,
            "capabilities": {"tools": {"listChanged": False}},
            "serverInfo": self._info,
            **({"instructions": self._instructions} if self._instructions else {}),
        }

    def _notified(self, method: str, parameters: Any) -> None:
        if method == "notifications/cancelled" and isinstance(parameters, dict):
            id = _id_or_none(parameters.get("requestId"))
            with self._lock:
                call = None if id is None else self._calls.get(id)
            if call is not None:
                call.cancelled.set()

    def _call(self, id: Any, parameters: Message, reply: _Reply) -> None:
        name, arguments = parameters.get("name"), parameters.get("arguments")
        tool = self._tools.get(name) if isinstance(name, str) else None
        if tool is None:
            raise _RequestError(INVALID_PARAMS, f"no tool {str(name)[:100]!r}")
        if not isinstance(arguments, dict | None):
            raise _RequestError(INVALID_PARAMS, "arguments is no object")
        meta = parameters.get("_meta")
        token = meta.get("progressToken") if isinstance(meta, dict) else None
        call = Call(self._send, _id_or_none(token))
        with self._lock:
            if id in self._calls:
                raise _RequestError(INVALID_REQUEST, f"a call with the id {id!r} is under way")
            if len(self._calls) >= MAX_CALLS:
                raise _RequestError(BUSY, f"{MAX_CALLS} calls are under way; wait for one of them")
            self._calls[id] = call
        self._start(self._run, id, tool, arguments or {}, call, reply)

    def _run(self, id: Any, tool: Tool, arguments: Message, call: Call, reply: _Reply) -> None:
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
        except Exception as error:  # a fault of ours: the others of the client's calls go on
            text = " ".join(f"unexpected {type(error).__name__}: {error}".split())
            answer = _error(id, INTERNAL_ERROR, text[:500])
        if call.cancelled.is_set():
            answer = None
        with self._lock:
            del self._calls[id]
        reply(answer)

    def _cancel_all(self) -> None:
        with self._lock:
            for call in self._calls.values():
                call.cancelled.set()

    def _send(self, message: Message | list[Message]) -> None:
        line = json.dumps(message, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"
        with self._writing:
            try:
                self._out.write(line)
                self._out.flush()
            except (BrokenPipeError, ValueError):  # nobody reads any more, or it was closed
                self._cancel_all()


class _Batch:
    """Answers to the messages of one line, sent together once all are there."""

    def __init__(self, awaited: int, send: Callable[[list[Message]], None]) -> None:
        self._awaited = awaited
        self._send = send
        self._answers: list[Message] = []
        self._lock = threading.Lock()

    def add(self, answer: Message | None) -> None:
        with self._lock:
            self._awaited -= 1
            if answer is not None:
                self._answers.append(answer)
            if self._awaited == 0 and self._answers:
                self._send(self._answers)


def _wants_answer(message: Any) -> bool:
    """Whether a message of a batch is answered, if only with what is wrong with it."""
    if not isinstance(message, dict):
        return True
    if isinstance(message.get("method"), str):
        return "id" in message
    return "result" not in message and "error" not in message


def _shaped(text: str, structured: Mapping[str, Any] | None) -> Message:
    content: Message = {"content": [{"type": "text", "text": text}]}
    if structured is None:
        return content | {"isError": True}
    return content | {"structuredContent": dict(structured), "isError": False}


def _message(**fields: Any) -> Message:
    return {"jsonrpc": "2.0", **fields}


def _error(id: str | int | None, code: int, message: str) -> Message:
    return _message(id=id, error={"code": code, "message": message})


def _id_or_none(id: Any) -> str | int | None:
    return id if isinstance(id, str | int) and not isinstance(id, bool) else None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
