"""The generations of a collection: finding the newest, and committing the next."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from retrieval.errors import IndexCorrupted, IndexLocked, IndexNotFound, StorageError
from retrieval.sharded.manifest import CURE, Manifest
from retrieval.sharded.storage import ObjectStorage, Stored

MANIFESTS = "manifests"
CURRENT = "CURRENT"
"""The pointer object: the number of the newest generation, or of one shortly before."""


def newest(storage: ObjectStorage) -> Manifest | None:
    """The manifest of the newest generation, or None if there is none.

    A manifest that exists is committed, whether or not `CURRENT` points to it yet. If the one that
    `CURRENT` names was cleared, as a pointer may be late, the others are listed.

    Raises:
        IndexCorrupted: `CURRENT` or a manifest is damaged.
        IndexFormatError: a newer release wrote it.
    """
    if not storage.is_there():
        return None
    number = _number(storage, storage.read(CURRENT)) or 0
    content = storage.read(_name(number)) if number else None
    if number and content is None:
        named, number = number, max(manifests(storage), default=0)
        content = storage.read(_name(number)) if number > named else None
        if content is None:
            raise IndexCorrupted(f"{storage.url}/{_name(named)} is missing; {CURE}")
    while (later := storage.read(_name(number + 1))) is not None:
        number, content = number + 1, later
    if content is None:
        return None
    found = Manifest.from_json(content, f"{storage.url}/{_name(number)}")
    if found.generation != number:
        raise IndexCorrupted(
            f"{storage.url}/{_name(number)} has generation {found.generation}; {CURE}"
        )
    return found


def found_newest(storage: ObjectStorage) -> Manifest:
    """Like `newest`, but IndexNotFound if there is none."""
    manifest = newest(storage)
    if manifest is None:
        raise IndexNotFound(
            f"there is no collection at {storage.url}; create one with "
            f"`retrieval index PATH --index {storage.url} --shards N`"
        )
    return manifest


def commit(storage: ObjectStorage, manifest: Manifest, made: float) -> Manifest:
    """Make a manifest the next generation.

    Args:
        manifest: the manifest, with its new number.
        made: the time, in seconds since 1970.

    Raises:
        IndexLocked: another build committed first.
    """
    manifest = replace(manifest, made=made)
    name, content = _name(manifest.generation), manifest.to_json()
    try:
        made_here = storage.create(name, content)
    except StorageError:
        if storage.read(name) != content:
            raise
        made_here = True  # the response was lost
    # If a response is lost, the storage library retries, and finds the object there already.
    if not made_here and storage.read(name) != content:
        raise IndexLocked(
            f"another build made generation {manifest.generation} of {storage.url} meanwhile; "
            "run it again, starting from that generation"
        )
    with suppress(StorageError):  # committed; the next commit moves the pointer
        point_to(storage, manifest.generation)
    return manifest


def point_to(storage: ObjectStorage, generation: int) -> None:
    """Have `CURRENT` name a committed generation, unless it names a later one."""
    storage.advance(CURRENT, lambda before: _later(storage, before, generation))


def manifests(storage: ObjectStorage) -> dict[int, Stored]:
    """The stored manifests, by generation."""
    listed = ((generation_of(one.name), one) for one in storage.objects(MANIFESTS))
    return {number: one for number, one in listed if number is not None}


def generation_of(name: str) -> int | None:
    """The generation that an object is the manifest of; None of what somebody else put there."""
    number = name.removeprefix(f"{MANIFESTS}/").removesuffix(".json")
    return int(number) if number.isdecimal() and _name(int(number)) == name else None


def _later(storage: ObjectStorage, before: bytes | None, number: int) -> bytes | None:
    return str(number).encode() if (_number(storage, before) or 0) < number else None


def _number(storage: ObjectStorage, content: bytes | None) -> int | None:
    if content is None:
        return None
    try:
        number = int(content)
        if number < 1:
            raise ValueError(number)
    except ValueError as error:
        raise IndexCorrupted(
            f"{storage.url}/{CURRENT} contains {content!r:.40}, not a generation number; delete "
            "it if manifests/1.json is there, or copy the collection back from a backup"
        ) from error
    return number


def _name(number: int) -> str:
    return f"{MANIFESTS}/{number}.json"
