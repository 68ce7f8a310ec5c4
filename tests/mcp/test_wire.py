"""The wire format: every request has one answer, whatever the lines hold."""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.mcp import lines, wire
from retrieval.mcp.lines import serve_lines
from retrieval.mcp.wire import Call, Server, Tool, ToolError, ToolResult

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": "first",
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}


def run(arguments: Mapping[str, Any], call: Call) -> ToolResult:
    if "fail" in arguments:
        raise ToolError("what was wrong; what to give")
    if "fault" in arguments:
        raise ZeroDivisionError("a fault\nof ours")
    call.progress(1, 2, "half")
    call.progress(1, 2, "no further")
    call.progress(2, 2, "all")
    return ToolResult("text", {"n": len(arguments)})


ECHO = Tool("echo", "Echo", "Answers.", {"type": "object"}, {"type": "object"}, run)


def served(*messages: Any, tools: tuple[Tool, ...] = (ECHO,)) -> list[Any]:
    """What a server answers to these lines: bytes as they are, all else as JSON."""
    rows = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in messages]
    out = io.BytesIO()
    serve_lines(Server("test", "1", tools), io.BytesIO(b"\n".join(rows) + b"\n"), out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def request(id: Any, method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params}


@pytest.mark.parametrize("asked", [*wire.VERSIONS, "1999-01-01"])
def test_a_version_that_is_known_is_taken_and_the_newest_for_any_other(asked: str) -> None:
    (answer,) = served(request(1, "initialize", protocolVersion=asked))
    expected = asked if asked in wire.VERSIONS else wire.VERSIONS[0]
    assert answer["result"]["protocolVersion"] == expected
    assert answer["result"]["capabilities"] == {"tools": {"listChanged": False}}
    assert answer["result"]["serverInfo"] == {"name": "test", "version": "1"}


def test_a_session() -> None:
    first, ping, tools, called = served(
        INITIALIZE,
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        request(1, "ping"),
        request(2, "tools/list"),
        request(3, "tools/call", name="echo", arguments={"a": 1}),
    )
    assert first["id"] == "first"
    assert ping == {"jsonrpc": "2.0", "id": 1, "result": {}}
    assert tools["result"]["tools"][0]["annotations"]["readOnlyHint"] is True
    assert called["result"] == {
        "content": [{"type": "text", "text": "text"}],
        "structuredContent": {"n": 1},
        "isError": False,
    }


def test_progress_goes_to_whoever_asked_for_it_and_rises() -> None:
    call = request(7, "tools/call", name="echo", _meta={"progressToken": "p"})
    _, first, second, answer = served(INITIALIZE, call)
    assert [first["params"]["progress"], second["params"]["progress"]] == [1, 2]
    assert first["method"] == "notifications/progress"
    assert first["params"] == {"progressToken": "p", "progress": 1, "total": 2, "message": "half"}
    assert answer["id"] == 7


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{", wire.PARSE_ERROR),
        (b"\xff\xfe", wire.PARSE_ERROR),
        (b'{"id": NaN}', wire.PARSE_ERROR),
        (b"[" * 100_000, wire.PARSE_ERROR),
        (b"1", wire.INVALID_REQUEST),
        (b"[]", wire.INVALID_REQUEST),
        (b"{}", wire.INVALID_REQUEST),
        ({"jsonrpc": "2.0", "id": None, "method": "ping"}, wire.INVALID_REQUEST),
        ({"jsonrpc": "2.0", "id": True, "method": "ping"}, wire.INVALID_REQUEST),
        ({"id": 1, "method": "ping"}, wire.INVALID_REQUEST),
        ({"jsonrpc": "2.0", "id": 1, "method": 5}, wire.INVALID_REQUEST),
        ({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": []}, wire.INVALID_PARAMS),
        (request(1, "resources/list"), wire.METHOD_NOT_FOUND),
        (request(1, "tools/call", name="other"), wire.INVALID_PARAMS),
        (request(1, "tools/call", name="echo", arguments=[]), wire.INVALID_PARAMS),
        (request(1, "initialize"), wire.INVALID_PARAMS),
        (request(1, "tools/call", name="echo", arguments={"fault": 1}), wire.INTERNAL_ERROR),
    ],
)
def test_what_cannot_be_answered_is_an_error_and_the_next_is_served(line: Any, code: int) -> None:
    _, answer, ping = served(INITIALIZE, line, request("p", "ping"))
    if answer.get("id") == "p":  # a call's answer comes from a thread of its own
        answer, ping = ping, answer
    assert answer["error"]["code"] == code
    assert "\n" not in answer["error"]["message"]
    assert ping["id"] == "p"


def test_a_line_beyond_the_limit_is_refused_and_the_next_is_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lines, "MAX_LINE", 100)
    error, ping = served(b" " * 1000, request(1, "ping"))
    assert error["error"]["code"] == wire.INVALID_REQUEST
    assert ping["id"] == 1


def test_a_tool_that_fails_says_so_in_its_answer() -> None:
    _, answer = served(INITIALIZE, request(1, "tools/call", name="echo", arguments={"fail": 1}))
    assert answer["result"]["isError"] is True
    assert answer["result"]["content"][0]["text"] == "what was wrong; what to give"


def test_nothing_is_called_before_initialize() -> None:
    (answer,) = served(request(1, "tools/call", name="echo"))
    assert answer["error"]["code"] == wire.INVALID_REQUEST


def test_notifications_and_answers_are_not_answered() -> None:
    assert (
        served(
            {"jsonrpc": "2.0", "method": "notifications/whatever"},
            {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": []}},
            {"jsonrpc": "2.0", "id": 1, "result": {}},
            b"",
        )
        == []
    )


def test_a_batch_is_answered_together_where_the_version_has_batches() -> None:
    begin = request("first", "initialize", protocolVersion="2025-03-26")
    batch = [request(1, "ping"), {"jsonrpc": "2.0", "method": "x"}, request(2, "tools/list"), 5]
    _, answers = served(begin, batch)
    assert [one["id"] for one in answers] == [1, 2, None]
    _, refused = served(INITIALIZE, batch)
    assert refused["error"]["code"] == wire.INVALID_REQUEST


@pytest.mark.parametrize("version", wire.VERSIONS)
def test_a_batch_of_too_many_messages_has_one_error(version: str) -> None:
    begin = request("first", "initialize", protocolVersion=version)
    most = [{"jsonrpc": "2.0", "method": "x"}] * wire.MAX_BATCH
    answers = served(begin, b"[" + b"0," * wire.MAX_BATCH + b"0]", [*most, request(1, "ping")])
    for answer in answers[1:]:
        assert answer["id"] is None
        assert answer["error"]["code"] == wire.INVALID_REQUEST
        assert str(wire.MAX_BATCH) in answer["error"]["message"]
    assert len(answers) == 3


def test_a_batch_of_as_many_messages_as_may_be_is_answered() -> None:
    begin = request("first", "initialize", protocolVersion="2025-03-26")
    _, answers = served(begin, [request(n, "ping") for n in range(wire.MAX_BATCH)])
    assert [one["id"] for one in answers] == list(range(wire.MAX_BATCH))


class Pipe:
    """A server on pipes, for what depends on the order of events."""

    def __init__(self, *tools: Tool) -> None:
        reading, self._to = os.pipe()
        self._from, writing = os.pipe()
        self.answers = os.fdopen(self._from, "rb")
        given, out = os.fdopen(reading, "rb"), os.fdopen(writing, "wb")

        def serve() -> None:
            with given, out:
                serve_lines(Server("test", "1", tools), given, out)

        self.thread = threading.Thread(target=serve)
        self.thread.start()

    def send(self, *messages: Any) -> None:
        for message in messages:
            os.write(self._to, json.dumps(message).encode() + b"\n")

    def end(self) -> list[Any]:
        """What it still answers once the lines have ended."""
        os.close(self._to)
        with self.answers:
            rest = [json.loads(line) for line in self.answers]
        self.thread.join(30)
        return rest


def test_a_cancelled_call_ends_and_has_no_answer() -> None:
    begun, ended = threading.Event(), threading.Event()

    def wait(arguments: Mapping[str, Any], call: Call) -> ToolResult:
        begun.set()
        try:
            while not call.cancelled.wait(0.01):
                pass
            call.progress(1, None, "on")
        finally:
            ended.set()
        raise AssertionError("goes on after it was cancelled")

    pipe = Pipe(Tool("wait", "", "", {}, {}, wait))
    pipe.send(INITIALIZE, request(1, "tools/call", name="wait"))
    assert begun.wait(30)
    pipe.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}})
    assert ended.wait(30)
    pipe.send(request(2, "ping"))
    assert [one["id"] for one in pipe.end()] == ["first", 2]


