"""Training records from text that people write anyway: a query, and a text that answers it.

    functions       source code: a docstring, or the comment above, is a query for the code
    sections        texts with headings: a heading is a query for its section

A text that is too long becomes several windows; windows after the first, and texts without a query,
are records without a query.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from retrieval.documents import natural_queries
from retrieval.documents.formats import first_heading
from retrieval.documents.natural_queries import BLANK_LINES, QUERY_CHARS, Documented
from retrieval.documents.outline import Outline

SHORTEST, TARGET, LONGEST = 200, 1500, 4000
"""Characters of a window: minimum, target and maximum."""
_LONG_PARAGRAPH = 2500
"""Characters beyond which a paragraph is cut at sentences."""
_CODE = range(80, LONGEST + 1)
"""Characters of a function that is neither trivial nor too long to be read whole."""

_REMARKS = re.compile(r"^\s*#.*$", re.MULTILINE)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"“(])")


@dataclass(frozen=True, slots=True)
class Record:
    """One text to learn from, with a query that it answers, if there is one."""

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


def functions(text: str, outline: Outline) -> Iterator[Record]:
    """Functions and methods of source code, in order: name, first paragraph of documentation, code.

    The docstring is cut out of the code; decorators and comments above are not included. A function
    without a docstring, or with one that is unsuitable as a query, gives a record without a query.
    Functions within functions stay part of them.

    Args:
        text: with `\\n` between its lines, as `natural_queries.read` gives it.
        outline: its structure.
    """
    for found in natural_queries.documented(text, outline):
        code = _code(text, found)
        if len(code) in _CODE:
            yield Record(code, found.name, found.query)


def sections(text: str, outline: Outline, title: str | None = None) -> Iterator[Record]:
    """Sections of a text with headings, which are the queries; markup is left as it is.

    Args:
        text: with `\\n` between its lines, as `natural_queries.read` gives it.
        outline: its structure.
        title: the document's title; None takes the first heading.
    """
    title = first_heading(outline) if title is None else title
    for part in natural_queries.headed(text, outline):
        heading = part.names[-1] if part.names else ""
        yield from section(title, heading, text[part.body : part.end].strip())


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """(separator before it, paragraph or part of a long one), to be joined to windows."""
    for paragraph in BLANK_LINES.split(natural_queries.newlines(text)):
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


def _code(text: str, found: Documented) -> str:
    """A function's source without its documentation, dedented; "" if nothing else is left."""
    line = text.rfind("\n", 0, found.start) + 1
    indent = found.start - line
    if found.doc is None or found.doc[0] < found.start:
        return _at_margin(text[found.start : found.end].split("\n"), indent)
    start, end = found.doc
    after = text[end : found.end].lstrip("; \t")
    if not _REMARKS.sub("", after).strip():
        return ""
    if not text[text.rfind("\n", 0, start) + 1 : start].strip():
        rest, newline, others = after.partition("\n")
        if newline and (not rest.strip() or rest[0] == "#"):
            after = others
            start = text.rfind("\n", 0, start) + 1
    return _at_margin((text[found.start : start] + after).split("\n"), indent)


def _at_margin(lines: Sequence[str], indent: int) -> str:
    first, *others = lines
    cut = [line[indent:] if not line[:indent].strip() else line for line in others]
    return "\n".join([first, *cut]).rstrip()


def section(title: str, heading: str, body: str) -> Iterator[Record]:
    """A section's windows: the first with the heading as its query, the others under it."""
    named = ": ".join(dict.fromkeys(part for part in (title, heading) if part))
    # A heading of one word ("Usage") says nothing without the title in front.
    query = heading if len(heading.split()) > 1 else named
    for at, window in enumerate(windows(body)):
        if at == 0 and len(query.split()) > 1 and len(query) <= QUERY_CHARS:
            yield Record(window, title, query)
        else:
            yield Record(window, named)
