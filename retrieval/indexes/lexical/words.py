"""What the lexical index takes for a word: analysis of texts and queries, and highlighting.

A word is a run of letters and digits, lower-cased, without accents, reduced to its English stem.
Identifiers count as their words and as a whole, however they are written: `parse_json_line` and
`parseJsonLine` both give parse, json, line and parsejsonline. What the analyser does not find by
itself (the words of `parseJsonLine`, the whole of `parse_json_line`) is added to the text.

Stop words are indexed, but a query leaves them out unless it holds nothing else: "to be or not to
be" finds its passage, and elsewhere they only cost time and, on most collections, precision.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections import Counter
from collections.abc import Iterator
from typing import Any

QUERY_CHARACTERS = 1 << 16
"""Where a query is cut off."""

_MAX_WORD_BYTES = 64
_RUN = re.compile(r"\w+")
_SEGMENT = re.compile(r"[^\W_]+")
_PART = re.compile(r"[A-Z]+s?(?![a-z])[0-9]*|[A-Z]?[a-z]+[0-9]*|[0-9]+")
_SURROGATE = re.compile("[\ud800-\udfff]")

_local = threading.local()


def analyzer(*, stop_words: bool = True) -> Any:
    """The tantivy TextAnalyzer of texts; without `stop_words`, the one of queries."""
    import tantivy

    steps = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    steps = steps.filter(tantivy.Filter.remove_long(_MAX_WORD_BYTES))
    steps = steps.filter(tantivy.Filter.lowercase())
    if not stop_words:
        steps = steps.filter(tantivy.Filter.stopword("english"))
    steps = steps.filter(tantivy.Filter.ascii_fold())
    return steps.filter(tantivy.Filter.stemmer("english")).build()


def indexed_text(text: str) -> str:
    """The text as it is indexed: composed characters, then the added words of its identifiers."""
    clean = unicodedata.normalize("NFC", _encodable(text))
    added = [word for _, _, word in _identifier_words(clean)]
    return f"{clean}\n{' '.join(added)}" if added else clean


def query_terms(query: str) -> dict[str, int]:
    """The terms of a query and how often it holds each; any text is a query, none is syntax."""
    text = indexed_text(query[:QUERY_CHARACTERS])
    texts, queries = _analyzers()
    return dict(Counter(queries.analyze(text) or texts.analyze(text)))


def highlight(query: str, text: str) -> tuple[tuple[int, int], ...]:
    """Where `text` holds words of the query, stems compared, words within identifiers included.

    Returns:
        (start, end) character spans, ascending, none touching the next.
    """
    terms = query_terms(query)
    if not terms:
        return ()
    clean = _encodable(text)
    texts, _ = _analyzers()
    spans = [
        (token.char_offset_from, token.char_offset_to)
        for token in texts.pre_tokenize(clean).tokens
        if token.text in terms
    ]
    stems: dict[str, bool] = {}
    for start, end, word in _identifier_words(clean):
        if word not in stems:
            stems[word] = any(term in terms for term in texts.analyze(word))
        if stems[word]:
            spans.append((start, end))
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


def _identifier_words(text: str) -> Iterator[tuple[int, int, str]]:
    """(start, end, word) of what the analyser does not see: snake wholes and camel parts."""
    for run in _RUN.finditer(text):
        if _plain(run[0]):
            continue
        segments = list(_SEGMENT.finditer(text, *run.span()))
        if len(segments) > 1:
            whole = "".join(segment[0] for segment in segments)
            yield segments[0].start(), segments[-1].end(), whole
        for segment in segments:
            word = segment[0]
            if word.islower() or word.isupper() or not word.isascii():
                continue
            parts = list(_PART.finditer(text, *segment.span()))
            if len(parts) > 1:
                for part in parts:
                    if len(part[0]) > 1:  # the m of mRNA is noise
                        yield part.start(), part.end(), part[0]


def _plain(run: str) -> bool:
    """Whether a run is one word that the analyser sees by itself, as nearly all of a text are."""
    return run.isalpha() and (run.islower() or run.isupper() or run[1:].islower())


def _encodable(text: str) -> str:
    """The text with half surrogate pairs, which UTF-8 cannot hold, replaced; its length stays."""
    return _SURROGATE.sub("\ufffd", text)


def _analyzers() -> tuple[Any, Any]:
    """This thread's analysers of texts and of queries."""
    pair: tuple[Any, Any] | None = getattr(_local, "pair", None)
    if pair is None:
        pair = _local.pair = analyzer(), analyzer(stop_words=False)
    return pair
