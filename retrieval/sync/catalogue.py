"""The files that an index knows, as they were when read, and whether they have to be read again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from retrieval.documents import ReadOptions, Stamp, ending_is_current, is_current
from retrieval.index.context_builder import reader_read
from retrieval.store import FileRow, Store

_MANY = 1000
"""For more files than this, the documents of all files are counted at once."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The files that an index knows.

    Attributes:
        stamps: size and times of each file when it was read, by id.
        unopened: those of files that need not be opened if they match: they would be read the same.
    """

    stamps: Mapping[str, Stamp]
    unopened: Mapping[str, Stamp]


def catalogue(rows: Sequence[FileRow], options: ReadOptions) -> Catalogue:
    """The files of these rows; `options` are how files are to be read now."""
    stamps: dict[str, Stamp] = {row[2]: row for row in rows}
    outdated = _outdated(rows, options)
    if not outdated:
        return Catalogue(stamps, stamps)
    left = {id: stamp for id, stamp in stamps.items() if id not in outdated}
    return Catalogue(stamps, left)


def count_documents_but(store: Store, ids: Collection[str]) -> int:
    """How many documents came from files other than these."""
    if len(ids) > _MANY:
        counts = store.counts_of_sources()
        without = sum(counts.get(id, 0) for id in ids)
    else:
        without = sum(map(store.count_of_source, ids))
    return store.count_with_source() - without


def _outdated(rows: Sequence[FileRow], options: ReadOptions) -> set[str]:
    """Ids of the files that would now be read differently.

    The reader of a file depends on the extension of its name, with few exceptions: so it is
    determined once per extension, not for each of many files.
    """
    kinds = {(reader, path.rpartition(".")[2]) for _, _, path, reader in rows}
    current = {kind: _is_current(*kind, options) for kind in kinds}
    if all(current.values()):
        return set()
    by_name: dict[tuple[str, str], bool] = {}
    outdated = set()
    for _, _, path, reader in rows:
        found = current[reader, path.rpartition(".")[2]]
        if found is None:
            read_by, name = reader_read(reader), path.rpartition("/")[2]
            assert read_by is not None
            key = (read_by, name)
            if key not in by_name:
                by_name[key] = is_current(read_by, name, options)
            found = by_name[key]
        if not found:
            outdated.add(path)
    return outdated


def _is_current(reader: str | None, ending: str, options: ReadOptions) -> bool | None:
    read_by = reader_read(reader)
    return False if read_by is None else ending_is_current(read_by, ending, options)
