"""Objects in storage divided into parts that are read separately: files, or records of huge
ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import BinaryIO

from retrieval.documents import ReadOptions
from retrieval.sharded.executors import Executor
from retrieval.sharded.sources.lines import breaks
from retrieval.sharded.sources.records import has_a_record_a_line, is_lines, is_table, row_groups
from retrieval.sharded.sources.stored_file import open_stored
from retrieval.sharded.storage import ObjectStorage

PART_BYTES = 1 << 26
"""About how much of a larger file one task reads, if the file can be read in parts."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """An object to read.

    Attributes:
        url: the storage's URL.
        name: its name in the storage.
        size: its size in bytes.
        written: when it was written, by the storage's clock.
    """

    url: str
    name: str
    size: int
    written: str

    @property
    def id(self) -> str:
        """Its full URL, which is its document's id."""
        return f"{self.url}/{self.name}"

    def open(self) -> BinaryIO:
        """Its bytes, see `open_stored`."""
        return open_stored(ObjectStorage(self.url), self.name, self.size)


@dataclass(frozen=True, slots=True)
class FilePart:
    """The part of a file that one task reads: some records, or all of it.

    Attributes:
        file: the file.
        start: the first byte of JSON lines, or the first row group of Parquet.
        stop: the first byte or row group after the part; None for a whole file of any kind.
        before: number of lines or rows before the part.
        size: its approximate size in bytes.
    """

    file: RemoteFile
    start: int
    stop: int | None
    before: int
    size: int


def parts_of(
    files: Sequence[RemoteFile], options: ReadOptions, executor: Executor
) -> list[FilePart]:
    """The parts of all files, in their order.

    Records are named by line or row number, so lines are counted first, by the executor.

    Raises:
        MissingDependency: one is Parquet, and pyarrow is not installed.
        StorageError: the storage fails, or a file is gone.
    """
    found = [list(unnumbered(file, options)) for file in files]
    ranges = [part for several in found for part in several if _is_range(part)]
    counts = dict(executor.run(breaks_in, ranges))
    numbered = iter(counts[at] for at in range(len(ranges)))
    parts: list[FilePart] = []
    for several in found:
        if not _is_range(several[0]):
            parts += several
            continue
        told = [next(numbered) for _ in several]
        totals = accumulate((count for count, _ in told), initial=0)
        # whether a line begins at the start of the part
        ended = (True, *(last for _, last in told))
        for part, total, whole in zip(several, totals, ended, strict=False):
            parts.append(replace(part, before=total + (not whole)))
    return parts


def unnumbered(file: RemoteFile, options: ReadOptions) -> Iterator[FilePart]:
    """The parts of a file, with lines not yet counted."""
    if file.size > PART_BYTES and is_table(file.name):
        yield from _groups(file)
    elif file.size > PART_BYTES and is_lines(file.name) and _can_be_split(file, options):
        for start in range(0, file.size, PART_BYTES):
            stop = min(start + PART_BYTES, file.size)
            yield FilePart(file, start, stop, 0, stop - start)
    else:
        yield FilePart(file, 0, None, 0, file.size)


def _can_be_split(file: RemoteFile, options: ReadOptions) -> bool:
    with file.open() as opened:
        return has_a_record_a_line(opened, options)


def _is_range(part: FilePart) -> bool:
    return part.stop is not None and is_lines(part.file.name)


def breaks_in(part: FilePart) -> tuple[int, bool]:
    r"""How many `\n` are in a range of a file, and whether its last byte is one."""
    with part.file.open() as opened:
        return breaks(opened, part.start, part.stop or part.file.size)


def _groups(file: RemoteFile) -> Iterator[FilePart]:
    """Row groups of a Parquet file, combined to parts of about the right size."""
    with file.open() as opened:
        groups = row_groups(opened)
    first = rows = before = size = 0
    for number, (count, stored) in enumerate(groups):
        if size and size + stored > PART_BYTES:
            yield FilePart(file, first, number, before, size)
            first, before, size = number, rows, 0
        rows += count
        size += stored
    yield FilePart(file, first, len(groups) or None, before, size or file.size)
