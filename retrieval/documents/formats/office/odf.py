"""OpenDocument texts and presentations (ODT, ODP, ODG), also as one XML file.

A note or comment follows the block that it is of. Deleted text, hidden text, headers, footers and
tables of contents are left out. Of a presentation a slide is a section.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from retrieval.documents.formats.format import (
    Format,
    Parse,
    Parsed,
    Source,
    first_heading,
    top_heading,
)
from retrieval.documents.formats.office.flat_sheets import is_flat
from retrieval.documents.formats.office.flow import Flow
from retrieval.documents.formats.office.numbering import Counter, whole
from retrieval.documents.formats.office.odf_objects import Objects, math_in
from retrieval.documents.formats.office.odf_styles import Look, Styles, rows_of
from retrieval.documents.formats.office.package import Package
from retrieval.documents.formats.office.properties import fields_of, title_and_rest
from retrieval.documents.formats.office.xml_parts import (
    Element,
    child,
    children,
    parse_xml,
    text_of,
)
from retrieval.errors import DocumentError

_UNSEEN_NAMES = (
    "text:tracked-changes text:sequence-decls text:variable-decls text:user-field-decls "
    "text:dde-connection-decls text:table-of-content text:user-index text:illustration-index "
    "text:table-index text:object-index text:alphabetical-index text:index-title-template "
    "text:hidden-text text:hidden-paragraph text:ruby-text office:binary-data office:forms "
    "office:scripts office:event-listeners office:annotation-end presentation:settings "
    "table:named-expressions draw:image"
)
_UNSEEN = frozenset(_UNSEEN_NAMES.split())
_SHAPES = frozenset(
    f"draw:{name}"
    for name in (
        "frame", "text-box", "custom-shape", "rect", "circle", "ellipse", "line", "connector",
        "polyline", "polygon", "path", "regular-polygon", "caption", "g", "a", "measure",
    )
)  # fmt: skip
_ABOUT_SLIDES = frozenset({"footer", "header", "date-time", "page-number", "page"})
_ENCRYPTED = b"encryption-data"
"""Looked for as bytes: old manifests are not well-formed XML."""
_WHITE = re.compile(r"\s+")
_MOST_REPEATED = 50
_MOST_SPACES = 200


@dataclass(slots=True)
class _Paragraph:
    """What stands in a paragraph: its characters, its notes, and the boxes anchored in it."""

    pieces: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    boxes: list[Element] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.pieces)


class _Reader:
    def __init__(self, styles: Styles, package: Package | None) -> None:
        self.flow = Flow()
        self.title = ""
        self._styles = styles
        self._outline = Counter(styles.outline)
        self._lists: dict[str, Counter] = {}
        self._untitled = 0
        self._page = ""
        self._objects = Objects(package)

    def blocks(self, parent: Element) -> None:
        """Put what stands in an element into the flow."""
        for element in parent:
            tag = element.tag
            if tag == "text:p":
                self._paragraph(element)
            elif tag == "text:h":
                self._heading(element)
            elif tag == "text:list":
                self._list(element, 0, "", None)
            elif tag == "table:table":
                self._table(element)
            elif tag == "office:annotation":
                self.flow.paragraph(self._comment(element))
            elif tag == "draw:object":
                self._object(element)
            elif tag == "text:section" and element.get("text:display") == "none":
                continue
            elif tag not in _UNSEEN:
                self.blocks(element)

    def slides(self, parent: Element) -> None:
        """Put the pages of a presentation or drawing into the flow."""
        self._page = "Slide" if parent.tag == "office:presentation" else "Page"
        for number, page in enumerate(children(parent, "draw:page"), start=1):
            self.flow.page("page", number)
            shapes = [*_shapes(page)]
            title = next((s for s in shapes if s.get("presentation:class") == "title"), None)
            words = "" if title is None else " ".join(self._flat(title).split())
            self._untitled = 0 if self.flow.heading(words, 1) is not None else number
            for shape in shapes:
                if shape is not title and shape.get("presentation:class") not in _ABOUT_SLIDES:
                    self._name_slide(shape)
                    self.blocks(shape)
            for comment in children(page, "office:annotation"):
                self._name_slide(comment)
                self.flow.paragraph(self._comment(comment))
            lead = "Notes: "
            for notes in children(page, "presentation:notes"):
                for shape in _shapes(notes):
                    if shape.get("presentation:class") != "notes":
                        continue
                    for paragraph in _paragraphs(shape):
                        if said := self._flat_paragraph(paragraph):
                            self._name_slide(paragraph)
                            self.flow.paragraph(f"{lead}{said}")
                            lead = ""

    def _name_slide(self, shape: Element) -> None:
        """Head a slide without a title, once it turns out to say something."""
        if self._untitled and any(self._flat_paragraph(p) for p in _paragraphs(shape)):
            self.flow.heading(f"{self._page} {self._untitled}", 1)
            self._untitled = 0

    def _read(self, element: Element) -> tuple[_Paragraph, Look]:
        made = _Paragraph()
        self._inline(element, made)
        return made, self._styles.look(element.get("text:style-name", ""))

    def _after(self, made: _Paragraph) -> None:
        for note in made.notes:
            self.flow.note(note)
        for box in made.boxes:
            self.blocks(box)

    def _paragraph(self, element: Element, depth: int = -1, marker: str | None = None) -> bool:
        """Put a paragraph, as an item of a list at a depth; whether it says anything."""
        made, look = self._read(element)
        if look.is_code and depth < 0:
            self.flow.code(made.text)
        elif depth >= 0 and marker is not None:
            self.flow.item(made.text, depth, marker)
        elif look.is_title and not self.title and made.text.strip():
            self.title = " ".join(made.text.split())
            self.flow.heading(self.title, 1)
        else:
            self.flow.paragraph(made.text)
        self._after(made)
        return bool(made.text.strip())

    def _heading(self, element: Element) -> None:
        made, look = self._read(element)
        level = whole(element.get("text:outline-level"), 0) or look.level or 1
        number = ""
        if made.text.strip() and element.get("text:is-list-header") != "true":
            number = self._outline.next(level - 1) if self._styles.outline else ""
        self.flow.heading(f"{number if number != '-' else ''} {made.text}", level)
        self._after(made)

    def _list(self, element: Element, depth: int, style: str, counter: Counter | None) -> None:
        style = element.get("text:style-name", "") or style
        if counter is None:
            goes_on = element.get("text:continue-numbering") == "true"
            goes_on = goes_on or element.get("text:continue-list") is not None
            counter = self._lists.get(style) if goes_on else None
            counter = counter or Counter(self._styles.levels(style))
            self._lists[style] = counter
        for item in element:
            if item.tag not in ("text:list-item", "text:list-header"):
                continue
            if (start := item.get("text:start-value")) is not None:
                counter.restart(min(depth, 8), whole(start, 1))
            begun = item.tag == "text:list-header"
            for part in item:
                if part.tag == "text:p":
                    if begun:
                        self._paragraph(part, depth, "")
                    elif _has_words(part):
                        marker = counter.next(depth)
                        begun = self._paragraph(part, depth, marker or None)
                elif part.tag == "text:list":
                    self._list(part, depth + 1, style, counter)
                elif part.tag == "text:h":
                    self._heading(part)
                elif part.tag not in _UNSEEN:
                    self.blocks(part)

    def _table(self, table: Element) -> None:
        rows, heads = rows_of(table)
        cells = [[*_cells(row)] for row in rows]
        nested = any(next(c.iter("table:table"), None) is not None for row in cells for c in row)
        if nested or max(map(len, cells), default=0) < 2:
            for one in (cell for row in cells for cell in row):
                self.blocks(one)
            return
        notes: list[str] = []
        said = [[self._flat(cell, notes) for cell in row] for row in cells]
        self.flow.table(said, heads)
        for note in notes:
            self.flow.note(note)

    def _object(self, element: Element) -> None:
        """Put a chart as its title and the table that it draws, a formula as a line."""
        tree = self._objects.content(element)
        if formula := math_in(tree):
            self.flow.paragraph(formula)
            return
        chart = next(tree.iter("office:chart"), None) if tree is not None else None
        for part in chart.iter() if chart is not None else ():
            if part.tag == "chart:title":
                self.flow.paragraph(self._flat(part))
            elif part.tag == "table:table":
                self._table(part)

    def _comment(self, element: Element) -> str:
        author = text_of(child(element, "dc:creator"))
        said = " ".join(filter(None, map(self._flat_paragraph, _paragraphs(element))))
        if not said:
            return ""
        return f"Comment ({author}): {said}" if author else f"Comment: {said}"

    def _inline(self, parent: Element, made: _Paragraph) -> None:
        pieces = made.pieces
        if parent.text:
            pieces.append(_WHITE.sub(" ", parent.text))
        for element in parent:
            tag = element.tag
            if tag == "text:s":
                pieces.append(" " * min(max(whole(element.get("text:c"), 1), 0), _MOST_SPACES))
            elif tag == "text:tab":
                pieces.append(" ")
            elif tag == "text:line-break":
                pieces.append("\n")
            elif tag == "text:note":
                self._note(element, made)
            elif tag == "office:annotation":
                if comment := self._comment(element):
                    made.notes.append(comment)
            elif tag in _SHAPES:
                if formula := self._objects.formula(element):
                    pieces.append(formula)
                else:
                    made.boxes.append(element)
            elif tag not in _UNSEEN and not self._is_hidden(element):
                self._inline(element, made)
            if element.tail:
                pieces.append(_WHITE.sub(" ", element.tail))

    def _is_hidden(self, element: Element) -> bool:
        return element.get("text:style-name", "") in self._styles.hidden

    def _note(self, element: Element, made: _Paragraph) -> None:
        mark = text_of(child(element, "text:note-citation"))
        body = child(element, "text:note-body")
        said = " ".join(map(self._flat_paragraph, _paragraphs(body) if body is not None else ()))
        if said.strip():
            made.pieces.append(f"[{mark}]")
            made.notes.append(f"[{mark}] {said}")

    def _flat_paragraph(self, element: Element) -> str:
        """A paragraph on one line, without its notes."""
        made = _Paragraph()
        self._inline(element, made)
        return " ".join(made.text.split())

    def _flat(self, parent: Element, notes: list[str] | None = None) -> str:
        """All paragraphs in an element, on one line."""
        said = []
        for paragraph in _paragraphs(parent):
            made = _Paragraph()
            self._inline(paragraph, made)
            said.append(made.text)
            said += [self._flat(box, notes) for box in made.boxes]
            if notes is not None:
                notes += made.notes
        return " ".join(" ".join(said).split())


def _paragraphs(parent: Element) -> Iterator[Element]:
    """All paragraphs and headings in an element, but those within others and in comments."""
    for element in parent:
        if element.tag in ("text:p", "text:h"):
            yield element
        elif element.tag not in _UNSEEN and element.tag != "office:annotation":
            yield from _paragraphs(element)


def _shapes(page: Element) -> Iterator[Element]:
    """The shapes of a slide that are not mere placeholders, those in groups one by one."""
    for element in page:
        if element.get("presentation:placeholder") == "true" or _is_undrawn(element):
            continue
        if element.tag in ("draw:g", "draw:a"):
            yield from _shapes(element)
        elif element.tag in _SHAPES:
            yield element


def _is_undrawn(shape: Element) -> bool:
    return "none" in (shape.get("draw:display"), shape.get("x:display"))  # LibreOffice's own name


def _cells(row: Element) -> Iterator[Element]:
    for cell in row:
        if cell.tag in ("table:table-cell", "table:covered-table-cell"):
            times = whole(cell.get("table:number-columns-repeated"), 1)
            for _ in range(min(max(times, 1), _MOST_REPEATED)):
                yield cell


def _has_words(paragraph: Element) -> bool:
    return len(paragraph) > 0 or bool((paragraph.text or "").strip())


def _is_encrypted(package: Package) -> bool:
    try:
        return _ENCRYPTED in package.read("META-INF/manifest.xml")
    except DocumentError:
        return False


def _read(data: bytes, kind: str, body: str) -> Parsed:
    package: Package | None = None
    if is_flat(data):
        content = parse_xml(data, "the file")
        about, trees = child(content, "office:meta"), [content]
    else:
        package = Package(data, kind)
        if _is_encrypted(package):
            raise DocumentError("is encrypted with a password; save it without one to have it read")
        content = package.xml("content.xml")
        apart = package.optional("styles.xml")
        meta = package.optional("meta.xml")
        about, trees = child(meta, "office:meta"), [content, *([] if apart is None else [apart])]
    found = child(content, "office:body", body)
    if found is None:
        raise DocumentError(f"holds no {body} in its content; {kind} was expected")
    reader = _Reader(Styles(trees), package)
    if body == "office:text":
        reader.blocks(found)
    else:
        reader.slides(found)
    text, outline = reader.flow.finish()
    if not text:
        nothing = DocumentError("holds no text; pictures are not read")
        raise package.without_text() if package else nothing
    metadata: dict[str, Any]
    title, metadata = title_and_rest(fields_of(() if about is None else about))
    heading = top_heading(outline) if body == "office:text" else first_heading(outline)
    title = title or reader.title or heading
    problems = tuple(package.problems) if package else ()
    return Parsed(text, title, metadata, outline, problems=problems)


def _text(data: bytes, source: Source) -> Parsed:
    return _read(data, "an OpenDocument text", "office:text")


def _presentation(data: bytes, source: Source) -> Parsed:
    return _read(data, "an OpenDocument presentation", "office:presentation")


def _drawing(data: bytes, source: Source) -> Parsed:
    return _read(data, "an OpenDocument drawing", "office:drawing")


def _format(name: str, parse: Parse, suffixes: tuple[str, ...], mime: bytes) -> Format:
    mark = b"mimetypeapplication/vnd.oasis.opendocument." + mime

    def sniff(head: bytes) -> bool:
        return head.startswith(b"PK\3\4") and mark in head[:200]

    return Format(name, 3, parse, suffixes, sniff=sniff, binary=True, isolated=True)


FORMATS = (
    _format("odt", _text, (".odt", ".ott", ".fodt"), b"text"),
    _format("odp", _presentation, (".odp", ".otp", ".fodp"), b"presentation"),
    _format("odg", _drawing, (".odg", ".otg", ".fodg"), b"graphics"),
)
