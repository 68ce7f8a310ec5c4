"""Writer: takes changes to documents and writes them in a series of commits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

from retrieval.documents.outline import Outline
from retrieval.index.context_builder import reader_read, reading
from retrieval.index.encoder import EncoderSlot
from retrieval.index.given import is_given
from retrieval.index.ready import NOTHING, Ready
from retrieval.index.segments import OpenedSegments
from retrieval.index.writing import drafts
from retrieval.index.writing.drafts import Draft
from retrieval.index.writing.encoding import DraftEncoder
from retrieval.index.writing.revising import is_relabel, revised
from retrieval.index.writing.session import Session
from retrieval.indexes import LATE_MEMORY, LateCodec
from retrieval.store import JsonValue, Relabel, SourceRecord, Store, StoredDocument
from retrieval.store.guard import disk_errors
from retrieval.types import (
    Document,
    ProgressCallback,
)

COMMIT_CHARACTERS = 1 << 25
COMMIT_CHANGES = 10_000
COMMIT_SECONDS = 10.0
"""A commit is due after a spill to disk, or after this much text, this many changes or this long,
whichever comes first. This limits what an interruption loses, by time on a slow machine and by
memory on a fast one."""

Put = Literal["added", "updated", "moved", "unchanged", "again"]
"""The result for a document; `moved`: it has another id now, or belongs to another file and is
otherwise unchanged; `again`: its id had been put before in the same writing call."""


@contextmanager
def writing(
    folder: Path,
    encoder: EncoderSlot,
    *,
    opened: OpenedSegments | None = None,
    on_commit: Callable[[], object] = lambda: None,
    progress: ProgressCallback | None = None,
    memory: int = LATE_MEMORY,
    timeout: float = 0.0,
) -> Iterator[Writer]:
    """One writing call on the index at `folder`: holds its lock, and commits at the end.

    If the block is left by an exception, uncommitted changes and files are dropped.

    Args:
        folder: the index's folder.
        encoder: used only once there is something to encode.
        opened: segments that are open already.
        on_commit: called after every commit.
        progress: called after every batch of the encoder ("encoding", in passages), and while
            token vectors are compressed ("compressing").
        memory: bytes that compressing token vectors may use.
        timeout: seconds to wait for another writer.

    Raises:
        IndexLocked: another writer is active.
        StorageError: the disk is full or cannot be written; earlier commits are kept.
    """
    with Session(
        folder, on_commit, opened=opened, memory=memory, timeout=timeout, progress=progress
    ) as session:
        writer = Writer(session, encoder, progress)
        try:
            yield writer
            writer.end()
        finally:
            writer.cancel()


class Writer:
    """Collects changes, encodes them in blocks and commits them when due.

    A change becomes visible as a whole, with its commit.
    """

    def __init__(
        self, session: Session, encoder: EncoderSlot, progress: ProgressCallback | None
    ) -> None:
        self._given = 0  # characters submitted for encoding, and not withdrawn
        self._session = session
        self._encoder = encoder
        self._encoding = DraftEncoder(session, encoder, progress)
        self._passage_tokens = session.store.settings.passage_tokens
        self._first_number = self._next_number = session.store.next_document
        self._next_passage = session.store.next_passage
        self._forget()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.store.folder)!r})"

    @property
    def tokens(self) -> int:
        """How many tokens of documents were encoded, as the encoder counts them."""
        return round(self._encoding.tokens)

    @property
    def passages(self) -> int:
        """How many passages were encoded."""
        return self._encoding.passages

    @property
    def encoded(self) -> int:
        """How many characters of passages were encoded."""
        return self._encoding.characters

    @property
    def pending(self) -> int:
        """How many characters of passages are still to be encoded."""
        return self._given - self._encoding.characters

    @property
    def store(self) -> Store:
        """The index as of the last commit."""
        return self._session.store

    def put(
        self,
        document: Document,
        source: str | None = None,
        outline: Outline | None = None,
        *,
        reader: str | None = None,
        moved_from: str | None = None,
        ready: Ready = NOTHING,
    ) -> Put:
        """Add a document, or replace the one with its id; an unchanged one costs nothing.

        Passages that the encoder would read the same keep their embeddings.

        Args:
            document: the document.
            source: path of the file it came from.
            outline: its structure; None derives it by `format` or `language` in its metadata.
            reader: how the file was read, from `documents.reader_of`.
            moved_from: id that this document had before: that document is deleted, and unchanged
                passages are not encoded again.
            ready: its ready-made passages and embeddings, if any.

        Raises:
            InputError: the document cannot be stored.
            EncoderError: the encoder cannot be loaded, or its output cannot be stored.
        """
        document = drafts.checked(document)
        if document.id in self._touched:
            self.commit()
        moved = self._leaving(moved_from) if moved_from not in (None, document.id) else None
        waits = self._waiting.get(document.id)
        if waits is not None and moved is None:
            moved = waits.moved_from
        stored = self.store.find(document.id)
        replaced = None if waits is None else waits.replaces
        if stored is not None and stored.number != replaced and stored.number in self._deleted:
            stored = None
        again = waits is not None or (stored is not None and stored.number >= self._first_number)
        made = (document.content_hash, source, reading(ready.reader(reader)))
        if stored is not None and (stored.content_hash, stored.source, stored.reader) == made:
            self._take_back(document.id)
            self._delete_moved(moved)
            return "again" if again else "unchanged"
        before = stored or moved
        if stored is not None and stored.source not in (None, source):
            # The next sync reads that file again, and restores its document.
            self._sources[stored.source] = None
        relabelled = self._change(document, made[1], outline, made[2], before, moved, ready)
        self._delete_moved(moved)
        self._commit_if_due()
        if again or before is None:
            return "again" if again else "added"
        other_file = relabelled and before.source not in (None, source)
        return "moved" if other_file or before.id != document.id else "updated"

    def _leaving(self, id: str) -> StoredDocument | None:
        """The stored document that one with another id will replace; None if it is deleted."""
        if id in self._touched or id in self._waiting:
            self.commit()
        stored = self.store.find(id)
        return None if stored is None or stored.number in self._deleted else stored

    def owner(self, id: str) -> str | None:
        """The file that the document with this id comes from, as of the next commit."""
        if id in self._waiting:
            return self._waiting[id].source
        if id in self._touched:
            return self._touched[id]
        stored = self.store.find(id)
        return None if stored is None or stored.number in self._deleted else stored.source

    def delete(self, number: int) -> None:
        """Delete the stored document with this number."""
        self._deleted.add(number)
        self._commit_if_due()

    def note_source(self, path: str, source: SourceRecord | None) -> None:
        """Store a file's record with the next commit; None removes it, if there is one."""
        if source is None and path not in self._sources and self.store.source(path) is None:
            return
        self._sources[path] = source
        self._commit_if_due()

    def remember(self, key: str, value: JsonValue) -> None:
        """Store a JSON value under a key with the next commit, for `Store.remembered`."""
        self._remembered[key] = value

    def cancel(self) -> None:
        """Stop the encoding in progress; right after a commit there is none."""
        self._encoding.cancel()

    def commit(self) -> None:
        """Make all changes so far durable and visible in one step, if there are any."""
        self._commit(ended=False)

    def end(self) -> None:
        """Commit, and compress the token vectors that the writing call left exact."""
        self._commit(ended=True)

    def _commit(self, *, ended: bool) -> None:
        self._encode()
        self._encoding.flush()
        changes = (self._encoded, self._relabel, self._deleted, self._sources, self._remembered)
        if any(changes):
            with disk_errors(self.store.folder):
                self._session.commit(
                    add=self._encoded,
                    delete=sorted(self._deleted),
                    relabel=self._relabel,
                    sources=self._sources,
                    remember=self._remembered,
                    ended=ended,
                )
        elif ended:
            with disk_errors(self.store.folder):
                self._session.end()
        self._forget()

    def compact(self) -> int:
        """Commit, and merge all segments of each kind; returns the number of passages removed."""
        self.commit()
        with disk_errors(self.store.folder):
            return self._session.compact()

    def give_codec(self, codec: LateCodec | None) -> None:
        """Commit, and store token vectors only with this codec, see `Session.give_codec`."""
        self.commit()
        with disk_errors(self.store.folder):
            self._session.give_codec(codec)

    def train_codec(self, growth: float = 1.0) -> LateCodec | None:
        """Commit, and train the codec by which alone token vectors are stored from now on.

        Args:
            growth: how many times its present token vectors the index will have.

        Returns:
            The codec; None if the index will have so few passages that they stay exact.
        """
        self.commit()
        with disk_errors(self.store.folder):
            return self._session.train_codec(growth)

    def _forget(self) -> None:
        """Reset after a commit."""
        self._waiting: dict[str, Draft] = {}  # not encoded yet
        self._encoded: list[Draft] = []
        self._relabel: list[Relabel] = []
        self._touched: dict[str, str | None] = {}  # ids of `_encoded`, `_relabel`; their sources
        self._deleted: set[int] = set()
        self._sources: dict[str, SourceRecord | None] = {}
        self._remembered: dict[str, JsonValue] = {}
        self._waiting_characters = 0
        self._characters = 0
        self._since = time.monotonic()

    def _take_back(self, id: str) -> None:
        """Withdraw a waiting document with this id, if there is one.

        The document that it was to replace is kept, unless that has another id: then it has moved,
        whatever is put next.
        """
        draft = self._waiting.pop(id, None)
        if draft is None:
            return
        self._waiting_characters -= len(draft.document.text)
        self._given -= draft.characters
        moved = draft.moved_from
        if draft.replaces is not None and (moved is None or moved.number != draft.replaces):
            self._deleted.discard(draft.replaces)

    def _delete_moved(self, moved: StoredDocument | None) -> None:
        """Delete the document that was stored under another id."""
        if moved is not None:
            self._deleted.add(moved.number)

    def _change(
        self,
        document: Document,
        source: str | None,
        outline: Outline | None,
        reader: str,
        stored: StoredDocument | None,
        moved: StoredDocument | None,
        ready: Ready,
    ) -> bool:
        """Register a document; returns whether only the stored one's row changes."""
        given = ready.embeddings
        if given is not None:
            blank = given.has_vectors()
            passages, tokens = drafts.whole(document, ready.spans, blank=blank), 0
        else:
            passages, tokens = drafts.cut(
                document,
                outline,
                self._encoder.get(),
                self._encoding.context_builder().budget,
                self._passage_tokens,
                ready.spans,
            )
        rows = drafts.rows(
            document, passages, number=self._next_number, first_id=self._next_passage
        )
        replaces = None if stored is None else stored.number
        draft = Draft(document, self._next_number, source, reader, rows, replaces, tokens)
        draft = replace(draft, moved_from=moved, given=given)
        relabel = False
        # Vectors that were supplied say nothing about other ones.
        if stored is not None and given is None and not is_given(reader_read(stored.reader)):
            together = self._session.store.settings.long_context
            context_builder = self._encoding.context_builder()
            draft = revised(draft, stored, self.store, context_builder, together=together)
            relabel = stored.id == document.id and is_relabel(draft, stored, self.store)
        self._take_back(document.id)  # only after everything that can raise
        if stored is not None and relabel:
            self._relabel.append(Relabel(stored.number, document, source, reader))
            self._touched[document.id] = source
            return True
        if stored is not None:
            self._deleted.add(stored.number)
        self._next_number += 1
        self._next_passage += len(draft.new)
        self._waiting[document.id] = draft
        self._waiting_characters += len(document.text)
        self._given += draft.characters
        if self._waiting_characters >= self._encoding.block_characters:
            self._encode()
        return False

    def _commit_if_due(self) -> None:
        changes = len(self._touched) + len(self._waiting) + len(self._deleted) + len(self._sources)
        if (
            self._encoding.spilled
            or changes >= COMMIT_CHANGES
            or self._characters + self._waiting_characters >= COMMIT_CHARACTERS
            or time.monotonic() - self._since >= COMMIT_SECONDS
        ):
            self.commit()

    def _encode(self) -> None:
        """Encode the waiting documents."""
        drafts = list(self._waiting.values())
        self._encoding.encode(drafts)
        self._encoded += drafts
        self._touched |= {draft.document.id: draft.source for draft in drafts}
        self._characters += self._waiting_characters
        self._waiting, self._waiting_characters = {}, 0
