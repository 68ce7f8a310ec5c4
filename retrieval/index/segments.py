"""OpenedSegments: reusing segments that are open already."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

from retrieval.index import vectors
from retrieval.index.vectors import VectorSegment
from retrieval.indexes import LexicalIndex, LexicalPart
from retrieval.store import SegmentRecord, Store
from retrieval.store.files import FileIdentity, check_contents, check_sizes

LEXICAL = "lexical"

CHECKED_BYTES = 64 << 20
"""Maximum bytes of a lexical index whose checksums are verified when it is opened.

tantivy trusts its files: damaged ones give wrong rankings or a panic, which writes to standard
    error. Indexes of up to some 200 thousand passages are smaller than this.
"""

_Segment = TypeVar("_Segment", VectorSegment, LexicalIndex)


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Opened(Generic[_Segment]):
    """An opened segment and its record in the store."""

    record: SegmentRecord
    segment: _Segment


class OpenedSegments:
    """The opened segments of one index, shared by its snapshots and its writer.

    Segments never change, so one with the same record, checksums included, as an open one need not
    be mapped and checked again: the cost of a commit is that of its changes. Users hold
    references; a segment that nobody uses is closed, so no file outlives the generations that
    name it. Any thread may call it.
    """

    def __init__(self, part: LexicalPart | None = None) -> None:
        """Args: the collection whose statistics lexical scores use, if not only the index's own."""
        self._part = part
        self._lock = threading.Lock()
        self._vectors: WeakValueDictionary[str, Opened[VectorSegment]] = WeakValueDictionary()
        self._lexical: WeakValueDictionary[str, Opened[LexicalIndex]] = WeakValueDictionary()
        self._whole: set[FileIdentity] = set()  # files of the lexical index that was opened last

    def vectors(self, store: Store, record: SegmentRecord) -> Opened[VectorSegment]:
        """The vector segment of this record, opened if need be.

        Raises:
            FileNotFoundError: a file is missing.
            IndexCorrupted: a file was altered.
        """
        return self._take(self._vectors, store, record, lambda: open_vectors(store, record.name))

    def lexical(self, store: Store, record: SegmentRecord) -> Opened[LexicalIndex]:
        """The lexical index of this record; raises like `vectors`."""
        folder = store.segment_folder(record.name)

        def checked() -> LexicalIndex:
            self._whole = check_contents(folder, record, most=CHECKED_BYTES, known=self._whole)
            return LexicalIndex.open(folder, self._part)

        return self._take(self._lexical, store, record, checked)

    def put(self, record: SegmentRecord, segment: VectorSegment) -> Opened[VectorSegment]:
        """Add a segment that was just written, opened and sealed."""
        opened = Opened(record, segment)
        with self._lock:
            self._vectors[record.name] = opened
        return opened

    def _take(
        self,
        known: WeakValueDictionary[str, Opened[_Segment]],
        store: Store,
        record: SegmentRecord,
        open: Callable[[], _Segment],
    ) -> Opened[_Segment]:
        with self._lock:
            found = known.get(record.name)
        # A name that a killed writer used for other files may be used again.
        if found is not None and found.record == record:
            return found
        check_sizes(store.segment_folder(record.name), record)
        opened = Opened(record, open())
        with self._lock:
            known[record.name] = opened
        return opened


def open_vectors(store: Store, name: str) -> VectorSegment:
    """Map the vector segment of that name, with the halves for the encoder's heads."""
    return VectorSegment.open(
        store.segment_folder(name),
        dense=store.settings.dense_dim is not None,
        late=store.settings.token_dim is not None,
    )


def living(store: Store) -> int:
    """How many passages can be found: those in vector segments that are not dead."""
    return sum(s.passages for s in store.of_kind(vectors.KIND)) - len(store.dead())
