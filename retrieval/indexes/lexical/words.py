"""The words that the lexical index makes of a text.

A text is folded (`folding`), and its words are reduced to their English stems in lower case. Three
kinds of words become several terms:

- Identifiers count as their parts and as a whole, in any naming style and alphabet:
  `parse_json_line` and `parseJsonLine` both give parse, json, line and parsejsonline.
- Adjacent letters and digits are found by either, so `sha` and `256` find `sha256`; but a query
  for `sha256` does not find `sha512`.
- Scripts without spaces between words are indexed as n-grams: their graphemes (a letter with its
  marks) and their bigrams, pairs of graphemes.

The parts are in the order of the text, so that phrases match among them; wholes and bigrams come
after. N-grams have a field of their own, so that foreign names do not make a text longer, and in
mixed text each kind is weighed among its own.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from retrieval.indexes.lexical.folding import fold

if TYPE_CHECKING:
    import tantivy

Span = tuple[int, int]
"""Start and end, in characters."""

_MAX_WORD_BYTES = 192
CACHED_WORD = 32  # characters; longer words are not repeated
SPACELESS = re.compile(
    "["
    "\u0e01-\u0e4e\u0e81-\u0edf"  # Thai, Lao
    "\u1000-\u109f\ua9e0-\ua9fe\uaa60-\uaa7f"  # Myanmar
    "\u1780-\u17dd"  # Khmer
    "\u1950-\u19df\u1a20-\u1aad\uaa80-\uaadf"  # Tai Le, New Tai Lue, Tai Tham, Tai Viet
    "\ua980-\ua9c0\u1b00-\u1b4c"  # Javanese, Balinese
    "\u1100-\u11ff\uac00-\ud7ff"  # Hangul, where particles are written to the word before
    "\u3005-\u3007\u3021-\u302f\u3031-\u303c\u2e80-\u2fdf"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003fffd"  # Han
    "\u3041-\u30ff\u31f0-\u31ff\U0001b000-\U0001b16f"  # Kana
    "\u3105-\u312f\u31a0-\u31bf\ua000-\ua48c"  # Bopomofo, Yi
    "]+"
)
"""A run of scripts without spaces between words."""

_GRAPHEME = re.compile(  # a letter of these scripts with those stacked below it and its marks
    "."
    "(?:[\u1039\u17d2\u1a60\ua9c0\u1b44]."
    "|[\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ecd"
    "\u102b-\u103e\u1056-\u1059\u105e-\u1060\u1062-\u1064\u1067-\u106d\u1071-\u1074"
    "\u1082-\u108d\u108f\u109a-\u109d\ua9e5\uaa7b-\uaa7d\u17b4-\u17d3\u17dd"
    "\u1a55-\u1a7f\uaab0\uaab2-\uaab4\uaab7\uaab8\uaabe\uaabf\uaac1"
    "\ua980-\ua983\ua9b3-\ua9c0\u1b00-\u1b04\u1b34-\u1b44\u302a-\u302f\u3099\u309a])*"
)
_PLAIN = re.compile("[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_COMPOSITE = re.compile(rf"(?<!\S)(?!(?:{_PLAIN.pattern})(?!\S))\S+")
_SEGMENT = re.compile("[^_]+")

# The next ones match the classes of a word's letters: A and a for Latin (s: plurals as in `APIs`),
# B and b for other alphabets with case, x for those without, 0 for digits.
_ONE_WORD = re.compile("A+s?|A?[as]+|B+|B?b+|x+")
_PART = re.compile("A+s?(?![as])0*|A?[as]+0*|B+(?!b)0*|B?b+0*|x+0*|0+")
_LETTERS_OR_DIGITS = re.compile("[^0]+|0+")
# of alternating letters and digits; with more it is a hexadecimal number or the like
_MOST_RUNS = 3

_local = threading.local()


@dataclass(frozen=True, slots=True)
class Parts:
    """The terms of a word of a folded text, as spans within it.

    Attributes:
        units: the terms that phrases consist of, ascending and disjoint.
        graphemes: those units that are one of several in a run of a spaceless script.
        others: further terms of the word; underscores inside are ignored.
        fragments: terms that also find it in a text, but are not searched for by a query with it.
    """

    units: tuple[Span, ...]
    graphemes: frozenset[Span]
    others: tuple[Span, ...]
    fragments: tuple[Span, ...]


def analyzer(*, stop_words: bool = True) -> tantivy.TextAnalyzer:
    """The tantivy TextAnalyzer for folded words; without `stop_words`, the one for queries."""
    import tantivy

    steps = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace())
    steps = steps.filter(tantivy.Filter.remove_long(_MAX_WORD_BYTES))
    steps = steps.filter(tantivy.Filter.lowercase())
    if not stop_words:
        steps = steps.filter(tantivy.Filter.stopword("english"))
    steps = steps.filter(tantivy.Filter.ascii_fold())
    return steps.filter(tantivy.Filter.stemmer("english")).build()


def stems(words: str, *, stop_words: bool = True) -> list[str]:
    """The terms of folded words with spaces between them, in order."""
    analyzers: dict[bool, tantivy.TextAnalyzer] | None = getattr(_local, "analyzers", None)
    if analyzers is None:
        analyzers = _local.analyzers = {keep: analyzer(stop_words=keep) for keep in (True, False)}
    return analyzers[stop_words].analyze(words)


@dataclass(frozen=True, slots=True)
class Indexed:
    """The indexed form of a text: words with spaces between them, for `analyzer`.

    Attributes:
        words: the units of the text in order, without n-grams.
        others: further terms of its words.
        grams: if it has n-grams, its graphemes and the units between them in order; else "".
        bigrams: its pairs of graphemes.
    """

    words: tuple[str, ...]
    others: str = ""
    grams: str = ""
    bigrams: str = ""


def indexed(text: str) -> Indexed:
    """The indexed form of a text."""
    folded = fold(text)
    if not folded.isascii() and SPACELESS.search(folded):
        return _with_grams(folded)
    others: list[str] = []

    def divided(match: re.Match[str]) -> str:
        word = match[0]
        units, more = _rendered_short(word) if len(word) <= CACHED_WORD else _rendered(word)
        others.extend(more)
        return units

    return Indexed((_COMPOSITE.sub(divided, folded),), " ".join(others))


def _with_grams(folded: str) -> Indexed:
    words: list[list[str]] = [[]]
    others: list[str] = []
    grams: list[str] = []
    bigrams: list[str] = []
    for word in folded.split():
        made = parts(word)
        for start, end in made.units:
            unit = word[start:end]
            grams.append(unit)
            if not SPACELESS.match(unit):
                words[-1].append(unit)
            elif words[-1]:
                words.append([])
        for start, end in (*made.others, *made.fragments):
            other = word[start:end].replace("_", "")
            (bigrams if SPACELESS.match(other) else others).append(other)
    joined = tuple(" ".join(run) for run in words if run)
    return Indexed(joined, " ".join(others), " ".join(grams), " ".join(bigrams))


def parts(word: str) -> Parts:
    """The terms of a word of a folded text."""
    if _PLAIN.fullmatch(word):  # most words
        return Parts(((0, len(word)),), frozenset(), (), ())
    units: list[Span] = []
    graphemes: list[Span] = []
    others: list[Span] = []
    fragments: list[Span] = []
    segments = [match.span() for match in _SEGMENT.finditer(word)]
    spaceless = SPACELESS.search(word)
    if len(segments) > 1 and not spaceless:
        others.append((segments[0][0], segments[-1][1]))
    for segment in segments:
        for start, end, apart in _by_script(word, *segment) if spaceless else [(*segment, False)]:
            if apart:
                found = [match.span() for match in _GRAPHEME.finditer(word, start, end)]
                units += found
                if len(found) > 1:
                    graphemes += found
                    others += [(a, b) for (a, _), (_, b) in pairwise(found)]
            else:
                _divide(word, start, end, units, others, fragments)
    return Parts(tuple(units), frozenset(graphemes), tuple(others), tuple(fragments))


def _by_script(word: str, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """The runs of spaceless and other scripts, with True for spaceless."""
    for match in SPACELESS.finditer(word, start, end):
        if start < match.start():
            yield start, match.start(), False
        yield *match.span(), True
        start = match.end()
    if start < end:
        yield start, end, False


def _divide(
    word: str,
    start: int,
    end: int,
    units: list[Span],
    others: list[Span],
    fragments: list[Span],
) -> None:
    """Add the units, others and fragments of a run of letters and digits."""
    classes = word[start:end].translate(_CLASSES)
    found = [(start, end)]
    if not _ONE_WORD.fullmatch(classes.replace("0", "")):
        camel = [(start + a, start + b) for a, b in _spans(_PART, classes)]
        if len(camel) > 1 and all(b - a > 1 for a, b in camel):
            found = camel
            others.append((start, end))
        elif len(camel) > 1:  # the m of mRNA is noise
            others += [(a, b) for a, b in camel if b - a > 1]
            units.append((start, end))
            found = []
    units += found
    for a, b in found or [(start, end)]:
        runs = _spans(_LETTERS_OR_DIGITS, classes[a - start : b - start])
        if 1 < len(runs) <= _MOST_RUNS:
            fragments += [(a + c, a + d) for c, d in runs if d - c > 1]


def _spans(pattern: re.Pattern[str], text: str) -> list[Span]:
    return [match.span() for match in pattern.finditer(text)]


def _rendered(word: str) -> tuple[str, tuple[str, ...]]:
    """The units of a word with spaces between them, and its further terms."""
    made = parts(word)
    units = " ".join([word[a:b] for a, b in made.units])
    more = (*made.others, *made.fragments)
    return units, tuple(word[a:b].replace("_", "") for a, b in more)


_rendered_short = lru_cache(maxsize=1 << 16)(_rendered)


class _Classes(dict[int, str]):
    def __missing__(self, code: int) -> str:
        self[code] = found = _class(chr(code))
        return found


def _class(char: str) -> str:
    if char.isdigit() or unicodedata.category(char)[0] == "N":
        return "0"
    latin = char < "\u0250" or "\u1e00" <= char <= "\u1eff" or "\ua720" <= char <= "\ua7ff"
    if char == "s":
        return "s"
    if char.islower():
        return "a" if latin else "b"
    if char.isupper() or char.istitle():
        return "A" if latin else "B"
    return "x"


_CLASSES = _Classes()
