"""What people write that asks for what stands with it: headings and docstrings, and where they are.

Texts have `\\n` between their lines; `newlines` makes it so.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from retrieval.documents.formats import markdown, rst
from retrieval.documents.outline import Section

QUERY_CHARS = 400
"""Beyond this nobody would ask it."""

BLANK_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")

Function = ast.FunctionDef | ast.AsyncFunctionDef

_NEWLINE = re.compile(r"\r\n?")
_ROLE = re.compile(r":[a-z:]+:`~?([^`<]*?)\s*(?:<[^`]*>)?`")
_FIELDS = re.compile(
    r"\n\s*(?::param|:return|:rtype|:raise|@param|>>>|---|===|Parameters\b|Args:|Arguments:|Returns)"
)


@dataclass(frozen=True, slots=True)
class Headed:
    """A section: `text[start:body]` are its headings, `text[body:end]` is what they head.

    Attributes:
        names: its headings without markup, outermost first; none before the first heading.
    """

    names: tuple[str, ...]
    start: int
    body: int
    end: int


@dataclass(frozen=True, slots=True)
class Documented:
    """A function or method of Python source.

    Attributes:
        node: its place in the syntax tree.
        query: the first paragraph of its docstring as one line; "" if there is none that could
            be asked.
        start: first character of the docstring, quotes included; equal to `end` without one.
        end: one past its last character.
    """

    node: Function
    query: str
    start: int
    end: int


def newlines(text: str) -> str:
    """The text with `\\n` for `\\r\\n` and `\\r`."""
    return _NEWLINE.sub("\n", text)


def headed(text: str, language: Literal["markdown", "rst"]) -> Iterator[Headed]:
    """The sections of marked-up text, in order, the one before the first heading included.

    A heading that a deeper one follows at once shares a section with it.
    """
    kind = markdown if language == "markdown" else rst
    waiting: list[Section] = []
    for section in kind.outline(text).sections or [Section("", 0, 0, 0, len(text))]:
        if waiting and waiting[-1].level >= section.level:
            yield _headed(waiting)
            waiting = []
        waiting.append(section)
        if section.level == 0 or text[section.body : section.end].strip():
            yield _headed(waiting)
            waiting = []
    if waiting:
        yield _headed(waiting)


def _headed(sections: Sequence[Section]) -> Headed:
    names = tuple(section.heading for section in sections if section.level)
    return Headed(names, sections[0].start, sections[-1].body, sections[-1].end)


def documented(source: str) -> Iterator[Documented]:
    """Functions and methods of Python source, in order; those within functions are part of them.

    Source that does not parse gives none.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd escapes are the author's own concern
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    lines = source.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    for node in _outer_functions(tree):
        docstring = ast.get_docstring(node)
        start, end = _span(node.body[0], lines, starts) if docstring else (0, 0)
        yield Documented(node, _docstring_query(docstring or ""), start, end)


def _span(node: ast.stmt, lines: Sequence[str], starts: Sequence[int]) -> tuple[int, int]:
    """A statement's characters; the tree counts columns in bytes of UTF-8."""
    last, column = node.end_lineno or node.lineno, node.end_col_offset or 0
    return (
        starts[node.lineno - 1] + _characters(lines[node.lineno - 1], node.col_offset),
        starts[last - 1] + _characters(lines[last - 1], column),
    )


def _characters(line: str, column: int) -> int:
    return len(line.encode()[:column].decode())


def _outer_functions(tree: ast.Module) -> Iterator[Function]:
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Function):
            yield node
        else:
            inner = (ast.stmt, ast.excepthandler, ast.match_case)
            waiting += [c for c in ast.iter_child_nodes(node) if isinstance(c, inner)][::-1]


def _docstring_query(docstring: str) -> str:
    """The first paragraph as one line, or "" if it is too short or too long to be asked."""
    paragraph = BLANK_LINES.split(docstring.strip())[0]
    paragraph = _FIELDS.split(paragraph)[0]
    query = " ".join(_ROLE.sub(r"\1", paragraph).replace("`", "").split())
    return query if len(query.split()) >= 4 and len(query) <= QUERY_CHARS else ""
