"""A document to be added: checked, cut into passages, and waiting for its embeddings."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from retrieval.documents import chunk
from retrieval.documents.outline import Outline
from retrieval.errors import InputError
from retrieval.index import ready
from retrieval.index.context_builder import ContextBuilder, lexical_fields, path_of
from retrieval.store import PassageRow, StoredDocument
from retrieval.types import Document, Embeddings, Encoder, Passage

_SPECIAL_TOKENS = 4  # markers an encoder may put around a text, and line breaks in the context
_LEAST_TOKENS = 16  # minimum for a passage, however long its context
_MOST_LEVELS = 100  # of metadata; what is nested deeper, not every reader of JSON can read


def checked(document: Document) -> Document:
    """The document with its metadata as read back from JSON.

    Raises:
        InputError: its id, title, text or metadata cannot be stored.
    """
    if not isinstance(document, Document):
        raise InputError(f"{type(document).__name__} is not a Document; give retrieval.Document")
    if not isinstance(document.id, str) or not document.id:
        raise InputError(f"document id {document.id!r} is not a text; give each document one")
    for name, value in (("id", document.id), ("title", document.title), ("text", document.text)):
        if not isinstance(value, str):
            raise InputError(
                f"document {document.id!r} has the {name} {value!r}, which is not a text; "
                "give a str"
            )
        _encodable(document.id, name, value)
    try:
        metadata = dict(document.metadata)
        if any(not isinstance(key, str) for key in metadata):
            raise TypeError("a key is not a text")
        text = json.dumps(metadata, default=_plain, ensure_ascii=False, allow_nan=False)
        metadata = json.loads(text)
        if text.count("{") + text.count("[") > _MOST_LEVELS and _is_deep(metadata):
            raise ValueError(f"it is nested more than {_MOST_LEVELS} levels deep")
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"the metadata of document {document.id!r} cannot be stored as JSON ({error}); "
            "give texts, finite numbers, booleans, dates, times, lists and objects"
        ) from error
    _encodable(document.id, "metadata", text)
    return Document(document.id, document.text, document.title, metadata)


def cut(
    document: Document,
    outline: Outline | None,
    encoder: Encoder,
    budget: int,
    passage_tokens: int,
    spans: Sequence[tuple[int, int]] | None = None,
) -> tuple[list[Passage], int]:
    """The document's passages, short enough for the encoder to read each with its context.

    Args:
        document: the document.
        outline: its structure; None derives it from the text by its metadata.
        encoder: counts tokens.
        budget: maximum tokens of a context.
        passage_tokens: maximum tokens of a passage.
        spans: the passages, if they are ready-made.

    Returns:
        The passages, and how many tokens the document's text has.

    Raises:
        InputError: a ready-made passage is invalid, or longer than the encoder reads.
    """
    tokens = 0

    def counted(text: str) -> NDArray[np.int64]:
        nonlocal tokens
        spans = encoder.token_spans(text)
        tokens += len(spans)
        return spans

    room = max(encoder.max_tokens - budget - _SPECIAL_TOKENS, _LEAST_TOKENS)
    if spans is not None:
        passages = whole(document, spans)
        for one in passages:
            length = len(counted(document.text[one.start : one.end]))
            if length > room:
                raise InputError(
                    f"passage ({one.start}, {one.end}) of document {document.id!r} has {length} "
                    f"tokens; encoder {encoder.name!r} reads {room} beside its context: give "
                    "shorter ones"
                )
        return passages, tokens
    most = min(passage_tokens, room)
    return chunk(document, counted, outline=outline, max_tokens=most), tokens


def whole(
    document: Document, spans: Sequence[tuple[int, int]] | None = None, *, blank: bool = False
) -> list[Passage]:
    """The ready-made passages, or the whole document, without surrounding white space, as one.

    Args:
        document: the document.
        spans: the passages, if they are ready-made.
        blank: whether a document without words gives an empty passage, or none.

    Raises:
        InputError: a ready-made passage is invalid.
    """
    text = document.text
    if spans is not None:
        ready.checked(document, spans)
        return [Passage(document.id, at, *span) for at, span in enumerate(spans)]
    start, end = len(text) - len(text.lstrip()), len(text.rstrip())
    if start >= end:
        return [Passage(document.id, 0, 0, 0)] if blank else []
    return [Passage(document.id, 0, start, end)]


def rows(
    document: Document, passages: Sequence[Passage], *, number: int, first_id: int
) -> list[PassageRow]:
    """The passages' rows to store: numbered from `first_id` on, with line numbers."""
    breaks = [match.start() for match in re.finditer("\n", document.text)]
    return [
        PassageRow(
            id=first_id + place,
            document=number,
            ordinal=passage.ordinal,
            start=passage.start,
            end=passage.end,
            first_line=1 + bisect_left(breaks, passage.start),
            last_line=1 + bisect_left(breaks, max(passage.start, passage.end - 1)),
            context=passage.context,
            place=passage.place,
        )
        for place, passage in enumerate(passages)
    ]


