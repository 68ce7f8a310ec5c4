"""`retrieval serve` as a process: where it listens, what it refuses, how it ends."""

from __future__ import annotations

import http.client
import importlib.util
import json
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

import retrieval.encoders
from retrieval import Index
from retrieval.cli.entry import run
from retrieval.errors import InputError
from retrieval.server import running
from tests.server.conftest import DOCUMENTS, load

COMMAND = Path(__file__).parents[1] / "cli" / "with_fake_encoder.py"


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(retrieval.encoders, "load_encoder", load)
    with Index.create(tmp_path / "notes") as index:
        index.add(DOCUMENTS)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "notes"


@contextmanager
def started(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command as a process, and where it says that it listens."""
    process = subprocess.Popen(
        [sys.executable, str(COMMAND), "serve", *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        assert line.startswith("serving notes at "), line
        yield process, line.split()[3].removesuffix(";")
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self.path)


def asked(connection: http.client.HTTPConnection, path: str) -> Any:
    with closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 200
        return json.loads(answer.read())


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_end(notes: Path, number: signal.Signals) -> None:
    with started("--index", "notes", "--port", 0) as (process, place):
        port = int(place.rstrip("/").rpartition(":")[2])
        assert place == f"http://127.0.0.1:{port}/"
        assert asked(http.client.HTTPConnection("127.0.0.1", port), "/health")
        process.send_signal(number)
        assert process.wait(60) == 128 + number


@pytest.mark.slow
def test_a_socket_of_the_user_alone(notes: Path, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()  # what a server that was killed leaves behind
    with started("--index", "notes", "--uds", path) as (process, place):
        assert place == str(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert asked(UnixConnection(str(path)), "/v1/search?q=waits")["hits"]
        process.terminate()
        process.wait(60)
    assert not path.exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_other_machines_need_a_token(notes: Path, host: str) -> None:
    with pytest.raises(InputError, match="give --token-file"):
        running.serve([notes], host=host)


@pytest.mark.parametrize("allowed", [False, True])
def test_other_machines_only_read_unless_they_may_write(
    notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: bool
) -> None:
    token = tmp_path / "token"
    token.write_text("t" * 20)
    made: list[Any] = []
    real = running.make_app
    monkeypatch.setattr(running, "make_app", lambda *a, **o: made.append(o) or real(*a, **o))

    class Stopped(Exception):  # noqa: N818
        pass

    def stop(place: str) -> None:
        raise Stopped

    for host in ("0.0.0.0", "127.0.0.1"):
        with pytest.raises(Stopped):
            running.serve(
                [notes], host=host, port=0, token_file=token, allow_write=allowed, on_start=stop
            )
    assert [one["read_only"] for one in made] == [not allowed, False]


@pytest.mark.parametrize("token", ["", "short", "with a space in it", "ä" * 20])
def test_a_token_that_can_be_guessed_is_refused(notes: Path, tmp_path: Path, token: str) -> None:
    file = tmp_path / "token"
    file.write_text(token)
    with pytest.raises(InputError, match="token"):
        running.serve([notes], token_file=file)
    file.unlink()
    with pytest.raises(InputError, match="No such file"):
        running.serve([notes], token_file=file)


def test_a_port_or_a_socket_in_use_is_said(notes: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port}: .*; give another --port"):
            running.serve([notes], port=port)
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        with pytest.raises(InputError, match="give another --uds"):
            running.serve([notes], uds=path)
    assert path.exists()
    token = tmp_path / "token"
    token.write_text("t" * 20)
    with pytest.raises(InputError, match="is not an address of this machine"):
        running.serve([notes], host="192.0.2.1.", port=0, token_file=token)


def test_a_folder_without_an_index_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["serve", "--index", "nowhere"]) == 1
    assert "no index at nowhere" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("package", ["starlette", "uvicorn", "prometheus_client"])
def test_what_is_missing_is_named(
    notes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], package: str
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == package else real(name)
    )
    assert run(["serve", "--index", "notes"]) == 1
    said = capsys.readouterr().err
    assert package in said and "modernbert-retrieval[server]" in said
