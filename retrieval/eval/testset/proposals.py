"""Queries out of the documents' own headings, titles and docstrings.

What is asked is taken out of the document that it was found in, or a search for its words would
find nothing but itself.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, replace

from retrieval.documents import natural_queries
from retrieval.errors import InputError
from retrieval.eval.testset.sources import Wanted, query_key
from retrieval.types import Document, ProgressCallback, ProgressUpdate

SHORTEST = 200
"""Characters that a heading must head, and a title a document have, to be worth asking for."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Proposed:
    """What the documents gave.

    Attributes:
        queries: as many as were wanted, or fewer.
        found: how many there were to choose from.
        ambiguous: headings and the like that several documents have, which are not asked.
    """

    queries: tuple[Wanted, ...]
    found: int
    ambiguous: int


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A query, and the characters of the document that say it."""

    query: str
    of: str
    start: int = 0
    end: int = 0


def propose(
    documents: Iterable[Document],
    wanted: int,
    *,
    seed: int = 0,
    progress: ProgressCallback | None = None,
    total: int | None = None,
) -> Proposed:
    """Choose queries out of the documents: every document gives one before any gives a second.

    A heading or title has at least two words, a docstring's first paragraph at least four.

    Args:
        wanted: how many, at least 1.
        seed: the same documents and seed give the same queries.
        progress: called after every document.
        total: how many documents there are, for progress; None if that is not known.

    Raises:
        InputError: `wanted` is below 1, or no document has anything to ask.
    """
    if wanted < 1:
        raise InputError(f"{wanted} queries cannot be proposed; give at least 1")
    holders: Counter[str] = Counter()
    found: list[tuple[str, _Candidate]] = []
    for number, document in enumerate(documents, start=1):
        own = list({query_key(one.query): one for one in _candidates(document)}.values())
        holders.update(query_key(one.query) for one in own)
        found += [(document.id, one) for one in own]
        if progress is not None:
            progress(ProgressUpdate("reading", number, total, "documents"))
    alone = sorted(
        (pair for pair in found if holders[query_key(pair[1].query)] == 1),
        key=lambda pair: (pair[0], pair[1].start, pair[1].query),
    )
    if not alone:
        raise InputError(
            "nothing can be proposed: no heading, title or docstring of the documents is "
            "long enough and stands in one document alone; give queries with --query or --log"
        )
    chosen = _spread(alone, random.Random(seed))[:wanted]
    queries = tuple(Wanted(one.query, "proposed", (id,), one.of) for id, one in chosen)
    return Proposed(queries, len(alone), sum(count > 1 for count in holders.values()))


def without(document: Document, queries: Set[str]) -> Document:
    """The document without the headings, titles and docstrings that say one of the queries.

    Lines that hold nothing but the words of such a query go, too, and so does a title.
    """
    keys = {query_key(query) for query in queries}
    text = natural_queries.newlines(document.text)
    spans = [(c.start, c.end) for c in _candidates(document) if query_key(c.query) in keys]
    for start, end in sorted(set(spans), reverse=True):
        text = text[:start] + text[end:]
    said = {tuple(_words(query)) for query in queries} - {()}
    kept = [line for line in text.split("\n") if not _says(line, said)]
    title = "" if tuple(_words(document.title)) in said else document.title
    return replace(document, title=title, text="\n".join(kept))


def _says(line: str, said: Set[tuple[str, ...]]) -> bool:
    words = tuple(_words(line))
    return words in said or (words[:1] == ("title",) and words[1:] in said)


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]


def _spread(
    found: list[tuple[str, _Candidate]], rng: random.Random
) -> list[tuple[str, _Candidate]]:
    """In random order, but a document's second after every other document's first."""
    mixed = rng.sample(found, len(found))
    before: Counter[str] = Counter()
    ranked = []
    for place, (id, one) in enumerate(mixed):
        ranked.append((before[id], place, id, one))
        before[id] += 1
    ranked.sort(key=lambda entry: entry[:2])
    return [(id, one) for _, _, id, one in ranked]


def _candidates(document: Document) -> Iterator[_Candidate]:
    """All that could be asked, with places in the text that has `\\n` between its lines."""
    text, outline = natural_queries.read(document)
    functions = list(natural_queries.documented(text, outline))
    for function in functions:
        if function.query and function.doc and _remains(text, function):
            yield _Candidate(function.query, "docstring", *function.doc)
    if functions:
        return
    if outline.sections:
        for part in natural_queries.headed(text, outline):
            body = text[part.body : part.end].strip()
            if part.names and len(body) >= SHORTEST and _is_good(part.names[-1]):
                yield _Candidate(part.names[-1], "heading", part.start, part.body)
    if _is_good(document.title) and len(text.strip()) >= SHORTEST + len(document.title):
        yield _Candidate(" ".join(document.title.split()), "title")


def _is_good(query: str) -> bool:
    fits = len(query) <= natural_queries.QUERY_CHARS
    return fits and len(query.split()) > 1 and bool(_words(query))


def _remains(text: str, function: natural_queries.Documented) -> bool:
    """Whether the function is more than its signature and documentation."""
    start = max(function.start, function.doc[1] if function.doc else 0)
    return bool(text[start : function.end].strip(" \t\n;"))
