"""Cards of addresses (vCard 2.1 to 4.0), each a document, without pictures, sounds and keys."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from retrieval.documents.formats.format import Format, Parsed, Source, decoded
from retrieval.documents.formats.office.flow import Flow
from retrieval.documents.formats.properties import Component, Property, components
from retrieval.documents.naming import one_line

_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*BEGIN:VCARD\b", re.IGNORECASE)
_PARTS = re.compile(r"(?<!\\);")
_LISTED = (
    ("Nickname", "NICKNAME"), ("Title", "TITLE"), ("Role", "ROLE"), ("Organization", "ORG"),
    ("Phone", "TEL"), ("Mail", "EMAIL"), ("Messages", "IMPP"), ("Address", "ADR"), ("Web", "URL"),
    ("Born", "BDAY"), ("Anniversary", "ANNIVERSARY"), ("Related", "RELATED"), ("Member", "MEMBER"),
    ("Categories", "CATEGORIES"),
)  # fmt: skip
_OF_PARTS = frozenset({"ADR", "N", "ORG"})
_KINDS = frozenset({"home", "work", "cell", "fax", "pager", "voice", "main", "other"})
_LINK = re.compile(r"^(?:mailto|tel|x-apple):", re.IGNORECASE)


def _parse(data: bytes, source: Source) -> list[Parsed]:
    found = [one for one in components(data, source) if one.name == "VCARD"]
    if not found:
        text, problems = decoded(data, source)
        return [Parsed(text, problems=problems, format="text")]
    found.sort(key=lambda card: card.line)
    seen: Counter[str] = Counter()
    made = []
    for card in found:
        name = _name(card)
        flow = Flow()
        flow.heading(name, 1)
        flow.paragraph("\n".join(_lines(card)))
        for note in card.properties.get("NOTE", ()):
            flow.paragraph(note.text)
        text, outline = flow.finish()
        if not text:
            continue
        metadata = _metadata(card)
        id = None
        if len(found) > 1:
            own = card.first("UID") or name or f"L{card.line}"
            seen[own] += 1
            id = f"{source.id}#{one_line(own)}" + (f"~{seen[own]}" if seen[own] > 1 else "")
            metadata["line"] = card.line
        made.append(Parsed(text, name, metadata, outline, id))
    return made


def _name(card: Component) -> str:
    """What somebody is called, or else the parts of the name, or the organization."""
    if name := " ".join(card.first("FN").split()):
        return name
    for one in card.properties.get("N", ()):
        family, given, middle, before, after = (_parts(one) + [""] * 5)[:5]
        if name := " ".join(filter(None, (before, given, middle, family, after))):
            return name
    return next(
        (", ".join(filter(None, _parts(one))) for one in card.properties.get("ORG", ())), ""
    )


def _parts(one: Property) -> list[str]:
    parts = [Property(part).text for part in _PARTS.split(one.value)]
    return [" ".join(part.split()) for part in parts]


def _lines(card: Component) -> list[str]:
    lines = []
    for label, name in _LISTED:
        for one in card.properties.get(name, ()):
            said = ", ".join(filter(None, _parts(one))) if name in _OF_PARTS else one.text
            said = " ".join(_LINK.sub("", said).split())
            kinds = ", ".join(kind for kind in _kinds(one) if kind in _KINDS)
            if said:
                lines.append(f"{label}{f' ({kinds})' if kinds else ''}: {said}")
    return lines


def _kinds(one: Property) -> list[str]:
    return one.parameters.get("TYPE", "").lower().split(",")


def _metadata(card: Component) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if emails := [" ".join(one.text.split()) for one in card.properties.get("EMAIL", ())]:
        found["emails"] = [_LINK.sub("", one) for one in emails if one]
    for one in card.properties.get("ORG", ())[:1]:
        if parts := [part for part in _parts(one) if part]:
            found["organization"] = ", ".join(parts)
    return found


FORMATS = (
    Format(
        "contacts",
        1,
        _parse,
        (".vcf", ".vcard"),
        sniff=lambda head: _START.match(head) is not None,
    ),
)
