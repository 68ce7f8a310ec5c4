"""Queries: what one asks for, what it insists on, what it excludes.

    "a phrase"      passages that hold these words one after the other
    -word           passages that do not hold the word
    -"a phrase"     passages that do not hold the phrase

Everything else is words, and any text is a query. Since texts are pasted that were written for
something else, syntax is only what looks like it:

- a text of several lines or of more than twenty words has none;
- a phrase opens where a word could begin and closes where one could end, so that the marks in
  `print("x")` and in `a 5" pipe` open none;
- a minus excludes after white space and right before a word, so that a dash, `->` and the bullet
  of a list exclude nothing, and before a number it is a sign;
- a query that begins with a minus, or that holds an option of a command (`--force`, `-x`, `-rf`),
  excludes no words;
- stop words and words that the query asks for as well are not excluded;
- a query that would ask for nothing but what it excludes excludes nothing.

A word that is repeated counts for more, but not for many (BM25's k3). Of a pasted trace or log the
lines that say where count for little beside those that say what happened (`traces`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from retrieval.indexes.lexical.folding import fold
from retrieval.indexes.lexical.traces import messages, telling
from retrieval.indexes.lexical.words import indexed, parts, stems

QUERY_CHARACTERS = 1 << 16
"""Where a query is cut off."""

_SYNTAX = re.compile(
    r"""(?:(?<=\s)(?P<minus>-)|(?<!\S)|(?<=(?<!\S)[(\[]))
        (?:"(?P<straight>[^"]*)"|“(?P<curly>[^“”]*)”)
        (?=[\s.,;:!?)\]]|$)
      | (?<=\s)-(?P<word>[^\W\d_]\S*)""",
    re.VERBOSE,
)
_MOST_WORDS = 20  # of a query with syntax; who writes more writes prose, which has quotation marks
_OPTION = re.compile(r"(?<!\S)(?:--[A-Za-z]|-[A-Za-z]{1,2}(?![^\s=]))|\A-")

_K3 = 2.0
_OF_A_PLACE = 0.2  # what a word counts that only stands in a trace's places

Terms = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LexicalQuery:
    """A query as the lexical index takes it.

    Attributes:
        text: the query without what it excludes and without the marks around its phrases: what an
            encoder reads of it.
        terms: the words it asks for and what each counts; stop words only if there is nothing else.
        graphemes: those that its bigrams are made of, likewise.
        phrases: the phrases that a passage must hold, each as its words.
        excluded: the words and phrases that a passage must not hold, likewise.
        lines: of a pasted trace or log, those that say what happened.
    """

    text: str
    terms: Mapping[str, float]
    graphemes: Mapping[str, float]
    phrases: tuple[Terms, ...] = ()
    excluded: tuple[Terms, ...] = ()
    lines: tuple[str, ...] = ()


@lru_cache(maxsize=256)
def parse_query(query: str) -> LexicalQuery:
    """Read a query; any text is one."""
    query = query[:QUERY_CHARACTERS].strip()
    lines = query.splitlines()
    if len(lines) > 1:
        return _pasted(query, lines)
    if len(query.split()) > _MOST_WORDS:
        return LexicalQuery(query, *_terms(query))
    options = _OPTION.search(query) is not None
    kept: list[str] = []
    phrases: list[Terms] = []
    words: list[Terms] = []
    excluded: list[Terms] = []
    end = 0
    for match in _SYNTAX.finditer(query):
        word = match["word"]
        if word is not None and (options or not stems(_units(word), stop_words=False)):
            continue
        quoted = match["straight"] if match["curly"] is None else match["curly"]
        kept.append(query[end : match.start()])
        end = match.end()
        if word is not None:
            words.append(_phrase(word))
        elif match["minus"]:
            excluded.append(_phrase(quoted))
        else:
            kept.append(quoted)
            phrases.append(_phrase(quoted))
    text = " ".join("".join([*kept, query[end:]]).split())
    terms, graphemes = _terms(text)
    if not terms:
        return LexicalQuery(query, *_terms(query))
    excluded += [each for each in words if not set(each) <= terms.keys()]
    for term in (term for phrase in phrases for term in phrase):
        if term.isascii():  # a stop word counts in a phrase
            terms.setdefault(term, 1.0)
    return LexicalQuery(text if end else query, terms, graphemes, _some(phrases), _some(excluded))


def content_words(query: str) -> float:
    """How many words a query has, a repeated one as BM25 counts it; 0 if all are stop words."""
    parsed = parse_query(query)
    if not stems(fold(parsed.text), stop_words=False):
        return 0.0
    return sum(parsed.terms.values())


def gist(query: str, best: Callable[[str], float]) -> str:
    """What an encoder should read of a query.

    That is the query without what it excludes. A pasted trace is too long for an encoder, and the
    lines that say what happened stand among others: of these it is the one that some passage
    answers best.

    Args:
        query: any text.
        best: the score of the passage that answers a query best.
    """
    parsed = parse_query(query)
    if not parsed.lines:
        return parsed.text
    told = [telling(line) for line in parsed.lines]
    if len(told) == 1:
        return told[0][0]
    scores = [worth * best(line) for line, worth in told]
    return told[scores.index(max(scores))][0]


def _pasted(query: str, lines: list[str]) -> LexicalQuery:
    """A query of several lines."""
    chosen = messages(lines)
    if len(chosen) == sum(1 for line in lines if line.strip()):
        return LexicalQuery(query, *_terms(query))
    kept = tuple(lines[place].strip() for place in chosen)
    text = "\n".join(kept)
    terms, graphemes = _terms(text)
    for term in _terms(query)[0]:
        terms.setdefault(term, _OF_A_PLACE)
    return LexicalQuery(text, terms, graphemes, lines=kept)


def _some(phrases: list[Terms]) -> tuple[Terms, ...]:
    return tuple(phrase for phrase in phrases if phrase)


def _phrase(text: str) -> Terms:
    """The words of a phrase in their order, stop words too."""
    return tuple(stems(_units(text)))


def _units(text: str) -> str:
    made = indexed(text)
    return made.grams or " ".join(made.words)


def _terms(text: str) -> tuple[dict[str, float], dict[str, float]]:
    """The terms of a text and the graphemes of its bigrams, and what each counts."""
    words: list[str] = []
    graphemes: list[str] = []
    for word in fold(text).split():
        made = parts(word)
        graphemes += [word[a:b] for a, b in made.units if (a, b) in made.graphemes]
        words += [word[a:b] for a, b in made.units if (a, b) not in made.graphemes]
        words += [word[a:b].replace("_", "") for a, b in made.others]
    joined = " ".join(words)
    terms = stems(joined, stop_words=False) or stems(joined)
    return _saturated(terms), _saturated(stems(" ".join(graphemes)))


def _saturated(terms: list[str]) -> dict[str, float]:
    """What each term counts for how often it is there: BM25's factor of a query's terms."""
    return {term: (_K3 + 1) * count / (_K3 + count) for term, count in Counter(terms).items()}
