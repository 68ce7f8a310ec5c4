"""Objects in OpenDocument files: formulas and charts, each a document of its own."""

from __future__ import annotations

from retrieval.documents.formats.formulas import mathml
from retrieval.documents.formats.office.package import Package, resolved
from retrieval.documents.formats.office.xml_parts import Element, child


class Objects:
    """The objects of a file; each is read once.

    Args:
        package: its parts; None of a file that is one XML document, which holds its objects.
    """

    def __init__(self, package: Package | None) -> None:
        self._package = package
        self._read: dict[str, Element | None] = {}

    def content(self, element: Element) -> Element | None:
        """What a `draw:object` shows: a part of its own, or what stands in it."""
        target = element.get("xlink:href", "")
        return self.part(target) if self._package is not None and target else element

    def part(self, target: str) -> Element | None:
        """The content of the object that a reference leads to."""
        name = f"{resolved('', target)}/content.xml"
        if name not in self._read:
            self._read[name] = self._package.optional(name) if self._package else None
        return self._read[name]

    def formula(self, shape: Element) -> str:
        """The formula that a frame within a line shows, "" if it is none."""
        shown = child(shape, "draw:object") if shape.tag == "draw:frame" else None
        return "" if shown is None else math_in(self.content(shown))


def math_in(tree: Element | None) -> str:
    """The formula that the content of an object is, on one line, or ""."""
    found = tree if tree is None or tree.tag == "math:math" else child(tree, "math:math")
    return "" if found is None else mathml(found)
