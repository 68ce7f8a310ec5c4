"""Keeping replicas running: starting, watching and restarting them, and updating their
generation."""

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
"""Interval for checking for lost replicas."""

GREET_S = 5.0
"""Interval for greeting live replicas, so that their lease does not expire."""

SILENT_S = 10.0
"""A replica whose process runs but does not answer for so long is restarted."""

_PING_S = 2.0
_LOAD_S = 600.0
"""Time limit for downloading a shard to a replica."""
_STARTED_AT_ONCE = 16
_GREETED_AT_ONCE = 4


class Keeper:
    """Keeps every shard's replicas running, with the right generations loaded.

    Attributes:
        sets: the replicas of each non-empty shard, by its number; shards of one group have the
            same.
    """

    def __init__(self, hosts: Hosts, copies: int, url: str) -> None:
        """Configure it; nothing runs before `bring`.

        Args:
            hosts: where replicas run.
            copies: number of replicas per shard.
            url: the collection's URL, for errors.
        """
        self._hosts = hosts
        self._copies = copies
        self._url = url
        self._name = uuid.uuid4().hex
        self._wanted: dict[int, Manifest] = {}
        self._silent: dict[ReplicaState, float] = {}  # time of the first missing answer
        self._changing = threading.Lock()  # held while replicas load a generation
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = ThreadPoolExecutor(_STARTED_AT_ONCE, thread_name_prefix="starting")
        self._greeting = ThreadPoolExecutor(_GREETED_AT_ONCE, thread_name_prefix="greeting")
        self.sets: dict[int, ReplicaSet] = {}
        self._groups: dict[int, ReplicaSet] = {}

    def bring(self, manifest: Manifest) -> None:
        """Have replicas load a generation in addition to what they have: the first on all at once,
        later ones group by group, so that few are busy at a time.

        Raises:
            ShardUnavailable: no replica of a shard can load it; the others unload it.
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
        """Have replicas unload a generation that is no longer used."""
        with self._changing:
            self._wanted = {n: one for n, one in self._wanted.items() if n != generation}
        for one in self._all():
            if one.alive:
                with suppress(OSError, RetrievalError):
                    self._tell(one, Keep(self._name, frozenset(self._wanted)), _PING_S)

    def close(self) -> None:
        """Stop watching, and close the hosts."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        for threads in (self._starting, self._greeting):  # starting may take minutes
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
                # Starting may take minutes; live replicas must not wait for that.
                threads = self._greeting if one.alive else self._starting
                with suppress(RuntimeError):  # there may be no further thread just now
                    busy[one] = threads.submit(self._tended, one)

    def _tended(self, one: ReplicaState) -> dict[int, str]:
        """Make sure that a replica runs and has loaded what it should; returns errors by shard.

        A silent one is restarted only after a while: it may be busy, and requests go to another
        meanwhile.
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
        loaded = False
        for generation, manifest in wanted.items():
            for number in shards:
                if number in manifest.filled and [generation, number] not in holds:
                    try:
                        self._tell(one, _load(manifest, number), _LOAD_S)
                        loaded = True
                    except RetrievalError as error:  # it runs, but cannot load what it should
                        wrong[number] = str(error)
        if loaded:  # which may have taken longer than the replica remembers what this router keeps
            holds = self._tell(one, Keep(self._name, frozenset(wanted)), _PING_S)
        one.ready(holds)
        self._silent.pop(one, None)
        return wrong

    def _tell(self, one: ReplicaState, content: Load | Keep, timeout: float) -> list[list[int]]:
        """Send a message to a replica; returns the generations and shards that it has then."""
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
