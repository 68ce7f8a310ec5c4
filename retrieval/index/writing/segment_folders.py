"""SegmentFolders: the folders of segments that one writing call reads from and writes."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from retrieval.errors import IndexCorrupted
from retrieval.index import vectors
from retrieval.index.segments import Opened, OpenedSegments, open_vectors
from retrieval.index.vectors import VectorSegment
from retrieval.store import FileRecord, SegmentRecord, StoreWriter
from retrieval.store.files import seal, sweep
from retrieval.store.rights import rights_of
from retrieval.store.schema import SEGMENTS


class SegmentFolders:
    """Folders that the store names, and those that wait for the commit that names them.

    Args:
        store: the index's.
        shared: takes over what is open already.

    Attributes:
        waiting: names of the vector segments that wait for their commit.
        next_number: that of the next folder.
    """

    def __init__(self, store: StoreWriter, shared: OpenedSegments) -> None:
        self.waiting: list[str] = []
        self.next_number = store.next_segment
        self._store = store
        self._shared = shared
        self._opened: dict[str, VectorSegment] = {}
        self._kept: dict[str, Opened[VectorSegment]] = {}  # of these, what can be shared

    def new(self, kind: str) -> Path:
        """Make an empty folder for a segment of this kind."""
        while True:
            folder = self._store.segment_folder(f"{self.next_number:08d}-{kind}")
            self.next_number += 1
            with contextlib.suppress(FileExistsError):  # garbage that resisted the sweep
                folder.mkdir()
                return folder

    def vectors(self) -> dict[str, VectorSegment]:
        """The vector segments by name, those of the next commit last.

        Raises:
            IndexCorrupted: a file is missing.
        """
        named = self._store.of_kind(vectors.KIND)
        for record in named:
            self._take(record)
        return {name: self._open(name) for name in [*(one.name for one in named), *self.waiting]}

    def sealed(
        self, folder: Path, kind: str, passages: int, previous: SegmentRecord | None
    ) -> SegmentRecord:
        """The record of a folder that is written: its files are on the disk, with checksums.

        Args:
            folder: of the segment.
            kind: what it holds.
            passages: how many of them.
            previous: the segment that it shares files with.
        """
        known: Mapping[str, FileRecord] = previous.files if previous else {}
        origin = self._store.segment_folder(previous.name) if previous else None
        return SegmentRecord(
            folder.name,
            kind,
            passages,
            seal(folder, previous=origin, known=known, rights=rights_of(self._store.folder)),
        )

    def sealed_vectors(self, name: str) -> SegmentRecord:
        """The same of a vector segment, which is shared from now on."""
        segment = self._open(name)
        folder = self._store.segment_folder(name)
        record = self.sealed(folder, vectors.KIND, len(segment.ids), None)
        self._kept[name] = self._shared.put(record, segment)
        return record

    def sweep(self) -> None:
        """Delete the folders that no commit names and none will."""
        named = {segment.name for segment in self._store.segments} | set(self.waiting)
        sweep(self._store.folder / SEGMENTS, named)
        self._opened = {name: self._opened[name] for name in named & self._opened.keys()}
        self._kept = {name: self._kept[name] for name in named & self._kept.keys()}

    def _open(self, name: str) -> VectorSegment:
        if name not in self._opened:
            self._opened[name] = open_vectors(self._store, name)
        return self._opened[name]

    def _take(self, record: SegmentRecord) -> None:
        """Have a segment of the store opened."""
        if record.name in self._opened:
            return
        try:
            self._kept[record.name] = self._shared.vectors(self._store, record)
        except FileNotFoundError as error:
            raise IndexCorrupted(
                f"{error.filename} is missing; copy the index back from a backup, "
                f"or delete {self._store.folder} and index again"
            ) from error
        self._opened[record.name] = self._kept[record.name].segment
