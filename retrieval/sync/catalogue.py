"""What an index knows of files: as they were when they were read, and whether that still counts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from retrieval.documents import ReadOptions, Stamp, ending_is_current, is_current
from retrieval.index.as_read import reader_read
from retrieval.store import FileRow, Store

_MANY = 1000
"""Beyond so many, the documents of all files are counted at once."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The files that an index knows.

    Attributes:
        stamps: as each was when it was read, by id.
        unopened: those that need not be opened if they are so: they would be read as they were.
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
    """How many documents came from files, but for these files."""
    if len(ids) > _MANY:
        counts = store.counts_of_sources()
        without = sum(counts.get(id, 0) for id in ids)
    else:
        without = sum(map(store.count_of_source, ids))
    return store.count_with_source() - without


def _outdated(rows: Sequence[FileRow], options: ReadOptions) -> set[str]:
    """Ids of the files that would be read otherwise now.

    What a file is read by follows from the ending of its name but for a few: it is asked once for
    each ending, and not for each of many files.
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
