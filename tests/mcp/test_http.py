"""Messages over HTTP: sessions, answers, streams of events, and what is refused."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from retrieval import Index
from retrieval.mcp import http as transport
from retrieval.mcp.http import StreamableHttp
from retrieval.mcp.tools import Tools
from retrieval.mcp.wire import Call, ToolResult
from retrieval.service.kept_open import KeptOpen
from retrieval.service.updating import update
from tests.mcp.conftest import asked_by_the_sdk
from tests.mcp.test_wire import INITIALIZE, request
from tests.server.conftest import Answer, Client, running

ACCEPT = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


class Agent:
    """A client in a session."""

    def __init__(self, client: Client, path: str = "/mcp") -> None:
        self.client, self.path = client, path
        self.session: dict[str, str] = {}

    def post(self, message: Any, **headers: str) -> Answer:
        sent = {**ACCEPT, **self.session, **headers}
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        return self.client.ask("POST", self.path, body, sent)

    def begin(self, version: str = "2025-11-25") -> Agent:
        answer = self.post({**INITIALIZE, "params": {"protocolVersion": version}})
        assert answer.status == 200
        assert answer.json["result"]["protocolVersion"] == version
        self.session = {"Mcp-Session-Id": answer.headers["mcp-session-id"]}
        assert self.post({"jsonrpc": "2.0", "method": "notifications/initialized"}).status == 202
        return self

    def call(self, name: str, **arguments: Any) -> Any:
        answer = self.post(request(1, "tools/call", name=name, arguments=arguments))
        assert answer.status == 200, answer.body
        return answer.json["result"]


def events(answer: Answer) -> list[Any]:
    assert answer.headers["content-type"].startswith("text/event-stream")
    blocks = answer.body.decode().split("\n\n")
    assert blocks.pop() == ""
    found = []
    for block in blocks:
        kind, data = block.split("\n")
        assert kind == "event: message"
        found.append(json.loads(data.removeprefix("data: ")))
    return found


@pytest.fixture
def served(folder: Path) -> Iterator[Client]:
    """A server of the folder's index, which agents may not change."""
    index_of(folder)
    with running(folder.parent, agents=agents()) as client:
        yield client


def agents(*, allow_write: bool = False) -> Callable[[Mapping[str, KeptOpen]], StreamableHttp]:
    return partial(StreamableHttp, allow_write=allow_write)


def index_of(folder: Path) -> None:
    """Make an index `notes` of a folder, beside it."""
    with Index.create(folder.parent / "notes") as index:
        update(index, [folder])


def test_a_session(served: Client) -> None:
    agent = Agent(served).begin()
    tools = agent.post(request(1, "tools/list")).json["result"]["tools"]
    assert [one["name"] for one in tools] == ["search", "read", "outline", "find_related", "status"]
    hit = agent.call("search", query="who waits", k=1)["structuredContent"]["hits"][0]
    assert hit["path"] == "project/locks.md"
    assert agent.call("read", path="/etc/passwd")["isError"]
    assert agent.post(request(2, "resources/list")).json["error"]["code"] == -32601
    assert served.ask("DELETE", "/mcp", headers=agent.session).status == 204
    assert agent.post(request(3, "ping")).status == 404
    assert served.ask("DELETE", "/mcp", headers=agent.session).status == 404


def test_each_index_has_a_path_and_sessions_of_its_own(served: Client) -> None:
    agent = Agent(served, "/mcp/notes").begin()
    assert agent.call("status")["structuredContent"]["documents"] == 4
    agent.path = "/mcp"  # of the same index, the default one
    assert agent.post(request(1, "ping")).status == 200
    assert Agent(served, "/mcp/other").post(INITIALIZE).status == 404


def test_what_an_agent_may_not_do_is_not_offered(folder: Path) -> None:
    index_of(folder)
    with running(folder.parent, agents=agents(allow_write=True)) as client:
        agent = Agent(client).begin()
        (folder / "new.md").write_text("# Zebras\n\nZebras graze.\n")
        hits = agent.call("search", query="zebras graze", k=1)["structuredContent"]["hits"]
        assert hits[0]["path"] == "project/new.md"
        (folder / "new.md").unlink()
        assert agent.call("index")["structuredContent"]["deleted"] == 1


def test_without_leave_an_index_is_neither_changed_nor_made(served: Client, folder: Path) -> None:
    agent = Agent(served).begin()
    (folder / "new.md").write_text("# Zebras\n\nZebras graze.\n")
    found = agent.call("search", query="zebras graze", k=1)
    assert found["structuredContent"]["hits"][0]["path"] != "project/new.md"
    assert "new.md" in found["structuredContent"]["notes"][0]
    refused = agent.post(request(2, "tools/call", name="index"))
    assert refused.json["error"]["code"] == -32602
    place = folder.parent / "notes"
    place.rename(folder.parent / "away")
    gone = agent.call("search", query="zebras")
    assert gone["isError"] and "no index at" in gone["content"][0]["text"]
    assert not place.exists()


