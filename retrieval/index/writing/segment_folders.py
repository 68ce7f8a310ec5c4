"""SegmentFolders: the segment folders that one writing call reads and writes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from retrieval.errors import IndexCorrupted, from_backup
from retrieval.index import vectors
from retrieval.index.segments import Opened, OpenedSegments, open_vectors
from retrieval.index.vectors import VectorSegment
from retrieval.indexes import CompressedSegment, LateCodec
from retrieval.store import FileRecord, SegmentRecord, StoreWriter
from retrieval.store.files import seal, sweep
from retrieval.store.rights import rights_of
from retrieval.store.schema import SEGMENTS


class SegmentFolders:
    """Folders that the store names, and new ones waiting for the commit that will name them.

    Args:
        store: the index's store.
        shared: segments that are open already.

    Attributes:
        waiting: names of the vector segments that wait for their commit.
        new_codecs: names of the codec folders that wait, by key.
        next_number: the number of the next folder.
        given: the folder of the index's given codec, if it has one; it is kept even if nothing is
            stored by it.
    """

    def __init__(self, store: StoreWriter, shared: OpenedSegments) -> None:
        self.waiting: list[str] = []
        self.new_codecs: dict[str, str] = {}
        self.next_number = store.next_segment
        self.given: Path | None = None
        self._store = store
        self._shared = shared
        self._opened: dict[str, VectorSegment] = {}
        self._kept: dict[str, Opened[VectorSegment]] = {}  # those of them that are shared

    def new(self, kind: str) -> Path:
        """Create an empty folder for a segment of this kind."""
        while True:
            folder = self._store.segment_folder(f"{self.next_number:08d}-{kind}")
            self.next_number += 1
            with contextlib.suppress(FileExistsError):  # garbage that could not be swept
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

    def codec(self, codec: LateCodec) -> Path:
        """The shared folder of this codec, written if there is none yet."""
        for segment in self.vectors().values():
            for key, folder in _codecs(segment):
                if key == codec.key:
                    return folder
        if codec.key not in self.new_codecs:
            folder = self.new(vectors.CODEC)
            codec.write(folder)
            self.new_codecs[codec.key] = folder.name
        return self._store.segment_folder(self.new_codecs[codec.key])

    def changed_codecs(self, names: Iterable[str]) -> tuple[list[SegmentRecord], list[str]]:
        """The changes of codecs when these are the vector segments, all opened.

        Returns:
            Records of new codecs, and names of those that are no longer used.
        """
        used = {folder.name for name in names for _, folder in _codecs(self._open(name))}
        if self.given is not None:
            used.add(self.given.name)
        come = [
            self.sealed(self._store.segment_folder(name), vectors.CODEC, 0, None)
            for name in self.new_codecs.values()
            if name in used
        ]
        known = [record.name for record in self._store.of_kind(vectors.CODEC)]
        return come, [name for name in known if name not in used]

    def forget_waiting(self) -> None:
        """Clear the waiting segments, after a commit or when there will be none."""
        self.waiting, self.new_codecs = [], {}

    def sealed(
        self, folder: Path, kind: str, passages: int, previous: SegmentRecord | None
    ) -> SegmentRecord:
        """The record of a finished folder, with checksums of its files on disk.

        Args:
            folder: the segment's folder.
            kind: the kind of segment.
            passages: number of its passages.
            previous: the segment with which it shares hard-linked files.
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
        """`sealed` for a vector segment, which is shared from now on."""
        segment = self._open(name)
        folder = self._store.segment_folder(name)
        record = self.sealed(folder, vectors.KIND, len(segment.ids), None)
        self._kept[name] = self._shared.put(record, segment)
        return record

    def sweep(self) -> None:
        """Delete the folders that no commit names, past or next."""
        named = {segment.name for segment in self._store.segments}
        named |= {*self.waiting, *self.new_codecs.values()}
        sweep(self._store.folder / SEGMENTS, named)
        self._opened = {name: self._opened[name] for name in named & self._opened.keys()}
        self._kept = {name: self._kept[name] for name in named & self._kept.keys()}

    def _open(self, name: str) -> VectorSegment:
        if name not in self._opened:
            self._opened[name] = open_vectors(self._store, name)
        return self._opened[name]

    def _take(self, record: SegmentRecord) -> None:
        """Open a segment of the store."""
        if record.name in self._opened:
            return
        try:
            self._kept[record.name] = self._shared.vectors(self._store, record)
        except FileNotFoundError as error:
            raise IndexCorrupted(
                f"{error.filename} is missing; {from_backup(self._store.folder)}"
            ) from error
        self._opened[record.name] = self._kept[record.name].segment


def _codecs(segment: VectorSegment) -> Iterator[tuple[str, Path]]:
    """Keys and folders of the codecs that a segment shares."""
    late = segment.late
    if isinstance(late, CompressedSegment):
        if late.shared is not None:
            yield late.codec.key, late.shared
        if late.coarse_quantiser is not None:
            yield late.coarse_quantiser.codec.key, late.coarse_quantiser.folder
