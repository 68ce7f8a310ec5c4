"""Which generations of a collection there are: the newest, and the commit of the next."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from retrieval.errors import IndexCorrupted, IndexLocked, IndexNotFound, StorageError
from retrieval.sharded.manifest import CURE, Manifest
from retrieval.sharded.storage import ObjectStorage

MANIFESTS = "manifests"
CURRENT = "CURRENT"
"""Holds the number of a generation, the newest or one shortly before it."""


def newest(storage: ObjectStorage) -> Manifest | None:
    """The manifest of the newest generation, or None if there is none.

    A manifest that is there was committed, whether `CURRENT` speaks of it yet or not.

    Raises:
        IndexCorrupted: `CURRENT` or a manifest is not what was written.
        IndexFormatError: a newer release wrote it.
    """
    number = _number(storage, storage.read(CURRENT)) or 0
    content = storage.read(_name(number)) if number else None
    if number and content is None:
        raise IndexCorrupted(f"{storage.url}/{_name(number)} is missing; {CURE}")
    while (later := storage.read(_name(number + 1))) is not None:
        number, content = number + 1, later
    if content is None:
        return None
    found = Manifest.from_json(content, f"{storage.url}/{_name(number)}")
    if found.generation != number:
        raise IndexCorrupted(
            f"{storage.url}/{_name(number)} is of generation {found.generation}; {CURE}"
        )
    return found


def found_newest(storage: ObjectStorage) -> Manifest:
    """As `newest`; IndexNotFound if there is none."""
    manifest = newest(storage)
    if manifest is None:
        raise IndexNotFound(
            f"there is no collection at {storage.url}; make one with "
            f"`retrieval index PATH --index {storage.url} --shards N`"
        )
    return manifest


def commit(storage: ObjectStorage, manifest: Manifest, made: float) -> Manifest:
    """Make a manifest the next generation.

    Args:
        manifest: with the number that it is to have.
        made: the time, seconds since 1970.

    Raises:
        IndexLocked: another build was faster.
    """
    manifest = replace(manifest, made=made)
    name, content = _name(manifest.generation), manifest.to_json()
    try:
        made_here = storage.create(name, content)
    except StorageError:
        if storage.read(name) != content:
            raise
        made_here = True  # the answer was lost
    # Where it was lost on the way to the storage's library, that asked again, and finds it there.
    if not made_here and storage.read(name) != content:
        raise IndexLocked(
            f"another build made generation {manifest.generation} of {storage.url} meanwhile; "
            "run it again, which begins with what that one made"
        )
    with suppress(StorageError):  # it is committed; the next one moves the pointer
        storage.advance(CURRENT, lambda before: _later(storage, before, manifest.generation))
    return manifest


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
            f"{storage.url}/{CURRENT} holds {content!r:.40} and no number of a generation; delete "
            "it if manifests/1.json is there, or copy the collection back from a backup"
        ) from error
    return number


def _name(number: int) -> str:
    return f"{MANIFESTS}/{number}.json"
