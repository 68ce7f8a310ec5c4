"""Word documents (DOCX): paragraphs, headings, lists, tables, notes and comments, as they are read.

What tracked changes have deleted, hidden text, headers, footers and tables of contents are left
out. A note or comment follows the block that it is of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from retrieval.documents.formats.format import Format, Parsed, Source, top_heading
from retrieval.documents.formats.formulas import omml
from retrieval.documents.formats.office.docx_fields import hide_instructions
from retrieval.documents.formats.office.docx_styles import Lists, Look, Styles
from retrieval.documents.formats.office.drawings import drawing
from retrieval.documents.formats.office.flow import Flow
from retrieval.documents.formats.office.imported import put_imported
from retrieval.documents.formats.office.numbering import whole, written
from retrieval.documents.formats.office.package import Package, sniffed
from retrieval.documents.formats.office.properties import core_properties
from retrieval.documents.formats.office.xml_parts import Element, child, children
from retrieval.errors import DocumentError

_KIND = "a Word document"
_UNSEEN_NAMES = (
    "w:del w:moveFrom w:delText w:instrText w:delInstrText w:pPr w:rPr w:sectPr w:tblPr w:tblGrid "
    "w:trPr w:tcPr w:sdtPr w:sdtEndPr w:rt w:rubyPr w:fldData w:binData mc:Fallback"
)
_UNSEEN = frozenset(_UNSEEN_NAMES.split())
_INSTEAD = {
    "w:tab": " ", "w:ptab": " ", "w:br": "\n", "w:cr": "\n", "w:noBreakHyphen": "-",
    "w:softHyphen": "",
}  # fmt: skip
_OFF = frozenset({"0", "false", "off", "none"})
_MOST_COLUMNS = 100
_GALLERIES = frozenset({"Table of Contents", "Bibliographies Table of Contents"})


@dataclass(slots=True)
class _Paragraph:
    """What stands in a paragraph: its characters, and what it leads to."""

    pieces: list[str] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)  # (kind, id)
    boxes: list[Element] = field(default_factory=list)
    drawings: list[Element] = field(default_factory=list)
    pages: list[int] = field(default_factory=list)  # where a page begins, in characters

    @property
    def text(self) -> str:
        return "".join(self.pieces)


class _Reader:
    """Reads the main part of a document, and the notes that it leads to."""

    def __init__(self, package: Package) -> None:
        self._package = package
        self.flow = Flow()
        self.title = ""
        main = package.main_part
        self._relations = package.relations(main)
        parts = {relation.kind: relation.target for relation in self._relations.values()}
        self._styles = Styles(package.optional(parts.get("styles", "")))
        self._lists = Lists(package.optional(parts.get("numbering", "")))
        self._noted = {
            kind: {element.get("w:id", ""): element for element in tree}
            for kind in ("footnotes", "endnotes", "comments")
            if (tree := package.optional(parts.get(kind, ""))) is not None
        }
        for tree in (noted for each in self._noted.values() for noted in each.values()):
            hide_instructions(tree)
        self._numbers: dict[tuple[str, str], str] = {}
        self._counts: Counter[str] = Counter()
        self._page = 1
        self._carried: _Paragraph | None = None
        self._body = child(package.xml(main), "w:body")
        if self._body is None:
            raise DocumentError(f"holds no body in {main}; {_KIND} was expected")
        hide_instructions(self._body)

    def read(self) -> None:
        """Put the body into the flow."""
        assert self._body is not None
        self._has_pages = next(self._body.iter("w:lastRenderedPageBreak"), None) is not None
        if self._has_pages:
            self.flow.mark("page", 1)
        self._blocks(self._body)
        if self._carried is not None:
            self.flow.paragraph(self._carried.text)

    def _blocks(self, parent: Element) -> None:
        for element in parent:
            tag = element.tag
            if tag == "w:p":
                self._paragraph(element)
            elif tag == "w:tbl":
                self._table(element)
            elif tag == "w:sdt":
                gallery = child(element, "w:sdtPr", "w:docPartObj", "w:docPartGallery")
                if gallery is None or gallery.get("w:val") not in _GALLERIES:
                    self._blocks(element)
            elif tag == "mc:AlternateContent":
                self._blocks(_chosen(element))
            elif tag == "w:altChunk":
                if relation := self._relations.get(element.get("r:id", "")):
                    put_imported(self.flow, self._package, relation.target)
            elif tag not in _UNSEEN and tag != "w:r":
                self._blocks(element)

    def _paragraph(self, element: Element) -> None:
        properties = child(element, "w:pPr")
        look = self._styles.look(properties)
        if look.is_contents:
            return
        made = self._carried or _Paragraph()
        self._carried = None
        self._inline(element, made)
        if child(properties, "w:rPr", "w:del") is not None:
            self._carried = made  # its end was deleted: it continues in the next
            return
        self._put(made, look)
        for box in made.boxes:
            self._blocks(box)
        for element in made.drawings:
            drawing(self.flow, self._package, self._relations, element)

    def _put(self, made: _Paragraph, look: Look) -> None:
        text = made.text
        if not text.strip() and not made.pages:
            if look.is_code and not made.boxes:
                self.flow.code("")
            self._put_notes(made)
            return
        marker = self._lists.marker(look) if text.strip() else None
        start: int | None = None
        if look.is_title and not self.title and text.strip():
            self.title = " ".join(text.split())
            start = self.flow.heading(self.title, 1)
        elif look.level:
            number = marker if marker not in (None, "-") else ""
            start = self.flow.heading(f"{number} {text}", look.level)
        elif look.is_code:
            self.flow.code(text)
        elif marker:
            start = self.flow.item(text, look.depth, marker)
        elif marker is not None and look.list_id:
            start = self.flow.item(text, look.depth, "")
        else:
            start = self.flow.paragraph(text)
        self._pages(made, start)
        self._put_notes(made)

    def _put_notes(self, made: _Paragraph) -> None:
        for kind, key in made.notes:
            self._note(kind, key)

    def _table(self, element: Element) -> None:
        rows = [row for row in _parts(element, "w:tr") if not _is_deleted(row)]
        cells = [[*_parts(row, "w:tc")] for row in rows]
        if _is_layout(cells):
            for one in (cell for row in cells for cell in row):
                self._blocks(one)
            return
        made = [[_Paragraph() for _ in row] for row in cells]
        said: list[list[str]] = []
        for row, own, paragraphs in zip(rows, cells, made, strict=True):
            said.append([""] * _span(child(row, "w:trPr", "w:gridBefore")))
            for cell, paragraph in zip(own, paragraphs, strict=True):
                text = self._cell(cell, paragraph)
                said[-1] += [text, *[""] * (_span(child(cell, "w:tcPr", "w:gridSpan")) - 1)]
        kept = [at for at, row in enumerate(said) if any(row)]
        heads = 0
        while heads < len(kept) and _is_on(child(rows[kept[heads]], "w:trPr", "w:tblHeader")):
            heads += 1
        starts = self.flow.table([said[at] for at in kept], heads)
        for at, start in zip(kept, starts, strict=True):
            for paragraph in made[at]:
                self._page += len(paragraph.pages)
                if paragraph.pages:
                    self.flow.mark_at(start, "page", self._page)
        for row_made in made:
            for paragraph in row_made:
                self._put_notes(paragraph)

    def _cell(self, cell: Element, made: _Paragraph) -> str:
        """A cell's text, on one line; empty if merged with the cell above."""
        merged = child(cell, "w:tcPr", "w:vMerge")
        if merged is not None and merged.get("w:val", "continue") == "continue":
            return ""
        for paragraph in _paragraphs(cell):
            self._inline(paragraph, made)
            made.pieces.append(" ")
        return " ".join([*made.text.split(), *map(self._flat, made.boxes)])

    def _pages(self, made: _Paragraph, start: int | None) -> None:
        """Mark the pages that begin in a paragraph, as the program last laid them out."""
        for at in made.pages:
            self._page += 1
            before = "".join(made.pieces)[:at].strip()
            if start is None:
                self.flow.mark("page", self._page)
            else:
                self.flow.mark_at(start + (len(before) if before else 0), "page", self._page)

    def _note(self, kind: str, key: str) -> None:
        """Put a note, the first time that it is referred to."""
        element = self._noted.get(kind, {}).pop(key, None)
        said = "" if element is None else self._flat(element)
        if element is None or not said:
            return
        if kind == "comments":
            author = element.get("w:author", "").strip()
            self.flow.note(f"Comment ({author}): {said}" if author else f"Comment: {said}")
        else:
            self.flow.note(f"[{self._numbers[kind, key]}] {said}")

    def _reference(self, kind: str, element: Element, made: _Paragraph) -> None:
        key = element.get("w:id", "")
        if key in self._noted.get(kind, {}):
            made.notes.append((kind, key))
            if kind != "comments" and (kind, key) not in self._numbers:
                self._counts[kind] += 1
                style = "lowerRoman" if kind == "endnotes" else "decimal"
                self._numbers[kind, key] = written(self._counts[kind], style)
        if number := self._numbers.get((kind, key)):
            made.pieces.append(f"[{number}]")

    def _inline(self, parent: Element, made: _Paragraph) -> None:
        pieces = made.pieces
        for element in parent:
            tag = element.tag
            if tag == "w:t":
                pieces.append(element.text or "")
            elif tag == "w:r":
                if not _is_hidden(element):
                    self._inline(element, made)
            elif tag in _INSTEAD:
                pieces.append(_INSTEAD[tag])
            elif tag == "m:oMath":
                pieces.append(omml(element))
            elif tag == "w:lastRenderedPageBreak":
                made.pages.append(sum(map(len, pieces)))
            elif tag == "w:drawing":
                made.drawings.append(element)
                self._inline(element, made)
            elif tag == "w:txbxContent":
                made.boxes.append(element)
            elif tag == "mc:AlternateContent":
                self._inline(_chosen(element), made)
            elif tag == "w:footnoteReference":
                self._reference("footnotes", element, made)
            elif tag == "w:endnoteReference":
                self._reference("endnotes", element, made)
            elif tag == "w:commentReference":
                self._reference("comments", element, made)
            elif tag not in _UNSEEN:
                self._inline(element, made)

    def _flat(self, parent: Element) -> str:
        """All paragraphs in an element, on one line."""
        said = []
        for paragraph in _paragraphs(parent):
            made = _Paragraph()
            self._inline(paragraph, made)
            said.append(made.text)
            said += [self._flat(box) for box in made.boxes]
        return " ".join(" ".join(said).split())


