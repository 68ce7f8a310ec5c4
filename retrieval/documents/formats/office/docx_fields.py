"""Fields of Word: their instructions are not displayed, only their results.

A field consists of `begin`, its instruction, `separate`, its result and `end`, which may spread
over runs and paragraphs. An instruction may contain other fields with results of their own, such as
`IF { MERGEFIELD sex } = "m" ...`; these are part of the instruction.
"""

from __future__ import annotations

from collections.abc import Iterator

from retrieval.documents.formats.office.xml_parts import Element

_MARK = "w:fldChar"
_UNSEEN = "w:instrText"
_KEPT = frozenset({"w:lastRenderedPageBreak", _MARK})
_APART = frozenset({"w:txbxContent", "w:footnote", "w:endnote", "w:comment"})
"""Elements whose boundaries no field crosses."""


def hide_instructions(root: Element) -> None:
    """Turn all elements in the instructions of a part's fields into instruction text.

    A field without an end does not count as a field: what follows it is kept.
    """
    if next(root.iter(_MARK), None) is None:
        return
    for story in [root, *(one for one in root.iter() if one.tag in _APART and one is not root)]:
        for element in _asked(story):
            element.tag = _UNSEEN


def _asked(story: Element) -> list[Element]:
    """The elements in the instructions of fields."""
    found: list[Element] = []
    fields: list[list[Element]] = []  # the open ones, each as the elements of its instruction
    asking: list[list[Element]] = []  # those of them whose result has not begun
    for element in _pieces(story):
        kind = element.get("w:fldCharType", "") if element.tag == _MARK else ""
        outermost = asking[0] if asking else None
        if kind == "begin":
            fields.append([])
            asking.append(fields[-1])
        elif kind in ("separate", "end") and fields:
            if asking and asking[-1] is fields[-1]:
                asking.pop()
            if kind == "end":
                ended = fields.pop()
                # What is in an outer instruction is treated like it, whether that field ends or
                # not.
                (found if outermost is None or outermost is ended else outermost).extend(ended)
        elif outermost is not None and element.tag not in _KEPT:
            outermost.append(element)
    return found


def _pieces(story: Element) -> Iterator[Element]:
    """The content of runs, and formulas, in order, except for what is in text boxes or notes."""
    waiting = [*reversed(story)]
    while waiting:
        element = waiting.pop()
        if element.tag == "w:r":
            yield from element
        elif element.tag == "m:oMath":
            yield element
        elif element.tag not in _APART:
            waiting += reversed(element)
