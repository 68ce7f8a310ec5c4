"""What stands before the root element of an XML document, made harmless.

The parser is given a document type without declarations in the place of the file's own: so it knows
no entity that it could expand, and opens no other file. Entities that the file declares as plain
text, and those of HTML, are put in by the reader.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from itertools import islice

_LEADING = re.compile(r"(?:\s+|<\?[^>]{0,2000}?\?>|<!--(?:(?!-->).){0,20000}-->)*", re.DOTALL)
_DOCTYPE = re.compile(r"<!DOCTYPE\s[^\[>\"']{0,500}(?:(?:\"[^\"]*\"|'[^']*')[^\[>\"']{0,500}){0,3}")
_SUBSET = re.compile(r"\"[^\"]*\"|'[^']*'|<!--.*?-->|<\?.*?\?>|(\])", re.DOTALL)
_ENTITY = re.compile(
    r"<!ENTITY\s+([\w.:-]{1,200})\s+(?:\"([^\"&<%]{0,200})\"|'([^'&<%]{0,200})')\s*>"
)
_ROOT = re.compile(r"<([A-Za-z_][^\s<>/]*)([^<>]{0,20000})")
_NEUTRAL = '<!DOCTYPE x SYSTEM "x">'
_MOST_ENTITIES = 10_000


@dataclass(frozen=True, slots=True)
class Prolog:
    """What is known of a document before it is parsed.

    Attributes:
        source: the document, its declarations replaced; every line stands where it stood.
        said: the document type as it was declared, or "".
        entities: those declared as plain text, by name.
        root: the root element's name with its prefix, or "" if there is none.
        attributes: of the root, as they are written.
    """

    source: str
    said: str
    entities: dict[str, str]
    root: str
    attributes: str


def prolog(text: str) -> Prolog:
    """Look at the beginning of a document."""
    leading = _LEADING.match(text)
    at = leading.end() if leading else 0
    doctype = _DOCTYPE.match(text, at)
    said, entities, end = "", {}, at
    if doctype is not None:
        said, end = doctype[0], doctype.end()
        if text[end : end + 1] == "[":
            closing = next((m for m in _SUBSET.finditer(text, end + 1) if m[1]), None)
            stop = closing.start() if closing else len(text)
            entities = {
                found[1]: found[2] or found[3] or ""
                for found in islice(_ENTITY.finditer(text, end, stop), _MOST_ENTITIES)
            }
            end = stop
        end = text.find(">", end) + 1 or len(text)
    rest = _LEADING.match(text, end)
    root = _ROOT.match(text, rest.end() if rest else end)
    newlines = "\n" * text.count("\n", 0, end)
    return Prolog(
        newlines + _NEUTRAL + text[end:],
        said,
        entities,
        root[1] if root else "",
        root[2] if root else "",
    )


def entity(name: str, declared: dict[str, str]) -> str:
    """The text that an entity stands for, a space if nobody knows."""
    if name in declared:
        return unescape(declared[name])
    known = unescape(f"&{name};")
    return " " if known.startswith("&") else known
