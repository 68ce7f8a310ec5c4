"""What the router counts of a replica is right, however many ask at once."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from retrieval.sharded.place import Place
from retrieval.sharded.serving.replica import Replica
from retrieval.sharded.serving.replica_set import ReplicaState


class Slow(int):
    """A number that lets other threads go first while it is added to."""

    def __add__(self, other: int) -> Slow:
        time.sleep(0.0001)
        return Slow(int(self) + other)

    def __sub__(self, other: int) -> Slow:
        time.sleep(0.0001)
        return Slow(int(self) - other)


def test_questions_that_are_under_way_are_counted_by_all_threads() -> None:
    replica = ReplicaState(0, 0, under_way=Slow(0))

    def ask() -> None:
        for _ in range(20):
            replica.asked()
            replica.let_be()
        replica.asked()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert replica.under_way == 8


def test_a_connection_to_where_it_was_is_not_taken_for_one_to_where_it_is(tmp_path: Path) -> None:
    """An answer may come from the old process while the new one is noted."""
    place = Place(f"file://{tmp_path}", {}, tmp_path)
    before, after = Replica(place), Replica(place)
    replica = ReplicaState(0, 0)
    try:
        replica.started(before.address)
        old = replica.link()
        replica.started(after.address)
        replica.put(old)
        new = replica.link()
        assert new.address == after.address
        replica.put(new)
        assert replica.link() is new
        new.close()
    finally:
        before.close()
        after.close()
