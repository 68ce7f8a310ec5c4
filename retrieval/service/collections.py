"""Collections in shards, as commands take them: by a URL in the place of an index's folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from retrieval.documents import LeftOut
from retrieval.documents.walk import LeftOutType
from retrieval.errors import IndexNotFound, InputError
from retrieval.indexes import LATE_MEMORY
from retrieval.service.opening import PASSAGE_TOKENS
from retrieval.sharded import BuildReport, Changes, ShardedIndex, ShardedStatus
from retrieval.sharded.generations import found_newest
from retrieval.sharded.sources import FileDocuments, check_paths
from retrieval.sharded.status import status_of
from retrieval.sharded.storage import ObjectStorage
from retrieval.sync.settings import Given, settings_of
from retrieval.types import LateOptions

__all__ = ["Update", "check_paths", "open_or_create", "status", "update"]


@dataclass(frozen=True, slots=True)
class Update:
    """What bringing a collection up to date did, what was left out by reason and type, and a line
    for whatever went wrong with single files."""

    report: BuildReport
    left_out: Mapping[str, Mapping[str, LeftOutType]]
    problems: list[str]


def status(url: str) -> ShardedStatus:
    """What the newest generation at a URL holds; no shard is brought here for it."""
    return status_of(url.rstrip("/"), found_newest(ObjectStorage(url)))


def open_or_create(
    url: str,
    *,
    shards: int | None = None,
    encoder: str | None = None,
    passage_tokens: int | None = None,
    late: Mapping[str, int | None] | None = None,
    small: bool = False,
    long_context: bool | None = None,
    memory: int = LATE_MEMORY,
) -> ShardedIndex:
    """Open the collection at a URL, or make it.

    Args:
        url: its place.
        shards: of a new one; None is what there are.
        encoder: folder or Hub id; None is what it was built with, or the embedded model.
        passage_tokens: longest passage of a new one.
        late: fields of LateOptions by name, of a new one.
        small: whether a new one is made with `LateOptions.small()`.
        long_context: whether passages of a new one are read with their neighbours.
        memory: bytes that compressing token vectors may take, in each process that writes.

    Raises:
        InputError: the collection was made with something else, or a new one lacks `shards`.
        EncoderMismatch: it was built by another encoder.
    """
    given: Any = {name: value for name, value in (late or {}).items() if value is not None}
    try:
        opened = ShardedIndex.open(url, encoder=encoder, memory=memory)
    except IndexNotFound:
        if shards is None:
            raise InputError(
                f"there is no collection at {url} yet; say with --shards how many shards it is to "
                "have"
            ) from None
        return ShardedIndex.create(
            url,
            shards=shards,
            encoder=encoder,
            passage_tokens=PASSAGE_TOKENS if passage_tokens is None else passage_tokens,
            late=replace(LateOptions.small() if small else LateOptions(), **given),
            long_context=bool(long_context),
            memory=memory,
        )
    made = opened.status()
    fixed = {**given, "passage_tokens": passage_tokens, "long_context": long_context}
    fixed["small"] = small or None
    changed = [name for name, value in fixed.items() if value is not None]
    if shards not in (None, made.shards):
        opened.close()
        raise InputError(
            f"the collection at {url} has {made.shards} shards, not {shards}; leave --shards out, "
            "or make a new collection"
        )
    if changed:
        opened.close()
        raise InputError(
            f"{changed[0]} is set when a collection is made, and there is one at {url}; leave it "
            "out, or make a new collection"
        )
    return opened


def update(
    index: ShardedIndex,
    paths: Sequence[Path],
    given: Given | None = None,
    *,
    workers: int = 1,
    progress: Callable[[int, int], object] | None = None,
    on_left_out: Callable[[LeftOut], object] | None = None,
) -> Update:
    """Make a collection hold what files and folders hold, and nothing else, in one commit.

    Args:
        index: the collection; ids of files are relative to the current folder.
        paths: files and folders.
        given: which files are taken, and how they are read.
        workers: how many processes write shards.
        progress: called with how many shards are written, and how many are to be.
        on_left_out: told of everything that is not read.

    Raises:
        InputError: a path does not exist, or an option cannot be used.
        IndexLocked: another build was faster.
    """
    settings = (given or Given()).over(settings_of(lambda _: None))
    files = FileDocuments(paths, Path.cwd(), settings, on_left_out=on_left_out)
    changes = Changes(files, mirror=True, unreadable=files.unreadable)
    report = index.change(changes, workers=workers, progress=progress)
    return Update(report, files.left_out, files.problems)
