"""Requests, and what a format made of bytes, as frames of JSON: nothing that runs code is read.

A frame is its length, 8 bytes, the highest first, and so many bytes. What a worker sends is
checked as it is read: the worker has parsed foreign bytes, so its word counts as theirs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import IO, Any, TypeVar, get_args

from retrieval.documents.formats.format import Parsed
from retrieval.documents.outline import (
    MAX_LEVEL,
    Block,
    BlockKind,
    Mark,
    Outline,
    Part,
    Section,
)

_LENGTH = 8
_KINDS = get_args(BlockKind)
_UNITS = ("page", "cell", "row", "time", "part")

_Value = TypeVar("_Value")


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
    outline = parsed.outline
    return [
        parsed.text,
        parsed.title,
        dict(parsed.metadata),
        parsed.id,
        list(parsed.problems),
        parsed.format,
        parsed.by_layout,
        [[s.heading, s.level, s.start, s.body, s.end] for s in outline.sections],
        [_block_as_list(block) for block in outline.blocks],
        [[mark.start, mark.unit, mark.value] for mark in outline.marks],
        [[part.start, part.level, part.joins] for part in outline.parts],
        [list(map(int, offsets)) for offsets in outline.breaks],
        outline.sentences,
    ]


def _block_as_list(block: Block) -> list[Any]:
    return [
        block.kind,
        block.start,
        block.end,
        block.lead,
        block.language,
        block.name,
        block.signature,
        None if block.doc is None else list(block.doc),
        block.lead_start,
        block.head,
    ]


def parsed_of(value: Any) -> Parsed:
    """What a format made of bytes, from what was sent.

    Raises:
        WireError: it is not of that form, or names places that the text does not have.
    """
    try:
        text, title, metadata, id, problems, format, by_layout, *outline = value
        text = _is(str, text)
        return Parsed(
            text,
            _is(str, title),
            _is(dict, metadata),
            _outline(text, *outline),
            None if id is None else _is(str, id),
            tuple(_is(str, problem) for problem in problems),
            _is(str, format),
            _is(bool, by_layout),
        )
    except (ValueError, TypeError, LookupError):
        raise WireError from None


def _outline(
    text: str,
    sections: Any,
    blocks: Any,
    marks: Any,
    parts: Any,
    breaks: Any,
    sentences: Any,
) -> Outline:
    end = len(text)

    def place(value: Any) -> int:
        return _within(value, end)

    return Outline(
        [
            Section(_is(str, heading), _within(level, MAX_LEVEL), *map(place, (start, body, stop)))
            for heading, level, start, body, stop in sections
        ],
        [_block(fields, place) for fields in blocks],
        _ascending(
            [
                Mark(
                    place(start),
                    _one_of(_UNITS, unit),
                    _number_or_words(value),
                )
                for start, unit, value in marks
            ]
        ),
        _ascending(
            [
                Part(place(start), _within(level, MAX_LEVEL), _is(bool, joins))
                for start, level, joins in parts
            ]
        ),
        tuple([place(offset) for offset in offsets] for offsets in breaks),
        _is(bool, sentences),
    )


def _block(fields: Any, place: Callable[[Any], int]) -> Block:
    kind, start, end, lead, language, name, signature, doc, lead_start, head = fields
    return Block(
        _one_of(_KINDS, kind),
        place(start),
        place(end),
        _is(str, lead),
        _is(str, language),
        _is(str, name),
        _is(str, signature),
        doc=None if doc is None else (place(doc[0]), place(doc[1])),
        lead_start=None if lead_start is None else place(lead_start),
        head=None if head is None else place(head),
    )


def _is(kind: type[_Value], value: Any) -> _Value:
    if type(value) is not kind:
        raise WireError
    return value


def _number_or_words(value: Any) -> int | str:
    return value if type(value) is int else _is(str, value)


def _within(value: Any, most: int) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise WireError
    return value


def _one_of(values: Sequence[str], value: Any) -> Any:
    if value not in values:
        raise WireError
    return value


def _ascending(found: list[Any]) -> list[Any]:
    if any(later.start < earlier.start for earlier, later in pairwise(found)):
        raise WireError
    return found
