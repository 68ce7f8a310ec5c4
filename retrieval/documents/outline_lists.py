"""Converting an outline to and from lists of plain values, to pass it on or store it as JSON.

Lists are checked when they are read back: they may come from untrusted data, or from a place where
others can write.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeVar, get_args

from retrieval.documents.outline import (
    MAX_LEVEL,
    Block,
    BlockKind,
    Mark,
    Outline,
    Part,
    Section,
    Unit,
)

_KINDS = get_args(BlockKind)
_UNITS = get_args(Unit)

_Value = TypeVar("_Value")


def outline_as_lists(outline: Outline) -> list[Any]:
    """The outline's values in the order of the classes' fields, as `outline_of` takes them."""
    return [
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


def outline_of(text: str, lists: Any) -> Outline:
    """The outline of a text, from the lists of `outline_as_lists`.

    Raises:
        ValueError: they do not have that form, or contain offsets beyond the text.
    """
    try:
        return _outline(text, *lists)
    except (TypeError, LookupError) as error:
        raise ValueError(f"it is not an outline: {error}") from None


def of_type(kind: type[_Value], value: Any) -> _Value:
    """The value, if it is of exactly this type; otherwise raises ValueError."""
    if type(value) is not kind:
        raise ValueError(f"a {type(value).__name__} stands in the place of a {kind.__name__}")
    return value


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
            Section(
                of_type(str, heading), _within(level, MAX_LEVEL), *map(place, (start, body, stop))
            )
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
                Part(place(start), _within(level, MAX_LEVEL), of_type(bool, joins))
                for start, level, joins in parts
            ]
        ),
        tuple([place(offset) for offset in offsets] for offsets in breaks),
        of_type(bool, sentences),
    )


def _block(fields: Any, place: Callable[[Any], int]) -> Block:
    kind, start, end, lead, language, name, signature, doc, lead_start, head = fields
    return Block(
        _one_of(_KINDS, kind),
        place(start),
        place(end),
        of_type(str, lead),
        of_type(str, language),
        of_type(str, name),
        of_type(str, signature),
        doc=None if doc is None else (place(doc[0]), place(doc[1])),
        lead_start=None if lead_start is None else place(lead_start),
        head=None if head is None else place(head),
    )


def _number_or_words(value: Any) -> int | str:
    return value if type(value) is int else of_type(str, value)


def _within(value: Any, most: int) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"{value!r:.40} stands in the wrong place")
    return value


def _one_of(values: Sequence[str], value: Any) -> Any:
    if value not in values:
        raise ValueError(f"{value!r:.40} stands in the wrong place")
    return value


def _ascending(found: list[Any]) -> list[Any]:
    if any(later.start < earlier.start for earlier, later in pairwise(found)):
        raise ValueError("what is to ascend does not")
    return found
