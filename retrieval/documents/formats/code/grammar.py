"""A language's grammar: its description in the language's module, and what it finds in a text.

Texts are parsed by tree-sitter, which continues after errors, within limits that are counted in
steps (calls of its progress callback) and so are the same on every machine. The tree is read only
by tree-sitter queries: nothing here recurses.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Literal

import numpy as np

from retrieval.documents.formats.code.blanks import Prepared, prepare
from retrieval.documents.formats.code.reader import Reader

if TYPE_CHECKING:
    from tree_sitter import Language, Node, Query, Tree

Span = tuple[int, int]
"""First character, and one past the last."""

MAX_ERROR_SHARE = 0.5
"""Of a text; one with more in errors, outside of definitions, is in another language, or none."""

_STEPS, _STEPS_PER_BYTE, _MOST_STEPS = 100, 0.05, 30_000
"""Of 6,073 files of large projects none took more than 0.027 steps a byte, nor 4,400 in all."""
_MOST_SECONDS = 10.0
"""Of a processor's time, where single steps are slow."""
_MOST_UNDECIDED = 1024
"""Matches of a query that have begun and not ended: this bounds its time for each node."""


@dataclass(frozen=True, slots=True)
class Grammar:
    """What tells the parts of a language's syntax trees apart, in the names of its grammar's nodes.

    Attributes:
        language: as in `formats.languages`.
        package: of the grammar, such as `tree_sitter_python`.
        definitions: a query with the captures `@definition`, `@name` (or `@declarator`, as C has
            it: the name with stars before it and parameters behind it; or `@key`, a name in words,
            which is taken as it stands and has no signature) and, if there are, `@body`
            (the signature ends there), `@receiver` (what the name is qualified by, beside the
            definitions around it), `@doc` (a docstring, in it or right after it) and `@rest` (what
            comes right after it and belongs to it).
        blocks: nodes whose children are statements, members or items, one below the other.
        comments: comments; those right above a definition or a statement belong to it.
        attributes: decorators, annotations: they belong to what follows them, and to no signature.
        macros: a pattern, of several lines, of what a preprocessor would take away and the grammar
            cannot follow: its groups are parsed as blanks, and count as attributes, or as the
            comments that they are.
        brackets: a pattern of names in brackets that the grammar cannot follow: its group is parsed
            as a name in double quotes.
        directives: a pattern, of several lines, of statements that the grammar cannot follow: its
            first group is parsed as blanks, and one with a name is a module that is imported.
        transparent: nodes that hold statements and count as none: namespaces, `#ifdef`.
        imports: a query whose capture `@import` is the name of a module, quotes included, or a call
            such as `require("x")`; other calls are ignored.
        about: a query whose capture `@about` is what a file says about itself, if that is not a
            comment.
        entry: the function of the package that gives the grammar.
        otherwise: languages to try if a text has errors.
        mark: what every whole file has; a text without it is one of `otherwise`.
        is_data: whether a definition counts only if it has several lines.
        begins: a pattern, of several lines, of how source code without a name begins after its
            comments; "" if nothing tells.
    """

    language: str
    package: str
    definitions: str
    blocks: tuple[str, ...]
    comments: tuple[str, ...] = ("comment",)
    attributes: tuple[str, ...] = ()
    macros: str = ""
    brackets: str = ""
    directives: str = ""
    transparent: tuple[str, ...] = ()
    imports: str = ""
    about: str = ""
    entry: str = "language"
    otherwise: tuple[str, ...] = ()
    mark: str = ""
    is_data: bool = False
    begins: str = ""


def named(*kinds: str) -> str:
    """A query for nodes that name their definition, and its body if it has one, in such fields."""
    return "\n".join(f"({kind} name: (_) @name body: (_)? @body) @definition" for kind in kinds)


_NAMES: tuple[Literal["name", "declarator", "key"], ...] = ("name", "declarator", "key")


