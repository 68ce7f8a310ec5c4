"""Text that is safe to print: no terminal control, and invisible characters made visible."""

from __future__ import annotations

import re
import unicodedata

_UNSAFE = re.compile(
    r"\r\n|[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u2065"
    "\u206a-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Unicode's default-ignorable code points (DerivedCoreProperties.txt) except those of `_UNSAFE`,
and the annotation characters."""

_JOINERS = frozenset("\u200c\u200d")
_VARIANTS = re.compile("[\ufe00-\ufe0f]")
_KEYCAP = "\u20e3"
_SOFT_HYPHEN = "\u00ad"


def safe(text: str) -> str:
    """Replace characters that could move a terminal's cursor or reorder a line by U+FFFD.

    A document may contain escape sequences, which must not be executed when printed. Tabs become
    four spaces, and line breaks one space. Invisible characters, which may hide text, are shown by
    code point, as `<U+200B>`, except where spelling needs them: joiners and variants in scripts
    other than ASCII and in emoji, soft hyphens between letters.
    """
    if text.isascii() and text.isprintable():
        return text
    return _INVISIBLE.sub(_told, _UNSAFE.sub(_replacement, text))


def columns(text: str) -> int:
    """How many columns of a terminal a safe text takes."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) == "Cf":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _replacement(match: re.Match[str]) -> str:
    return {"\t": "    ", "\r\n": " ", "\n": " ", "\r": " "}.get(match[0], "\ufffd")


def _told(match: re.Match[str]) -> str:
    character, at = match[0], match.start()
    before, after = match.string[at - 1 : at], match.string[at + 1 : at + 2]
    if character == _SOFT_HYPHEN:
        is_spelling = before.isalpha() and after.isalpha()
    elif character in _JOINERS or _VARIANTS.match(character):
        # A joiner may follow one variant selector; longer runs of these are used to hide text.
        if character in _JOINERS and _VARIANTS.match(before):
            before = match.string[at - 2 : at - 1]
        shaped = not before.isascii() and unicodedata.category(before)[0] in "LMS"
        is_spelling = (shaped and not _INVISIBLE.match(before)) or (
            after == _KEYCAP and character not in _JOINERS
        )
    else:
        is_spelling = False
    return character if is_spelling else f"<U+{ord(character):04X}>"
