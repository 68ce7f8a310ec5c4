"""XML: documents of known kinds and others as their text, data as it stands.

prolog        what stands before the root, made harmless
vocabularies  what elements mean
facts         what a document says of itself
escaped       text in feeds that is escaped markup
reader        a document's text on the lines of the source, and its structure
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from xml.parsers import expat

from retrieval.documents.formats import code, html
from retrieval.documents.formats.format import Format, Parsed, Source, decoded, top_heading
from retrieval.documents.formats.xml import vocabularies as known
from retrieval.documents.formats.xml.prolog import Prolog, prolog
from retrieval.documents.formats.xml.reader import XmlText
from retrieval.documents.formats.xml.vocabularies import Vocabulary

_PROSE = 0.3
"""Of the characters of a document, so many are prose; where there is less it is data."""
_START = re.compile(rb"(?:\xef\xbb\xbf)?\s{0,100}<\?xml\s+version\s*=", re.IGNORECASE)
_HEAD = 8192

_DOCBOOK_ROOTS = (
    "appendix bibliography book chapter glossary part preface refentry refsect1 sect1 section set "
    "simplesect"
)
_DITA_ROOTS = "bookmap concept dita glossentry map reference task topic troubleshooting"
_OF_ROOT: Mapping[str, Vocabulary] = {
    **dict.fromkeys(_DOCBOOK_ROOTS.split(), known.DOCBOOK),
    **dict.fromkeys(_DITA_ROOTS.split(), known.DITA),
    **dict.fromkeys(("TEI", "TEI.2", "teiCorpus"), known.TEI),
    "FictionBook": known.FICTION_BOOK,
    "feed": known.FEED,
    "rss": known.FEED,
    "svg": known.DRAWING,
}
_SUFFIXES = ".xml .svg .rss .atom .dita .ditamap .tei .nxml .jats .dbk .docbook .fb2 .rdf"
_SAID = re.compile(r"DocBook|docbook\.org|DITA|JATS|NLM//|nlm\.nih\.gov|niso\.org/standards/z39-96")
_VOCABULARY_SAID = {
    "DocBook": known.DOCBOOK,
    "docbook.org": known.DOCBOOK,
    "DITA": known.DITA,
}


def _vocabulary(text: str, head: Prolog) -> Vocabulary:
    """What the elements of a document mean, by its root and by what it says of itself."""
    root = head.root.rpartition(":")[2]
    said = _SAID.search(head.said) or _SAID.search(head.attributes)
    if root in ("article", "book", "book-part"):
        if said is not None:
            return _VOCABULARY_SAID.get(said[0], known.JATS)
        begins = text[:_HEAD]
        jats = "<front" in begins or "<book-meta" in begins or "article-type" in head.attributes
        return known.JATS if jats else known.DOCBOOK
    if root == "RDF":
        return known.FEED if "purl.org/rss/" in head.attributes else known.OTHER
    if root in ("map", "reference", "section", "task", "part", "set", "topic") and said is None:
        return known.OTHER  # words that others use, too
    return _OF_ROOT.get(root, known.OTHER)


def _parse(data: bytes, source: Source) -> Parsed | list[Parsed]:
    text, problems = decoded(data, source)
    head = prolog(text)
    if head.root.lower() == "html":
        page, title, outline = html.extract(text)
        return Parsed(page, title, {}, outline, problems=problems, format="html")
    vocabulary = _vocabulary(text, head)
    reader = XmlText(head, vocabulary)
    try:
        outline = reader.read()
    except expat.ExpatError as error:
        what = expat.ErrorString(error.code)
        problem = f"not well-formed XML at line {error.lineno} ({what}); read as it stands"
        return _as_it_stands(text, (*problems, problem))
    if vocabulary is known.OTHER and reader.prose < _PROSE * len(text):
        return _as_it_stands(text, problems)
    if vocabulary is known.DRAWING and not reader.words:
        return []
    metadata: dict[str, Any] = reader.facts.metadata()
    if vocabulary is not known.OTHER:
        metadata["vocabulary"] = vocabulary.name
    title = reader.facts.title() or top_heading(outline)
    return Parsed(reader.text, title, metadata, outline, problems=problems)


def _as_it_stands(text: str, problems: tuple[str, ...]) -> Parsed:
    """Data, whose elements and attributes say as much as the text in them."""
    found = code.outline(text, "xml")
    return Parsed(text, "", {"language": "xml"}, found, problems=problems, format="code")


FORMATS = (
    Format(
        "xml",
        3,
        _parse,
        tuple(_SUFFIXES.split()),
        sniff=lambda head: _START.match(head) is not None,
    ),
)
