"""A passage as the encoder and the lexical index read it: with its context.

A passage from the middle of a document seldom says what it is about; its headings, the class that a
method belongs to, the header of a table, the document's title and the file's name do. The encoder
reads them before the passage, up to a share of a passage's tokens; the lexical index has each as a
separate field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from retrieval.types import Context, Encoder

CONTEXT_SHARE = 0.25
"""Maximum share of a passage's tokens; docs/decisions/context.md has the measurements."""

PIECE_CHARACTERS = 200
"""Maximum length of a title, heading or signature; more would drown the passage."""

VERSION = 1
"""Raised whenever contexts or passages are made in a different way."""

SEPARATOR = " > "

_RUN = re.compile(r"[^\W_]+")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_a-zA-Z]+")


class ContextBuilder:
    """Makes the contexts that an encoder reads before passages; caches counts of tokens."""

    def __init__(self, tokens: Callable[[str], int], passage_tokens: int) -> None:
        """Set how to count tokens.

        Args:
            tokens: counts the encoder's tokens of a text.
            passage_tokens: maximum tokens of a passage.
        """
        self.budget = int(CONTEXT_SHARE * passage_tokens)
        self._tokens = tokens
        self._counts: dict[str, int] = {}

    @classmethod
    def of(cls, encoder: Encoder, passage_tokens: int) -> ContextBuilder:
        """For this encoder."""
        return cls(lambda text: len(encoder.token_spans(text)), passage_tokens)

    def before(self, title: str, path: str | None, context: Context, text: str) -> str:
        """The context to read in front of a passage of this text, with its line break, or "".

        Pieces that the passage itself contains are left out. Those that do not fit the budget are
        dropped, the least informative first: see `_pieces`.
        """
        left = self.budget
        kept = []
        for piece in _pieces(title, path, context, text):
            count = self._count(piece.words)
            if count <= left:
                left -= count
                kept.append(piece)
        return _joined(kept)

    def _count(self, piece: str) -> int:
        if piece not in self._counts:
            if len(self._counts) > 10_000:
                self._counts.clear()
            self._counts[piece] = self._tokens(piece) + 1
        return self._counts[piece]


def whole_context(title: str, path: str | None, context: Context, text: str) -> str:
    """The context of a passage without a token limit, or ""."""
    return _joined(_pieces(title, path, context, text)).rstrip("\n")


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a context: its line, its position in the line, and its text."""

    line: int
    order: int
    words: str


def _pieces(title: str, path: str | None, context: Context, text: str) -> list[_Piece]:
    """The parts of a passage's context that it does not contain, most informative first.

    The order is by how much is lost without each: the definition's name, the file's, the table's
    header, the nearest heading, the signature, the title, the outer headings from the inside
    out.
    """
    headings = [_Piece(0, 2 + at, words) for at, words in enumerate(context.headings)]
    pieces = [
        _Piece(1, 0, symbol_words(context.symbol)),
        _Piece(0, 0, path_words(path) if path else ""),
        _Piece(2, 0, context.lead),
        *headings[-1:],
        _Piece(1, 1, context.signature),
        _Piece(0, 1, title),
        *headings[-2::-1],
    ]
    known: set[str] = set()
    told = []
    for piece in pieces:
        words = " ".join(piece.words[:PIECE_CHARACTERS].split())
        if words and words not in known and words not in text:
            known.add(words)
            told.append(_Piece(piece.line, piece.order, words))
    return told


def _joined(pieces: Iterable[_Piece]) -> str:
    lines: dict[int, list[str]] = {}
    for piece in sorted(pieces, key=lambda piece: (piece.line, piece.order)):
        lines.setdefault(piece.line, []).append(piece.words)
    return "".join(f"{SEPARATOR.join(words)}\n" for words in lines.values())


def lexical_fields(title: str, path: str | None, context: Context, text: str) -> Mapping[str, str]:
    """The text that a passage is searched by in each field of the lexical index."""
    # The header counts as text, so that later rows match its words as the first ones do.
    has_lead = not context.lead or context.lead in text
    fields = {
        "text": text if has_lead else f"{context.lead}\n{text}",
        "title": title,
        "path": path_words(path) if path else "",
        "headings": "\n".join(heading for heading in context.headings if heading != title),
        "symbol": "\n".join(dict.fromkeys([context.symbol, *context.defines])),
    }
    return {name: words for name, words in fields.items() if words}


def path_of(metadata: Mapping[str, Any]) -> str | None:
    """The file that a document with this metadata came from, or None."""
    path = metadata.get("path")
    return path if isinstance(path, str) else None


def path_words(path: str) -> str:
    """The words of a file's folder and name, without its suffix: `docs/acme-2024.txt` has 3."""
    return " ".join(_RUN.findall(str(PurePosixPath(path).with_suffix(""))))


def symbol_words(symbol: str) -> str:
    """A definition's name as words: `HttpClient.get_json` has 4."""
    return " ".join(part.lower() for part in _PART.findall(symbol))


def reading(reader: str | None) -> str:
    """How a document was cut and read, for storing: this module's version and its reader.

    Args:
        reader: `documents.reader_of` of its file; None without a file.
    """
    return f"{VERSION} {reader}" if reader else str(VERSION)


def reader_read(reading: str | None) -> str | None:
    """The reader in a result of `reading`, or None if this release cuts or reads differently."""
    if reading is None:
        return None
    version, _, reader = reading.partition(" ")
    return reader if version == str(VERSION) else None


def same_reading(one: str | None, other: str | None) -> bool:
    """Whether passages of documents with these readings have the same contexts."""
    return one is not None and other is not None and one.split(" ")[0] == other.split(" ")[0]