@dataclass(frozen=True, slots=True)
class Draft:
    """A document that waits for its embeddings, with what it replaces.

    Attributes:
        document: the document, checked.
        number: its number in the store.
        source: path of the file it came from, or None.
        reader: how it was read and cut, see `context_builder.reading`.
        passages: its passages' rows.
        replaces: number of the stored document that it replaces, or None.
        tokens: tokens of its text.
        taken: ids of passages that it takes over from that document: the encoder's input is
            unchanged, so their embeddings are kept.
        refielded: those of them whose words in the lexical index change.
        given: the embeddings of its passages, if they were supplied.
        moved_from: the stored document with another id that this one continues, or None.
    """

    document: Document
    number: int
    source: str | None
    reader: str
    passages: Sequence[PassageRow]
    replaces: int | None = None
    tokens: int = 0
    taken: frozenset[int] = field(default_factory=frozenset)
    refielded: frozenset[int] = field(default_factory=frozenset)
    given: Embeddings | None = None
    moved_from: StoredDocument | None = None

    @property
    def path(self) -> str | None:
        """The file that its metadata name."""
        return path_of(self.document.metadata)

    @property
    def new(self) -> list[PassageRow]:
        """The passages that have to be encoded."""
        return [row for row in self.passages if row.id not in self.taken]

    @property
    def characters(self) -> int:
        """Characters of all passages that have to be encoded."""
        if self.given is not None:
            return 0
        return sum(row.end - row.start for row in self.new)

    @property
    def tokens_per_character(self) -> float:
        """Average tokens per character of its passages."""
        return self.tokens / max(1, sum(row.end - row.start for row in self.passages))

    def text_of(self, row: PassageRow) -> str:
        """A passage's text."""
        return self.document.text[row.start : row.end]

    def texts(self, contexts: ContextBuilder) -> Iterator[str]:
        """The encoder's input for each passage that has to be encoded: context, then text."""
        for row in self.new:
            text = self.text_of(row)
            yield contexts.before(self.document.title, self.path, row.context, text) + text

    def fields(self) -> Iterator[tuple[int, Mapping[str, str]]]:
        """Id and fields of each passage that is new or changed in the lexical index."""
        for row in self.passages:
            if row.id not in self.taken or row.id in self.refielded:
                yield row.id, self.fields_of(row)

    def fields_of(self, row: PassageRow) -> Mapping[str, str]:
        """The lexical fields of a passage."""
        return lexical_fields(self.document.title, self.path, row.context, self.text_of(row))


def _is_deep(metadata: dict[str, Any]) -> bool:
    """Whether the metadata have more than `_MOST_LEVELS` levels."""
    level: list[Any] = [metadata]
    for _ in range(_MOST_LEVELS):
        inner = [one.values() if isinstance(one, dict) else one for one in level]
        level = [item for items in inner for item in items if isinstance(item, dict | list)]
    return bool(level)


def _plain(value: Any) -> Any:
    """Convert a value for JSON: dates and times to ISO 8601, other types as possible."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, date | time):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Decimal):
        whole = value.is_finite() and value == value.to_integral_value()
        return int(value) if whole else float(value)
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be stored")


def _encodable(id: str, name: str, value: str) -> None:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"the {name} of document {id!r} has half a surrogate pair at character {error.start}, "
            "which is not valid text; decode it with errors='replace'"
        ) from error
