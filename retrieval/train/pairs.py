"""Records to train on, from what people write anyway: a query, and a text that answers it.

    functions       Python: a docstring asks for the code below it
    sections        Markdown and reStructuredText: a heading asks for what it heads

A text that is too long becomes several windows; those after the first, and texts that nothing asks
for, are records without a query.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from retrieval.documents import asking
from retrieval.documents.asking import BLANK_LINES, QUERY_CHARS, Function
from retrieval.documents.formats import first_heading, markdown, rst

SHORTEST, TARGET, LONGEST = 200, 1500, 4000
"""Characters of a window: no fewer, about so many, no more."""
_LONG_PARAGRAPH = 2500
"""Characters beyond which a paragraph is cut at sentences."""
_CODE = range(80, LONGEST + 1)
"""Characters of a function that is neither trivial nor too long to be read whole."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"“(])")


@dataclass(frozen=True, slots=True)
class Record:
    """One text to learn from, with a query that it answers where there is one."""

    text: str
    title: str = ""
    query: str = ""


def windows(text: str) -> list[str]:
    """Cut a text at paragraph borders into parts of `SHORTEST` to `LONGEST` characters.

    Paragraphs are joined up to about `TARGET`; one that is far longer is cut at sentences. A text
    that is shorter than `SHORTEST` gives none; otherwise every word is in exactly one window.
    """
    found: list[str] = []
    window = ""
    for border, piece in _pieces(text):
        if len(window) >= SHORTEST and len(window) + len(piece) > TARGET:
            found.append(window)
            window = piece
        else:
            window = window + border + piece if window else piece
    if len(window) >= SHORTEST:
        found.append(window)
    elif window and found:
        found[-1] += f"\n\n{window}"
    return found


def functions(source: str) -> Iterator[Record]:
    """Functions and methods of Python source, in order: name, first paragraph of docstring, code.

    The docstring is cut out of the code by its place in the syntax tree. A function without one,
    or with one that is no good as a query, gives a record without a query. Functions within
    functions stay part of them. Source that does not parse gives none.
    """
    source = asking.newlines(source)
    lines = source.split("\n")
    for found in asking.documented(source):
        node = found.node
        code = _without_docstring(node, lines) if found.end else _code(node, lines)
        if code is not None and len(code) in _CODE:
            yield Record(code, node.name, found.query)


def sections(
    text: str, language: Literal["markdown", "rst"], *, title: str | None = None
) -> Iterator[Record]:
    """Sections of marked-up text: their heading is the query, markup is left as it stands.

    Args:
        title: of the document; None takes its own.
    """
    text = asking.newlines(text)
    if title is None:
        is_markdown = language == "markdown"
        title = markdown.title(text) if is_markdown else first_heading(rst.outline(text))
    for part in asking.headed(text, language):
        heading = part.names[-1] if part.names else ""
        yield from section(title, heading, text[part.body : part.end].strip())


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """(what stands before it, a paragraph or a part of a long one) to join windows from."""
    for paragraph in BLANK_LINES.split(asking.newlines(text)):
        paragraph = paragraph.strip()
        border = "\n\n"
        long = len(paragraph) > _LONG_PARAGRAPH
        for sentence in _SENTENCE_END.split(paragraph) if long else [paragraph]:
            while len(sentence) > _LONG_PARAGRAPH:
                space = sentence.rfind(" ", 1, _LONG_PARAGRAPH)
                at = space if space > 0 else _LONG_PARAGRAPH
                yield border, sentence[:at].rstrip()
                sentence, border = sentence[at:].lstrip(), " "
            if sentence:
                yield border, sentence
            border = " "


def _code(node: Function, lines: Sequence[str]) -> str:
    """The function's source without its decorators, at the left margin."""
    return _at_margin(lines[node.lineno - 1 : node.end_lineno], node.col_offset)


def _without_docstring(node: Function, lines: Sequence[str]) -> str | None:
    """`_code` without the docstring, or None if nothing is left below the signature."""
    docstring = node.body[0]
    if len(node.body) == 1 or docstring.end_lineno is None:
        return None
    first, last = docstring.lineno - 1, docstring.end_lineno - 1
    # The tree counts columns in bytes of UTF-8.
    before = lines[first].encode()[: docstring.col_offset].decode()
    after = lines[last].encode()[docstring.end_col_offset :].decode().strip().lstrip("; ")
    rest = [before + after] if before.strip() or (after and after[0] != "#") else []
    left = [*lines[node.lineno - 1 : first], *rest, *lines[last + 1 : node.end_lineno]]
    return _at_margin(left, node.col_offset)


def _at_margin(lines: Sequence[str], indent: int) -> str:
    first, *others = lines
    cut = [line[indent:] if not line[:indent].strip() else line for line in others]
    return "\n".join([first[indent:], *cut]).rstrip()


def section(title: str, heading: str, body: str) -> Iterator[Record]:
    """A section's windows: the first with the heading as its query, the others under it."""
    named = ": ".join(dict.fromkeys(part for part in (title, heading) if part))
    # A heading of one word ("Usage") says nothing without the title before it.
    query = heading if len(heading.split()) > 1 else named
    for at, window in enumerate(windows(body)):
        if at == 0 and len(query.split()) > 1 and len(query) <= QUERY_CHARS:
            yield Record(window, title, query)
        else:
            yield Record(window, named)
