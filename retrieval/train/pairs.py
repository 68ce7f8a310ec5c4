"""Records to train on, from what people write anyway: a query, and a text that answers it.

    functions       Python: a docstring asks for the code below it
    sections        Markdown and reStructuredText: a heading asks for what it heads
    xml_sections    the same of books in CNXML (OpenStax) and articles in JATS
    train_pairs     the judged queries of a test collection's train split

A text that is too long becomes several windows; those after the first, and texts that nothing asks
for, are records without a query.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from retrieval.documents import asking
from retrieval.documents.asking import BLANK_LINES, QUERY_CHARS, Function
from retrieval.documents.formats import first_heading, markdown, rst
from retrieval.errors import DocumentError
from retrieval.eval.datasets import beir
from retrieval.train.corpus import Record

SHORTEST, TARGET, LONGEST = 200, 1500, 4000
"""Characters of a window: no fewer, about so many, no more."""
_LONG_PARAGRAPH = 2500
"""Characters beyond which a paragraph is cut at sentences."""
_CODE = range(80, LONGEST + 1)
"""Characters of a function that is neither trivial nor too long to be read whole."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"“(])")
_CONTENT_WORD = re.compile(r"\w{4,}")

_ASIDE = frozenset(
    {"caption", "disp-formula", "equation", "exercise", "fig", "figure", "fn", "footnote"}
    | {"glossary", "graphic", "iframe", "media", "metadata", "ref-list", "supplementary-material"}
    | {"table", "table-wrap", "tex-math", "title"}
)
"""Elements that are no running text."""
_CITED = frozenset({"bibr", "fig", "table", "supplementary-material"})
"""Kinds of cross-references that leave nothing to read."""
_EMPTY_BRACKETS = re.compile(r"\s*[\[(][\s,;–-]*[\])]")


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
        yield from _section(title, heading, text[part.body : part.end].strip())


def xml_sections(data: bytes) -> Iterator[Record]:
    """Sections of a CNXML module or a JATS article, without figures, tables and exercises.

    Raises:
        DocumentError: it is not well-formed XML.
    """
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as wrong:
        raise DocumentError(f"not well-formed XML ({wrong}); expected CNXML or JATS") from None
    title = next((_plain(node) for node in root.iter() if _tag(node) in _TITLES), "")
    for node in root.iter():
        if _tag(node) == "abstract":
            paragraphs = [_plain(inner) for inner in node.iter() if _tag(inner) == "p"]
            yield from _section("", title, "\n\n".join(paragraphs))
        elif _tag(node) in ("body", "content"):
            yield from _walk(node, title, "")


def train_pairs(folder: Path) -> Iterator[Record]:
    """Queries that only the train split names, each with the window that shares most with it.

    Windows of its documents that no query asks for follow without one. Documents and queries that
    another split names too are left out.

    Raises:
        InputError: a file is missing or a line cannot be read; both are named.
    """
    free = beir.train_only(folder)
    asked: defaultdict[str, list[str]] = defaultdict(list)
    queries = {query.id: query.text for query in beir.queries(folder) if query.id in free.queries}
    for judgement in beir.judgements(folder):
        if judgement.grade > 0 and judgement.query in queries:
            asked[judgement.document].append(queries[judgement.query])
    for document in beir.documents(folder):
        parts = windows(document.text)
        if not parts or document.id not in free.documents:
            continue
        unasked = dict.fromkeys(range(len(parts)))
        for query in asked[document.id]:
            best = _best_window(query, parts)
            unasked.pop(best, None)
            yield Record(parts[best], document.title, query)
        for at in unasked:
            yield Record(parts[at], document.title)


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


def _section(title: str, heading: str, body: str) -> Iterator[Record]:
    """The first window with the heading as its query, the others under it."""
    named = ": ".join(dict.fromkeys(part for part in (title, heading) if part))
    # A heading of one word ("Usage") says nothing without the title before it.
    query = heading if len(heading.split()) > 1 else named
    for at, window in enumerate(windows(body)):
        if at == 0 and len(query.split()) > 1 and len(query) <= QUERY_CHARS:
            yield Record(window, title, query)
        else:
            yield Record(window, named)


_TITLES = ("title", "article-title")


def _walk(node: ElementTree.Element, title: str, heading: str) -> Iterator[Record]:
    """Records of the text right below `node`, then of each section in it."""
    yield from _section(title, heading, "\n\n".join(_paragraphs(node)))
    for child in node:
        if _tag(child) in ("section", "sec"):
            named = next((_plain(inner) for inner in child if _tag(inner) == "title"), "")
            yield from _walk(child, title, named)


def _paragraphs(node: ElementTree.Element) -> Iterator[str]:
    for child in node:
        tag = _tag(child)
        if tag in ("para", "p"):
            if text := _plain(child):
                yield text
        elif tag == "list":
            if items := [item for item in map(_plain, child) if item]:
                yield "; ".join(items)
        elif tag not in _ASIDE and tag not in ("section", "sec"):
            yield from _paragraphs(child)


def _plain(node: ElementTree.Element) -> str:
    """The running text of an element, on one line."""

    def parts(element: ElementTree.Element) -> Iterator[str]:
        yield element.text or ""
        for child in element:
            if _tag(child) not in _ASIDE and child.get("ref-type") not in _CITED:
                yield from parts(child)
            yield child.tail or ""

    return " ".join(_EMPTY_BRACKETS.sub("", "".join(parts(node))).split())


def _tag(node: ElementTree.Element) -> str:
    # Comments and processing instructions have a function for a tag.
    return node.tag.rpartition("}")[2] if isinstance(node.tag, str) else "metadata"


def _best_window(query: str, parts: Sequence[str]) -> int:
    """The window with the most of the query's words, rare ones above all; the first of equals."""
    counts = [Counter(_CONTENT_WORD.findall(part.lower())) for part in parts]
    holding = Counter(word for count in counts for word in count)

    def score(count: Counter[str]) -> float:
        return sum(
            (1 + math.log(count[word])) * math.log(1 + len(parts) / holding[word])
            for word in set(_CONTENT_WORD.findall(query.lower()))
            if count[word]
        )

    return max(range(len(parts)), key=lambda at: score(counts[at]))
