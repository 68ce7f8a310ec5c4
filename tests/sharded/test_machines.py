"""A collection on a Ray cluster of machines with addresses of their own; one is cut off."""

from __future__ import annotations

import http.client
import importlib.util
import json
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")
pytest.importorskip("starlette")

from retrieval.sharded.ray_executor import STARTED_WITH

from ..soak.stages import python_path
from .machines import Machines, can_be_made
from .router_kills import Ranking, ranking
from .samples import documents

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not can_be_made(), reason="needs root, Linux and iproute2"),
]

QUERIES = ("w3 w50", "w0", "seldom said", "w7 w8 w9")
RESUMED_S = 5.0
PYTHON = sys.executable
RAY = str(Path(PYTHON).parent / "ray")


class Local(http.client.HTTPConnection):
    """A connection to a Unix socket, which no network is between."""

    def __init__(self, place: Path) -> None:
        super().__init__("localhost", timeout=60)
        self._place = place

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._place))


def asked(place: Path, query: str) -> Ranking:
    connection = Local(place)
    try:
        body = json.dumps({"query": query, "k": 10})
        connection.request(
            "POST", "/v1/indexes/name/search", body, {"Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        found: dict[str, Any] = json.loads(answer.read())
    finally:
        connection.close()
    if answer.status != 200:
        raise ConnectionError(str(found))
    return ranking(found["hits"])


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    made = Machines(3, tmp_path)
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def environment(machines: Machines) -> dict[str, str]:
    """Of what runs on the machines; with the token that a cluster may ask for."""
    return {
        **STARTED_WITH,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": "5" * 64,
        "PYTHONPATH": python_path(),
        "AWS_ENDPOINT_URL": f"http://{machines.addresses[0]}:5000",
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_REGION": "us-east-1",
    }


@pytest.fixture
def url(machines: Machines, environment: dict[str, str], tmp_path: Path) -> str:
    """Of a collection that the first machine keeps in S3 or, without moto, of a shared folder."""
    if importlib.util.find_spec("moto") is None:
        return f"file://{tmp_path}/name"
    host = machines.addresses[0]
    machines.start(0, [PYTHON, "-m", "moto.server", "-H", host, "-p", "5000"], environment)
    bucket = (
        "import boto3, os; boto3.client('s3', endpoint_url=os.environ['AWS_ENDPOINT_URL'], "
        "region_name='us-east-1').create_bucket(Bucket='tests')"
    )
    began = time.monotonic()
    while machines.run(0, [PYTHON, "-c", bucket], environment).returncode:
        assert time.monotonic() - began < 60, machines.said()
    return "s3://tests/name"


def test_a_machine_is_cut_off_while_questions_run(
    machines: Machines, environment: dict[str, str], url: str, tmp_path: Path
) -> None:
    """Without a word to anybody: the other's replicas answer within seconds, and nothing wrong."""
    cluster = f"{machines.addresses[0]}:6379"

    def done(number: int, *command: str) -> str:
        own = {**environment, "XDG_CACHE_HOME": str(tmp_path / f"cache{number}")}
        found = machines.run(number, command, own)
        assert found.returncode == 0, found.stderr[-2000:]
        return found.stdout

    common = ("--object-store-memory", str(80 << 20), "--node-ip-address")
    first = ("--head", "--port", "6379", "--num-cpus", "0", "--include-dashboard", "false")
    done(0, RAY, "start", *first, *common, machines.addresses[0])
    for number in (1, 2):
        own = machines.addresses[number]
        done(number, RAY, "start", "--address", cluster, "--num-cpus", "1", *common, own)

    sources, made = tmp_path / "documents.jsonl", documents(24)
    rows = [{"id": one.id, "title": one.title, "text": one.text} for one in made]
    sources.write_text("".join(json.dumps(row) + "\n" for row in rows))
    shards = ("--shards", "3", "--ray", cluster)
    done(0, PYTHON, "-m", "retrieval", "index", str(sources), "--index", url, *shards)
    searched = [PYTHON, "-m", "retrieval", "search", "--json", "--index", url, "-k", "10"]
    expected = {query: ranking(json.loads(done(0, *searched, query))) for query in QUERIES}

    place = tmp_path / "server"
    serve = ("serve", url, "--ray", cluster, "--replicas", "2", "--uds", str(place))
    own = {**environment, "XDG_CACHE_HOME": str(tmp_path / "cache0")}
    machines.start(0, [PYTHON, "-m", "retrieval", *serve], own)
    began = time.monotonic()
    while True:
        try:
            asked(place, QUERIES[0])
            break
        except (OSError, http.client.HTTPException):
            assert time.monotonic() - began < 180, machines.said()
            time.sleep(0.1)

    slowest = 0.0
    for turn in range(400):
        if turn == 40:
            machines.pull(1)
        query = QUERIES[turn % len(QUERIES)]
        began = time.monotonic()
        assert asked(place, query) == expected[query]
        slowest = max(slowest, time.monotonic() - began)
    print(f"\nthe slowest answer took {slowest:.2f} s")
    assert slowest < RESUMED_S
