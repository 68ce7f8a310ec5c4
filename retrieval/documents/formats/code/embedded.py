"""Components of web pages, Vue's and Svelte's: markup with scripts and styles in it.

Each script and style is read in its own language, at its place; the markup by its layout.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import zip_longest
from typing import Any

from retrieval.documents.formats.code.layout import by_layout
from retrieval.documents.formats.format import Parsed
from retrieval.documents.outline import Block, Outline, Part, shifted

LANGUAGES = frozenset({"vue", "svelte"})

_TAG = re.compile(r"^<(/?)(script|style)\b([^>]{0,1000})>", re.IGNORECASE | re.MULTILINE)
_LANGUAGE = re.compile(r"\blang\s*=\s*[\"']?([\w-]+)")
_BLANKS = re.compile(r"[ \t]*")
_TYPESCRIPT = {"ts": "typescript", "tsx": "tsx"}
_IMPORTS = 64


def read_component(text: str, language: str, read: Callable[[str, str], Parsed]) -> Parsed:
    """A component: the definitions and imports of its scripts and styles.

    Args:
        text: the component.
        language: one of `LANGUAGES`.
        read: reads a text in a language.
    """
    parts: list[Part] = []
    blocks: list[Block] = []
    imports: dict[str, None] = {}
    deeper: list[list[list[int]]] = []
    spans: list[tuple[int, int]] = []
    problems: list[str] = []
    fell_back = False
    for opened, closed in _elements(text):
        start = opened.end()
        found = read(text[start : closed.start()], _language_of(opened[2].lower(), opened[3]))
        fell_back |= found.by_layout
        problems += found.problems
        spans.append((opened.start(), closed.end()))
        blocks += [shifted(block, start) for block in found.outline.blocks]
        imports |= dict.fromkeys(found.metadata.get("imports", ()))
        parts.append(Part(opened.start(), 1))
        parts += [Part(start + p.start, p.level) for p in found.outline.parts if p.start]
        deeper.append([[start + at for at in cuts if at] for cuts in found.outline.breaks])
    rest = by_layout(text)
    parts += [part for part in rest.parts if not _within(spans, part.start)]
    deeper.append([[at for at in cuts if not _within(spans, at)] for cuts in rest.breaks])
    metadata: dict[str, Any] = {"language": language}
    if imports:
        metadata["imports"] = list(imports)[:_IMPORTS]
    levels = {_indented(text, part.start) if part.start else 0: part.level for part in parts}
    outline = Outline(
        blocks=blocks,
        parts=[Part(start, level) for start, level in sorted(levels.items())],
        breaks=[
            sorted({_indented(text, at) for cuts in of_rank for at in cuts})
            for of_rank in zip_longest(*deeper, fillvalue=[])
        ],
        sentences=False,
    )
    return Parsed(text, "", metadata, outline, problems=tuple(problems), by_layout=fell_back)


def _elements(text: str) -> Iterator[tuple[re.Match[str], re.Match[str]]]:
    """The first and last tags of each script and style, in one pass over the text."""
    opened: re.Match[str] | None = None
    for tag in _TAG.finditer(text):
        if opened is None:
            opened = None if tag[1] else tag
        elif tag[1] and tag[2].lower() == opened[2].lower():
            yield opened, tag
            opened = None


def _language_of(element: str, attributes: str) -> str:
    if element == "style":
        return "css"
    named = _LANGUAGE.search(attributes)
    return _TYPESCRIPT.get(named[1].lower(), "javascript") if named else "javascript"


def _indented(text: str, at: int) -> int:
    """Where the words of a line begin."""
    found = _BLANKS.match(text, at)
    return at if found is None else found.end()


def _within(spans: list[tuple[int, int]], at: int) -> bool:
    """Whether a character stands in one of the spans, which are in order."""
    index = bisect_right(spans, at, key=lambda span: span[0]) - 1
    return index >= 0 and at < spans[index][1]
