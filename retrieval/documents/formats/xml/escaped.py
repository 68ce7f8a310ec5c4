"""Text in feeds that is escaped markup, or not, as RFC 4287 says and as readers of feeds take it.

In Atom the attribute `type` tells (3.1.1): without one it is text. RSS has none: descriptions are
HTML, and a title is taken for HTML where it can be nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import unescape
from typing import Literal

from retrieval.documents.formats.html import extract

Escaped = Literal["html", "title", "tags", ""]
"""HTML; HTML if it has entities or tags of HTML; HTML if it has such tags; none."""

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
    """How HTML may stand in an element of a feed.

    Args:
        name: of the element.
        attributes: its own.
        atom: whether the feed is one of Atom.
    """
    said = attributes.get("type", "").strip().lower()
    mode = attributes.get("mode", "").strip().lower()  # of Atom 0.3
    if said in _HTML:
        return "" if mode == "xml" else "html"
    if said in _TEXT or said.endswith(("/xml", "+xml")):
        return ""
    if atom:
        return "" if name in _TITLES else "tags"  # many feeds have it without saying so
    return "title" if name in _TITLES else "html"


def shown(escaped: Escaped, words: str) -> str:
    """What is shown of the words of an element; each line of them stays one."""
    if "<" not in words and "&" not in words:
        return words
    if escaped == "html" or _is_marked_up(words):
        return extract(words)[0]
    return _ENTITY.sub(_decoded, words) if escaped == "title" else words


def _is_marked_up(words: str) -> bool:
    """Whether all tags are HTML's, and one ends an element."""
    ends = False
    for closing, name in _TAG.findall(words):
        if name.lower() not in _KNOWN:
            return False
        ends = ends or bool(closing) or name.lower() in _VOID
    return ends


def _decoded(entity: re.Match[str]) -> str:
    return " ".join(unescape(entity[0]).splitlines()) or " "
