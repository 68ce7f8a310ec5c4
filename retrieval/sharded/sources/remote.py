"""Objects in storage as documents of a collection, read by build tasks."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from retrieval.documents import ReadOptions, SourceFile, read
from retrieval.documents.walk.contents import is_binary_by_name
from retrieval.documents.walk.wildmatch import SPECIAL, as_bytes, regex_of
from retrieval.errors import DocumentError, InputError
from retrieval.sharded.executors import Executor
from retrieval.sharded.local import building_folder
from retrieval.sharded.place import Place
from retrieval.sharded.sources.parts import (
    PART_BYTES,
    FilePart,
    RemoteFile,
    parts_of,
    unnumbered,
)
from retrieval.sharded.sources.records import is_lines, is_table, records, rows
from retrieval.sharded.spool import Incoming, Spooled, spool
from retrieval.sharded.storage import ObjectStorage, Stored
from retrieval.sharded.working_folder import working_folder

PART_FILES = 1000
"""Maximum parts that a task reads, in addition to the limit of `PART_BYTES`."""

MOST_PROBLEMS = 1000
"""Maximum problem lines of a task; further ones are only counted."""

_VERSION = 2
"""Raised whenever a part is read or stored differently."""


@dataclass(frozen=True, slots=True)
class ReadTask:
    """Files, or parts of files, that one task reads and distributes to shards.

    Attributes:
        parts: the parts, in order.
        options: how they are read.
        max_bytes: larger files are left out, except those read in parts.
        shards: number of shards.
        spool: the storage for the documents.
        prefix: prefix of the names of stored objects.
        record: the object that records that it is done, and the result; None for none.
        cache: the folder of all caches, see `ShardCache`.
    """

    parts: tuple[FilePart, ...]
    options: ReadOptions
    max_bytes: int
    shards: int
    spool: Place
    prefix: str
    record: str | None
    cache: Path | None


@dataclass(frozen=True, slots=True)
class RemoteFiles:
    """Objects to read, and how."""

    files: tuple[RemoteFile, ...]
    options: ReadOptions
    max_bytes: int

    def tasks(
        self,
        shards: int,
        spool: Place,
        prefix: str,
        records: str | None,
        cache: Path | None,
        executor: Executor,
    ) -> Iterator[ReadTask]:
        """The tasks for reading the files in parts.

        Args:
            shards: number of shards.
            spool: the storage for the documents.
            prefix: prefix of the names of stored objects.
            records: prefix of the names of objects that record finished tasks; None makes none.
            cache: the folder of all caches.
            executor: counts lines.
        """
        for parts in _together(parts_of(self.files, self.options, executor)):
            record = None if records is None else f"{records}/{self._digest(parts, shards)}.json"
            yield ReadTask(
                parts, self.options, self.max_bytes, shards, spool, prefix, record, cache
            )

    def parts(self) -> list[FilePart]:
        """The parts of all files; for JSON lines the number of lines before is not known yet."""
        return [part for file in self.files for part in unnumbered(file, self.options)]

    def documents_of(self, part: FilePart) -> Iterator[Incoming]:
        """The documents of one of the parts, read on this machine; problems are not reported.

        Raises:
            StorageError: the storage fails, or the disk is full.
        """
        yield from _documents((part,), self.options, self.max_bytes, None, lambda problem: None)

    def _digest(self, parts: Sequence[FilePart], shards: int) -> str:
        told = [_VERSION, shards, self.max_bytes, asdict(self.options)]
        return hashlib.sha256(json.dumps([*told, *map(asdict, parts)]).encode()).hexdigest()


NO_FILES = RemoteFiles((), ReadOptions(), 0)


def files_at(url: str, *, hidden: bool = False) -> Iterator[RemoteFile]:
    """The objects at a URL, in the order of names, without those whose names say they have no text.

    Args:
        url: an object, a folder of objects, or a pattern with `*`, `?`, `[...]` in its path; `**`
            is any number of folders.
        hidden: whether to include names that begin with a dot.

    Raises:
        InputError: there are no such objects.
        StorageError: the storage fails.
    """
    base, path, pattern = _split(url)
    storage = ObjectStorage(base)
    if not storage.is_there():
        raise InputError(f"{url}: {base} is not a folder; name an existing one")
    matches = re.compile(regex_of(as_bytes(pattern)) or r"(?!)", re.DOTALL) if pattern else None
    found = []
    for one in _listed(storage, path):
        below = one.name.removeprefix(path).removeprefix("/")
        if matches is not None and not matches.fullmatch(as_bytes(below)):
            continue
        if not hidden and any(part.startswith(".") for part in below.split("/")):
            continue
        if is_table(one.name) or not is_binary_by_name(one.name):
            found.append(RemoteFile(base, one.name, one.size, one.written.isoformat()))
    if not found:
        hint = "; to name a [, * or ? itself, write [[], [*] or [?]" if pattern else ""
        raise InputError(f"{url} names no file that can be read; check its spelling{hint}")
    yield from sorted(found, key=lambda one: one.name)


def _listed(storage: ObjectStorage, path: str) -> list[Stored]:
    """The objects below a path, or the one at the path."""
    found = list(storage.objects(path))
    if found or not path:
        return found
    alone = storage.find(path)
    return [] if alone is None else [alone]


def read_part(task: ReadTask) -> Spooled:
    """Read files, and store their documents by shard.

    Raises:
        StorageError: a storage fails, or the disk is full.
    """
    storage = task.spool.storage()
    if task.record is not None:
        done = storage.read(task.record)
        if done is not None:
            return Spooled.from_json(done, f"{storage.url}/{task.record}")
    problems: list[str] = []
    unsaid = 0

    def tell(problem: str) -> None:
        nonlocal unsaid
        if len(problems) < MOST_PROBLEMS:
            problems.append(problem)
        else:
            unsaid += 1

    result = spool(
        storage,
        task.prefix,
        task.shards,
        _documents(task.parts, task.options, task.max_bytes, task.cache, tell),
    )
    if unsaid:
        problems.append(f"{task.parts[-1].file.id}: {unsaid:,} more problems in it or before it")
    result = Spooled(result.sections, result.documents, result.digest, tuple(problems))
    if task.record is not None and not storage.create(task.record, result.to_json()):
        return read_part(task)  # another run of the task was faster
    return result


def _documents(
    parts: Sequence[FilePart],
    options: ReadOptions,
    max_bytes: int,
    cache: Path | None,
    tell: Callable[[str], object],
) -> Iterator[Incoming]:
    with working_folder(building_folder(cache)) as work:
        for part in parts:
            file = part.file
            if part.stop is None:
                yield from _whole(file, options, max_bytes, work, tell)
                continue
            with file.open() as opened:
                if is_table(file.name):
                    groups = range(part.start, part.stop)
                    yield from rows(opened, file.id, options, tell, groups, part.before)
                else:
                    yield from records(
                        opened, file.id, options, tell, part.start, part.stop, part.before
                    )


def _whole(
    file: RemoteFile,
    options: ReadOptions,
    max_bytes: int,
    work: Path,
    tell: Callable[[str], object],
) -> Iterator[Incoming]:
    """The documents of a file that is downloaded and read like a local file."""
    most = max(max_bytes, PART_BYTES) if is_lines(file.name) else max_bytes
    if file.size > most and not is_table(file.name):
        why = ", and without one record per line in UTF-8, so it cannot be read in parts"
        tell(
            f"{file.id}: larger than {max_bytes:,} bytes{why if is_lines(file.name) else ''}; "
            "left out (--max-bytes)"
        )
        return
    copy = work / f"file{Path(file.name).suffix.lower()}"
    if not ObjectStorage(file.url).download(file.name, copy):
        tell(f"{file.id}: has disappeared since it was found")
        return
    if is_table(file.name):
        yield from rows(copy, file.id, options, tell)
        return
    try:
        result = read(SourceFile(copy, file.id, file.size, 0), options)
    except DocumentError as error:
        tell(str(error))
        return
    for problem in result.problems:
        tell(problem)
    for document, outline in zip(result.documents, result.outlines, strict=True):
        yield Incoming(document, outline, result.reader, file.id)


def _together(parts: Sequence[FilePart]) -> Iterator[tuple[FilePart, ...]]:
    """Group the parts, combining small ones for one task."""
    several: list[FilePart] = []
    size = 0
    for part in parts:
        if several and (size + part.size > PART_BYTES or len(several) == PART_FILES):
            yield tuple(several)
            several, size = [], 0
        several.append(part)
        size += part.size
    if several:
        yield tuple(several)


def _split(url: str) -> tuple[str, str, str]:
    """The storage's URL, a path in it, and the pattern of names below that path, or ""."""
    scheme, _, rest = url.rstrip("/").partition("://")
    parts = rest.split("/")
    first = next((at for at, part in enumerate(parts) if SPECIAL & set(part)), len(parts))
    # For local files the storage is the parent folder; otherwise it is the bucket.
    top = min(first, len(parts) - 1) if scheme == "file" else 1
    base, path, pattern = parts[:top], parts[top:first], parts[first:]
    return f"{scheme}://{'/'.join(base)}", "/".join(path), "/".join(pattern)
