"""Clearing: deleting from storage what no generation needs, after a grace period."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from retrieval.sharded.blobs import BLOBS, names_of
from retrieval.sharded.building import BUILDING, DONE
from retrieval.sharded.generations import found_newest, manifests, point_to
from retrieval.sharded.manifest import Manifest
from retrieval.sharded.storage import ObjectStorage, Stored
from retrieval.sharded.writing import ShardResult

GRACE_SECONDS = 7 * 86_400.0
"""How long unneeded objects are kept, for readers and unfinished builds."""


@dataclass(frozen=True, slots=True)
class ClearReport:
    """The number of objects deleted, and their bytes."""

    objects: int
    bytes: int


def clear(storage: ObjectStorage, grace: float) -> ClearReport:
    """Delete what neither the newest generation nor one that was the newest within the grace period
    needs.

    Objects written within that time are kept as well: a build may be about to use them.

    Args:
        storage: the collection's storage.
        grace: the grace period in seconds.

    Raises:
        IndexCorrupted: a manifest is damaged; nothing is deleted then.
    """
    current = found_newest(storage)
    # The pointer may be late, and must not be left to a manifest that is deleted.
    point_to(storage, current.generation)
    before = storage.now() - timedelta(seconds=grace)
    gone: list[Stored] = []
    needed = _needs(storage, current)
    stored = manifests(storage)
    for number, one in stored.items():
        if number >= current.generation:
            continue
        # It was the newest until the next one was written.
        if stored.get(number + 1, one).written <= before:
            gone.append(one)
        else:
            content = storage.read(one.name)
            if content is not None:
                needed |= _needs(storage, Manifest.from_json(content, f"{storage.url}/{one.name}"))
    for one in storage.objects(BUILDING):
        if one.written < before:
            gone.append(one)
        elif DONE in one.name:
            needed |= _built(storage, one)
    gone += _unneeded(storage, needed, before)
    storage.delete([one.name for one in gone])
    return ClearReport(len(gone), sum(one.size for one in gone))


def _unneeded(storage: ObjectStorage, needed: set[str], before: datetime) -> Iterator[Stored]:
    for one in storage.objects(BLOBS):
        if one.name not in needed and one.written < before:
            yield one


def _needs(storage: ObjectStorage, manifest: Manifest) -> set[str]:
    """The objects that a generation needs."""
    needed = set() if manifest.codec is None else names_of(storage, manifest.codec.files)
    for shard in manifest.shards:
        if shard.files is not None:
            needed |= names_of(storage, shard.files)
    return needed


def _built(storage: ObjectStorage, one: Stored) -> set[str]:
    """The objects of a shard that an unfinished build has written."""
    content = storage.read(one.name)
    result = None if content is None else ShardResult.from_json(content, one.name)
    needed = set()
    for part in () if result is None else (result.record, result.codec):
        if part is not None and part.files is not None:
            needed |= names_of(storage, part.files)
    return needed
