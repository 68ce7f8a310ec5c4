"""YAML values as they are written: quoted or unquoted scalars, and flat lists in brackets."""

from __future__ import annotations

import re
import sys
from typing import NamedTuple

_COMMENT = re.compile(r"(?:^|(?<![ \t])[ \t]++)#.*$")
_SCALAR = re.compile(r"\"((?:[^\"\\]|\\.)*+)\"|'((?:[^']|'')*+)'", re.DOTALL)
_PROPERTIES = re.compile(r"(?:[&!][^\s,\[\]{}]*[ \t]+)+(?=\S)")
"""An anchor or a tag before a value."""
_ESCAPE = re.compile(r"\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|(.))", re.DOTALL)
_ESCAPED = {"0": " ", "a": " ", "b": " ", "e": " ", "f": " ", "n": "\n", "r": " ", "t": "\t",
            "v": " ", "N": "\n", "_": "\xa0", "L": "\n", "P": "\n"}  # fmt: skip
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_BETWEEN = re.compile(r"[^,\[\]{}#]++|#")
_PAIR = re.compile(r"(?:\"[^\"]*\"|'[^']*'|[^\s:]+):(?:\s|$)")


class Written(NamedTuple):
    """A scalar: its text, and whether it was quoted, in which case it is not a number."""

    text: str
    quoted: bool


def scalar(said: str) -> Written:
    """The scalar in a text that may also have blanks, an anchor or tag, and a comment around it."""
    said = said.strip()
    if properties := _PROPERTIES.match(said):
        said = said[properties.end() :]
    quoted = _SCALAR.match(said)
    if quoted and not without_comment(said[quoted.end() :]):
        return Written(_unquoted(quoted), True)
    return Written(without_comment(said), False)


def without_comment(line: str) -> str:
    """An unquoted line without the comment at its end."""
    return _COMMENT.sub("", line).strip()


def flow_list(said: str) -> list[Written] | None:
    """The scalars of a list in brackets, without nested values; None if it is not such a list."""
    if not said.startswith("["):
        return None
    found: list[Written] = []
    depth, at = 1, 1
    item, deep = "", False
    while at < len(said):
        char = said[at]
        if char.isspace() and not item:
            at += 1
        elif char in "\"'" and not item:
            quoted = _SCALAR.match(said, at)
            if quoted is None:
                return None
            item += quoted[0]
            at = quoted.end()
        elif char == "#" and said[at - 1].isspace():
            at = (said.find("\n", at) + 1) or len(said)
        elif char in ",[]{}":
            at += 1
            depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(char, 0)
            deep = deep or char in "[{"
            if depth <= 1 and char in ",]":
                if item and not deep and not _PAIR.match(item):
                    found.append(scalar(item))
                deep = False
            item = ""
            if not depth:
                return None if without_comment(said[at:]) else found
        else:
            between = _BETWEEN.match(said, at)
            assert between is not None  # it takes whatever no branch above does
            item += between[0]
            at = between.end()
    return None


def seen(text: str) -> str:
    """The text without control characters and halves of surrogate pairs, stripped."""
    return _UNSEEN.sub(" ", text).strip()


def _unquoted(quoted: re.Match[str]) -> str:
    if quoted[1] is None:
        return seen(quoted[2].replace("''", "'"))
    return seen(_ESCAPE.sub(_unescaped, quoted[1]))


def _unescaped(escape: re.Match[str]) -> str:
    if escape[4]:
        return _ESCAPED.get(escape[4], escape[4])
    code = int(escape[1] or escape[2] or escape[3], 16)
    return chr(code) if code <= sys.maxunicode else ""
