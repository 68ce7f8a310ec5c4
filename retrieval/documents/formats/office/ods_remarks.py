"""Annotations, shapes, charts and formulas on the sheets of an OpenDocument spreadsheet.

The content is read as a stream: it may be larger than a tree of it could be held.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.parsers import expat

from retrieval.documents.formats.office.numbering import whole
from retrieval.documents.formats.office.odf_objects import Objects, math_in
from retrieval.documents.formats.office.package import Package
from retrieval.documents.formats.office.remarks import (
    MOST_REMARKS,
    Remark,
    cell_name,
    comment,
    sorted_by_row,
)
from retrieval.documents.formats.office.xml_parts import text_of
from retrieval.documents.naming import one_line
from retrieval.errors import DocumentError

_CONTENT = "content.xml"
_TELLING = (b"<office:annotation", b"<draw:")
_OVERLAP = 20
_CELLS = frozenset({"table:table-cell", "table:covered-table-cell"})
_PARAGRAPHS = frozenset({"text:p", "text:h"})
_BLANKS = frozenset({"text:s", "text:tab", "text:line-break"})
_UNSEEN = frozenset({"office:binary-data", "draw:image", "svg:title", "svg:desc", "office:forms"})


class _EntityError(Exception):
    pass


class _Reader:
    """Follows where the parser is: in which sheet, row and cell, and in what that says."""

    def __init__(self) -> None:
        self.found: dict[str, list[Remark]] = {}
        self.objects: list[tuple[str, int, str]] = []  # sheet, row, reference
        self._tables = 0
        self._sheet = ""
        self._row = self._column = 0
        self._repeat_row = self._repeat_cell = 1
        self._annotated = self._drawn = self._unseen = 0  # how many such elements are open
        self._author: list[str] | None = None
        self._creator = ""
        self._said: list[str] = []
        self._in_paragraph = 0
        self._in_shapes = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""
        if self._unseen or name in _UNSEEN:
            self._unseen += 1
        elif name == "table:table":
            self._tables += 1
            if self._tables == 1:
                self._sheet, self._row = attributes.get("table:name", ""), 0
        elif name == "office:annotation":
            self._annotated += 1
            self._said, self._creator = [], ""
        elif self._annotated and name == "dc:creator":
            self._author = []
        elif name == "draw:object" and self._tables == 1:
            self.objects.append((self._sheet, self._at(), attributes.get("xlink:href", "")))
            self._unseen += 1
        elif name.startswith("draw:") and not self._annotated:
            if not self._drawn:
                self._said = []
            self._drawn += 1
        elif name in _PARAGRAPHS and (self._annotated or self._drawn):
            self._in_paragraph += 1
        elif name in _BLANKS and self._in_paragraph:
            self._said.append(" ")
        elif self._tables == 1 and not (self._annotated or self._drawn):
            self._in_table(name, attributes)

    def _in_table(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "table:table-row":
            self._column = 0
            self._repeat_row = max(whole(attributes.get("table:number-rows-repeated"), 1), 1)
        elif name in _CELLS:
            self._repeat_cell = max(whole(attributes.get("table:number-columns-repeated"), 1), 1)
        elif name == "table:shapes":
            self._in_shapes = True

    def end(self, name: str) -> None:
        """An element ends."""
        if self._unseen:
            self._unseen -= 1
        elif name == "table:table":
            self._tables -= 1
        elif name == "office:annotation":
            self._annotated -= 1
            self._keep(comment(cell_name(self._row, self._column), self._creator, self._text()))
        elif name == "dc:creator" and self._author is not None:
            self._creator, self._author = "".join(self._author), None
        elif name.startswith("draw:") and not self._annotated:
            self._drawn -= 1
            if not self._drawn and (said := self._text()):
                self._keep(Remark(self._at(), said))
        elif name in _PARAGRAPHS and self._in_paragraph:
            self._in_paragraph -= 1
            self._said.append("\n")
        elif self._tables == 1 and not (self._annotated or self._drawn):
            if name == "table:table-row":
                self._row += self._repeat_row
            elif name in _CELLS:
                self._column += self._repeat_cell
            elif name == "table:shapes":
                self._in_shapes = False

    def characters(self, data: str) -> None:
        """Characters of one."""
        if self._unseen:
            return
        if self._author is not None:
            self._author.append(data)
        elif self._in_paragraph:
            self._said.append(data)

    def _at(self) -> int:
        return 0 if self._in_shapes else self._row + 1

    def _text(self) -> str:
        lines = (" ".join(line.split()) for line in "".join(self._said).splitlines())
        return "\n".join(filter(None, lines))

    def _keep(self, remark: Remark | None) -> None:
        of_sheet = self.found.setdefault(self._sheet, [])
        if remark is not None and self._tables == 1 and len(of_sheet) < MOST_REMARKS:
            of_sheet.append(remark)


def in_spreadsheet(package: Package) -> dict[str, list[Remark]]:
    """The remarks of a spreadsheet, by the name of their sheet, in the order of its rows.

    Raises:
        DocumentError: the content is not well-formed, or declares entities.
    """
    if not _may_hold_any(package):
        return {}
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    parser.EntityDeclHandler = _refuse
    try:
        for chunk in package.chunks(_CONTENT):
            parser.Parse(chunk, False)
        parser.Parse(b"", True)
    except _EntityError:
        raise DocumentError(f"is refused: {_CONTENT} declares entities of its own") from None
    except expat.ExpatError as error:
        raise DocumentError(f"is damaged: {_CONTENT} is not well-formed XML ({error})") from None
    objects = Objects(package)
    for sheet, row, target in reader.objects[:MOST_REMARKS]:
        if said := _said_by(objects, target):
            reader.found.setdefault(sheet, []).append(Remark(row, one_line(said)))
    return {sheet: sorted_by_row(remarks) for sheet, remarks in reader.found.items()}


def _refuse(*_: object) -> None:
    raise _EntityError


def _may_hold_any(package: Package) -> bool:
    rest = b""
    for chunk in package.chunks(_CONTENT):
        block = rest + chunk
        if any(name in block for name in _TELLING):
            return True
        rest = block[-_OVERLAP:]
    return False


def _said_by(objects: Objects, target: str) -> str:
    """The formula that an object shows, or the title of its chart: its figures are cells'."""
    tree = objects.part(target) if target else None
    if tree is None:
        return ""
    titles = [text_of(title) for title in tree.iter("chart:title")]
    return math_in(tree) or " / ".join(dict.fromkeys(filter(None, titles)))
