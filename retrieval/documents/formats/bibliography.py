"""Bibliographies: each entry of BibTeX, RIS or PubMed is a section under its title."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from retrieval.documents.formats.builder import OutlineBuilder, lines_of
from retrieval.documents.formats.format import text_format
from retrieval.documents.formats.latex_words import plain
from retrieval.documents.outline import LEAD_CHARACTERS, Block, Heading, Outline

_ENTRY = re.compile(
    r"^[ \t]*@([A-Za-z]{1,40})\s{0,20}[{(]\s{0,20}([^\s,{}()\"=#%]{0,300})", re.MULTILINE
)
_NO_ENTRY = frozenset({"comment", "preamble", "string"})
_FIELD = re.compile(r"[,{(\s]([A-Za-z][\w-]{0,40})\s{0,20}=\s{0,20}(?=([{\"\w]))")
_VALUE_STOP = re.compile(r"[\\{}\"]")
_BARE = re.compile(r"[\w.:-]{1,100}")
_TAGGED = re.compile(r"([A-Z][A-Z0-9]{1,3})[ \t]{0,3}-(?:[ \t]|$)[ \t]*(.*)")
_AND = re.compile(r"\s+and\s+")
_YEAR = re.compile(r"\d{4}")
_LONGEST_VALUE = 20_000
_MOST_AUTHORS = 3
_TITLES = ("TI", "T1", "CT", "BT", "T2")
_AUTHORS = ("AU", "A1", "FAU", "A2", "ED")
_YEARS = ("PY", "Y1", "DP", "DA")


@dataclass(slots=True)
class _Entry:
    """An entry: its span, and its fields, of each the values in order."""

    start: int
    end: int
    key: str = ""
    fields: dict[str, list[str]] = field(default_factory=dict)

    def first(self, names: Sequence[str]) -> list[str]:
        """The values of the first of these fields that is there."""
        return next((self.fields[name] for name in names if self.fields.get(name)), [])


def _note(
    builder: OutlineBuilder, entry: _Entry, title: str, authors: list[str], year: str
) -> None:
    """Note an entry: its title is its heading; who wrote it when is read with all parts of it."""
    words = " ".join((title or entry.key).split())[:LEAD_CHARACTERS].rstrip()
    if words:
        builder.headings.append(Heading(entry.start, entry.start, 1, words))
    builder.tops.append(entry.start)
    more = " et al." * (len(authors) > _MOST_AUTHORS)
    lead = " ".join([f"{'; '.join(authors[:_MOST_AUTHORS])}{more}", *_YEAR.findall(year)[:1]])
    block = Block("paragraph", entry.start, entry.end, lead=lead.strip()[:LEAD_CHARACTERS])
    builder.blocks.append(block)


def bibtex(text: str) -> Outline:
    """A section for each entry of BibTeX."""
    builder = OutlineBuilder(text)
    for entry in _bibtex_entries(text):
        title = plain((entry.first(("title", "booktitle", "key")) or [""])[0])
        authors = _AND.split((entry.first(("author", "editor")) or [""])[0])
        year = (entry.first(("year", "date")) or [""])[0]
        _note(builder, entry, title, [name for name in map(plain, authors) if name], year)
    return builder.outline()


def _bibtex_entries(text: str) -> Iterator[_Entry]:
    found = list(_ENTRY.finditer(text))
    for at, opening in enumerate(found):
        if opening[1].lower() in _NO_ENTRY:
            continue
        start = opening.start() + len(opening[0]) - len(opening[0].lstrip())
        limit = found[at + 1].start() if at + 1 < len(found) else len(text)
        brace = text.find("{", start, limit)
        end = _closing(text, brace, limit) if 0 <= brace < opening.end() else limit
        entry = _Entry(start, start + len(text[start:end].rstrip()), opening[2])
        place = opening.end()
        while (named := _FIELD.search(text, place, end)) is not None:
            value, place = _value(text, named.end(), end)
            entry.fields.setdefault(named[1].lower(), [value])
        yield entry


def _closing(text: str, brace: int, limit: int) -> int:
    """One past the brace that closes the one at an offset, or the limit."""
    depth, at = 0, brace
    while (stop := _VALUE_STOP.search(text, at, limit)) is not None:
        at = stop.end() + (stop[0] == "\\")
        depth += (stop[0] == "{") - (stop[0] == "}")
        if depth <= 0 and stop[0] == "}":
            return stop.end()
    return limit


def _value(text: str, at: int, limit: int) -> tuple[str, int]:
    """A field's value without its delimiters, and where it ends."""
    if text[at] == "{":
        end = _closing(text, at, limit)
        return text[at + 1 : min(end - 1, at + _LONGEST_VALUE)], end
    if text[at] != '"':
        bare = _BARE.match(text, at, limit)
        return (bare[0], bare.end()) if bare else ("", at + 1)
    depth, place = 0, at + 1
    while (stop := _VALUE_STOP.search(text, place, limit)) is not None:
        place = stop.end() + (stop[0] == "\\")
        depth += (stop[0] == "{") - (stop[0] == "}")
        if stop[0] == '"' and depth <= 0:
            return text[at + 1 : min(stop.start(), at + _LONGEST_VALUE)], stop.end()
    return text[at + 1 : min(limit, at + _LONGEST_VALUE)], limit


def tagged(text: str) -> Outline:
    """A section for each record of RIS or PubMed, whose lines begin with tags."""
    builder = OutlineBuilder(text)
    for record in _records(text):
        title = " ".join(record.first(_TITLES)[:1])
        year = " ".join(record.first(_YEARS)[:1])
        _note(builder, record, title, record.first(_AUTHORS), year)
    return builder.outline()


def _records(text: str) -> Iterator[_Entry]:
    """From a line `TY` or `PMID` to the line `ER`, or to the next such."""
    record: _Entry | None = None
    value: list[str] = []
    for start, end in lines_of(text):
        line = text[start:end].lstrip("\ufeff").rstrip()
        found = _TAGGED.match(line)
        if found is None:
            if record is not None and line[:1].isspace():  # continues the line before
                record.end = end
                if value and len(value[-1]) < _LONGEST_VALUE:
                    value[-1] += f" {line.strip()}"
            continue
        if found[1] in ("TY", "PMID"):
            if record is not None:
                yield record
            record = _Entry(start, end)
        if record is None:
            continue
        record.end = end
        value = record.fields.setdefault(found[1], [])
        value.append(found[2].strip())
        if found[1] == "ER":
            yield record
            record = None
    if record is not None:
        yield record


FORMATS = (
    text_format("bibtex", 1, bibtex, title=lambda text, outline: "", suffixes=(".bib", ".bibtex")),
    text_format("ris", 1, tagged, title=lambda text, outline: "", suffixes=(".ris", ".nbib")),
)
