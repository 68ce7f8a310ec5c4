"""What a document says of itself."""

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
    """What a document says of itself, by key; each value on one line."""

    values: dict[str, list[str]] = field(default_factory=dict)

    def title(self) -> str:
        """Its title, or ""."""
        return (self.values.get("title") or [""])[0]

    def metadata(self) -> dict[str, Any]:
        """What else is known."""
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
    """Whether whom an element names is an author, by the kinds of contributors that JATS has.

    Args:
        name: of the element.
        attributes: its own.
        above: whether it is one by what the element stands in.
    """
    if name == "contrib" and (kind := attributes.get("contrib-type")):
        words = {word.removesuffix("s") for word in _WORD.findall(kind.lower())}
        return "author" in words and "non" not in words
    if name == "contrib-group":
        kind = attributes.get("content-type", "").lower()
        return _OTHERS.isdisjoint(word.removesuffix("s") for word in _WORD.findall(kind))
    return above
