"""A language's grammar: what its module says of it, and what a text holds by it.

Texts are parsed by tree-sitter, which goes on after errors, within limits that are counted in steps
and so are the same on every machine. The tree is only asked by queries: nothing here recurses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tree_sitter import Language, Node, Query, Tree

Span = tuple[int, int]
"""First character, and one past the last."""

MAX_BYTES = 1024 * 1024
"""Longer texts are data or generated; a tree takes some 20 to 400 bytes for each of theirs."""
MAX_LINE = 50_000
"""Bytes of a line that somebody may have written."""
MAX_ERROR_SHARE = 0.25
"""Of a text; one with more in errors is in another language, or none."""

_STEPS_PER_BYTE = 0.2
_MORE_STEPS = 2_000
"""Parsing well-formed source takes about one step (a call back) for 200 bytes."""
_READ_BYTES = 64 * 1024
_MOST_UNDECIDED = 1024
"""Matches of a query that have begun and not ended: this bounds its time for each node."""


@dataclass(frozen=True, slots=True)
class Grammar:
    """What tells the parts of a language's syntax trees apart, in the names of its grammar's nodes.

    Attributes:
        language: as in `formats.languages`.
        package: of the grammar, such as `tree_sitter_python`.
        definitions: a query with the captures `@definition`, `@name` and, if there are, `@body`
            (the signature ends there), `@receiver` (what the name is qualified by, beside the
            definitions around it) and `@doc` (a docstring, in it or right after it).
        blocks: nodes whose children are statements, members or items, one below the other.
        comments: comments; those right above a definition or a statement belong to it.
        attributes: decorators, annotations: they belong to what follows them, and to no signature.
        wrappers: nodes around a definition that are part of it, such as `export`.
        transparent: nodes that hold statements and count as none: namespaces, `#ifdef`.
        imports: a query whose capture `@import` is the name of a module, quotes included.
        about: a query whose capture `@about` is what a file says of itself, if that is no comment.
        entry: the function of the package that gives the grammar.
        otherwise: languages to try if a text does not parse well.
    """

    language: str
    package: str
    definitions: str
    blocks: tuple[str, ...]
    comments: tuple[str, ...] = ("comment",)
    attributes: tuple[str, ...] = ()
    wrappers: tuple[str, ...] = ()
    transparent: tuple[str, ...] = ()
    imports: str = ""
    about: str = ""
    entry: str = "language"
    otherwise: tuple[str, ...] = ()


@dataclass(slots=True)
class Definition:
    """A definition as the tree has it; see the captures of `Grammar.definitions`."""

    span: Span
    name: Span
    body: Span | None = None
    receiver: Span | None = None
    doc: Span | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a text holds by a grammar. All spans are in order of their start, outer ones first.

    Attributes:
        definitions: one for each node.
        statements: those that begin a line.
        comments: every one.
        attributes: decorators, annotations.
        wrappers: nodes around definitions that are part of them.
        imports: names of modules, quotes included.
        about: what the file says of itself, if that is no comment.
        error_share: of the text's bytes, those within errors.
    """

    definitions: list[Definition]
    statements: list[Span]
    comments: list[Span]
    attributes: list[Span]
    wrappers: list[Span]
    imports: list[Span]
    about: Span | None
    error_share: float


def find(text: str, grammar: Grammar) -> Found | None:
    """What the text holds; None if it is too large, takes too long or has too many errors."""
    source = text.encode("utf-8", "surrogatepass")
    if len(source) > MAX_BYTES or _longest_line(source) > MAX_LINE:
        return None
    tools = _tools(grammar)
    if tools is None:
        return None
    tree = tools.parse(source)
    if tree is None:
        return None
    return tools.found(tree, source, _to_characters(text, source))


