"""Damaged requests: none is a fault, none hangs, and the server serves on."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest

from tests.mcp.test_http import agents
from tests.server.conftest import Serve

COUNT, SEED = 300, 23


def hostile_requests() -> ModuleType:
    """The module of the benchmarks, which are no package."""
    place = Path(__file__).parents[2] / "benchmarks" / "hostile_requests.py"
    spec = importlib.util.spec_from_file_location(place.stem, place)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[place.stem] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_no_damaged_request_is_a_fault(serve: Serve) -> None:
    client = serve(agents=agents())
    module = hostile_requests()
    requests = itertools.islice(module.hostile_requests(SEED), COUNT)
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda sent: module.send_request(client.port, sent), requests))
    assert not [status for status in statuses if status is not None and status >= 500]
    assert statuses.count(200) > COUNT / 20  # some are still well-formed
    assert sum(status is not None and 400 <= status < 500 for status in statuses) > COUNT / 3
    assert client.get("/ready").status == 200
