"""Formulas as a line of text: Office's (OMML) and MathML, as OpenDocument and web pages have it.

What is drawn and not written is given its sign: the stroke of a fraction, the root, the brackets
and sum signs that are attributes, the blanks between the cells of a matrix.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable
from html import escape, unescape

Element = ElementTree.Element

_LETTERS = re.compile(r"[^\W\d_]{1,2}")
_LETTER_AT_END = re.compile(r"[^\W\d_]{1,2}\Z")
_LONGEST = 100_000
"""Characters of a formula."""
_ENTITY = re.compile(r"&(\w{1,40});")
_OF_XML = frozenset({"amp", "apos", "gt", "lt", "quot"})
_INVISIBLE = dict.fromkeys(range(0x2061, 0x2065), "")
"""Signs of MathML that say what is meant and are not shown."""
_MATHML_TEXTS = frozenset({"mi", "mn", "mo", "mtext", "ms"})
_MATHML_UNSEEN = frozenset(
    {"annotation", "annotation-xml", "mphantom", "mspace", "none", "mprescripts"}
)
_OMML_UNSEEN = frozenset({"w:del", "w:moveFrom", "m:rPr", "w:rPr", "m:ctrlPr", "mc:Fallback"})


def omml(element: Element) -> str:
    """An equation of Word or PowerPoint, whose tags are those of `xml_parts`."""
    return _OMML.get(element.tag, _children)(element)


def _children(element: Element) -> str:
    return "".join(omml(one) for one in element if one.tag not in _OMML_UNSEEN)


def _part(element: Element, tag: str) -> str:
    return "".join(omml(one) for one in element if one.tag == tag)


def _property(element: Element, group: str, name: str, usual: str) -> str:
    """What an attribute of a formula's properties says, and what it is if it says nothing."""
    for properties in element:
        if properties.tag == group:
            for one in properties:
                if one.tag == name:
                    return one.get("m:val", "")
    return usual


def _operator(element: Element) -> str:
    sign = _property(element, "m:naryPr", "m:chr", "∫")
    return sign + "".join(_part(element, tag) for tag in ("m:sub", "m:sup", "m:e"))


def _brackets(element: Element) -> str:
    opening = _property(element, "m:dPr", "m:begChr", "(")
    closing = _property(element, "m:dPr", "m:endChr", ")")
    between = _property(element, "m:dPr", "m:sepChr", "|")
    inner = between.join(omml(one) for one in element if one.tag == "m:e")
    return f"{opening}{inner}{closing}"


_OMML: dict[str, Callable[[Element], str]] = {
    "m:t": lambda e: e.text or "",
    "w:t": lambda e: e.text or "",
    "m:f": lambda e: _fraction(_part(e, "m:num"), _part(e, "m:den")),
    "m:rad": lambda e: _part(e, "m:deg") + _root(_part(e, "m:e")),
    "m:nary": _operator,
    "m:d": _brackets,
    "m:func": lambda e: f"{_part(e, 'm:fName')} {_part(e, 'm:e')}",
    "m:m": lambda e: "; ".join(omml(row) for row in e if row.tag == "m:mr"),
    "m:mr": lambda e: " ".join(omml(one) for one in e if one.tag == "m:e"),
    "m:eqArr": lambda e: "\n".join(omml(one) for one in e if one.tag == "m:e"),
}


def mathml(element: Element) -> str:
    """A formula in MathML, its tags with or without a prefix or a namespace."""
    try:
        said = _mathml(element)
    except RecursionError:
        said = " ".join(element.itertext())
    return " ".join(said.split())


def mathml_source(source: str) -> str:
    """A formula as a page has it, from `<math` to `</math>`; "" if it is not well-formed."""
    if len(source) > _LONGEST:
        return ""
    try:
        return mathml(ElementTree.fromstring(_ENTITY.sub(_character, source)))
    except (ElementTree.ParseError, ValueError):
        return ""


def _character(entity: re.Match[str]) -> str:
    return entity[0] if entity[1] in _OF_XML else escape(unescape(entity[0]))


def _mathml(element: Element) -> str:
    name = _local(element)
    if name in _MATHML_UNSEEN:
        return ""
    if name in _MATHML_TEXTS:
        said = " ".join("".join(element.itertext()).split()).translate(_INVISIBLE)
        return f" {said} " if name == "mtext" else said
    parts = [_mathml(one) for one in element if isinstance(one.tag, str)]
    if name == "semantics":
        return parts[0] if parts else ""
    if name == "mfrac" and len(parts) == 2:
        return _fraction(*parts)
    if name == "msqrt":
        return _root(_joined(parts))
    if name == "mroot" and len(parts) == 2:
        return parts[1] + _root(parts[0])
    if name == "mfenced":
        between = element.get("separators", ",").strip()[:1]
        return element.get("open", "(") + between.join(parts) + element.get("close", ")")
    if name == "mtable":
        return "; ".join(parts)
    if name in ("mtr", "mlabeledtr"):
        return " ".join(parts)
    return _joined(parts)


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2].rpartition(":")[2].lower()


def _joined(parts: Iterable[str]) -> str:
    """Tokens beside each other: a blank where the name of a function would run into the next."""
    said = last = ""
    for part in filter(None, parts):
        if last[-1:].isalnum() and part[0].isalnum():
            before, after = _LETTER_AT_END.search(last, len(last) - 2), _LETTERS.match(part)
            if max(len(run[0]) if run else 0 for run in (before, after)) > 1:
                said += " "
        said += part
        last = part
    return said


def _fraction(upper: str, lower: str) -> str:
    return f"{_one(upper)}/{_one(lower)}"


def _root(inner: str) -> str:
    return f"√{_one(inner)}"


def _one(said: str) -> str:
    """What is a single operand, in brackets unless it is a word or a number."""
    said = said.strip()
    return said if not said or said.isalnum() or _is_bracketed(said) else f"({said})"


def _is_bracketed(said: str) -> bool:
    depth = 0
    for at, sign in enumerate(said):
        depth += (sign == "(") - (sign == ")")
        if not depth:
            return at == len(said) - 1 and sign == ")"
    return False
