"""Word's styles and lists: which paragraphs are headings, list items, code, tables of contents."""

from __future__ import annotations

import re
from dataclasses import dataclass

from retrieval.documents.formats.office.numbering import MAX_LEVELS, Counter, Level, whole
from retrieval.documents.formats.office.xml_parts import Element, child, children

_HEADING_WORDS = (
    "heading|überschrift|berschrift|titre|título|ttulo|titulo|titolo|kop|rubrik|overskrift|"
    "otsikko|nagłówek|nagwek|nadpis|naslov|címsor|cmsor|titlu|başlık|balk|заголовок|"
    "επικεφαλίδα|見出し|标题|標題|제목|כותרת|عنوان|tiêu đề|judul"
)
_HEADING = re.compile(rf"(?:{_HEADING_WORDS})[ _-]*([1-9])", re.IGNORECASE)
_TITLE = re.compile(r"title|titel|título|titolo|document title", re.IGNORECASE)
_CONTENTS = re.compile(r"(?:toc|contents|verzeichnis|tm|tdc) ?\d|toc ?heading|toa heading", re.I)
_CODE = re.compile(
    r"source ?code|(?:html )?preformatted(?: text)?|html vorformatiert|code(?: block)?|macro text"
    r"|macro|plain text code|verbatim",
    re.IGNORECASE,
)
_MOST_ANCESTORS = 20
_BODY_LEVEL = 9
"""The outline level of text that is not a heading."""


@dataclass(frozen=True, slots=True)
class Style:
    """What a style says of its paragraphs; None where the style that it is based on decides."""

    names: tuple[str, ...] = ()
    based_on: str = ""
    outline: int | None = None
    list_id: str | None = None
    depth: int | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What a paragraph is.

    Attributes:
        level: of a heading, from 1; 0 for no heading.
        list_id: of the list that numbers it, or "".
        depth: within that list, from 0.
        is_title: whether it is the document's title.
        is_contents: whether it is a line of a table of contents.
        is_code: whether it is a line of code.
    """

    level: int = 0
    list_id: str = ""
    depth: int = 0
    is_title: bool = False
    is_contents: bool = False
    is_code: bool = False


class Styles:
    """The styles of a document, by id."""

    def __init__(self, tree: Element | None) -> None:
        self._styles: dict[str, Style] = {}
        self._default = ""
        self._looks: dict[str, Look] = {}
        for element in children(tree, "w:style"):
            if element.get("w:type", "paragraph") != "paragraph":
                continue
            key = element.get("w:styleId", "")
            properties = child(element, "w:pPr")
            self._styles[key] = Style(
                (_value(child(element, "w:name")), key),
                _value(child(element, "w:basedOn")),
                _outline(properties),
                *_list(properties),
            )
            if element.get("w:default") in ("1", "true", "on"):
                self._default = key

    def look(self, properties: Element | None) -> Look:
        """What a paragraph with these properties is."""
        key = _value(child(properties, "w:pStyle")) or self._default
        look = self._looks.get(key)
        if look is None:
            look = self._looks[key] = self._resolved(key)
        if properties is None:
            return look
        outline = _outline(properties)
        list_id, depth = _list(properties)
        if outline is None and list_id is None and depth is None:
            return look
        return Look(
            look.level if outline is None else (outline + 1) % (_BODY_LEVEL + 1),
            look.list_id if list_id is None else list_id,
            look.depth if depth is None else depth,
            look.is_title,
            look.is_contents,
            look.is_code,
        )

    def _resolved(self, key: str) -> Look:
        chain: list[Style] = []
        at: str = key
        while (style := self._styles.get(at)) and len(chain) < _MOST_ANCESTORS:
            chain.append(style)
            at = style.based_on
        names = chain[0].names if chain else (key,)
        level = next((s.outline + 1 for s in chain if s.outline is not None), None)
        if level is None or (level > _BODY_LEVEL and _named_level(names)):
            named = [s.names for s in chain] or [names]
            level = next((found for each in named if (found := _named_level(each))), 0)
        return Look(
            level if level <= _BODY_LEVEL else 0,
            next((s.list_id for s in chain if s.list_id is not None), ""),
            next((s.depth for s in chain if s.depth is not None), 0),
            any(_TITLE.fullmatch(name) for name in names),
            any(_CONTENTS.fullmatch(name) for name in names),
            any(_CODE.fullmatch(name) for s in chain[:2] for name in s.names),
        )


class Lists:
    """The numbering of a document: counts the items of each list."""

    def __init__(self, tree: Element | None) -> None:
        abstract = {
            element.get("w:abstractNumId", ""): [
                _level(one) for one in _in_order(children(element, "w:lvl"))
            ]
            for element in children(tree, "w:abstractNum")
        }
        self._counters: dict[str, Counter] = {}
        shared: dict[str, Counter] = {}
        for element in children(tree, "w:num"):
            key = _value(child(element, "w:abstractNumId"))
            counter = shared.setdefault(key, Counter(abstract.get(key, [])))
            overrides = [*children(element, "w:lvlOverride")]
            if overrides:
                counter = Counter(_overridden(counter.levels, overrides))
            self._counters[element.get("w:numId", "")] = counter

    def marker(self, look: Look) -> str | None:
        """What the next paragraph of its list begins with; None if it is in none."""
        counter = self._counters.get(look.list_id)
        return counter.next(look.depth) if counter and look.list_id != "0" else None


def _overridden(levels: object, overrides: list[Element]) -> list[Level]:
    made = list(levels) if isinstance(levels, list) else []
    for one in overrides:
        at = whole(one.get("w:ilvl"))
        if not 0 <= at < MAX_LEVELS:
            continue
        made += [Level(pattern=f"%{n + 1}.") for n in range(len(made), at + 1)]
        if (own := child(one, "w:lvl")) is not None:
            made[at] = _level(own)
        if (start := child(one, "w:startOverride")) is not None:
            made[at] = Level(made[at].kind, made[at].pattern, whole(_value(start), 1))
    return made


def _in_order(levels: object) -> list[Element]:
    found = {whole(one.get("w:ilvl")): one for one in levels}  # type: ignore[attr-defined]
    blank = next(iter(found.values()), None)
    if blank is None:
        return []
    return [found.get(at, blank) for at in range(min(max(found) + 1, MAX_LEVELS))]


def _level(element: Element) -> Level:
    kind = _value(child(element, "w:numFmt")) or "decimal"
    pattern = _value(child(element, "w:lvlText"))
    if kind != "bullet" and not pattern:
        kind = "none"
    return Level(kind, pattern, whole(_value(child(element, "w:start")), 1))


def _named_level(names: tuple[str, ...]) -> int:
    return next((int(m[1]) for name in names if (m := _HEADING.fullmatch(name))), 0)


def _outline(properties: Element | None) -> int | None:
    found = child(properties, "w:outlineLvl")
    level = whole(_value(found), _BODY_LEVEL) if found is not None else None
    return level if level is None or 0 <= level <= _BODY_LEVEL else _BODY_LEVEL


def _list(properties: Element | None) -> tuple[str | None, int | None]:
    found = child(properties, "w:numPr")
    if found is None:
        return None, None
    own, depth = child(found, "w:numId"), child(found, "w:ilvl")
    return (
        None if own is None else _value(own),
        None if depth is None else whole(_value(depth)),
    )


def _value(element: Element | None) -> str:
    return "" if element is None else element.get("w:val", "")
