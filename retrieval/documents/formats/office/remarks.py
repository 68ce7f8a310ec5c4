"""What stands on a sheet but in no cell: comments, text boxes, diagrams, titles of charts.

Of XLSX, notes and threaded comments; a thread is also kept as a note for older programs, which
is left out. Of OpenDocument, annotations. Excel's binary files are `binary_remarks.py`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from retrieval.documents.formats.office.numbering import whole
from retrieval.documents.formats.office.package import Package, Relation
from retrieval.documents.formats.office.xml_parts import Element, child, children, text_of

MOST_REMARKS = 100_000
"""Most remarks read of a sheet: people do not write more."""

_PLACE = re.compile(r"\$?([A-Z]{1,3})\$?(\d{1,7})")
_THREAD_AUTHOR = re.compile(r"tc=\{")
"""Who a note is by that Excel writes for programs that know no threads."""


@dataclass(frozen=True, slots=True)
class Remark:
    """What is said beside the cells.

    Attributes:
        row: number of the row that it is of or begins in; 0 for none.
        text: as it is read, who said it and of which cell included.
    """

    row: int
    text: str


def comment(cell: str, author: str, said: str, *, threaded: bool = False) -> Remark | None:
    """A comment on a cell, such as `B4`; None if it says nothing that is not said elsewhere.

    Args:
        cell: which one.
        author: who wrote it, or "".
        said: what it says.
        threaded: whether the threads of its sheet are read: then a note that repeats one is none.
    """
    if _THREAD_AUTHOR.match(author):
        if threaded:
            return None
        author, said = "", said.rpartition(":\n")[2]
    author, said = " ".join(author.split()), " ".join(said.split())
    if author:  # Excel begins a note with its author's name
        said = said.removeprefix(f"{author}:").lstrip()
    if not said:
        return None
    return Remark(row_of(cell), f"Comment on {cell}{f' ({author})' if author else ''}: {said}")


def row_of(cell: str) -> int:
    """The number of a cell's row; 0 if it is not a cell."""
    found = _PLACE.match(cell)
    return int(found[2]) if found else 0


def cell_name(row: int, column: int) -> str:
    """A cell's name (`B3`), its row and column numbered from 0."""
    letters, left = "", column + 1
    while left:
        left, letter = divmod(left - 1, 26)
        letters = chr(65 + letter) + letters
    return f"{letters}{row + 1}"


def in_workbook(package: Package) -> dict[str, list[Remark]]:
    """The remarks of an XLSX file, by the name of their sheet, in the order of its rows."""
    main = package.main_part
    relations = package.relations(main)
    authors = people(package, relations)
    found: dict[str, list[Remark]] = {}
    for sheet in children(child(package.optional(main), "x:sheets"), "x:sheet"):
        relation = relations.get(sheet.get("r:id", ""))
        if relation is not None and (name := sheet.get("name", "")):
            found[name] = sorted_by_row(of_sheet(package, relation.target, authors))
    return found


def sorted_by_row(remarks: Iterable[Remark]) -> list[Remark]:
    """The first MOST_REMARKS remarks, by row; those without a row come last."""
    return sorted(islice(remarks, MOST_REMARKS), key=lambda remark: remark.row or 1 << 30)


def of_sheet(package: Package, part: str, authors: Mapping[str, str]) -> Iterator[Remark]:
    """The remarks of one sheet that are XML."""
    related = [*package.relations(part).values()]
    threads = [r.target for r in related if r.kind == "threadedComment"]
    for target in threads:
        yield from _threaded(package.optional(target), authors)
    for relation in related:
        if relation.kind == "comments" and relation.target.endswith(".xml"):
            yield from _notes(package.optional(relation.target), threaded=bool(threads))
        elif relation.kind == "drawing":
            yield from _drawn(package, relation.target)


def people(package: Package, relations: Mapping[str, Relation]) -> dict[str, str]:
    """Names of those who wrote threaded comments, by their ids."""
    found: dict[str, str] = {}
    for relation in relations.values():
        if relation.kind == "person":
            for person in package.optional(relation.target) or ():
                found[person.get("id", "")] = person.get("displayName", "")
    return found


def _threaded(tree: Element | None, authors: Mapping[str, str]) -> Iterator[Remark]:
    for element in children(tree, "x:threadedComment"):
        author = authors.get(element.get("personId", ""), "")
        said = comment(element.get("ref", ""), author, text_of(child(element, "x:text")))
        if said is not None:
            yield said


def _notes(tree: Element | None, *, threaded: bool) -> Iterator[Remark]:
    authors = [text_of(author) for author in children(child(tree, "x:authors"), "x:author")]
    for element in children(child(tree, "x:commentList"), "x:comment"):
        number = whole(element.get("authorId"), -1)
        author = authors[number] if 0 <= number < len(authors) else ""
        said = "".join(_runs(child(element, "x:text")))
        made = comment(element.get("ref", ""), author, said, threaded=threaded)
        if made is not None:
            yield made


def _runs(text: Element | None) -> Iterator[str]:
    """The characters of a rich text, without how they are pronounced."""
    for element in text if text is not None else ():
        if element.tag == "x:t":
            yield element.text or ""
        elif element.tag == "x:r":
            yield from (one.text or "" for one in children(element, "x:t"))


def _drawn(package: Package, part: str) -> Iterator[Remark]:
    """Text boxes and other shapes that say something, titles of charts, words of diagrams."""
    relations = package.relations(part)
    for anchor in package.optional(part) or ():
        row = whole(text_of(child(anchor, "x:from", "x:row")), -1) + 1
        for element in _seen(anchor):
            if element.tag == "x:txBody":
                said = "\n".join(filter(None, map(_line, element.iter("a:p"))))
            else:
                relation = relations.get(element.get("r:id") or element.get("r:dm") or "")
                tree = package.optional(relation.target) if relation else None
                said = _chart_titles(tree) if element.tag == "c:chart" else _points(tree)
            if said:
                yield Remark(row, said)


def _seen(parent: Element) -> Iterator[Element]:
    """Texts of shapes, references to charts and diagrams; of several forms of one the first."""
    for element in parent:
        if element.tag in ("x:txBody", "c:chart", "dgm:relIds"):
            yield element
        elif element.tag == "mc:AlternateContent":
            yield from _seen(element[0]) if len(element) else ()
        else:
            yield from _seen(element)


def _points(tree: Element | None) -> str:
    """What a diagram says, a line for each of its points."""
    points = tree.iter("dgm:pt") if tree is not None else ()
    said = (" ".join(filter(None, map(_line, point.iter("a:p")))) for point in points)
    return "\n".join(filter(None, said))


def _line(paragraph: Element) -> str:
    return " ".join("".join(one.text or "" for one in paragraph.iter("a:t")).split())


def _chart_titles(tree: Element | None) -> str:
    """The title of a chart and those of its axes: its figures are cells'."""
    found = tree.iter("c:title") if tree is not None else ()
    said = (" ".join(filter(None, map(_line, title.iter("a:p")))) for title in found)
    return " / ".join(dict.fromkeys(filter(None, said)))
