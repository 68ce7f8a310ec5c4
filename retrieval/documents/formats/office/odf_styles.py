"""Styles of OpenDocument: which paragraphs are titles or code, and how lists are numbered."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from retrieval.documents.formats.office.numbering import MAX_LEVELS, Level, whole
from retrieval.documents.formats.office.xml_parts import Element, child, children

_MOST_ANCESTORS = 20
_ESCAPED = re.compile(r"_([0-9a-f]{1,6})_")
_TITLE = re.compile(r"title|titel|titre|título|titolo", re.IGNORECASE)
_CODE = re.compile(r"preformatted text|source ?code|code( block)?|verbatim", re.IGNORECASE)
_KINDS = {
    "1": "decimal", "a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman",
    "": "none",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Look:
    """What a style makes of its paragraphs.

    Attributes:
        level: of a heading, from 1; 0 for no heading.
        list_style: name of the style that numbers them, or "".
        is_title: whether they are the document's title.
        is_code: whether they are lines of code.
    """

    level: int = 0
    list_style: str = ""
    is_title: bool = False
    is_code: bool = False


class Styles:
    """The styles of the content and those that the document keeps apart.

    `outline` are the numbers of headings, `hidden` the styles of text that is not shown.

    Args:
        trees: roots of the XML that holds styles; what comes first decides.
    """

    def __init__(self, trees: Iterable[Element]) -> None:
        self._paragraphs: dict[str, Element] = {}
        self._lists: dict[str, list[Level]] = {}
        self._looks: dict[str, Look] = {}
        self.outline: list[Level] = []
        self.hidden: set[str] = set()
        for tree in trees:
            for group in ("office:automatic-styles", "office:styles"):
                for element in child(tree, group) or ():
                    name = element.get("style:name", "")
                    if element.tag == "style:style":
                        family = element.get("style:family", "paragraph")
                        if family == "paragraph":
                            self._paragraphs.setdefault(name, element)
                        look = child(element, "style:text-properties")
                        if look is not None and look.get("text:display") == "none":
                            self.hidden.add(name)
                    elif element.tag == "text:list-style":
                        self._lists.setdefault(name, _levels(element))
                    elif element.tag == "text:outline-style" and not self.outline:
                        self.outline = _levels(element)

    def levels(self, name: str) -> list[Level]:
        """How a list style numbers."""
        return self._lists.get(name, [])

    def look(self, name: str) -> Look:
        """What a paragraph style is."""
        found = self._looks.get(name)
        if found is None:
            found = self._looks[name] = self._resolved(name)
        return found

    def _resolved(self, name: str) -> Look:
        chain: list[Element] = []
        names: list[str] = []
        at = name
        while len(names) < _MOST_ANCESTORS:
            names.append(_plain(at))
            style = self._paragraphs.get(at)
            if style is None:
                break
            chain.append(style)
            at = style.get("style:parent-style-name", "")
        return Look(
            next((whole(s.get(_LEVEL)) for s in chain if s.get(_LEVEL) is not None), 0),
            next((s.get(_LIST, "") for s in chain if s.get(_LIST) is not None), ""),
            any(_TITLE.fullmatch(one) for one in names[:2]),
            any(_CODE.fullmatch(one) for one in names[:3]),
        )


_LEVEL = "style:default-outline-level"
_LIST = "style:list-style-name"


def _plain(name: str) -> str:
    """A style's name as it is shown: `Source_20_Code` is `Source Code`."""
    return _ESCAPED.sub(lambda code: chr(min(int(code[1], 16), 0x10FFFF)), name)


def _levels(style: Element) -> list[Level]:
    made = [Level("none", "") for _ in range(MAX_LEVELS)]
    for element in style:
        at = whole(element.get("text:level"), 1) - 1
        if not 0 <= at < MAX_LEVELS:
            continue
        if element.tag in ("text:list-level-style-bullet", "text:list-level-style-image"):
            made[at] = Level("bullet" if element.get("text:bullet-char", "•").strip() else "none")
            continue
        kind = _KINDS.get(element.get("style:num-format", ""), "decimal")
        shown = min(max(whole(element.get("text:display-levels"), 1), 1), at + 1)
        numbers = ".".join(f"%{n + 1}" for n in range(at + 1 - shown, at + 1))
        before, after = element.get("style:num-prefix", ""), element.get("style:num-suffix", "")
        start = whole(element.get("text:start-value"), 1)
        made[at] = Level(kind, f"{before}{numbers}{after}", start)
    return made


def rows_of(table: Element) -> tuple[list[Element], int]:
    """The rows of a table, and how many of them are its header."""
    rows: list[Element] = []
    heads = 0
    for element in table:
        if element.tag == "table:table-row":
            rows.append(element)
        elif element.tag == "table:table-header-rows":
            rows += children(element, "table:table-row")
            heads = len(rows)
        elif element.tag in ("table:table-rows", "table:table-row-group"):
            rows += rows_of(element)[0]
    return rows, heads