@dataclass(frozen=True, slots=True)
class _Tools:
    """A grammar, loaded; queries are shared between threads, parsers are not."""

    language: Language
    definitions: Query
    others: Query

    def parse(self, source: bytes) -> Tree | None:
        from tree_sitter import Parser

        stop = _stop_after(len(source))
        try:
            return Parser(self.language).parse(
                lambda at, _: source[at : at + _READ_BYTES],
                progress_callback=lambda at, has_error: stop(),
            )
        except ValueError:  # it was stopped
            return None

    def found(self, tree: Tree, source: bytes, characters: Callable[[int], int]) -> Found | None:
        from tree_sitter import QueryCursor

        def span(node: Node) -> Span:
            start, end = node.byte_range
            return characters(start), characters(end)

        def spans(nodes: Iterable[Node]) -> list[Span]:
            return sorted({span(node) for node in nodes}, key=lambda span: (span[0], -span[1]))

        root = tree.root_node
        captured = QueryCursor(self.others, match_limit=_MOST_UNDECIDED).captures(root)
        errors = _covered(node.byte_range for node in captured.get("error", ()))
        share = errors / max(1, len(source))
        if share > MAX_ERROR_SHARE:
            return None
        matches = QueryCursor(self.definitions, match_limit=_MOST_UNDECIDED).matches(root)
        transparent = {node.id for node in captured.get("transparent", ())}
        first = {match.end() for match in _FIRST_ON_LINE.finditer(source)}
        statements = (
            node
            for node in captured.get("statement", ())
            if node.start_byte in first and node.id not in transparent
        )
        about = captured.get("about")
        return Found(
            _definitions((found for _, found in matches), span),
            spans(statements),
            spans(captured.get("comment", ())),
            spans(captured.get("attribute", ())),
            spans(captured.get("wrapper", ())),
            spans(captured.get("import", ())),
            span(about[0]) if about else None,
            share,
        )


_FIRST_ON_LINE = re.compile(rb"^[ \t\f\xef\xbb\xbf]*(?=\S)", re.MULTILINE)


def _definitions(
    matches: Iterable[dict[str, list[Node]]], span: Callable[[Node], Span]
) -> list[Definition]:
    """One for each node: of several matches, each adds what it knows."""
    made: dict[int, Definition] = {}
    for found in matches:
        node = found["definition"][0]
        known = made.get(node.id)
        if known is None:
            known = made[node.id] = Definition(span(node), span(found["name"][0]))
        if known.body is None and "body" in found:
            known.body = span(found["body"][0])
        if known.receiver is None and "receiver" in found:
            known.receiver = span(found["receiver"][0])
        if known.doc is None and "doc" in found:
            known.doc = span(found["doc"][0])
            known.span = (known.span[0], max(known.span[1], known.doc[1]))
    return sorted(made.values(), key=lambda one: (one.span[0], -one.span[1]))


@cache
def _tools(grammar: Grammar) -> _Tools | None:
    """The grammar's package, if it is installed, in a version whose nodes are the known ones."""
    try:
        from tree_sitter import Language, Query

        language = Language(getattr(import_module(grammar.package), grammar.entry)())
    except (ImportError, AttributeError, ValueError):
        return None
    kinds = [
        *(f"({block} (_) @statement)" for block in grammar.blocks),
        *(f"({comment}) @comment" for comment in grammar.comments),
        *(f"({attribute}) @attribute" for attribute in grammar.attributes),
        *(f"({wrapper}) @wrapper" for wrapper in grammar.wrappers),
        *(f"({transparent}) @transparent" for transparent in grammar.transparent),
        grammar.imports,
        grammar.about,
        "(ERROR) @error",
    ]
    try:
        return _Tools(
            language, Query(language, grammar.definitions), Query(language, "\n".join(kinds))
        )
    except ValueError:
        return None


def _stop_after(size: int) -> Callable[[], bool]:
    """Whether a text of so many bytes has had its steps, each call being one."""
    left = int(_MORE_STEPS + _STEPS_PER_BYTE * size)

    def stop() -> bool:
        nonlocal left
        left -= 1
        return left < 0

    return stop


def _longest_line(source: bytes) -> int:
    return max(map(len, source.split(b"\n")), default=0)


def _covered(ranges: Iterable[Span]) -> int:
    """How many bytes the ranges cover together."""
    total = last = 0
    for start, end in sorted(ranges):
        total += max(0, end - max(start, last))
        last = max(last, end)
    return total


def _to_characters(text: str, source: bytes) -> Callable[[int], int]:
    """Byte offset to character offset."""
    if len(text) == len(source):
        return int
    begins = (np.frombuffer(source, dtype=np.uint8) & 0xC0) != 0x80
    before = np.concatenate(([0], np.cumsum(begins, dtype=np.int32)))
    return lambda offset: int(before[offset])
