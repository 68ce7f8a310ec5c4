"""Whether text in a feed is escaped markup, by RFC 4287 and the practice of feed readers.

In Atom the attribute `type` decides (3.1.1); without it, the text is plain. RSS has no such
attribute: descriptions are HTML, and a title is treated as HTML only if it can be nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import unescape
from typing import Literal

from retrieval.documents.formats.html import extract

Escaped = Literal["html", "title", "tags", ""]
"""HTML; HTML if it has HTML entities or tags; HTML if it has HTML tags; plain text."""

_HTML = frozenset({"html", "text/html"})
_TEXT = frozenset({"plain", "text", "text/plain", "xhtml"})
_TITLES = frozenset({"copyright", "rights", "title"})
_ENTITY = re.compile(r"&[#\w][^\s<&;]{0,31};")
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)(?=[\s/>])")
_VOID = frozenset({"br", "hr", "img"})
_NAMES = (
    "a abbr acronym b big blockquote br center cite code dd del div dl dt em font h1 h2 h3 h4 h5 "
    "h6 hr i img ins kbd li mark ol p pre q s samp small span strike strong sub sup table tbody td "
    "th thead tr tt u ul var"
)
_KNOWN = frozenset(_NAMES.split())


def how_escaped(name: str, attributes: Mapping[str, str], *, atom: bool) -> Escaped:
    """How an element of a feed may contain HTML.

    Args:
        name: the element's name.
        attributes: the element's attributes.
        atom: whether it is an Atom feed.
    """
    said = attributes.get("type", "").strip().lower()
    mode = attributes.get("mode", "").strip().lower()  # from Atom 0.3
    if said in _HTML:
        return "" if mode == "xml" else "html"
    if said in _TEXT or said.endswith(("/xml", "+xml")):
        return ""
    if atom:
        return "" if name in _TITLES else "tags"  # many feeds have HTML without declaring it
    return "title" if name in _TITLES else "html"


def shown(escaped: Escaped, words: str) -> str:
    """An element's words as they are displayed; each line stays one line."""
    if "<" not in words and "&" not in words:
        return words
    if escaped == "html" or _is_marked_up(words):
        return extract(words)[0]
    return _ENTITY.sub(_decoded, words) if escaped == "title" else words


def _is_marked_up(words: str) -> bool:
    """Whether all tags are HTML tags, and at least one is a closing or void tag."""
    ends = False
    for closing, name in _TAG.findall(words):
        if name.lower() not in _KNOWN:
            return False
        ends = ends or bool(closing) or name.lower() in _VOID
    return ends


def _decoded(entity: re.Match[str]) -> str:
    return " ".join(unescape(entity[0]).splitlines()) or " "
