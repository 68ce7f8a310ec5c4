"""A caller's document on its way into the index: checked, cut, and put before the encoder."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.documents import chunk
from retrieval.documents.outline import Outline
from retrieval.errors import InputError
from retrieval.store import PassageRow
from retrieval.types import Document, Encoder, Passage

TITLE_CHARACTERS = 200
"""More of a title than this is not put before each passage: it would drown the passage."""

_SPECIAL_TOKENS = 4  # markers an encoder may put around a text, and the line break after a title
_LEAST_TOKENS = 16  # of a passage, whatever the title's length


def checked(document: Document) -> Document:
    """The document with its metadata as JSON gives them back.

    Raises:
        InputError: an id, title, text or metadata that cannot be stored.
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
        text = json.dumps(metadata, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"the metadata of document {document.id!r} cannot be stored as JSON ({error}); "
            "give texts, finite numbers, booleans, lists and objects"
        ) from error
    _encodable(document.id, "metadata", text)
    return Document(document.id, document.text, document.title, json.loads(text))


def cut(
    document: Document, outline: Outline | None, encoder: Encoder, passage_tokens: int
) -> tuple[list[Passage], int]:
    """The document's passages, short enough for the encoder to read each with its title.

    And how many tokens its text has.
    """
    tokens = 0

    def counted(text: str) -> NDArray[np.int64]:
        nonlocal tokens
        spans = encoder.token_spans(text)
        tokens += len(spans)
        return spans

    title = len(encoder.token_spans(_shown(document.title))) if document.title else 0
    room = max(encoder.max_tokens - title - _SPECIAL_TOKENS, _LEAST_TOKENS)
    most = min(passage_tokens, room)
    return chunk(document, counted, outline=outline, max_tokens=most), tokens


def rows(
    document: Document, passages: Sequence[Passage], *, number: int, first_id: int
) -> list[PassageRow]:
    """The passages as they are stored: numbered from `first_id` on, with their lines."""
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
        passages: its passages' rows.
        replaces: number of the stored document that leaves for it, or None.
        tokens: of its text.
    """

    document: Document
    number: int
    source: str | None
    passages: Sequence[PassageRow]
    replaces: int | None = None
    tokens: int = 0

    @property
    def characters(self) -> int:
        """Of all its passages."""
        return sum(row.end - row.start for row in self.passages)

    def texts(self) -> Iterator[str]:
        """What the encoder reads of each passage: the title, a line break, the passage.

        A passage taken from the middle of a document seldom says what the document is about;
        its title does. It is left out where the passage has it already.
        """
        for row in self.passages:
            text = self.document.text[row.start : row.end]
            yield before(self.document.title, text) + text


def before(title: str, text: str) -> str:
    """What is read before a passage of this text: its document's title and a line break, or ""."""
    title = _shown(title)
    return f"{title}\n" if title and title not in text else ""


def _shown(title: str) -> str:
    return title[:TITLE_CHARACTERS].strip()


def _encodable(id: str, name: str, value: str) -> None:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"the {name} of document {id!r} has half a surrogate pair at character {error.start}, "
            "which is no text; decode it with errors='replace'"
        ) from error
