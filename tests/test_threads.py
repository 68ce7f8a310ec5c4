"""How many threads a process uses, by its share of the machine and by what the user says."""

from __future__ import annotations

from threading import Barrier, Thread
from typing import Any

import pytest

from retrieval import threads
from retrieval.documents.workers.pool import _Pool
from retrieval.encoders.runtimes.cpu import usable_cores
from retrieval.errors import InputError
from retrieval.index import long_context
from retrieval.indexes.kernels import threads as kernel_threads
from retrieval.server.requests import Limits
from retrieval.sharded import asking
from retrieval.sharded.executors import Processes
from retrieval.threads import VARIABLE, ThreadPool, logical_cores, share_cores


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


@pytest.mark.parametrize("kept", [long_context._THREADS, asking._THREADS, ThreadPool("test")])
def test_a_pool_has_the_threads_that_are_asked_for_when_it_is_first_used(
    kept: ThreadPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "_pools", {})
    monkeypatch.setenv(VARIABLE, "no number")
    with pytest.raises(InputError, match="is not a whole number of at least 1"):
        kept.here()
    monkeypatch.setenv(VARIABLE, "3")
    assert kept.here()._max_workers == 3
    monkeypatch.setenv(VARIABLE, "2")
    assert kept.here()._max_workers == 3
    assert ThreadPool("fixed", 5).here()._max_workers == 5


def test_parsers_and_requests_keep_to_the_cores_of_this_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parsers = _Pool()
    monkeypatch.setattr(threads.os, "cpu_count", lambda: 64)
    monkeypatch.setattr(threads, "logical_cores", lambda: 3)
    assert parsers._turn()._initial_value == 3
    assert Limits().threads == 12
    share_cores(3)
    assert _Pool()._turn()._initial_value == 1
    assert Limits().threads == 8
    parsers._forget()  # as a copy of this process does
    assert parsers._turn()._initial_value == 1


def test_threads_that_ask_for_a_pool_at_once_get_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    both_make = Barrier(2, timeout=30)
    executor = threads.ThreadPoolExecutor

    def made(*given: Any, **options: Any) -> Any:
        both_make.wait()
        return executor(*given, **options)

    monkeypatch.setattr(threads, "ThreadPoolExecutor", made)
    pool = ThreadPool("test", 1)
    found: list[Any] = []
    several = [Thread(target=lambda: found.append(pool.here())) for _ in range(2)]
    for one in several:
        one.start()
    for one in several:
        one.join()
    assert found[0] is found[1] is pool.here()


def test_processes_that_write_shards_share_the_cores() -> None:
    with Processes(2) as processes:
        shares = dict(processes.run(both, [None] * 4))
    each = max(1, logical_cores() // 2)
    assert set(shares.values()) == {(each, each)}
