"""A few trials of builds that are killed; `make soak` runs hundreds."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from ..soak.stages import Tally
from . import kills

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="forks a process that has loaded all"),
]


def test_a_few_builds_with_faults_come_to_the_same(tmp_path: Path) -> None:
    tally = Tally()
    kills.run(("killed", "storage failed", "two at once", "disk full"), range(8), tally, tmp_path)
    assert tally.faults == []
    assert tally.trials == 8
    assert len(tally.outcomes) >= 4


def test_what_is_not_the_same_is_seen() -> None:
    found: dict[str, Any] = {"generation": 2, "count": 1, "documents": {}, "rankings": ["a"]}
    assert kills.difference(found, found | {"generation": 3}) == ""
    assert kills.difference(found, found | {"count": 2, "rankings": ["b"]}) == "count, rankings"
