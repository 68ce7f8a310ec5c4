"""Replicas kept running: started, watched, started again, and brought to each generation."""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from retrieval.errors import RetrievalError, ShardUnavailable
from retrieval.sharded.manifest import Manifest
from retrieval.sharded.serving.hosts import Hosts
from retrieval.sharded.serving.messages import Keep, Load
from retrieval.sharded.serving.replica_set import ReplicaSet, ReplicaState
from retrieval.sharded.serving.wire import Link

LOOK_S = 0.5
"""So often it is looked for replicas that are lost."""

GREET_S = 5.0
"""So often those are spoken to that nobody lost, so that they do not end by themselves."""

SILENT_S = 10.0
"""A replica that has a process and answers nothing for so long is started again."""

_PING_S = 2.0
_LOAD_S = 600.0
"""Bringing a shard to a replica's disk may take so long."""
_STARTED_AT_ONCE = 16
_GREETED_AT_ONCE = 4


class Keeper:
    """Sees to it that every shard has its replicas, and that they hold what they should.

    Attributes:
        sets: the replicas of each shard that holds something, by its number.
    """

    def __init__(self, hosts: Hosts, copies: int, url: str) -> None:
        """Nothing runs before `bring`.

        Args:
            hosts: where replicas run.
            copies: how many a shard has.
            url: of the collection, for errors.
        """
        self._hosts = hosts
        self._copies = copies
        self._url = url
        self._name = uuid.uuid4().hex
        self._wanted: dict[int, Manifest] = {}
        self._silent: dict[ReplicaState, float] = {}  # since when it has not answered
        self._changing = threading.Lock()  # held while replicas are brought to a generation
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = ThreadPoolExecutor(_STARTED_AT_ONCE, thread_name_prefix="starting")
        self._greeting = ThreadPoolExecutor(_GREETED_AT_ONCE, thread_name_prefix="greeting")
        self.sets: dict[int, ReplicaSet] = {}

    def bring(self, manifest: Manifest) -> None:
        """Have replicas hold a generation beside what they hold: all at once the first, and later
        ones shard by shard, so that few are busy at a time.

        Raises:
            ShardUnavailable: no replica of a shard can hold it; the others' is let go of.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="keeper", daemon=True)
            self._thread.start()
        with self._changing:
            before = self._wanted
            self._wanted = {**before, manifest.generation: manifest}
            for number in manifest.filled:
                if number not in self.sets:
                    self.sets = {**self.sets, number: ReplicaSet(number, self._copies)}
            shards = [list(self.sets[number].replicas) for number in manifest.filled]
            for several in shards if before else [list(itertools.chain(*shards))]:
                why = dict(self._starting.map(self._tended, several))
                for one in several:
                    if not any(
                        manifest.generation in other.holds
                        for other in self.sets[one.shard].replicas
                    ):
                        self._wanted = before
                        raise ShardUnavailable(
                            f"shard {one.shard} of {self._url} cannot be served: {why[one]}",
                            one.shard,
                        )

    def drop(self, generation: int) -> None:
        """Have replicas let go of a generation that nobody asks for any more."""
        with self._changing:
            self._wanted = {n: one for n, one in self._wanted.items() if n != generation}
        for one in self._all():
            if one.alive:
                with suppress(OSError, RetrievalError):
                    self._tell(one, Keep(self._name, frozenset(self._wanted)), _PING_S)

    def close(self) -> None:
        """Watch no more, and say so to the hosts."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        for threads in (self._starting, self._greeting):  # what starts may take minutes
            threads.shutdown(wait=False, cancel_futures=True)
        for one in self._all():
            one.lost()
        self._hosts.close()

    def _all(self) -> list[ReplicaState]:
        return [one for several in self.sets.values() for one in several.replicas]

    def _watch(self) -> None:
        busy: dict[ReplicaState, Future[Any]] = {}
        greeted: dict[ReplicaState, float] = {}
        while not self._ended.wait(LOOK_S):
            now = time.monotonic()
            for one in self._all():
                waits = one.alive and now - greeted.get(one, 0.0) < GREET_S
                if waits or one.tended.locked() or (one in busy and not busy[one].done()):
                    continue
                greeted[one] = now
                # What is started may take minutes: who is there is not kept waiting for that.
                threads = self._greeting if one.alive else self._starting
                busy[one] = threads.submit(self._tended, one)

    def _tended(self, one: ReplicaState) -> tuple[ReplicaState, str]:
        """See to a replica: it runs, and holds what is wanted. Returns what was wrong, if it was.

        One that is silent is started again after a while only: it may be busy, and whoever asks it
        goes to another meanwhile.
        """
        with one.tended:
            return self._looked_after(one)

    def _looked_after(self, one: ReplicaState) -> tuple[ReplicaState, str]:
        try:
            return self._checked(one)
        except RetrievalError as error:  # it runs, and cannot hold what it should
            return one, str(error)
        except TimeoutError as error:
            one.lost()
            if time.monotonic() - self._silent.setdefault(one, time.monotonic()) < SILENT_S:
                return one, str(error)
        except OSError as error:
            one.lost()
            if self._ended.is_set():
                return one, str(error)
        try:
            one.started(self._hosts.start(one.shard, one.copy))
            self._silent.pop(one, None)
            return self._checked(one)
        except (OSError, RetrievalError) as error:
            one.lost()
            return one, str(error)

    def _checked(self, one: ReplicaState) -> tuple[ReplicaState, str]:
        wanted = self._wanted
        holds = self._tell(one, Keep(self._name, frozenset(wanted)), _PING_S)
        for number, manifest in wanted.items():
            if number not in holds and one.shard in manifest.filled:
                holds = self._tell(one, _load(manifest, one.shard), _LOAD_S)
        one.ready(holds)
        self._silent.pop(one, None)
        return one, ""

    def _tell(self, one: ReplicaState, content: Load | Keep, timeout: float) -> list[int]:
        """Tell a replica; returns the generations that it holds then."""
        link: Link = one.link()
        try:
            holds: list[int] = link.ask(content, timeout)
        except BaseException:
            link.close()
            raise
        one.put(link)
        return holds


def _load(manifest: Manifest, shard: int) -> Load:
    return Load(
        generation=manifest.generation,
        shard=shard,
        record=manifest.shards[shard],
        collection=manifest.lexical,
        settings=manifest.settings,
        files=frozenset(one.files for one in manifest.shards if one.files is not None),
    )
