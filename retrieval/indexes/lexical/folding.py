"""Folding: spellings that readers take for the same word become one.

The result is the words of a text with spaces between them. They keep their underscores and their
case, which shows where an identifier can be split. Removed or replaced are

- invisible characters: soft hyphens, joiners, direction marks, byte order marks, selectors;
- compatibility forms (NFKC): ligatures, full and half width, circled, super- and subscript;
- accents that writers leave out: all of Latin and Greek letters; of Cyrillic ones the stress and
  the dots of yo, but not marks that make another letter (short i, yi, short u);
- the vowel points of Hebrew and Arabic, and the line that stretches an Arabic word (tatweel);
- positional forms: the sigma and the Hebrew letters that end a word;
- variant spellings of a letter: alef with and without hamza or madda, Arabic and Persian yeh and
kaf,
  teh marbuta and heh; in Devanagari the dot of foreign sounds and the signs of a nasal; Malayalam's
  final consonants;
- digits of other scripts.

Vowel signs and tone marks of Indic and South-East Asian scripts are parts of their words and are
kept, as are the voicing marks of kana. A joiner between the parts of a Persian word becomes an
underscore, so that the parts are also found by themselves.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_OPTIONAL_MARK = re.compile(
    "[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"  # Latin, Greek and others
    "\u0483-\u0489\u2de0-\u2dff\ua66f-\ua672\ua674-\ua67d\ua69e\ua69f"  # Cyrillic
    "\u0591-\u05c7\ufb1e"  # Hebrew
    "\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u08ca-\u08ff"  # Arabic
    "\u0711\u0730-\u074a"  # Syriac
    "\u093c\u0951-\u0954\u1cd0-\u1cf9"  # Devanagari: nukta and accents
    "\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]"  # selectors of a letter's form
)
_CYRILLIC = re.compile("[\u0400-\u052f]")
_LETTERS = {
    **dict.fromkeys("\u0622\u0623\u0625\u0671", "\u0627"),  # alef
    **dict.fromkeys("\u0649\u06cc", "\u064a"),  # yeh
    **dict.fromkeys("\u06a9\u06aa", "\u0643"),  # kaf
    **dict.fromkeys("\u0629\u06c0\u06c1\u06c2", "\u0647"),  # heh
    "\u0624": "\u0624",  # waw and yeh that carry a hamza stay other letters
    "\u0626": "\u0626",
    "\u0640": "",  # tatweel
    **dict(zip("\u05da\u05dd\u05df\u05e3\u05e5", "\u05db\u05de\u05e0\u05e4\u05e6", strict=True)),
    "\u03c2": "\u03c3",  # final sigma
    **dict(zip("\u0400\u0401\u040d", "\u0415\u0415\u0418", strict=True)),  # Cyrillic ie, yo, i
    **dict(zip("\u0450\u0451\u045d", "\u0435\u0435\u0438", strict=True)),
    "\u0901": "\u0902",  # candrabindu
    **{
        chillu: f"{letter}\u0d4d"  # Malayalam: final consonants, once written with a joiner
        for chillu, letter in zip(
            "\u0d7a\u0d7b\u0d7c\u0d7d\u0d7e\u0d7f",
            "\u0d23\u0d28\u0d30\u0d32\u0d33\u0d15",
            strict=True,
        )
    },
    "\u02bb": "",  # okina
    **dict.fromkeys("\u02b9\u02bc\u02bd\u02be\u02bf\u02c8\ua78b\ua78c", " "),  # apostrophes
    **dict.fromkeys("\u115f\u1160\u3164\uffa0", ""),  # fillers of Hangul
}
_BEFORE_NFKC = re.compile(
    "(?P<sign>[\u2100\u2101\u2105\u2106\u2116\u2120-\u2122\u213b])"  # trade mark, numero, ...
    "|(?P<fraction>[\u00bc-\u00be\u2150-\u215f\u2189])"
    "|(?<=[\u0620-\u06ff])\u200c(?=[\u0620-\u06ff])"  # ZWNJ between the parts of a Persian word
)
_NOT_ASCII = re.compile("([^\x00-\x7f]+)")
_NASAL = re.compile("[\u0919\u091e\u0923\u0928\u092e]\u094d(?=[\u0915-\u092d])")
_ANUSVARA = "\u0902"
_VIRAMA = "\u094d"


class _Table(dict[int, str]):
    """What each character becomes, computed on first use."""

    def __missing__(self, code: int) -> str:
        self[code] = folded = _character(chr(code))
        return folded


def _character(char: str) -> str:
    """The folded form of one character of a text in NFKC."""
    if char in _LETTERS:
        return _LETTERS[char]
    if char == "_":
        return char
    category = unicodedata.category(char)
    if category == "Cf" or _OPTIONAL_MARK.match(char):
        return ""
    if category == "Nd":
        return str(unicodedata.decimal(char))
    if category[0] == "M" or _CYRILLIC.match(char):
        return char
    if not char.isalnum():
        return " "
    return unicodedata.normalize("NFC", _OPTIONAL_MARK.sub("", unicodedata.normalize("NFD", char)))


_TABLE = _Table()
_ASCII = {code: _character(chr(code)) for code in range(128)}


def fold(text: str) -> str:
    """The words of a text, folded, with spaces between them."""
    if text.isascii():
        return text.translate(_ASCII)
    # ASCII characters are not changed by their neighbours: accents that follow are dropped.
    parts = _NOT_ASCII.split(text)
    parts[::2] = [part.translate(_ASCII) for part in parts[::2]]
    parts[1::2] = [_fold_short(part) if len(part) < 32 else _fold(part) for part in parts[1::2]]
    return "".join(parts)


def fold_aligned(text: str) -> tuple[str, list[tuple[int, int]]]:
    """`fold`, and for each character of the result the span of `text` that it stands for."""
    if text.isascii():
        return fold(text), [(at, at + 1) for at in range(len(text))]
    pieces: list[str] = []
    spans: list[tuple[int, int]] = []
    text_with_parts = _BEFORE_NFKC.sub(lambda match: match[0] if match.lastgroup else "_", text)
    for start, end in _clusters(text_with_parts):
        piece = _fold_short(text_with_parts[start:end])
        pieces.append(piece)
        spans.extend([(start, end)] * len(piece))
    folded = "".join(pieces)
    for match in reversed(list(_NASAL.finditer(folded))):
        start, end = match.span()
        folded = f"{folded[:start]}{_ANUSVARA}{folded[end:]}"
        spans[start:end] = [(spans[start][0], spans[end - 1][1])]
    return folded, spans


def _fold(text: str) -> str:
    """Fold a run of characters beyond ASCII."""
    folded = unicodedata.normalize("NFKC", _BEFORE_NFKC.sub(_before_nfkc, text)).translate(_TABLE)
    return _NASAL.sub(_ANUSVARA, folded) if _VIRAMA in folded else folded


_fold_short = lru_cache(maxsize=1 << 16)(_fold)


def _before_nfkc(match: re.Match[str]) -> str:
    """Replace what NFKC would turn into letters or join to the number before, and joiners."""
    if match.lastgroup == "sign":
        return " "
    return f" {match[0]}" if match.lastgroup == "fraction" else "_"


def _clusters(text: str) -> list[tuple[int, int]]:
    """Spans of the pieces of a text that are normalised independently."""
    starts = [at for at, char in enumerate(text) if at == 0 or not _follows(char)]
    return list(zip(starts, [*starts[1:], len(text)], strict=True))


def _follows(char: str) -> bool:
    """Whether it may combine with the character before: marks, vowels and finals of Hangul."""
    if char < "\u0300":
        return False
    return (
        unicodedata.category(char)[0] == "M"
        or "\u1160" <= char <= "\u11ff"
        or "\u3131" <= char <= "\u318e"
        or "\ud7b0" <= char <= "\ud7ff"
        or "\uff9e" <= char <= "\uffdc"
    )
