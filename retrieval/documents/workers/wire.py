"""Requests, and what a format made of bytes, as frames of JSON: nothing that runs code is read.

A frame is its length, 8 bytes, the highest first, and so many bytes. What a worker sends is
checked as it is read: the worker has parsed foreign bytes, so its word counts as theirs.
"""

from __future__ import annotations

import json
from typing import IO, Any

from retrieval.documents.formats.format import Parsed
from retrieval.documents.outline_lists import of_type, outline_as_lists, outline_of

_LENGTH = 8


class WireError(Exception):
    """What came is not what is sent."""


def write(stream: IO[bytes], payload: bytes) -> None:
    """Send a frame."""
    stream.write(len(payload).to_bytes(_LENGTH, "big"))
    stream.write(payload)


def read(stream: IO[bytes], most: int) -> bytes | None:
    """The next frame; None where the stream ends.

    Raises:
        WireError: it has more than `most` bytes.
    """
    length = stream.read(_LENGTH)
    if length is None or len(length) < _LENGTH:
        return None
    size = int.from_bytes(length, "big")
    if size > most:
        raise WireError
    payload = stream.read(size)
    return None if payload is None or len(payload) < size else payload


def dumped(value: Any) -> bytes:
    """A value as JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "surrogatepass"
    )


def loaded(payload: bytes) -> Any:
    """The value of a frame of JSON.

    Raises:
        WireError: it is none.
    """
    try:
        return json.loads(payload.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        raise WireError from None


def parsed_as_lists(parsed: Parsed) -> list[Any]:
    """What a format made of bytes, as `parsed_of` takes it."""
    return [
        parsed.text,
        parsed.title,
        dict(parsed.metadata),
        parsed.id,
        list(parsed.problems),
        parsed.format,
        parsed.by_layout,
        *outline_as_lists(parsed.outline),
    ]


def parsed_of(value: Any) -> Parsed:
    """What a format made of bytes, from what was sent.

    Raises:
        WireError: it is not of that form, or names places that the text does not have.
    """
    try:
        text, title, metadata, id, problems, format, by_layout, *outline = value
        text = of_type(str, text)
        return Parsed(
            text,
            of_type(str, title),
            of_type(dict, metadata),
            outline_of(text, outline),
            None if id is None else of_type(str, id),
            tuple(of_type(str, problem) for problem in problems),
            of_type(str, format),
            of_type(bool, by_layout),
        )
    except (ValueError, TypeError, LookupError):
        raise WireError from None
