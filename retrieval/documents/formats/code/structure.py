"""What was found in a syntax tree, as an outline: definitions by their qualified names, cuts."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from retrieval.documents.formats.code.grammar import Definition, Found, Span
from retrieval.documents.outline import Block, Outline, Part

_MOST_NAME = 200
_MOST_SIGNATURE = 500
"""Characters; longer ones end with an ellipsis."""
_MOST_NESTED = 100
"""Definitions within each other that somebody may have written."""
_MOST_IMPORTS = 64
_DEEPEST = 6
"""Statements that stand deeper are cut at like those of this depth."""

_SPACE = re.compile(r"\s*")
_SEPARATOR = re.compile(r"\s*(?:::|->|[\\/:#.])\s*")
_OPENED = re.compile(r"(?<=[(\[<])\s*\n\s*|,?\s*\n\s*(?=[)\]>])")
"""Line breaks right inside brackets, with the comma that only they explain."""
_BODY_MARK = re.compile(r"(?:\s*(?:=>|[{:=]))+\s*$")
_QUOTES = "\"'`<>"


def outline_by(text: str, found: Found, language: str) -> Outline | None:
    """The outline of source code; None if its definitions are nested beyond belief."""
    above = _Above(text, found)
    definitions = _nested(text, found, above, language)
    if definitions is None:
        return None
    heads = [(one.block.start, one.block.end) for one in definitions]
    depths = {one.block.start: one.depth for one in reversed(definitions)}
    statements = _statements(found.statements, above, depths, heads)
    return Outline(
        blocks=[one.block for one in definitions],
        parts=_parts(definitions, [start for start, _ in statements]),
        breaks=_breaks(text, depths, statements),
        sentences=False,
    )


def imports_of(text: str, found: Found) -> list[str]:
    """Names of the modules that source code imports, each once, in order, no more than 64."""
    names = (text[slice(*span)].strip(_QUOTES).strip() for span in found.imports)
    return list(dict.fromkeys(name[:_MOST_NAME] for name in names if name))[:_MOST_IMPORTS]


class _Above:
    """What stands right above a statement and belongs to it: comments, decorators, annotations."""

    def __init__(self, text: str, found: Found) -> None:
        self._before: dict[int, Span] = {}
        self._comments = set(found.comments)
        for pieces, most in ((found.comments, 1), (found.attributes, 2)):
            for start, end in pieces:
                space = _space_after(text, end)
                if text.count("\n", end, space) <= most and self._leads(text, start):
                    self._before.setdefault(space, (start, end))

    def start(self, at: int) -> int:
        """Where what belongs to the statement at a character begins."""
        while at in self._before:
            at = self._before[at][0]
        return at

    def comment(self, at: int) -> Span | None:
        """The comments above the statement at a character, from the first to the last of them."""
        start = end = -1
        while at in self._before:
            piece = self._before[at]
            at = piece[0]
            if piece in self._comments:
                start, end = piece[0], piece[1] if end < 0 else end
        return (start, end) if end >= 0 else None

    def _leads(self, text: str, start: int) -> bool:
        """Whether nothing but others of its kind stand before it on its line."""
        line = text.rfind("\n", 0, start) + 1
        return not text[line:start].strip() or start in self._before


def _space_after(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()


@dataclass(frozen=True, slots=True)
class _Nested:
    """A definition as a block, and how many others are around it."""

    block: Block
    depth: int


def _nested(text: str, found: Found, above: _Above, language: str) -> list[_Nested] | None:
    """All definitions in order, or None if they are nested beyond belief."""
    made: list[_Nested] = []
    around: list[_Nested] = []
    wrappers = _Wrappers(found.wrappers)
    comments = [start for start, _ in found.comments]
    last = -1
    for definition in found.definitions:
        span = wrappers.around(definition.span)
        start = above.start(span[0])
        while around and around[-1].block.end <= span[0]:
            around.pop()
        # What two claim (a comment between brackets, a line of several) the first has.
        if around:
            start = max(start, around[-1].block.start)
        if start <= last:
            start = span[0]
        if start <= last:
            start = definition.span[0]
        if start <= last or (around and span[1] > around[-1].block.end):
            continue
        last = start
        if len(around) >= _MOST_NESTED:
            return None
        name = _name(text, definition)
        if around and around[-1].block.name:
            name = f"{around[-1].block.name}.{name}"
        block = Block(
            "definition",
            start,
            span[1],
            language=language,
            name=name[:_MOST_NAME],
            signature=_signature(text, definition, span[0], found, comments),
            doc=definition.doc or above.comment(span[0]),
        )
        made.append(_Nested(block, len(around)))
        around.append(made[-1])
    return made


class _Wrappers:
    """Nodes that are part of the definition in them, to be asked in order."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._spans = spans
        self._next = 0
        self._open: list[Span] = []

    def around(self, span: Span) -> Span:
        """The span of a definition with the wrappers that no definition before it had."""
        while self._next < len(self._spans) and self._spans[self._next][0] <= span[0]:
            wrapper = self._spans[self._next]
            self._next += 1
            while self._open and self._open[-1][1] <= wrapper[0]:
                self._open.pop()
            self._open.append(wrapper)
        own = [wrapper for wrapper in self._open if wrapper[1] >= span[1]]
        self._open = []
        return own[0] if own else span


