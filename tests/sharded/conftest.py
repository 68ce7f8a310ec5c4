from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

pytest.importorskip("obstore")


@dataclass(frozen=True)
class Storage:
    """Where a collection can be made, and what it takes to get there."""

    url: str
    options: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="session")
def s3() -> Iterator[dict[str, str]]:
    """The options of a server that speaks S3, where moto is installed, with the bucket `tests`."""
    server = pytest.importorskip("moto.server", reason="needs pip install 'moto[server]'")
    import boto3

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it logs every request
    running = server.ThreadedMotoServer(port=0, verbose=False)
    running.start()
    _, port = running.get_host_and_port()
    options = {
        "endpoint": f"http://127.0.0.1:{port}",
        "aws_access_key_id": "tests",
        "aws_secret_access_key": "tests",
        "region": "us-east-1",
    }
    boto3.client(
        "s3",
        endpoint_url=options["endpoint"],
        aws_access_key_id="tests",
        aws_secret_access_key="tests",
        region_name="us-east-1",
    ).create_bucket(Bucket="tests")
    yield options
    running.stop()


@pytest.fixture(params=["folder", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """The same test against a folder and against S3."""
    if request.param == "folder":
        return Storage(f"file://{tmp_path}/storage")
    return Storage(f"s3://tests/{uuid.uuid4().hex}", request.getfixturevalue("s3"))


@pytest.fixture
def folder(tmp_path: Path) -> Storage:
    return Storage(f"file://{tmp_path}/storage")
