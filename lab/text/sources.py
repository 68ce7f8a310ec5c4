"""Records to train on, out of XML books and articles and the train splits of test collections.

xml_sections    books in CNXML (OpenStax) and articles in JATS: a heading asks for its section
train_pairs     the judged queries of a test collection's train split
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

from retrieval.errors import DocumentError
from retrieval.eval.datasets import beir
from retrieval.train.pairs import Record, section, windows

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

_TITLES = ("title", "article-title")


def xml_sections(data: bytes) -> Iterator[Record]:
    """Sections of a CNXML module or a JATS article, without figures, tables and exercises.

    Raises:
        DocumentError: it is not well-formed XML.
    """
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise DocumentError(f"not well-formed XML ({error}); expected CNXML or JATS") from None
    title = next((_plain(node) for node in root.iter() if _tag(node) in _TITLES), "")
    for node in root.iter():
        if _tag(node) == "abstract":
            paragraphs = [_plain(inner) for inner in node.iter() if _tag(inner) == "p"]
            yield from section("", title, "\n\n".join(paragraphs))
        elif _tag(node) in ("body", "content"):
            yield from _walk(node, title, "")


def train_pairs(folder: Path) -> Iterator[Record]:
    """Queries that only the train split names, each with the window that shares most words with it.

    Windows of these documents that no query asks for follow without a query. Documents and queries
    that another split names as well are left out.

    Raises:
        InputError: a file is missing or a line cannot be read; both are named.
    """
    free = beir.train_only(folder)
    queries_of: defaultdict[str, list[str]] = defaultdict(list)
    queries = {query.id: query.text for query in beir.queries(folder) if query.id in free.queries}
    for judgement in beir.judgements(folder):
        if judgement.grade > 0 and judgement.query in queries:
            queries_of[judgement.document].append(queries[judgement.query])
    for document in beir.documents(folder):
        parts = windows(document.text)
        if not parts or document.id not in free.documents:
            continue
        unasked = dict.fromkeys(range(len(parts)))
        for query in queries_of[document.id]:
            best = _best_window(query, parts)
            unasked.pop(best, None)
            yield Record(parts[best], document.title, query)
        for index in unasked:
            yield Record(parts[index], document.title)


def _walk(node: ElementTree.Element, title: str, heading: str) -> Iterator[Record]:
    """Records of the text right below `node`, then of each section in it."""
    yield from section(title, heading, "\n\n".join(_paragraphs(node)))
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
    document_frequency = Counter(word for count in counts for word in count)

    def score(count: Counter[str]) -> float:
        return sum(
            (1 + math.log(count[word])) * math.log(1 + len(parts) / document_frequency[word])
            for word in set(_CONTENT_WORD.findall(query.lower()))
            if count[word]
        )

    return max(range(len(parts)), key=lambda index: score(counts[index]))
