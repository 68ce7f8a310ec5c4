"""Text that is safe to show: what could steer a terminal is gone, and its width is known."""

from __future__ import annotations

import re
import unicodedata

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def safe(text: str) -> str:
    """The text with U+FFFD for what could move a terminal's cursor or reorder its line.

    A document may hold escape sequences; printing them as they are would run them. Tabs become
    four spaces, and line breaks one space.
    """
    if text.isascii() and text.isprintable():
        return text
    return _UNSAFE.sub(_replacement, text)


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
    return {"\t": "    ", "\n": " ", "\r": ""}.get(match[0], "\ufffd")
