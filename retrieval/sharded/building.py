"""The next generation of a collection: what is new shared out, each shard written, one commit.

Shards are written one after another, or each in a process of its own. What a shard's writer has
sent is not lost when the build ends before its commit: the same build, run again, goes on from it.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path

from retrieval.errors import InputError, StorageError
from retrieval.index.encoder import OBJECT
from retrieval.indexes import LATE_MEMORY
from retrieval.sharded.generations import commit
from retrieval.sharded.manifest import Manifest, ShardRecord
from retrieval.sharded.partition import shard_of
from retrieval.sharded.spool import Incoming, Spool
from retrieval.sharded.writing import NO_PASSAGES, Place, ShardResult, ShardTask, write_shard
from retrieval.types import Encoder

BUILDING = "building"
"""The folder of what unfinished builds have sent."""

EMPTY = ShardRecord(None, 0, 0, 0, 0, NO_PASSAGES)
"""A shard that nothing was written to."""

MOST_SHARDS = 1 << 16


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to become of a collection.

    Attributes:
        documents: that are added, or replace those with their ids.
        mirror: whether every other document leaves.
        unreadable: asked once the documents are read: ids of files and folders whose documents stay
            all the same.
        delete: ids of documents that leave.
        compact: whether all shards are written anew, without what was deleted.
    """

    documents: Iterable[Incoming] = ()
    mirror: bool = False
    unreadable: Callable[[], Sequence[str]] = tuple
    delete: Sequence[str] = ()
    compact: bool = False


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did.

    Attributes:
        generation: that it made, or that there was, if nothing changed.
        added: how many documents are new.
        updated: how many replaced one with their id.
        unchanged: how many were there as they are.
        deleted: how many left.
        sent: bytes that were sent to the storage.
        shards: how many shards were written.
        seconds: how long it took.
    """

    generation: int
    added: int
    updated: int
    unchanged: int
    deleted: int
    sent: int
    shards: int
    seconds: float


def build(
    place: Place,
    base: Manifest,
    changes: Changes,
    *,
    encoder: Encoder | None = None,
    workers: int = 1,
    memory: int = LATE_MEMORY,
    progress: Callable[[int, int], object] | None = None,
) -> tuple[Manifest, BuildReport]:
    """Make the next generation, if anything changes.

    Args:
        place: of the collection.
        base: its newest manifest, or one without shards' contents, of generation 0.
        changes: what is new.
        encoder: of the collection; None loads what its settings name.
        workers: how many processes write shards; 1 is this one.
        memory: bytes that compressing token vectors may take, in each process.
        progress: called with how many shards are written, and how many are to be.

    Raises:
        InputError: an option cannot be used.
        IndexLocked: another build was faster.
        StorageError: the storage fails, or the disk is full.
    """
    if workers < 1:
        raise InputError(f"workers={workers} write nothing; give a number from 1 on")
    if workers > 1 and base.settings.encoder_source == OBJECT:
        raise InputError(
            f"encoder {base.settings.encoder_name!r} is an object, which other processes cannot "
            "load; write with workers=1"
        )
    started = time.monotonic()
    work = Path(tempfile.mkdtemp(prefix="retrieval-build-"))
    try:
        spool = Spool(work, len(base.shards), changes.documents)
        tasks = list(_tasks(place, base, changes, spool, work, memory))
        results = dict(_done(tasks, encoder, workers, progress))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    storage = place.storage()
    manifest = base
    shards = tuple(
        results[number].record if number in results else record
        for number, record in enumerate(base.shards)
    )
    if _content(shards) != _content(base.shards) or base.generation == 0:
        codecs = [result.codec for result in results.values() if result.codec is not None]
        codec = codecs[0] if codecs else base.codec
        following = replace(base, generation=base.generation + 1, shards=shards, codec=codec)
        manifest = commit(storage, following, time.time())
    storage.delete([task.progress for task in tasks if task.number in results])
    counts: Counter[str] = Counter()
    for result in results.values():
        counts.update(result.counts)
    return manifest, BuildReport(
        generation=manifest.generation,
        added=counts["added"],
        updated=counts["updated"] + counts["moved"],
        unchanged=counts["unchanged"],
        deleted=counts["deleted"],
        sent=sum(result.sent for result in results.values()),
        shards=len(results),
        seconds=time.monotonic() - started,
    )


def _content(shards: Sequence[ShardRecord]) -> list[str | None]:
    return [shard.files for shard in shards]


def _tasks(
    place: Place, base: Manifest, changes: Changes, spool: Spool, work: Path, memory: int
) -> Iterator[ShardTask]:
    """What is to be done, that first which the rest waits for."""
    count = len(base.shards)
    deleted: dict[int, list[str]] = {}
    for id in changes.delete:
        deleted.setdefault(shard_of(id, count), []).append(id)
    every = changes.mirror or changes.compact
    changed = {
        number
        for number, shard in enumerate(base.shards)
        if spool.counts[number] or (shard.files is not None and (every or number in deleted))
    }
    chooser = _chooser(base, spool, changed)
    unreadable = tuple(changes.unreadable())
    request = _digest(base, changes, spool)
    for number in sorted(range(count), key=lambda one: (one != chooser, one)):
        yield ShardTask(
            place=place,
            number=number,
            base=base.shards[number] if base.shards[number].files is not None else None,
            settings=base.settings,
            codec=base.codec,
            chooses=number == chooser,
            changed=number in changed,
            spool=spool.file(number),
            mirror=changes.mirror,
            unreadable=unreadable,
            delete=tuple(deleted.get(number, ())),
            compact=changes.compact,
            progress=f"{BUILDING}/{base.generation + 1}/{request}/{number}.json",
            work=work / f"shard-{number:05d}",
            memory=memory,
        )


def _chooser(base: Manifest, spool: Spool, changed: Set[int]) -> int | None:
    """The shard that may train a codec for all: the one of most documents, if there is none yet."""
    if base.codec is not None or base.settings.token_dim is None or not changed:
        return None
    return max(changed, key=lambda one: (base.shards[one].documents + spool.counts[one], -one))


def _digest(base: Manifest, changes: Changes, spool: Spool) -> str:
    """The same for the same build."""
    told = [base.generation, spool.digest, changes.mirror, changes.compact, list(changes.delete)]
    settings = [repr(base.settings), len(base.shards)]
    return hashlib.sha256(json.dumps([*told, *settings]).encode()).hexdigest()[:32]


def _done(
    tasks: Sequence[ShardTask],
    encoder: Encoder | None,
    workers: int,
    progress: Callable[[int, int], object] | None,
) -> Iterator[tuple[int, ShardResult]]:
    """The results of the tasks, by shard."""
    left = [task for task in tasks if task.changed]
    done = 0

    def tell() -> None:
        if progress is not None:
            progress(done, done + len(left))

    tell()
    if left and left[0].chooses:
        first = write_shard(left[0], encoder)
        yield left[0].number, first
        left, done = left[1:], 1
        if first.codec is not None:  # by which all token vectors are stored from now on
            left = [
                replace(task, codec=first.codec)
                for task in tasks[1:]
                if task.changed or task.base is not None
            ]
        tell()
    for number, result in _written(tuple(left), encoder, workers):
        done += 1
        left.pop()
        yield number, result
        tell()


def _written(
    tasks: Sequence[ShardTask], encoder: Encoder | None, workers: int
) -> Iterator[tuple[int, ShardResult]]:
    """The results of tasks that do not wait for each other."""
    if workers == 1 or len(tasks) < 2:
        for task in tasks:
            yield task.number, write_shard(task, encoder)
        return
    # Of a fork of a process with threads nothing is sure.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(tasks)), mp_context=context) as pool:
        waiting = {pool.submit(write_shard, task): task for task in tasks}
        try:
            for one in as_completed(waiting):
                yield waiting[one].number, one.result()
        except BrokenProcessPool as error:
            raise StorageError(
                "a process that wrote a shard was ended; what the others sent is kept, run the "
                "same again"
            ) from error
        finally:
            for one in waiting:
                one.cancel()
