import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn

import retrieval.encoders
from retrieval import Document, Index
from retrieval.server.app import make_app
from retrieval.server.running import configured
from tests.index.fake_encoder import FakeEncoder

DOCUMENTS = (
    Document("locks.md", "# Locks\n\nWho comes second waits.", "Locks", {"kind": "page", "n": 1}),
    Document("src/lock.py", "def take(lock): ...", metadata={"kind": "code"}),
    Document("odd/ä?#%2F", "<script>alert(1)</script> \x1b[31m \u202e waits", "<b>Odd</b>"),
)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def detail(self) -> str:
        """Of an error, which must be said as all are."""
        assert self.headers["content-type"] == "application/problem+json"
        said = self.json
        assert said["status"] == self.status
        assert "\n" not in said["detail"]
        return str(said["detail"])


@dataclass(frozen=True)
class Client:
    """Asks a server that runs in a thread."""

    port: int
    folder: Path

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Bytes are sent as they are, all else as JSON."""
        sent = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            headers_got = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, headers_got, answer.read())

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers=headers)

    def post(self, path: str, body: Any) -> Answer:
        return self.ask("POST", path, body)


Serve = Callable[..., Client]


@contextlib.contextmanager
def running(folder: Path, **options: Any) -> Iterator[Client]:
    """A server of the indexes in a folder, in a thread."""
    folders = sorted(place.parent for place in folder.glob("*/store.sqlite"))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(configured(make_app(folders, **options)))
        thread = threading.Thread(target=server.run, args=[[listening]])
        thread.start()
        while not server.started:
            time.sleep(0.005)
        try:
            yield Client(listening.getsockname()[1], folder)
        finally:
            server.should_exit = True
            thread.join(30)


def load(source: str | Path | None = None, *, device: str | None = None) -> FakeEncoder:
    return FakeEncoder()


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Starts servers of the index `notes`; encoders are fakes."""
    monkeypatch.setattr(retrieval.encoders, "load_encoder", load)
    with Index.create(tmp_path / "notes") as index:
        index.add(DOCUMENTS)
    with contextlib.ExitStack() as stack:
        yield lambda **options: stack.enter_context(running(tmp_path, **options))


@pytest.fixture
def client(serve: Serve) -> Client:
    return serve()