@dataclass
class Slow:
    begun: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    """`status` waits for this, and tells how far it is, in servers that start afterwards."""
    slow = Slow()

    def status(self: Tools, given: Mapping[str, Any], call: Call) -> ToolResult:
        call.progress(1, 2, "half")
        slow.begun.set()
        assert slow.go.wait(60)
        call.progress(2, 2, "all")
        return ToolResult("done", {})

    monkeypatch.setattr(Tools, "status", status)
    return slow


def test_a_long_call_tells_how_far_it_is_before_it_ends(slow: Slow, served: Client) -> None:
    agent = Agent(served).begin()
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    asked = request("a", "tools/call", name="status", _meta={"progressToken": 7})
    connection.request("POST", "/mcp", json.dumps(asked), {**ACCEPT, **agent.session})
    answer = connection.getresponse()
    assert answer.readline() == b"event: message\n"  # while the call goes on
    slow.go.set()
    rest = answer.read()
    assert json.loads(rest.split(b"data: ")[-1])["id"] == "a", rest
    connection.close()
    asked["params"]["_meta"] = {"progressToken": 8}
    first, second, last = events(agent.post(asked))
    assert [one["method"] for one in (first, second)] == ["notifications/progress"] * 2
    assert first["params"] == {"progressToken": 8, "progress": 1, "total": 2, "message": "half"}
    assert last["result"]["content"][0]["text"] == "done"
    # Who takes no stream, or did not ask how far it is, gets the answer alone.
    assert agent.post(asked, Accept="application/json").json["id"] == "a"
    del asked["params"]["_meta"]
    assert agent.post(asked).json["id"] == "a"


def test_a_call_can_be_cancelled(slow: Slow, served: Client) -> None:
    agent = Agent(served).begin()
    got: list[Answer] = []
    asked = request("a", "tools/call", name="status", _meta={"progressToken": 7})
    calling = threading.Thread(target=lambda: got.append(agent.post(asked)))
    calling.start()
    cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "a"}}
    assert slow.begun.wait(60)
    (twice,) = events(agent.post(asked))
    assert "running" in twice["error"]["message"]
    assert agent.post(cancel).status == 202
    slow.go.set()
    calling.join(60)
    assert all("result" not in one for one in events(got[0]))


def test_too_many_calls_are_refused(
    slow: Slow, served: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MOST_CALLS", 1)
    agent, other = Agent(served).begin(), Agent(served).begin()
    calling = threading.Thread(target=lambda: agent.call("status"))
    calling.start()
    assert slow.begun.wait(60)
    refused = other.post(request(1, "tools/call", name="status"))
    assert refused.status == 429
    assert refused.headers["retry-after"]
    assert other.post(request(1, "ping")).status == 200  # what is no call, such as to cancel one
    slow.go.set()
    calling.join(60)
    assert other.post(request(2, "tools/call", name="status")).status == 200


def test_the_session_used_least_lately_ends_for_one_too_many(
    served: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MOST_SESSIONS", 2)
    first, second = Agent(served).begin(), Agent(served).begin()
    assert first.post(request(1, "ping")).status == 200
    third = Agent(served).begin()
    assert [one.post(request(1, "ping")).status for one in (first, second, third)] == [
        200, 404, 200,
    ]  # fmt: skip


def test_what_is_no_message_of_a_session_is_refused(served: Client) -> None:
    agent = Agent(served)
    assert agent.post(request(1, "ping")).status == 400
    assert agent.post(request(1, "ping"), **{"Mcp-Session-Id": "made up"}).status == 404
    assert agent.post(b"{").status == 400
    assert agent.post(INITIALIZE, **{"Content-Type": "text/plain"}).status == 415
    assert agent.post(INITIALIZE, Origin="http://evil.example").status == 403
    refused = agent.post(INITIALIZE, **{"MCP-Protocol-Version": "2099-01-01"})
    assert refused.status == 400
    assert "2025-11-25" in refused.json["error"]["message"]
    assert served.get("/mcp").status == 405
    agent.begin()
    for odd in ([], [1], "x", 5, None, {"id": {}}, {"jsonrpc": "2.0", "id": 1, "method": 5}):
        assert agent.post(odd).json["error"]["code"] == -32600


def test_a_batch_of_the_version_that_has_them(served: Client) -> None:
    agent = Agent(served).begin("2025-03-26")
    batch = [request(1, "ping"), request(2, "tools/call", name="status")]
    assert [one["id"] for one in sorted(agent.post(batch).json, key=lambda one: one["id"])] == [
        1,
        2,
    ]
    assert agent.post([{"jsonrpc": "2.0", "method": "notifications/initialized"}]).status == 202


def test_a_batch_of_too_many_messages_has_one_short_answer(served: Client) -> None:
    agent = Agent(served).begin("2025-03-26")
    answer = agent.post(b"[" + b"0," * 100_000 + b"0]").json
    assert answer["id"] is None
    assert answer["error"]["code"] == -32600
    assert "100,001 messages" in answer["error"]["message"]


@pytest.mark.slow
def test_the_official_client_is_served(served: Client, folder: Path) -> None:
    # The index lies beside the folder, so that its name is part of the paths.
    got = asked_by_the_sdk(f"http://127.0.0.1:{served.port}/mcp", cwd=folder)
    assert got["tools"] == ["search", "read", "outline", "find_related", "status"]
    assert got["hits"][0]["path"] == "project/locks.md"