def test_an_id_that_is_in_use_and_too_many_calls_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wire, "MAX_CALLS", 2)
    go = threading.Event()

    def wait(arguments: Mapping[str, Any], call: Call) -> ToolResult:
        go.wait(30)
        return ToolResult("", {})

    pipe = Pipe(Tool("wait", "", "", {}, {}, wait))
    calls = [request(id, "tools/call", name="wait") for id in (1, 1, 2, 3)]
    pipe.send(INITIALIZE, *calls)
    answers = [json.loads(pipe.answers.readline()) for _ in range(3)]
    assert [one.get("error", {}).get("code") for one in answers[1:]] == [
        wire.INVALID_REQUEST,
        wire.BUSY,
    ]
    go.set()
    assert {one["id"] for one in pipe.end()} == {1, 2}


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
FIELDS = {
    "jsonrpc": st.sampled_from(["2.0", "1.0"]) | JSON,
    "id": st.integers(0, 5) | JSON,
    "method": st.sampled_from(
        ["initialize", "ping", "tools/list", "tools/call", "notifications/cancelled"]
    )
    | JSON,
    "params": st.fixed_dictionaries(
        {}, optional={"name": st.just("echo"), "arguments": JSON, "_meta": JSON, "requestId": JSON}
    )
    | JSON,
}


@given(st.lists(st.fixed_dictionaries({}, optional=FIELDS) | JSON, max_size=5))
@settings(max_examples=150)
def test_whatever_comes_each_request_has_one_answer(messages: list[Any]) -> None:
    answers = [one for one in served(INITIALIZE, *messages)[1:] if "method" not in one]
    asked = [
        one
        for one in messages
        if not isinstance(one, dict)
        or ("id" in one if isinstance(one.get("method"), str) else not {"result"} & one.keys())
    ]
    if all("error" not in one for one in messages if isinstance(one, dict)):
        assert len(answers) == len(asked)
    for answer in answers:
        assert answer["jsonrpc"] == "2.0"
        assert ("result" in answer) != ("error" in answer)