def _name(text: str, definition: Definition) -> str:
    spans = [definition.receiver, definition.name] if definition.receiver else [definition.name]
    parts = (" ".join(text[slice(*span)].strip(_QUOTES).split()) for span in spans)
    return ".".join(_SEPARATOR.sub(".", part).strip(".") for part in parts)


def _signature(
    text: str, definition: Definition, start: int, found: Found, comments: Sequence[int]
) -> str:
    """A definition from its first keyword to its body on one line, without comments."""
    attributes = {span[0]: span[1] for span in found.attributes}
    while start in attributes:
        start = _space_after(text, attributes[start])
    end = definition.body[0] if definition.body else definition.span[1]
    kept = []
    for at in range(bisect_left(comments, start), bisect_left(comments, end)):
        comment = found.comments[at]
        kept.append(text[start : comment[0]])
        start = max(start, comment[1])
    kept.append(text[start : max(start, end)])
    signature = " ".join(_OPENED.sub("", "".join(kept)).split())
    signature = _BODY_MARK.sub("", signature).rstrip("; ")
    return signature if len(signature) <= _MOST_SIGNATURE else f"{signature[:_MOST_SIGNATURE]}…"


def _statements(
    spans: Sequence[Span], above: _Above, depths: dict[int, int], definitions: Sequence[Span]
) -> list[tuple[int, int]]:
    """(where it begins with what belongs to it, how deep it stands) of statements, in order.

    A definition is none, and what is in it stands one deeper than it does.
    """
    heads = [(start, end, above.start(start)) for start, end in spans]
    both = [(start, -end, head) for start, end, head in heads if head not in depths]
    both += [(start, -end, -1) for start, end in definitions]
    ends: list[int] = []
    made: dict[int, int] = {}
    for start, negative, head in sorted(both):
        while ends and ends[-1] <= start:
            ends.pop()
        if head >= 0:
            made.setdefault(head, len(ends))
        ends.append(-negative)
    return sorted(made.items())


def _breaks(
    text: str, definitions: dict[int, int], statements: Sequence[tuple[int, int]]
) -> tuple[tuple[int, ...], ...]:
    """Where a long part is cut: the outermost first; definitions, then after blank lines."""
    kinds: dict[tuple[int, int], list[int]] = {}
    for start, depth in definitions.items():
        kinds.setdefault((min(depth, _DEEPEST), 0), []).append(start)
    for start, depth in statements:
        before = text.rfind("\n", 0, start)
        blank = before > 0 and not text[text.rfind("\n", 0, before) + 1 : before].strip()
        kinds.setdefault((min(depth, _DEEPEST), 1 if blank else 2), []).append(start)
    return tuple(tuple(sorted(kinds[kind])) for kind in sorted(kinds))


def _parts(definitions: Sequence[_Nested], statements: Sequence[int]) -> list[Part]:
    """Definitions that none is around, and what stands between them."""
    outer = [one.block for one in definitions if one.depth == 0]
    starts = {0, *(block.start for block in outer)}
    for block, following in zip_longest(outer, (block.start for block in outer[1:])):
        at = bisect_left(statements, block.end)
        if at < len(statements) and (following is None or statements[at] < following):
            starts.add(statements[at])
    return [Part(start, 1) for start in sorted(starts)]
