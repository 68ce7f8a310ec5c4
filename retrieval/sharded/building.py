"""The next generation of a collection: distributing documents, writing shards, one commit.

Distributing and writing are tasks, which run in this process, in others on this machine, or on a
    cluster. What a task has sent is not lost when the build ends before its commit: the same build,
    run again, continues from there.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial

from retrieval.errors import IndexLocked, InputError, StorageError
from retrieval.index.encoder import OBJECT
from retrieval.indexes import LATE_MEMORY
from retrieval.sharded.changes import Changes
from retrieval.sharded.executors import Executor, InProcess
from retrieval.sharded.generations import commit, newest
from retrieval.sharded.local import building_folder
from retrieval.sharded.manifest import Manifest, ShardRecord
from retrieval.sharded.place import Place
from retrieval.sharded.planning import planned, written
from retrieval.sharded.sources.remote import ReadTask, read_part
from retrieval.sharded.spool import Spooled, merged, spool
from retrieval.sharded.storage import ObjectStorage
from retrieval.sharded.working_folder import working_folder
from retrieval.sharded.writing import NO_PASSAGES, ShardTask, write_shard
from retrieval.types import Encoder

BUILDING = "building"
"""The folder of objects from unfinished builds, by the generation that they would make."""

DONE = "/done/"
"""Part of the names of objects there that record the result for a shard."""

EMPTY = ShardRecord(None, 0, 0, 0, 0, NO_PASSAGES)
"""The record of an empty shard."""

MOST_SHARDS = 1 << 16


@dataclass(frozen=True, slots=True)
class BuildReport:
    """The result of a build.

    Attributes:
        generation: the generation that it made, or the present one if nothing changed.
        added: number of new documents.
        updated: number of documents that replaced one with the same id.
        unchanged: number of documents that were already there unchanged.
        deleted: number of deleted documents.
        sent: bytes sent to the storage.
        shards: number of shards written.
        seconds: duration.
        problems: one line for each file or document that a task left out.
    """

    generation: int
    added: int
    updated: int
    unchanged: int
    deleted: int
    sent: int
    shards: int
    seconds: float
    problems: tuple[str, ...] = ()


def build(
    place: Place,
    base: Manifest,
    changes: Changes,
    *,
    encoder: Encoder | None = None,
    executor: Executor | None = None,
    memory: int = LATE_MEMORY,
    progress: Callable[[int, int], object] | None = None,
) -> tuple[Manifest, BuildReport]:
    """Make the next generation, if anything changes.

    Args:
        place: the collection's place.
        base: its newest manifest, or one of generation 0 with empty shards.
        changes: the changes to make.
        encoder: the collection's encoder, for tasks of this process; None loads it by its settings.
        executor: runs the tasks; None is this process.
        memory: bytes that compressing token vectors may use, in each process.
        progress: called with the number of shards written, and the number to write.

    Raises:
        InputError: an option cannot be used.
        IndexLocked: another build committed first.
        StorageError: the storage fails, or the disk is full.
    """
    executor = executor or InProcess()
    if not executor.here and base.settings.encoder_source == OBJECT:
        raise InputError(
            f"encoder {base.settings.encoder_name!r} is an object, which other processes cannot "
            "load; write with workers=1"
        )
    started = time.monotonic()
    if place.cache is not None:  # tasks may run in other folders
        place = replace(place, cache=place.cache.absolute())
    storage = place.storage()
    with (
        _unless_outrun(storage, base),
        working_folder(building_folder(place.cache)) as work,
    ):
        own = Place(work.as_uri(), {}, place.cache)
        shared = own if executor.shares_disk else place
        parts = list(_parts(place, shared, base, changes, executor))
        found = _spooled(shared, base, changes, parts, executor)
        tasks = planned(place, shared, base, changes, found, f"{_folder(base)}{DONE}", memory)
        given = encoder if executor.here else executor.encoder(base.settings)
        write = write_shard if given is None else partial(write_shard, encoder=given)
        results = written(tasks, write, executor, progress)
    manifest = base
    shards = tuple(
        results[number].record if number in results else record
        for number, record in enumerate(base.shards)
    )
    if _content(shards) != _content(base.shards) or base.generation == 0:
        codecs = [result.codec for result in results.values() if result.codec is not None]
        codec = codecs[0] if codecs else base.codec
        following = replace(base, generation=base.generation + 1, shards=shards, codec=codec)
        with _unless_outrun(storage, base):
            manifest = commit(storage, following, time.time())
    with suppress(StorageError):  # committed; leftovers are cleared by the next build
        if manifest is base:
            storage.delete(_left(tasks, parts, found if shared is place else None))
        clear_unfinished(storage, manifest.generation)
    counts: Counter[str] = Counter()
    for result in results.values():
        counts.update(result.counts)
    lines = [line for number in sorted(results) for line in results[number].problems]
    return manifest, BuildReport(
        generation=manifest.generation,
        added=counts["added"],
        updated=counts["updated"] + counts["moved"],
        unchanged=counts["unchanged"],
        deleted=counts["deleted"],
        sent=sum(result.sent for result in results.values()),
        shards=len(results),
        seconds=time.monotonic() - started,
        problems=(*found.problems, *lines),
    )


@contextmanager
def _unless_outrun(storage: ObjectStorage, base: Manifest) -> Iterator[None]:
    """Turn errors into IndexLocked if another build committed first and cleared the objects."""
    try:
        yield
    except StorageError as error:
        try:
            now = newest(storage)
        except StorageError:
            raise error from None
        if now is None or now.generation <= base.generation:
            raise
        clear_unfinished(storage, now.generation)
        raise IndexLocked(
            f"another build made generation {now.generation} of {storage.url} meanwhile; run it "
            "again, starting from that generation"
        ) from error


def _folder(base: Manifest) -> str:
    return f"{BUILDING}/{base.generation + 1}"


def _parts(
    place: Place, shared: Place, base: Manifest, changes: Changes, executor: Executor
) -> Iterator[ReadTask]:
    """The read tasks for remote files; without records if only this machine sees their spool."""
    prefix = _folder(base)
    records = f"{prefix}/read" if shared is place else None
    yield from changes.remote.tasks(
        len(base.shards), shared, f"{prefix}/spool", records, place.cache, executor
    )


def _spooled(
    shared: Place, base: Manifest, changes: Changes, parts: Sequence[ReadTask], executor: Executor
) -> Spooled:
    """All documents, spooled so that every task finds those of its shard."""
    count = len(base.shards)
    found = [spool(shared.storage(), f"{_folder(base)}/spool", count, changes.documents)]
    read = dict(executor.run(read_part, parts))
    return merged(found + [read[number] for number in range(len(parts))])


def _left(
    tasks: Sequence[ShardTask], parts: Sequence[ReadTask], found: Spooled | None
) -> list[str]:
    """The temporary objects of this build, except blobs; other builds may have made more."""
    names = {task.record for task in tasks} | {part.record for part in parts if part.record}
    if found is not None:
        names |= {one.name for several in found.sections.values() for one in several}
    return sorted(names)


def clear_unfinished(storage: ObjectStorage, generation: int) -> None:
    """Delete what unfinished builds of this generation or earlier ones left: a build that is still
    running will find that another committed first."""
    left = []
    for one in storage.objects(BUILDING):
        number = one.name.split("/")[1]
        if number.isdecimal() and int(number) <= generation:
            left.append(one.name)
    storage.delete(left)


def _content(shards: Sequence[ShardRecord]) -> list[str | None]:
    return [shard.files for shard in shards]
