"""verify: comparing everything in an index with what its commits recorded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from retrieval.errors import IndexCorrupted, IndexLocked, RetrievalError, from_backup
from retrieval.index import vectors
from retrieval.index.segments import LEXICAL, open_vectors
from retrieval.indexes import LexicalIndex
from retrieval.store import PassageRow, SegmentRecord, Store, StoredDocument
from retrieval.store.files import damage
from retrieval.store.schema import checksum

_ATTEMPTS = 10
_DOCUMENTS_AT_ONCE = 256


def problems(folder: Path) -> list[str]:
    """One line for each difference from what was committed: the file, what is wrong, the cure.

    Every byte of every segment and of the database is read: files are compared with their
    checksums, documents and passages with theirs, segments with the passages that they should
    contain.

    Raises:
        IndexNotFound: there is no index.
        IndexLocked: a writer commits faster than the index can be verified.
    """
    for _ in range(_ATTEMPTS):
        try:
            with closing(Store(folder)) as store:
                found = list(problems_of(store))
            with closing(Store(folder)) as newest:
                if not found or newest.generation == store.generation:
                    return found
        except IndexCorrupted as error:
            return [str(error)]
        # There was a commit in between: missing files may only have been swept.
    raise IndexLocked(f"the index at {folder} is being written; verify it again after that")


def problems_of(store: Store, *, missing: bool = True) -> Iterator[str]:
    """The problems of the generation that `store` is pinned at.

    Args:
        store: the database.
        missing: whether a missing file is a problem; it is not in a generation that a reader holds
            and a writer may have swept.
    """
    damaged = list(_whole(store, store.integrity()))
    yield from damaged
    for segment in store.segments:
        altered = list(_whole(store, _altered(store, segment, missing=missing)))
        yield from altered
        if missing and not (altered or damaged):
            yield from _whole(store, _segment(store, segment))
    if not damaged:
        yield from _whole(store, _documents(store))
        if missing:
            yield from _whole(store, _coverage(store))


def _whole(store: Store, lines: Iterator[str]) -> Iterator[str]:
    """The lines, and one more if the damage makes the check itself fail."""
    try:
        yield from lines
    except RetrievalError as error:
        yield str(error)
    except (TypeError, ValueError, ArithmeticError, LookupError) as error:
        yield f"{store.path} is damaged: a value has the wrong type ({error}); {from_backup()}"


def _altered(store: Store, segment: SegmentRecord, *, missing: bool) -> Iterator[str]:
    """Files of a segment that were altered."""
    yield from damage(store.segment_folder(segment.name), segment, missing=missing)


def _documents(store: Store) -> Iterator[str]:
    """Documents whose text, metadata or passages were altered."""
    numbers = store.numbers()
    seen = 0
    for first in range(0, len(numbers), _DOCUMENTS_AT_ONCE):
        chosen = numbers[first : first + _DOCUMENTS_AT_ONCE].tolist()
        texts = store.texts(chosen)
        for number, row in store.documents(chosen).items():
            passages = store.passages_of(number)
            seen += len(passages)
            if not _is_intact(row, texts.get(number), passages):
                yield (
                    f"{store.path} is damaged: document {row.id!r} was altered; "
                    "delete that document and index it again"
                )
    strays = store.counts().passages - seen
    if strays:
        yield f"{store.path} is damaged: {strays} passages belong to no document; {from_backup()}"


def _is_intact(row: StoredDocument, text: str | None, passages: Sequence[PassageRow]) -> bool:
    try:
        return (
            row.whole(text) is not None
            and checksum(row.id, row.content_hash, row.source, passages) == row.checksum
        )
    except (TypeError, ValueError):  # a value of another type than was written
        return False


def _segment(store: Store, segment: SegmentRecord) -> Iterator[str]:
    """Segments that contain another number of passages than they should."""
    folder = store.segment_folder(segment.name)
    if segment.kind == vectors.CODEC:  # verified by checksum, and read with its segments
        held = 0
    elif segment.kind == LEXICAL:
        held, counts = len(LexicalIndex.open(folder)), store.counts()
        # It contains the living passages, and those deleted since it was written, but no others.
        if not counts.passages <= segment.passages <= counts.passages + counts.dead:
            yield (
                f"{store.path} is damaged: {segment.passages} passages in {folder} cannot be "
                f"{counts.passages} living and at most {counts.dead} dead ones; {from_backup()}"
            )
    else:
        held = len(open_vectors(store, segment.name).ids)
    if held != segment.passages:
        yield f"{folder} holds {held} passages instead of {segment.passages}; {from_backup()}"


def _coverage(store: Store) -> Iterator[str]:
    """Passages that are missing from the vector segments, and those that should not be there."""
    ids = [open_vectors(store, segment.name).ids for segment in store.of_kind(vectors.KIND)]
    held = np.concatenate([np.empty(0, np.int64), *ids])
    expected = np.union1d(store.passage_ids(), store.dead())
    if not np.array_equal(np.sort(held), expected):
        yield (
            f"{store.segment_folder('')} holds {len(held)} passages' vectors, {store.path} names "
            f"{len(expected)}, and they are not the same; {from_backup()}"
        )
