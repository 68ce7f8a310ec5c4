"""The lexical index in a writing call: when it is rewritten, and from what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.index.context_builder import lexical_fields, path_of
from retrieval.index.segments import LEXICAL, living
from retrieval.index.writing.drafts import Draft
from retrieval.index.writing.segment_folders import SegmentFolders
from retrieval.indexes import is_scattered, write_lexical
from retrieval.store import SegmentRecord, StoreWriter

WAITING_SHARE = 16
WAITING_MOST = 1000
"""The lexical index is rewritten for deleted passages alone once they are more than `WAITING_MOST`,
or more than one for every `WAITING_SHARE` others."""

_NO_IDS = np.empty(0, np.int64)
_DOCUMENTS_AT_ONCE = 256


class LexicalWriting:
    """Writes lexical indexes for the next commit.

    Args:
        store: the index's store.
        folders: where they are written.
    """

    def __init__(self, store: StoreWriter, folders: SegmentFolders) -> None:
        self._store = store
        self._folders = folders

    def revised(
        self, add: Sequence[Draft], gone: NDArray[np.int64], buried: NDArray[np.int64]
    ) -> tuple[list[SegmentRecord], list[str]]:
        """Write the next lexical index if need be: its record, and the name of the old one.

        Deleted passages may stay in the present one, where searches skip all that are `dead`: a
        deletion alone need not rewrite it. They are removed when it is next written, which is
        when there is something to add, when they are many, or when they are no longer in any
        vector segment and so no longer `dead`.

        Args:
            add: documents to add.
            gone: ids of the passages that this commit deletes.
            buried: ids of the passages that it removes from the vector segments.
        """
        previous = self._present()
        before = living(self._store)
        waiting = previous.passages - before if previous else 0
        coming = sum(len(draft.new) for draft in add)
        anew = np.array([id for draft in add for id in sorted(draft.refielded)], np.int64)
        leaving = waiting + len(gone)
        after = before + coming - len(gone)
        may_wait = not len(buried) and leaving <= min(WAITING_MOST, after // WAITING_SHARE)
        if not coming and not len(anew) and (not leaving or may_wait):
            return [], []
        target = self._folders.new(LEXICAL)
        write_lexical(
            target,
            previous=self._store.segment_folder(previous.name) if previous else None,
            add=(words for draft in add for words in draft.fields()),
            delete=np.concatenate([self._store.dead() if waiting else _NO_IDS, gone, anew]),
        )
        record = self._folders.sealed(target, LEXICAL, after, previous)
        return [record], [previous.name] if previous else []

    def gathered(self) -> tuple[list[SegmentRecord], list[str]]:
        """Merge its small segments, if there are many; returns the same as `revised`."""
        previous = self._present()
        if previous is None or not is_scattered(self._store.segment_folder(previous.name)):
            return [], []
        target = self._folders.new(LEXICAL)
        write_lexical(
            target, previous=self._store.segment_folder(previous.name), add=(), sizes=False
        )
        record = self._folders.sealed(target, LEXICAL, previous.passages, previous)
        return [record], [previous.name]

    def rewritten(self) -> tuple[list[SegmentRecord], list[str]]:
        """Rewrite it from the store, if there is one; returns the same as `revised`."""
        previous = self._present()
        if previous is None:
            return [], []
        target = self._folders.new(LEXICAL)
        write_lexical(target, previous=None, add=self._stored_passages(), delete=())
        record = self._folders.sealed(target, LEXICAL, self._store.counts().passages, None)
        return [record], [previous.name]

    def _present(self) -> SegmentRecord | None:
        return next(iter(self._store.of_kind(LEXICAL)), None)

    def _stored_passages(self) -> Iterator[tuple[int, Mapping[str, str]]]:
        """The id and lexical fields of every passage in the store."""
        numbers = self._store.numbers()
        for first in range(0, len(numbers), _DOCUMENTS_AT_ONCE):
            chosen = numbers[first : first + _DOCUMENTS_AT_ONCE].tolist()
            documents, texts = self._store.documents(chosen), self._store.texts(chosen)
            for number in chosen:
                document = self._store.whole(documents[number], texts.get(number))
                path = path_of(document.metadata)
                for row in self._store.passages_of(number):
                    text = document.text[row.start : row.end]
                    yield row.id, lexical_fields(document.title, path, row.context, text)
