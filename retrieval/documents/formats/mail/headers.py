"""A message's headers as people read them: words, addresses, dates, the thread."""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from datetime import UTC
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime
from functools import partial
from typing import TypeVar

from retrieval.documents.charsets import codec_of_label
from retrieval.documents.decoding import decode

MAX_ADDRESSES = 100
"""More recipients of one message are not kept."""
T = TypeVar("T")
U = TypeVar("U")
_LABELS = ("x-gmail-labels", "x-keywords", "keywords")
_MAX_HEADER = 20_000
_UNSAFE = (
    RecursionError,
    LookupError,
    TypeError,
    ValueError,
    HeaderParseError,
    binascii.Error,
    AssertionError,
)
"""What the standard library raises on headers that are not as they should be."""
_ID = re.compile(r"<([^<>\s]{1,400})>")
_FOLDED = re.compile(r"[\x00-\x20\x7f]+")
_SURROGATE = re.compile("[\ud800-\udfff]")


def text_of(data: bytes, charset: str, *, language: str = "text") -> str:
    """Bytes as text: in the charset that the message names, or in the one that they show."""
    label = charset.strip("\"' ").lower()
    codec = codec_of_label(label)
    # Who says ASCII, or nothing, says nothing: the bytes decide.
    known = None if codec is None or label in ("us-ascii", "ascii") else label
    return decode(data, language=language, encoding=known)[0]


def words(value: str) -> str:
    """A header's value on one line, encoded words decoded."""
    value = _FOLDED.sub(" ", _bytes_as_text(value[:_MAX_HEADER]))
    if "=?" in value:
        try:
            pieces = decode_header(value)
        except _UNSAFE:
            pieces = [(value, None)]
        value = "".join(
            piece if isinstance(piece, str) else _decoded(piece, charset)
            for piece, charset in pieces
        )
    return _FOLDED.sub(" ", _SURROGATE.sub("\ufffd", value)).strip()


def header(message: Message, name: str) -> str:
    """The words of a message's header, or ""."""
    return words(_raw(message, name)[0]) if _raw(message, name) else ""


def addresses(message: Message, *names: str) -> list[str]:
    """Who is named in headers: `Ada Lovelace <ada@example.org>`, or the address alone."""
    found: list[str] = []
    for name in names:
        for raw in _raw(message, name):
            value = " ".join(_bytes_as_text(raw[:_MAX_HEADER]).split())
            parted = safely(partial(getaddresses, [value]), None) or []
            pairs = [pair for pair in parted if any(pair)]
            if not pairs and (said := words(value)):  # what is not an address is shown as it is
                pairs = [(said, "")]
            for called, address in pairs:
                called = words(called)
                plain = not called or called == address
                both = address if plain else f"{called} <{address}>" if address else called
                found.append(_FOLDED.sub(" ", both))
    return list(dict.fromkeys(found))[:MAX_ADDRESSES]


def date(message: Message) -> str:
    """When a message was sent: `2024-03-01T09:30:00Z`, or "" if it does not say."""
    said = header(message, "date") or header(message, "delivery-date")
    try:
        found = parsedate_to_datetime(said)
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        return found.replace(microsecond=0, tzinfo=None).isoformat() + "Z"
    except (*_UNSAFE, OverflowError):
        return ""


def labels(message: Message) -> list[str]:
    """What a message is filed under, as Gmail and others export it."""
    said = [header(message, name) for name in _LABELS]
    parted = [label.strip(' "') for one in said for label in one.split(",")]
    return list(dict.fromkeys(filter(None, parted)))[:MAX_ADDRESSES]


def message_id(message: Message) -> str:
    """A message's own id, without its brackets, or ""."""
    found = _ids(message, "message-id")
    return found[0] if found else ""


def thread(message: Message) -> str:
    """The id of the message that began the thread which a message is a part of, or ""."""
    for name in ("references", "in-reply-to", "message-id"):
        if found := _ids(message, name):
            return found[0]
    return ""


def safely(ask: Callable[[], T], otherwise: U) -> T | U:
    """What a function of the standard library says of a message, where it is up to it."""
    try:
        return ask()
    except _UNSAFE:
        return otherwise


def _ids(message: Message, name: str) -> list[str]:
    return [id for raw in _raw(message, name) for id in _ID.findall(_bytes_as_text(raw))]


def _raw(message: Message, name: str) -> list[str]:
    """A header's values as they stand in the file."""
    return [value for key, value in message.raw_items() if key.lower() == name]


def _bytes_as_text(value: str) -> str:
    """A header's value; bytes in it that are no ASCII are read as those of a file are."""
    if value.isascii():
        return value
    return decode(value.encode("utf-8", "surrogateescape"))[0]


def _decoded(piece: bytes, charset: str | None) -> str:
    return text_of(piece, charset or "")
