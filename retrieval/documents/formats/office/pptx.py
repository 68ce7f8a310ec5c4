"""Presentations (PPTX): a slide a section, with its tables, charts, notes and comments.

Slides come in the order in which they are shown. The title of a slide is its heading, wherever it
stands among the shapes; a slide without one is `Slide 3`. Dates, numbers and footers of slides are
left out, and so are hidden shapes; hidden slides are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from retrieval.documents.formats.format import Format, Parsed, Source, first_heading
from retrieval.documents.formats.formulas import omml
from retrieval.documents.formats.office.drawings import drawing
from retrieval.documents.formats.office.flow import Flow
from retrieval.documents.formats.office.numbering import MAX_LEVELS, Counter, Level, whole
from retrieval.documents.formats.office.package import Package, Relation, sniffed
from retrieval.documents.formats.office.properties import core_properties
from retrieval.documents.formats.office.xml_parts import Element, child, children, text_of

_KIND = "a presentation"
_TITLES = frozenset({"title", "ctrTitle"})
_ABOUT_SLIDES = frozenset({"dt", "ftr", "hdr", "sldNum", "sldImg"})
_BULLETED = frozenset({"", "body", "obj"})
_NUMBERS = {
    "arabic": "decimal", "alphaLc": "lowerLetter", "alphaUc": "upperLetter",
    "romanLc": "lowerRoman", "romanUc": "upperRoman",
}  # fmt: skip
_ON = frozenset({"1", "true", "on"})


@dataclass(frozen=True, slots=True)
class _Placeholder:
    """What a shape takes from the slide's layout: its kind and its number there."""

    kind: str
    index: str


class _Reader:
    def __init__(self, package: Package) -> None:
        self._package = package
        self.flow = Flow()
        main = package.main_part
        relations = package.relations(main)
        listed = child(package.xml(main), "p:sldIdLst")
        self._slides = [
            relation.target
            for slide in children(listed, "p:sldId")
            if (relation := relations.get(slide.get("r:id", "")))
        ]
        self._authors = self._named_authors(relations)
        self._plain: dict[str, set[_Placeholder]] = {}
        self._untitled = 0
        self._relations: Mapping[str, Relation] = {}
        self._unbulleted: set[_Placeholder] = set()

    def read(self) -> None:
        """Put all slides into the flow."""
        for number, part in enumerate(self._slides, start=1):
            slide = self._package.optional(part)
            if slide is None:
                if part not in self._package:
                    self._package.problems.append(f"slide {number} is missing: no {part}")
                continue
            self.flow.page("page", number)
            self._slide(slide, part, number)

    def _slide(self, slide: Element, part: str, number: int) -> None:
        self._relations = self._package.relations(part)
        self._unbulleted = self._layout()
        tree = child(slide, "p:cSld", "p:spTree")
        shapes = [] if tree is None else [*_shapes(tree)]
        title = next((one for one in shapes if _placeholder(one).kind in _TITLES), None)
        words = "" if title is None else " ".join(_said(p) for p in title.iter("a:p"))
        self._untitled = 0 if self.flow.heading(words, 1) is not None else number
        for shape in shapes:
            if shape is not title:
                self._shape(shape)
        for relation in self._relations.values():
            if relation.kind == "notesSlide":
                self._notes(self._package.optional(relation.target))
            elif relation.kind == "comments":
                self._comments(self._package.optional(relation.target))

    def _shape(self, shape: Element) -> None:
        if shape.tag == "p:graphicFrame":
            for table in shape.iter("a:tbl"):
                self._table(table)
            before = self.flow.length
            drawing(self.flow, self._package, self._relations, shape)
            if self.flow.length > before:
                self._untitled = 0
            return
        placeholder = _placeholder(shape)
        if placeholder.kind in _ABOUT_SLIDES:
            return
        bulleted = (
            child(shape, "p:nvSpPr", "p:nvPr", "p:ph") is not None
            and placeholder.kind in _BULLETED
            and placeholder not in self._unbulleted
        )
        body = child(shape, "p:txBody")
        if body is not None:
            if _is_unbulleted(child(body, "a:lstStyle")):
                bulleted = False
            self._paragraphs(body, bulleted=bulleted)

    def _paragraphs(self, body: Element, *, bulleted: bool) -> None:
        counters: dict[str, Counter] = {}
        for paragraph in children(body, "a:p"):
            said = _said(paragraph)
            if not said.strip():
                continue
            self._name_slide()
            properties = child(paragraph, "a:pPr")
            depth = whole(properties.get("lvl")) if properties is not None else 0
            number = child(properties, "a:buAutoNum")
            if number is not None:
                kind = number.get("type", "")
                if kind not in counters:
                    counters[kind] = Counter([_numbered(number, at) for at in range(MAX_LEVELS)])
                self.flow.item(said, depth, counters[kind].next(depth))
                continue
            plain = child(properties, "a:buNone") is not None
            chosen = any(child(properties, tag) is not None for tag in ("a:buChar", "a:buBlip"))
            if chosen or (not plain and (bulleted or depth)):
                self.flow.item(said, depth)
            else:
                self.flow.paragraph(said)
            if not depth:
                counters.clear()

    def _table(self, table: Element) -> None:
        rows = [
            [
                " ".join(_said(paragraph) for paragraph in cell.iter("a:p"))
                if cell.get("hMerge") not in _ON and cell.get("vMerge") not in _ON
                else ""
                for cell in children(row, "a:tc")
            ]
            for row in children(table, "a:tr")
        ]
        if not any(cell.strip() for row in rows for cell in row):
            return
        self._name_slide()
        properties = child(table, "a:tblPr")
        has_head = properties is not None and properties.get("firstRow") in _ON
        self.flow.table(rows, int(has_head))

    def _notes(self, notes: Element | None) -> None:
        tree = child(notes, "p:cSld", "p:spTree")
        lead = "Notes: "
        for shape in () if tree is None else _shapes(tree):
            if _placeholder(shape).kind != "body":
                continue
            for paragraph in shape.iter("a:p"):
                if said := _said(paragraph).strip():
                    self._name_slide()
                    self.flow.paragraph(f"{lead}{said}")
                    lead = ""

    def _comments(self, comments: Element | None) -> None:
        for element in () if comments is None else comments.iter():
            if element.tag in ("p:cm", "p188:cm", "p188:reply"):
                body = child(element, "p:text")
                if body is None:
                    body = child(element, "p188:txBody")
                author = self._authors.get(element.get("authorId", ""), "")
                if said := text_of(body):
                    self._name_slide()
                    self.flow.paragraph(f"Comment{f' ({author})' if author else ''}: {said}")

    def _name_slide(self) -> None:
        """Head a slide that has no title of its own, once it turns out to say something."""
        if self._untitled:
            self.flow.heading(f"Slide {self._untitled}", 1)
            self._untitled = 0

    def _layout(self) -> set[_Placeholder]:
        """The placeholders that the slide's layout shows without bullets."""
        for relation in self._relations.values():
            if relation.kind == "slideLayout":
                found = self._plain.get(relation.target)
                if found is None:
                    tree = child(self._package.optional(relation.target), "p:cSld", "p:spTree")
                    found = {
                        _placeholder(shape)
                        for shape in (() if tree is None else _shapes(tree))
                        if _is_unbulleted(child(shape, "p:txBody", "a:lstStyle"))
                    }
                    self._plain[relation.target] = found
                return found
        return set()

    def _named_authors(self, relations: Mapping[str, Relation]) -> dict[str, str]:
        found: dict[str, str] = {}
        for relation in relations.values():
            if relation.kind in ("commentAuthors", "authors"):
                tree = self._package.optional(relation.target)
                for author in () if tree is None else tree:
                    found[author.get("id", "")] = author.get("name", "")
        return found


