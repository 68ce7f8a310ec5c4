"""Replacing source that a grammar cannot parse by source of the same length that it can."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

Span = tuple[int, int]
"""Start and end in bytes; the end is one past the last byte."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """The source to parse, of the same length as the original, and what was removed from it.

    Attributes:
        source: the source, in bytes.
        attributes: what a preprocessor would remove, except comments.
        comments: comments that a preprocessor would remove.
        statements: statements that the grammar does not know.
        imports: the name of the imported module, by statement.
    """

    source: bytes
    attributes: list[Span]
    comments: list[Span]
    statements: list[Span]
    imports: dict[Span, Span]


def prepare(source: bytes, macros: str, brackets: str, directives: str) -> Prepared:
    """The source to parse; the patterns are those of a `Grammar`."""
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
