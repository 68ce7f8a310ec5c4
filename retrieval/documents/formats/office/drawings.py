"""What stands in pictures of OOXML files that hold words: charts and diagrams."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from retrieval.documents.formats.office.flow import Flow
from retrieval.documents.formats.office.numbering import whole
from retrieval.documents.formats.office.package import Package, Relation
from retrieval.documents.formats.office.xml_parts import Element, child, children, text_of

_MOST_SERIES = 50
_MOST_POINTS = 1000


def drawing(
    flow: Flow, package: Package, relations: Mapping[str, Relation], element: Element
) -> None:
    """Put the chart or the diagram that an element shows, if it is one."""
    for found in _shown(element):
        key = found.get("r:id") or found.get("r:dm") or ""
        relation = relations.get(key)
        tree = package.optional(relation.target) if relation else None
        if tree is None:
            continue
        if found.tag == "c:chart":
            _chart(flow, tree)
        else:
            for point in tree.iter("dgm:pt"):
                flow.item(" ".join(text_of(p) for p in point.iter("a:p")), 0)


def _shown(element: Element) -> Iterator[Element]:
    for found in element.iter():
        if found.tag in ("c:chart", "dgm:relIds"):
            yield found


def _chart(flow: Flow, tree: Element) -> None:
    """A chart as its title and the table that it draws."""
    chart = child(tree, "c:chart")
    title = child(chart, "c:title")
    if title is not None:
        flow.paragraph(" ".join(one.text or "" for one in title.iter("a:t")))
    columns: list[dict[int, str]] = []
    names: list[str] = []
    labels: dict[int, str] = {}
    for series in tree.iter("c:ser"):
        if len(names) == _MOST_SERIES:
            break
        named = child(series, "c:tx")
        names.append("" if named is None else " ".join(v.text or "" for v in named.iter("c:v")))
        labels = labels or _points(series, "c:cat", "c:xVal")
        columns.append(_points(series, "c:val", "c:yVal"))
    points = sorted({at for column in (labels, *columns) for at in column})[:_MOST_POINTS]
    rows = [["", *names]]
    rows += [[labels.get(at, ""), *(column.get(at, "") for column in columns)] for at in points]
    flow.table(rows, 1)


def _points(series: Element, *tags: str) -> dict[int, str]:
    """What a chart keeps of the cells that it shows, by their index."""
    found: dict[int, str] = {}
    for element in series:
        if element.tag in tags:
            for point in element.iter("c:pt"):
                value = "".join(one.text or "" for one in children(point, "c:v"))
                found[whole(point.get("idx"), len(found))] = value
    return found
