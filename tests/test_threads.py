"""How many threads a process uses, by its share of the machine and by what the user says."""

from __future__ import annotations

import pytest

from retrieval import threads
from retrieval.encoders.runtimes.cpu import usable_cores
from retrieval.errors import InputError
from retrieval.indexes.kernels import threads as kernel_threads
from retrieval.sharded.executors import Processes
from retrieval.threads import VARIABLE, logical_cores, share_cores


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(threads, "_share", None)


def both(_: object = None) -> tuple[int, int]:
    return usable_cores(), kernel_threads.count()


def test_alone_a_process_uses_all_cores() -> None:
    assert both() == (usable_cores(), logical_cores())
    assert 1 <= usable_cores() <= logical_cores()


def test_one_of_several_uses_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "logical_cores", lambda: 64)
    for processes, share in ((1, 64), (3, 21), (8, 8), (64, 1), (100, 1)):
        share_cores(processes)
        assert both() == (share, share)


def test_the_variable_goes_before(monkeypatch: pytest.MonkeyPatch) -> None:
    share_cores(1000)
    monkeypatch.setenv(VARIABLE, "3")
    assert both() == (3, 3)
    for wrong in ("0", "-1", "two", ""):
        monkeypatch.setenv(VARIABLE, wrong)
        with pytest.raises(InputError, match=f"{VARIABLE}='{wrong}' is not a whole number"):
            usable_cores()


def test_processes_that_write_shards_share_the_cores() -> None:
    with Processes(2) as processes:
        shares = dict(processes.run(both, [None] * 4))
    each = max(1, logical_cores() // 2)
    assert set(shares.values()) == {(each, each)}