@dataclass(slots=True)
class Definition:
    """A definition as the tree has it; see the captures of `Grammar.definitions`."""

    span: Span
    name: Span
    kind: Literal["name", "declarator", "key"]
    body: Span | None = None
    receiver: Span | None = None
    doc: Span | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a text holds by a grammar. All spans are in order of their start, outer ones first.

    Attributes:
        definitions: one for each node.
        statements: those that begin a line.
        transparent: those that count as none.
        comments: every one.
        attributes: decorators, annotations.
        imports: names of modules, quotes included, and calls.
        about: what the file says about itself where that is not a comment.
        errors: what could not be understood, and what was understood in it.
    """

    definitions: list[Definition]
    statements: list[Span]
    transparent: list[Span]
    comments: list[Span]
    attributes: list[Span]
    imports: list[Span]
    about: Span | None
    errors: list[Span]


def find(text: str, grammars: Sequence[Grammar]) -> Found | None:
    """What the text holds by the first grammar that has no errors, or by that with fewest.

    None if it takes too long or has too many errors. What nobody wrote may end this process or hang
    it: `risk_of` tells.
    """
    source = text.encode("utf-8", "surrogatepass")
    best: tuple[tuple[int, int], Found] | None = None
    for tools in filter(None, map(_tools, (one for one in grammars if one.mark in text))):
        own = tools.grammar
        prepared = prepare(source, own.macros, own.brackets, own.directives)
        tree = tools.parse(prepared.source)
        if tree is None:
            continue
        found = tools.found(tree, prepared, _to_characters(text, source))
        definitions = [one.span for one in found.definitions]
        errors = covered(found.errors)
        missed = covered([*found.errors, *definitions]) - covered(definitions)
        if missed <= MAX_ERROR_SHARE * len(text) and (best is None or (missed, errors) < best[0]):
            best = (missed, errors), found
        if not tree.root_node.has_error:
            break
    return best[1] if best else None


@dataclass(frozen=True, slots=True)
class _Tools:
    """A grammar, loaded; queries are shared between threads, parsers are not."""

    grammar: Grammar
    language: Language
    definitions: Query
    others: Query

    def parse(self, source: bytes) -> Tree | None:
        from tree_sitter import Parser

        stop, reader = _stop_after(len(source)), Reader(source)
        try:
            return Parser(self.language).parse(
                reader, progress_callback=lambda at, has_error: stop()
            )
        except ValueError:  # it was stopped
            return None
        finally:
            reader.parsing = False

    def found(self, tree: Tree, prepared: Prepared, characters: Callable[[int], int]) -> Found:
        """What a tree holds, in characters."""
        from tree_sitter import QueryCursor

        source = prepared.source

        def span(node: Node) -> Span:
            start, end = node.byte_range
            # Some grammars have white space at the ends of comments and blocks.
            start += len(source[start:end]) - len(source[start:end].lstrip())
            return characters(start), characters(start + len(source[start:end].rstrip()))

        def spans(nodes: Iterable[Node], others: Iterable[Span] = ()) -> list[Span]:
            made = {span(node) for node in nodes}
            made |= {(characters(start), characters(end)) for start, end in others}
            return sorted((one for one in made if one[0] < one[1]), key=outer_first)

        root = tree.root_node
        captured = QueryCursor(self.others, match_limit=_MOST_UNDECIDED).captures(root)
        matches = QueryCursor(self.definitions, match_limit=_MOST_UNDECIDED).matches(root)
        first = _first_on_line(
            source, [*captured.get("comment", ()), *captured.get("attribute", ())]
        )
        leading = [node for node in captured.get("transparent", ()) if node.start_byte in first]
        transparent = {node.id for node in leading}
        statements = [
            node
            for node in captured.get("statement", ())
            if node.start_byte in first and node.id not in transparent
        ]
        about = captured.get("about")
        own = [one for one in prepared.statements if not _is_in_words(root, one)]
        imports = [prepared.imports[one] for one in own if one in prepared.imports]
        return Found(
            _definitions((found for _, found in matches), span, self.grammar),
            spans(statements, own),
            spans(leading),
            spans(captured.get("comment", ()), prepared.comments),
            spans(captured.get("attribute", ()), prepared.attributes),
            spans(captured.get("import", ()), imports),
            span(about[0]) if about else None,
            spans(captured.get("error", ())),
        )


def _is_in_words(root: Node, span: Span) -> bool:
    """Whether blanks stand in a comment or in a string."""
    around = root.descendant_for_byte_range(*span)
    return around is not None and around.parent is not None and not around.child_count


def outer_first(span: Span) -> Span:
    """A key to sort spans by."""
    return span[0], -span[1]


_FIRST_ON_LINE = re.compile(rb"^[ \t\f]*(?=\S)", re.MULTILINE)
_BLANKS = re.compile(rb"[ \t\f]*")


def _first_on_line(source: bytes, leading: Iterable[Node]) -> set[int]:
    """Where lines begin, in bytes, and what follows a comment or an attribute that begins one."""
    first = {match.end() for match in _FIRST_ON_LINE.finditer(source)}
    for start, end in sorted(node.byte_range for node in leading):
        if start in first and (blanks := _BLANKS.match(source, end)):
            first.add(blanks.end())
    return first


def _definitions(
    matches: Iterable[dict[str, list[Node]]], span: Callable[[Node], Span], grammar: Grammar
) -> list[Definition]:
    """One for each node: of several matches, each adds what it knows."""
    known: Definition | None
    made: dict[int, Definition] = {}
    for found in matches:
        node = found["definition"][0]
        if grammar.is_data and node.start_point[0] == node.end_point[0]:
            continue
        known = made.get(node.id)
        if known is None:
            for kind in _NAMES:
                if kind in found:
                    known = made[node.id] = Definition(span(node), span(found[kind][0]), kind)
                    break
            else:
                continue
        if "body" in found:  # of a value and the body in it, the inner one
            known.body = max(known.body or (0, 0), span(found["body"][0]))
        if known.receiver is None and "receiver" in found:
            known.receiver = span(found["receiver"][0])
        if known.doc is None and "doc" in found:
            known.doc = span(found["doc"][0])
            known.span = (known.span[0], max(known.span[1], known.doc[1]))
        if "rest" in found:
            known.span = (known.span[0], max(known.span[1], span(found["rest"][0])[1]))
    return sorted(
        (one for one in made.values() if one.span[0] < one.span[1]),
        key=lambda one: outer_first(one.span),
    )


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
        *(f"({transparent}) @transparent" for transparent in grammar.transparent),
        grammar.imports,
        grammar.about,
        "(ERROR) @error",
    ]
    try:
        definitions = Query(language, grammar.definitions)
        return _Tools(grammar, language, definitions, Query(language, "\n".join(kinds)))
    except ValueError:
        return None


def _stop_after(size: int) -> Callable[[], bool]:
    """Whether a text of so many bytes has had its steps, each call being one."""
    left = min(int(_STEPS + _STEPS_PER_BYTE * size), _MOST_STEPS)
    end = time.thread_time() + _MOST_SECONDS

    def stop() -> bool:
        nonlocal left
        left -= 1
        return left < 0 or time.thread_time() > end

    return stop


def covered(spans: Iterable[Span]) -> int:
    """How many characters the spans cover together."""
    total = last = 0
    for start, end in sorted(spans):
        total += max(0, end - max(start, last))
        last = max(last, end)
    return total


def _to_characters(text: str, source: bytes) -> Callable[[int], int]:
    """Byte offset to character offset; those in the line end that was added are the text's end."""
    if len(text) == len(source):
        return lambda offset: min(offset, len(source))
    begins = (np.frombuffer(source, dtype=np.uint8) & 0xC0) != 0x80
    before = np.concatenate(([0], np.cumsum(begins, dtype=np.int32)))
    return lambda offset: int(before[min(offset, len(source))])
