"""Query syntax: words to look for, phrases that are required, words that are excluded.

    "a phrase"      passages that contain these words consecutively
    -word           passages that do not contain the word
    -"a phrase"     passages that do not contain the phrase

Everything else is words, and any text is a query. Since users paste texts that were written for
other purposes, only what is clearly meant as syntax counts:

- a text of several lines or of more than twenty words has no syntax;
- a phrase opens where a word could begin and closes where one could end, so that the quotation
  marks in `print("x")` and in `a 5" pipe` open none;
- a minus excludes only after white space and directly before a word, so that a dash, `->` and the
  bullet of a list exclude nothing; before a number it is a sign;
- a query that begins with a minus, or that contains a command-line option (`--force`, `-x`, `-rf`),
  excludes no words;
- stop words and words that the query also asks for are not excluded;
- a query that consists only of exclusions excludes nothing.

A repeated word counts for more, but with saturation (BM25's k3). In a pasted trace or log, the
lines with locations count for little beside the lines with messages (`traces`).
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
"""Queries are truncated to so many characters."""

_SYNTAX = re.compile(
    r"""(?:(?<=\s)(?P<minus>-)|(?<!\S)|(?<=(?<!\S)[(\[]))
        (?:"(?P<straight>[^"]*)"|“(?P<curly>[^“”]*)”)
        (?=[\s.,;:!?)\]]|$)
      | (?<=\s)-(?P<word>[^\W\d_]\S*)""",
    re.VERBOSE,
)
_MOST_WORDS = 20  # of a query with syntax; longer ones are prose, which has quotation marks
_OPTION = re.compile(r"(?<!\S)(?:--[A-Za-z]|-[A-Za-z]{1,2}(?![^\s=]))|\A-")

_K3 = 2.0
_OF_A_PLACE = 0.2  # weight of a word that occurs only in a trace's locations

Terms = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LexicalQuery:
    """A parsed query.

    Attributes:
        text: the query without exclusions and without the quotation marks of its phrases: the text
            for an encoder.
        terms: the words it asks for, with weights; stop words only if there is nothing else.
        graphemes: the single graphemes of its bigrams, with weights.
        phrases: the phrases that a passage must contain, each as its words.
        excluded: the words and phrases that a passage must not contain, each as its words.
        lines: the messages of a pasted trace or log.
    """

    text: str
    terms: Mapping[str, float]
    graphemes: Mapping[str, float]
    phrases: tuple[Terms, ...] = ()
    excluded: tuple[Terms, ...] = ()
    lines: tuple[str, ...] = ()


@lru_cache(maxsize=256)
def parse_query(query: str) -> LexicalQuery:
    """Parse a query; any text is valid."""
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
    """The number of words of a query, repetitions saturated as in BM25; 0 for only stop words."""
    parsed = parse_query(query)
    if not stems(fold(parsed.text), stop_words=False):
        return 0.0
    return sum(parsed.terms.values())


def encoder_query(query: str, best: Callable[[str], float]) -> str:
    """The part of a query that an encoder should read.

    That is the query without exclusions. A pasted trace is too long for an encoder, and its
    messages stand between other lines: of these messages, the one that some passage answers
    best is taken.

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
    """The terms of a text and the graphemes of its bigrams, with weights."""
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
    """The weight of each term by its frequency in the query: BM25's k3 factor."""
    return {term: (_K3 + 1) * count / (_K3 + count) for term, count in Counter(terms).items()}
