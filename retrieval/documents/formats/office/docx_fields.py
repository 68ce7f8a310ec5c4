"""Fields of Word: what stands in their instructions is not shown, only their results are.

A field is `begin`, its instruction, `separate`, its result, `end`, over runs and paragraphs. An
instruction may hold other fields with results of their own, as that of
`IF { MERGEFIELD sex } = "m" ...` does; those are part of what is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from retrieval.documents.formats.office.xml_parts import Element

_MARK = "w:fldChar"
_UNSEEN = "w:instrText"
_KEPT = frozenset({"w:lastRenderedPageBreak", _MARK})
_APART = frozenset({"w:txbxContent", "w:footnote", "w:endnote", "w:comment"})
"""Elements that no field leads into or out of."""


@dataclass(slots=True)
class _Field:
    """One that is open, with what stands in its instruction."""

    asked: list[Element] = field(default_factory=list)
    has_result: bool = False


def hide_instructions(root: Element) -> None:
    """Make what stands in the instructions of a part's fields plain instruction.

    A field without an end is none: what follows it stays.
    """
    if next(root.iter(_MARK), None) is None:
        return
    for story in [root, *(one for one in root.iter() if one.tag in _APART and one is not root)]:
        for element in _asked(story):
            element.tag = _UNSEEN


def _asked(story: Element) -> list[Element]:
    """What stands in the instructions of fields."""
    found: list[Element] = []
    fields: list[_Field] = []
    for element in _pieces(story):
        kind = element.get("w:fldCharType", "") if element.tag == _MARK else ""
        asking = next((one for one in fields if not one.has_result), None)
        if kind == "begin":
            fields.append(_Field())
        elif kind == "separate" and fields:
            fields[-1].has_result = True
        elif kind == "end" and fields:
            ended = fields.pop()
            # What an outer instruction holds goes with that one, whether it ends or not.
            outer = asking if asking is not ended else None
            (outer.asked if outer else found).extend(ended.asked)
        elif asking is not None and element.tag not in _KEPT:
            asking.asked.append(element)
    return found


def _pieces(story: Element) -> Iterator[Element]:
    """What runs hold, and formulas, in order, without what stands in text boxes."""
    waiting = [*reversed(story)]
    while waiting:
        element = waiting.pop()
        if element.tag == "w:r":
            yield from element
        elif element.tag == "m:oMath":
            yield element
        elif element.tag not in _APART:
            waiting += reversed(element)
