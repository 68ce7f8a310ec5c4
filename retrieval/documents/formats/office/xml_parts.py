"""XML to a tree with short names, without entities of its own and within a depth.

The parser is expat, by way of `xml.etree`. It never opens another file. A document type that
declares entities is refused before anything is expanded.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from typing import TypeAlias
from xml.parsers import expat

from retrieval.documents.naming import one_line
from retrieval.errors import DocumentError

Element: TypeAlias = ElementTree.Element

MAX_DEPTH = 200
"""Deepest nesting of elements: walking the tree recurses once per level."""
_PROLOG_CHUNK = 4096
_UNBOUND = 27
"""Expat's error for a prefix without a namespace."""
_PREFIX = re.compile(rb"[<\s/]([A-Za-z_][\w.-]{0,30}):[A-Za-z_]")
_BOUND = re.compile(rb"\sxmlns:([A-Za-z_][\w.-]{0,30})\s*=")
_FIRST_TAG = re.compile(rb"<[A-Za-z_][\w.:-]*(?:\s+[\w.:-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))*+")
_MOST_PREFIXES = 50

_OOXML = ("http://schemas.openxmlformats.org/", "http://purl.oclc.org/ooxml/")
"""Transitional and strict files have names of their own for the same elements."""
_ODF = "urn:oasis:names:tc:opendocument:xmlns:"
_PREFIXES = {
    **{
        root + path: prefix
        for root in _OOXML
        for prefix, paths in {
            "w": ("wordprocessingml/2006/main", "wordprocessingml/main"),
            "a": ("drawingml/2006/main", "drawingml/main"),
            "p": ("presentationml/2006/main", "presentationml/main"),
            "m": ("officeDocument/2006/math", "officeDocument/math"),
            "r": ("officeDocument/2006/relationships", "officeDocument/relationships"),
            "c": ("drawingml/2006/chart", "drawingml/chart"),
            "dgm": ("drawingml/2006/diagram", "drawingml/diagram"),
        }.items()
        for path in paths
    },
    "http://schemas.openxmlformats.org/markup-compatibility/2006": "mc",
    "http://schemas.microsoft.com/office/powerpoint/2018/8/main": "p188",
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://purl.org/dc/terms/": "dcterms",
    "http://schemas.openxmlformats.org/package/2006/metadata/core-properties": "cp",
    "http://www.w3.org/1998/Math/MathML": "math",
    "http://www.w3.org/1999/xlink": "xlink",
    "http://www.idpf.org/2007/opf": "opf",
    "http://www.daisy.org/z3986/2005/ncx/": "ncx",
    "http://www.w3.org/1999/xhtml": "html",
    "http://www.idpf.org/2007/ops": "epub",
    "http://www.w3.org/2001/04/xmlenc#": "enc",
    **{
        f"{_ODF}{name}:1.0": name
        for name in (
            "office",
            "text",
            "table",
            "style",
            "meta",
            "presentation",
            "manifest",
            "chart",
        )
    },
    f"{_ODF}drawing:1.0": "draw",
}


class _EntityError(Exception):
    pass


def parse_xml(data: bytes, name: str) -> Element:
    """The tree of an XML document; tags and attributes are `prefix:name` as in `_PREFIXES`.

    Names of other namespaces have the prefix `x`, attributes without a namespace have none.

    Args:
        data: the document.
        name: what it is called, for messages.

    Raises:
        DocumentError: it is not well-formed, declares entities, or is nested too deeply.
    """
    shown = one_line(name)
    try:
        refuse_entities(data, name)
        root = _tree(data)
    except (expat.ExpatError, ElementTree.ParseError) as error:
        raise DocumentError(f"is damaged: {shown} is not well-formed XML ({error})") from None
    except (ValueError, LookupError) as error:  # an encoding that is not known
        raise DocumentError(f"is damaged: {shown} cannot be decoded ({error})") from None
    if not _shorten(root):
        raise DocumentError(f"is refused: {shown} is nested more than {MAX_DEPTH} deep")
    return root


def _tree(data: bytes) -> Element:
    """The tree; prefixes that a program has not bound, as pandoc's `a14`, mean nothing."""
    try:
        return ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        if error.code != _UNBOUND:
            raise
        begins = _FIRST_TAG.search(data)
        bound = {b"xml", b"xmlns", *_BOUND.findall(begins[0])} if begins else set()
        lacking = sorted({*_PREFIX.findall(data)} - bound)[:_MOST_PREFIXES]
        if begins is None or not lacking:
            raise
        said = b"".join(b' xmlns:%b="unbound:%b"' % (prefix, prefix) for prefix in lacking)
        return ElementTree.fromstring(data[: begins.end()] + said + data[begins.end() :])


def refuse_entities(data: bytes, name: str) -> None:
    """Read an XML document up to the first element, which a document type stands before.

    Raises:
        DocumentError: it declares entities.
        expat.ExpatError: it is not well-formed.
    """
    parser = expat.ParserCreate()
    begun = False

    def refuse(*_: object) -> None:
        raise _EntityError

    def begin(*_: object) -> None:
        nonlocal begun
        begun = True
        parser.StartElementHandler = None

    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = begin
    at = 0
    try:
        while at < len(data) and not begun:
            parser.Parse(data[at : at + _PROLOG_CHUNK], False)
            at += _PROLOG_CHUNK
    except _EntityError:
        raise DocumentError(f"is refused: {one_line(name)} declares entities of its own") from None


def _shorten(root: Element) -> bool:
    """Give all names of a tree their prefixes; False if it is too deep."""
    names: dict[str, str] = {}
    level, depth = [root], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            return False
        below: list[Element] = []
        for element in level:
            tag = element.tag
            element.tag = names.get(tag) or names.setdefault(tag, _short(tag, "x"))
            if attributes := element.attrib:
                for key in [key for key in attributes if key[0] == "{"]:
                    value = attributes.pop(key)
                    attributes[names.get(key) or names.setdefault(key, _short(key, "x"))] = value
            below += element
        level = below
    return True


def _short(name: str, other: str) -> str:
    if name[0] != "{":
        return name
    namespace, _, local = name[1:].partition("}")
    return f"{_PREFIXES.get(namespace, other)}:{local}"


def text_of(element: Element | None) -> str:
    """All characters in an element, white space run together."""
    return "" if element is None else " ".join("".join(element.itertext()).split())


def children(element: Element | None, tag: str) -> Iterator[Element]:
    """The children of an element that have this tag."""
    for one in element if element is not None else ():
        if one.tag == tag:
            yield one


def child(element: Element | None, *path: str) -> Element | None:
    """The first child with a tag, of it the first with the next, and so on."""
    for tag in path:
        element = next(children(element, tag), None)
    return element
