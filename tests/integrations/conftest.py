from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from retrieval import Index
from tests.index.fake_encoder import FakeEncoder


def pytest_configure(config: pytest.Config) -> None:
    """The marks of the libraries' own tests, whose plugins are left out."""
    for mark in ("asyncio", "benchmark", "codspeed", "vcr"):
        config.addinivalue_line("markers", f"{mark}: of langchain-tests or haystack.testing")


@pytest.fixture
def anyio_backend() -> str:
    """The event loop of coroutines that are tests."""
    return "asyncio"


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    """An empty index whose encoder makes dense and token vectors."""
    with Index.create(tmp_path / "index", encoder=FakeEncoder()) as made:
        yield made
