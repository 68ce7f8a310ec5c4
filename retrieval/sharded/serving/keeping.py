"""Replicas kept running: started, watched, started again, and brought to each generation."""

from __future__ import annotations

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
        sets: the replicas of each shard that holds something, by its number; shards of one group
            have the same.
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
        self._groups: dict[int, ReplicaSet] = {}

    def bring(self, manifest: Manifest) -> None:
        """Have replicas hold a generation beside what they hold: all at once the first, and later
        ones group by group, so that few are busy at a time.

        Raises:
            ShardUnavailable: no replica of a shard can hold it; the others' is let go of.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="keeper", daemon=True)
            self._thread.start()
        with self._changing:
            before = self._wanted
            self._wanted = {**before, manifest.generation: manifest}
            count = self._hosts.groups(len(manifest.shards))
            for number in manifest.filled:
                group = number % count
                if group not in self._groups:
                    self._groups = {**self._groups, group: ReplicaSet(group, self._copies)}
                self.sets = {**self.sets, number: self._groups[group]}
            groups = list(dict.fromkeys(self.sets[number] for number in manifest.filled))
            for several in [[one] for one in groups] if before else [groups]:
                replicas = [one for group in several for one in group.replicas]
                why: dict[int, str] = {}
                for own in self._starting.map(self._tended, replicas):
                    why = {**own, **why}
                for number in manifest.filled:
                    own_set = self.sets[number]
                    if own_set in several and not own_set.holds(manifest.generation, number):
                        self._wanted = before
                        raise ShardUnavailable(
                            f"shard {number} of {self._url} cannot be served: "
                            f"{why.get(number, 'its replica was lost')}",
                            number,
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
        return [one for several in self._groups.values() for one in several.replicas]

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

    def _tended(self, one: ReplicaState) -> dict[int, str]:
        """See to a replica: it runs, and holds what is wanted. Returns what was wrong, by shard.

        One that is silent is started again after a while only: it may be busy, and whoever asks it
        goes to another meanwhile.
        """
        with one.tended:
            return self._looked_after(one)

    def _looked_after(self, one: ReplicaState) -> dict[int, str]:
        try:
            return self._checked(one)
        except TimeoutError as error:
            one.lost()
            if time.monotonic() - self._silent.setdefault(one, time.monotonic()) < SILENT_S:
                return self._everywhere(one, error)
        except (OSError, RetrievalError) as error:
            one.lost()
            if self._ended.is_set():
                return self._everywhere(one, error)
        try:
            one.started(self._hosts.start(one.group, one.copy))
            self._silent.pop(one, None)
            return self._checked(one)
        except (OSError, RetrievalError) as error:
            one.lost()
            return self._everywhere(one, error)

    def _shards_of(self, one: ReplicaState) -> list[int]:
        return [number for number, own in self.sets.items() if one in own.replicas]

    def _everywhere(self, one: ReplicaState, error: Exception) -> dict[int, str]:
        return dict.fromkeys(self._shards_of(one), str(error))

    def _checked(self, one: ReplicaState) -> dict[int, str]:
        wanted, shards = self._wanted, self._shards_of(one)
        holds = self._tell(one, Keep(self._name, frozenset(wanted)), _PING_S)
        wrong: dict[int, str] = {}
        for generation, manifest in wanted.items():
            for number in shards:
                if number in manifest.filled and [generation, number] not in holds:
                    try:
                        holds = self._tell(one, _load(manifest, number), _LOAD_S)
                    except RetrievalError as error:  # it runs, and cannot hold what it should
                        wrong[number] = str(error)
        one.ready(holds)
        self._silent.pop(one, None)
        return wrong

    def _tell(self, one: ReplicaState, content: Load | Keep, timeout: float) -> list[list[int]]:
        """Tell a replica; returns the generations and shards that it holds then."""
        link: Link = one.link()
        try:
            holds: list[list[int]] = link.ask(content, timeout)
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