def _paragraphs(parent: Element) -> Iterator[Element]:
    """All paragraphs in an element, but those in text boxes of theirs."""
    for element in parent:
        if element.tag == "w:p":
            yield element
        elif element.tag == "mc:AlternateContent":
            yield from _paragraphs(_chosen(element))
        elif element.tag not in _UNSEEN:
            yield from _paragraphs(element)


def _parts(parent: Element, tag: str) -> Iterator[Element]:
    """Rows of a table or cells of a row, also those within controls and tracked insertions."""
    for element in parent:
        if element.tag == tag:
            yield element
        elif element.tag in ("w:sdt", "w:sdtContent", "w:ins", "w:customXml", "w:moveTo"):
            yield from _parts(element, tag)


def _is_layout(cells: Sequence[Sequence[Element]]) -> bool:
    """Whether a table only puts things beside each other, or a frame around them."""
    if max(map(len, cells), default=0) < 2:
        return True
    for row in cells:
        for cell in row:
            if next(cell.iter("w:tbl"), None) is not None:
                return True
    return len(cells) == 1 and any(len([*children(cell, "w:p")]) > 2 for cell in cells[0])


def _chosen(alternatives: Element) -> Element:
    """Of several forms of the same content the first that holds text."""
    fallback = child(alternatives, "mc:Fallback")
    for choice in children(alternatives, "mc:Choice"):
        if fallback is None or next(choice.iter("w:t"), None) is not None:
            return choice
    return alternatives if fallback is None else fallback


def _is_hidden(run: Element) -> bool:
    return _is_on(child(run, "w:rPr", "w:vanish"))


def _is_deleted(row: Element) -> bool:
    return child(row, "w:trPr", "w:del") is not None


def _is_on(element: Element | None) -> bool:
    return element is not None and element.get("w:val", "true") not in _OFF


def _span(element: Element | None) -> int:
    return min(max(whole(element.get("w:val")), 0), _MOST_COLUMNS) if element is not None else 0


def _parse(data: bytes, source: Source) -> Parsed:
    package = Package(data, _KIND)
    reader = _Reader(package)
    reader.read()
    text, outline = reader.flow.finish()
    if not text:
        raise package.without_text()
    title, metadata = core_properties(package)
    title = title or reader.title or top_heading(outline)
    return Parsed(text, title, metadata, outline, problems=tuple(package.problems))


FORMATS = (
    Format(
        "docx",
        6,
        _parse,
        (".docx", ".docm", ".dotx", ".dotm"),
        sniff=lambda head: sniffed(head, b"word/"),
        binary=True,
        isolated=True,
    ),
)
