"""What a document says about itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_YEAR = re.compile(r"\d{4}")
_WORD = re.compile(r"[a-z]+")
_OTHERS = frozenset({"compiler", "editor", "illustrator", "reviewer", "translator"})


@dataclass(slots=True)
class Facts:
    """What a document says about itself, by key; each value is a single line."""

    values: dict[str, list[str]] = field(default_factory=dict)

    def title(self) -> str:
        """The document's title, or ""."""
        return (self.values.get("title") or [""])[0]

    def metadata(self) -> dict[str, Any]:
        """Everything else, as metadata."""
        found: dict[str, Any] = {}
        for key, values in self.values.items():
            if key == "year":
                year = _YEAR.search(values[0])
                if year:
                    found[key] = int(year[0])
            elif key in ("authors", "keywords"):
                found[key] = list(dict.fromkeys(values))
            elif key != "title":
                found[key] = values[0]
        return found


def is_author(name: str, attributes: Mapping[str, str], above: bool) -> bool:
    """Whether a person named in an element is an author, by JATS's types of contributors.

    Args:
        name: the element's name.
        attributes: the element's attributes.
        above: the answer for the element's parent.
    """
    if name == "contrib" and (kind := attributes.get("contrib-type")):
        words = {word.removesuffix("s") for word in _WORD.findall(kind.lower())}
        return "author" in words and "non" not in words
    if name == "contrib-group":
        kind = attributes.get("content-type", "").lower()
        return _OTHERS.isdisjoint(word.removesuffix("s") for word in _WORD.findall(kind))
    return above
