"""What a grammar cannot follow, made into what it can: all else stays at its place."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

Span = tuple[int, int]
"""First byte, and one past the last."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A source as it is parsed, of the same length, and what was taken away from it.

    Attributes:
        source: in bytes, as all spans are.
        attributes: what a preprocessor would take away.
        comments: those among that.
        statements: those that the grammar does not know.
        imports: by statement the name of a module.
    """

    source: bytes
    attributes: list[Span]
    comments: list[Span]
    statements: list[Span]
    imports: dict[Span, Span]


def prepare(source: bytes, macros: str, brackets: str, directives: str) -> Prepared:
    """A source as it is parsed; the patterns are those of a `Grammar`."""
    attributes: list[Span] = []
    comments: list[Span] = []
    statements: list[Span] = []
    imports: dict[Span, Span] = {}
    quotes: list[Span] = []
    for match in _matches(macros, source):
        if match.lastindex:
            span = match.span(match.lastindex)
            (comments if source.startswith(b"/*", span[0]) else attributes).append(span)
    for match in _matches(brackets, source):
        if match.lastindex:
            quotes.append(match.span(match.lastindex))
    for match in _matches(directives, source):
        statements.append(match.span(1))
        for name, said in match.groupdict().items():
            if said:
                imports[match.span(1)] = match.span(name)
    parsed = bytearray(source)
    for start, end in (*attributes, *comments, *statements):
        parsed[start:end] = re.sub(rb"[^\r\n]", b" ", source[start:end])
    for start, end in quotes:
        parsed[start] = parsed[end - 1] = ord('"')
    return Prepared(bytes(parsed), attributes, comments, statements, imports)


def _matches(pattern: str, source: bytes) -> Iterable[re.Match[bytes]]:
    return re.compile(pattern.encode(), re.MULTILINE).finditer(source) if pattern else ()
