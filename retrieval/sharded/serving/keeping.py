"""Replicas kept running: started, watched, started again, and brought to each generation."""

from __future__ import annotations

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from retrieval.errors import ShardUnavailable, StorageError
from retrieval.sharded.manifest import Manifest
from retrieval.sharded.serving.hosts import Hosts
from retrieval.sharded.serving.replica import Keep, Load
from retrieval.sharded.serving.replica_set import ReplicaSet, ReplicaState
from retrieval.sharded.serving.wire import Link

LOOK_S = 0.5
"""So often it is looked whether all replicas are there."""

SILENT_S = 10.0
"""A replica that has a process and answers nothing for so long is started again."""

_PING_S = 2.0
_LOAD_S = 600.0
"""Bringing a shard to a replica's disk may take so long."""
_STARTED_AT_ONCE = 16


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
        self._wanted: dict[int, Manifest] = {}
        self._silent: dict[ReplicaState, float] = {}  # since when it has not answered
        self._changing = threading.Lock()  # held while replicas are brought to a generation
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._pool = ThreadPoolExecutor(_STARTED_AT_ONCE, thread_name_prefix="replicas")
        self.sets: dict[int, ReplicaSet] = {}

    def bring(self, manifest: Manifest) -> None:
        """Have replicas hold a generation beside what they hold: all at once the first, and later
        ones shard by shard, so that few are busy at a time.

        Raises:
            ShardUnavailable: no replica of a shard can hold it; the others' is let go of.
        """
        with self._changing:
            first = not self._wanted
            self._wanted[manifest.generation] = manifest
            for number in manifest.filled:
                if number not in self.sets:
                    self.sets = {**self.sets, number: ReplicaSet(number, self._copies)}
            shards = [list(self.sets[number].replicas) for number in manifest.filled]
            for several in [list(itertools.chain(*shards))] if first else shards:
                why = dict(self._pool.map(self._tended, several))
                for one in several:
                    if not any(
                        manifest.generation in other.holds
                        for other in self.sets[one.shard].replicas
                    ):
                        del self._wanted[manifest.generation]
                        raise ShardUnavailable(
                            f"shard {one.shard} of {self._url} cannot be served: {why[one]}",
                            one.shard,
                        )
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="keeper", daemon=True)
            self._thread.start()

    def drop(self, generation: int) -> None:
        """Have replicas let go of a generation that nobody asks for any more."""
        with self._changing:
            self._wanted.pop(generation, None)
        for one in self._all():
            if one.alive:
                with suppress(OSError, EOFError, StorageError):
                    self._tell(one, Keep(frozenset(self._wanted)), _PING_S)

    def close(self) -> None:
        """Watch no more, and say so to the hosts."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        self._pool.shutdown()
        for one in self._all():
            one.lost()
        self._hosts.close()

    def _all(self) -> list[ReplicaState]:
        return [one for several in self.sets.values() for one in several.replicas]

    def _watch(self) -> None:
        busy: dict[ReplicaState, float] = {}
        finished: list[ReplicaState] = []

        def look(one: ReplicaState) -> None:
            try:
                self._tended(one)
            finally:
                finished.append(one)

        while not self._ended.wait(LOOK_S):
            while finished:
                busy.pop(finished.pop(), None)
            for one in self._all():
                if one not in busy:
                    busy[one] = time.monotonic()
                    self._pool.submit(look, one)

    def _tended(self, one: ReplicaState) -> tuple[ReplicaState, str]:
        """See to a replica: it runs, and holds what is wanted. Returns what was wrong, if it was.

        One that is silent is started again after a while only: it may be busy, and whoever asks it
        goes to another meanwhile.
        """
        try:
            return self._checked(one)
        except StorageError as error:  # it runs, and cannot hold what it should
            return one, str(error)
        except TimeoutError as error:
            one.lost()
            if time.monotonic() - self._silent.setdefault(one, time.monotonic()) < SILENT_S:
                return one, str(error)
        except (OSError, EOFError) as error:
            one.lost()
            if self._ended.is_set():
                return one, str(error)
        try:
            one.started(self._hosts.start(one.shard, one.copy))
            self._silent.pop(one, None)
            return self._checked(one)
        except (OSError, EOFError, StorageError) as error:
            one.lost()
            return one, str(error)

    def _checked(self, one: ReplicaState) -> tuple[ReplicaState, str]:
        wanted = {
            number: manifest
            for number, manifest in self._wanted.items()
            if one.shard in manifest.filled
        }
        holds = self._tell(one, Keep(frozenset(self._wanted)), _PING_S)
        for number, manifest in wanted.items():
            if number not in holds:
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
