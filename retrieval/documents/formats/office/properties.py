"""What a file says of itself: title, author, dates."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from retrieval.documents.formats.office.package import Package
from retrieval.documents.formats.office.xml_parts import Element, text_of

_MOST_CHARACTERS = 1000
_DEFAULT_TITLE = re.compile(
    r"(?:untitled|document|presentation|slide|powerpoint|dokument|pr[äée]sentation|title|book)?"
    r"[\s-]*\d*|powerpoint[- ]pr[äée]sentation|microsoft (?:word|powerpoint|excel) - .*"
    r"|(?:no|slide) title|\S+\.(?:docx?|dotx?|odt|pptx?|odp|rtf|html?|indd|tmp)",
    re.IGNORECASE,
)
"""Titles that programs give and nobody chose."""

_FIELDS = {
    "dc:title": "title",
    "dc:creator": "author",
    "meta:initial-creator": "author",
    "dcterms:created": "created",
    "meta:creation-date": "created",
    "dcterms:modified": "modified",
    "dc:date": "modified",
    "dc:subject": "subject",
    "dc:language": "language",
    "cp:keywords": "keywords",
    "meta:keyword": "keywords",
}
_FIRST = frozenset({"meta:initial-creator"})
"""Who began a file, before who saved it last."""


def fields_of(elements: Iterable[Element]) -> dict[str, str]:
    """The fields that elements of metadata give, those that are set."""
    found: dict[str, str] = {}
    for element in elements:
        name = _FIELDS.get(element.tag)
        if name and (value := text_of(element)[:_MOST_CHARACTERS]):
            if name == "keywords" and name in found:
                found[name] = f"{found[name]}, {value}"
            elif name not in found or element.tag in _FIRST:
                found[name] = value
    return found


def core_properties(package: Package) -> tuple[str, dict[str, Any]]:
    """The title and the other properties of an OOXML file."""
    part = next(
        (
            relation.target
            for relation in package.relations("").values()
            if relation.kind == "core-properties"
        ),
        "docProps/core.xml",
    )
    tree = package.optional(part)
    return title_and_rest({} if tree is None else fields_of(tree))


def title_and_rest(fields: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """The title, "" for one that a program gave, and the other fields."""
    title = fields.pop("title", "")
    return "" if _DEFAULT_TITLE.fullmatch(title) else title, dict(fields)
