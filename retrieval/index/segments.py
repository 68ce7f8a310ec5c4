"""OpenedSegments: what is open already is not opened again."""

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
"""So much of a lexical index is held against its checksums when it is opened.

tantivy trusts its files: of damaged ones it makes other rankings, or panics, which writes lines of
its own to standard error. Indexes of up to some 200 thousand passages are smaller.
"""

_Segment = TypeVar("_Segment", VectorSegment, LexicalIndex)


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Opened(Generic[_Segment]):
    """An opened segment and what the store says of it."""

    record: SegmentRecord
    segment: _Segment


class OpenedSegments:
    """The opened segments of one index, shared by its snapshots and its writer.

    A segment never changes, so one whose record, checksums included, is that of an open one need
    not be mapped and checked again: a commit costs what it changes. Who takes one keeps it; what
    nobody keeps is let go, so no file outlives the generations that name it. Any thread may ask.
    """

    def __init__(self, part: LexicalPart | None = None) -> None:
        """Take the collection that the index is a part of, if its lexical scores go by that."""
        self._part = part
        self._lock = threading.Lock()
        self._vectors: WeakValueDictionary[str, Opened[VectorSegment]] = WeakValueDictionary()
        self._lexical: WeakValueDictionary[str, Opened[LexicalIndex]] = WeakValueDictionary()
        self._whole: set[FileIdentity] = set()  # files of the lexical index that was opened last

    def vectors(self, store: Store, record: SegmentRecord) -> Opened[VectorSegment]:
        """The vector segment of this record.

        Raises:
            FileNotFoundError: a file is not there.
            IndexCorrupted: a file is not what it was.
        """
        return self._take(self._vectors, store, record, lambda: open_vectors(store, record.name))

    def lexical(self, store: Store, record: SegmentRecord) -> Opened[LexicalIndex]:
        """The lexical index of this record; raises as `vectors` does."""
        folder = store.segment_folder(record.name)

        def checked() -> LexicalIndex:
            self._whole = check_contents(folder, record, most=CHECKED_BYTES, known=self._whole)
            return LexicalIndex.open(folder, self._part)

        return self._take(self._lexical, store, record, checked)

    def put(self, record: SegmentRecord, segment: VectorSegment) -> Opened[VectorSegment]:
        """Offer a segment that was written, opened and sealed just now."""
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
        # A name that a killed writer had given to other files may be given again.
        if found is not None and found.record == record:
            return found
        check_sizes(store.segment_folder(record.name), record)
        opened = Opened(record, open())
        with self._lock:
            known[record.name] = opened
        return opened


def open_vectors(store: Store, name: str) -> VectorSegment:
    """Map the vector segment of that name, with the halves that the index's encoder has."""
    return VectorSegment.open(
        store.segment_folder(name),
        dense=store.settings.dense_dim is not None,
        late=store.settings.token_dim is not None,
    )


def living(store: Store) -> int:
    """How many passages can be found: all have vectors, and of those who have, the dead cannot."""
    return sum(s.passages for s in store.of_kind(vectors.KIND)) - len(store.dead())
