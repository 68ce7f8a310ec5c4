"""Replicas end with their router, those that are just being started, too."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection, Pipe
from typing import Any

import pytest

from retrieval.errors import StorageError
from retrieval.sharded.place import Place
from retrieval.sharded.serving import hosts, ray_hosts, ray_process
from retrieval.sharded.serving.hosts import ProcessHosts
from retrieval.sharded.serving.ray_hosts import RayHosts

PLACE = Place("file:///nowhere", {}, None)


class Silent:
    """A process that never says where it listens, until it is killed."""

    made: list[Silent]

    def __init__(self, target: object, args: Sequence[Any], daemon: bool) -> None:
        self._there: Connection = args[0]
        self.started = threading.Event()
        self.killed = False
        self._ending = threading.Lock()
        self.made.append(self)

    def start(self) -> None:
        self._there = Connection(os.dup(self._there.fileno()), readable=False)
        self.started.set()

    def kill(self) -> None:
        with self._ending:  # by the thread that starts it and by the one that ends the router
            self.killed = True
            self._there.close()

    def join(self) -> None:
        assert self.killed


class Context:
    Process = Silent
    Pipe = staticmethod(Pipe)


def test_a_replica_that_is_being_started_ends_with_the_router(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Silent, "made", [], raising=False)
    monkeypatch.setattr(hosts.multiprocessing, "get_context", lambda kind: Context)
    made = ProcessHosts(PLACE)
    raised: list[StorageError] = []

    def start() -> None:
        try:
            made.start(0, 0)
        except StorageError as error:
            raised.append(error)

    thread = threading.Thread(target=start, daemon=True)
    thread.start()
    while not Silent.made:
        thread.join(0.001)
    (process,) = Silent.made
    assert process.started.wait(30)
    made.close()
    assert process.killed
    thread.join(30)
    assert [str(one) for one in raised] == ["the process of a replica could not be started"]
    with pytest.raises(StorageError, match="the router ends"):
        made.start(0, 0)
    assert not any(one.started.is_set() for one in Silent.made[1:])


def test_a_cluster_is_not_joined_again_by_a_router_that_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Member:
        is_there = True

        def __init__(self, *told: object) -> None:
            joined.append(self)

        def end(self) -> None:
            self.is_there = False

    joined: list[Member] = []
    monkeypatch.setattr(ray_hosts, "_Member", Member)
    made = RayHosts(PLACE)
    made.close()
    with pytest.raises(StorageError, match="the router ends"):
        made.start(0, 0)
    assert len(joined) == 1


def joined_nothing(there: Connection, *told: Any) -> None:
    """What joins a cluster, without one."""
    ray_process.ray_cluster = lambda address: contextlib.nullcontext()  # type: ignore[assignment]
    ray_process.Actors = lambda *told: None  # type: ignore[assignment,misc]
    ray_process.joined(there, *told)


def test_what_joined_a_cluster_leaves_it_when_the_router_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without being killed, for which the end had to be waited for."""
    monkeypatch.setattr(ray_hosts, "joined", joined_nothing)
    made = RayHosts(PLACE)
    assert made._member is not None
    process = made._member._process
    made.close()
    assert process.exitcode == 0