def _shapes(tree: Element) -> Iterator[Element]:
    """All shapes that are seen, those in groups too."""
    for element in tree:
        if element.tag in ("p:sp", "p:graphicFrame"):
            properties = child(element[0], "p:cNvPr") if len(element) else None
            if properties is None or properties.get("hidden") not in _ON:
                yield element
        elif element.tag == "mc:AlternateContent":
            yield from _shapes(_chosen(element))
        elif element.tag in ("p:grpSp", "mc:Choice", "mc:Fallback"):
            yield from _shapes(element)


def _chosen(alternatives: Element) -> Element:
    """Of several forms of the same shapes the first that is understood here."""
    return next((one for one in alternatives if next(_shapes(one), None) is not None), alternatives)


def _placeholder(shape: Element) -> _Placeholder:
    found = child(shape, "p:nvSpPr", "p:nvPr", "p:ph")
    if found is None:
        return _Placeholder("-", "")
    return _Placeholder(found.get("type", ""), found.get("idx", ""))


def _is_unbulleted(styles: Element | None) -> bool:
    return child(styles, "a:lvl1pPr", "a:buNone") is not None


def _numbered(element: Element, depth: int) -> Level:
    """How a paragraph is numbered: `arabicPeriod`, `alphaLcParenR`, ..."""
    kind = element.get("type", "")
    style = next((_NUMBERS[name] for name in _NUMBERS if kind.startswith(name)), "decimal")
    number = f"%{depth + 1}"
    if kind.endswith("ParenBoth"):
        number = f"({number})"
    elif kind.endswith("ParenR"):
        number = f"{number})"
    elif not kind.endswith("Plain"):
        number = f"{number}."
    return Level(style, number, whole(element.get("startAt"), 1))


def _said(paragraph: Element) -> str:
    return "".join(_pieces(paragraph))


def _pieces(parent: Element) -> Iterator[str]:
    for element in parent:
        if element.tag == "a:t":
            yield element.text or ""
        elif element.tag == "a:br":
            yield "\n"
        elif element.tag == "m:oMath":
            yield omml(element)
        elif element.tag != "mc:Fallback":
            yield from _pieces(element)


def _parse(data: bytes, source: Source) -> Parsed:
    package = Package(data, _KIND)
    reader = _Reader(package)
    reader.read()
    text, outline = reader.flow.finish()
    if not text:
        raise package.without_text()
    title, metadata = core_properties(package)
    return Parsed(
        text, title or first_heading(outline), metadata, outline, problems=tuple(package.problems)
    )


FORMATS = (
    Format(
        "pptx",
        3,
        _parse,
        (".pptx", ".pptm", ".ppsx", ".ppsm", ".potx", ".potm"),
        sniff=lambda head: sniffed(head, b"ppt/"),
        binary=True,
        isolated=True,
    ),
)
