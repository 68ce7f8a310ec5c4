"""Builds in which the storage fails or is slow, and whose process dies, at a chosen call.

Processes of a pool and of a cluster load this module, too: `write` is what they run.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from retrieval.errors import StorageError
from retrieval.index import encoder as encoders
from retrieval.sharded import building
from retrieval.sharded.storage import ObjectStorage
from retrieval.sharded.writing import ShardResult, ShardTask, write_shard
from retrieval.types import Encoder

from ..index.fake_encoder import FakeEncoder

Fault = Literal["killed before", "killed after", "fails before", "fails after", "slow"]

CALLS = ("read", "read_range", "create", "put", "advance", "delete")
PLAN = "RETRIEVAL_TEST_PLAN"
"""In the environment: a folder for the file that the one process that is to die makes."""


class Injected:
    """What is done to the calls on a storage of this process.

    Attributes:
        calls: how many there were.
    """

    def __init__(self, fault: Fault | None = None, at: int = 0, seed: int = 0) -> None:
        self.calls = 0
        self._fault = fault
        self._at = at
        self._drawn = random.Random(seed)

    def around(self, call: Callable[[], Any]) -> Any:
        """Make a call, with its fault."""
        self.calls += 1
        if self._fault == "slow":
            time.sleep(self._drawn.choice([0, 0, 0.002, 0.02]))
        due = self.calls == self._at
        if due and self._fault == "killed before":
            os.kill(os.getpid(), signal.SIGKILL)
        if due and self._fault == "fails before":
            raise StorageError("the storage fails (injected)")
        result = call()
        if due and self._fault == "killed after":
            os.kill(os.getpid(), signal.SIGKILL)
        if due and self._fault == "fails after":
            raise StorageError("the storage's answer was lost (injected)")
        return result


@contextmanager
def injected(what: Injected) -> Iterator[Injected]:
    """Let all calls of this process on storages go through it."""
    usual = {name: getattr(ObjectStorage, name) for name in CALLS}

    def through(name: str) -> Any:
        def called(self: ObjectStorage, *arguments: Any) -> Any:
            return what.around(lambda: usual[name](self, *arguments))

        return called

    for name in CALLS:
        setattr(ObjectStorage, name, through(name))
    try:
        yield what
    finally:
        for name in CALLS:
            setattr(ObjectStorage, name, usual[name])


@contextmanager
def loadable() -> Iterator[None]:
    """Let the fake encoder be one that other processes can load, as `write` does."""
    usual = encoders._source_of, building.write_shard
    encoders._source_of = lambda encoder: "fake"
    building.write_shard = write
    try:
        yield
    finally:
        encoders._source_of, building.write_shard = usual


def write(task: ShardTask, encoder: Encoder | None = None) -> ShardResult:
    """`write_shard` with the fake encoder; the first process that gets so far may die."""
    plan = os.environ.get(PLAN)
    what = Injected()
    if plan is not None:
        at, _, folder = plan.partition(" ")
        try:
            (Path(folder) / "dies").touch(exist_ok=False)
            what = Injected("killed before", int(at))
        except FileExistsError:
            pass
    with injected(what):
        return write_shard(task, encoder or FakeEncoder())
