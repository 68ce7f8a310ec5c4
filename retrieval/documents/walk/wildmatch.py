"""Globs as git matches them (its wildmatch.c), as regular expressions that take linear time.

Git matches bytes: `?` is one byte, `[é]` one of two. So both patterns and paths are strings here
whose characters are the bytes of the name (`as_bytes`); for ASCII that is the name itself.

Git's matcher goes back at every star. Here it never goes back beyond the last `**`: what stands
between two of them is first found as far left as it can be, which leaves the most for the rest,
and is kept; and so is what stands between two `*` of one path segment.
"""

from __future__ import annotations

import os
import re

SPECIAL = frozenset("*?[\\")
"""Characters that make a pattern more than a name."""
MAX_PATTERN = 4096
"""Bytes of a pattern, as of the longest path: a longer one matches nothing."""

# Git's own tables, which know ASCII alone and whose space is narrower than that of C.
_CLASSES = {
    "alnum": "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    "alpha": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    "blank": " \t",
    "cntrl": "".join(map(chr, [*range(1, 32), 127])),
    "digit": "0123456789",
    "graph": "".join(map(chr, range(33, 127))),
    "lower": "abcdefghijklmnopqrstuvwxyz",
    "print": "".join(map(chr, range(32, 127))),
    "punct": "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
    "space": " \t\n\r",
    "upper": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "xdigit": "0123456789ABCDEFabcdef",
}
_LOWER = {ord(letter): letter.lower() for letter in _CLASSES["upper"]}
_STAR, _ANY_FOLDERS, _SOME_FOLDERS, _REST = "*", "**/", "**\\/", "**"
_STARS = {_STAR, _ANY_FOLDERS, _SOME_FOLDERS, _REST}


def as_bytes(name: str) -> str:
    """A name of the file system with a character for each of its bytes."""
    return name if name.isascii() else os.fsencode(name).decode("latin-1")


def folded(text: str) -> str:
    """In lower case, of ASCII alone: as git compares where the file system does not tell case."""
    return text.lower() if text.isascii() else text.translate(_LOWER)


def regex_of(pattern: str, *, fold: bool = False) -> str | None:
    """The regular expression, for `fullmatch` with DOTALL, of a glob; None if it matches nothing.

    `*`, `?` and brackets match no slash; `**` does if slashes or the ends stand on both its sides.

    Args:
        pattern: as `as_bytes` has it.
        fold: whether case is to be ignored; what is matched must then be `folded`.
    """
    tokens = _tokens(pattern, fold=fold) if len(pattern) <= MAX_PATTERN else None
    if tokens is None:
        return None
    groups: list[tuple[str, list[str]]] = [("", [])]
    for token in tokens:
        if token in (_ANY_FOLDERS, _SOME_FOLDERS, _REST):
            groups.append((token, []))
        else:
            groups[-1][1].append(token)
    last = len(groups) - 1
    return "".join(_group(stars, body, last=at == last) for at, (stars, body) in enumerate(groups))


def _group(stars: str, tokens: list[str], *, last: bool) -> str:
    """What follows a `**`, up to the next one."""
    if stars == _REST:
        return ".*"
    parts: list[list[str]] = [[]]
    for token in tokens:
        if token == _STAR:
            parts.append([])
        else:
            parts[-1].append(token)
    first, *rest = map("".join, parts)
    if last and rest:
        *middle, end = rest
        body = first + "".join(f"(?>[^/]*?{piece})" for piece in middle) + f"[^/]*{end}"
    else:
        body = first + "".join(f"(?>[^/]*?{piece})" for piece in rest)
    if not stars:
        return body
    body = f"(?:[^/]*/){'*?' if stars == _ANY_FOLDERS else '+?'}{body}"
    return body if last else f"(?>{body})"


def _tokens(pattern: str, *, fold: bool) -> list[str] | None:
    """Stars as they are, the rest as regular expressions of one character; None if malformed."""
    tokens: list[str] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "*":
            token, at = _stars(pattern, at)
            tokens.append(token)
            continue
        if char == "?":
            tokens.append("[^/]")
        elif char == "[":
            found = _bracket(pattern, at, fold=fold)
            if found is None:
                return None
            token, at = found
            tokens.append(token)
            continue
        elif char == "\\":
            at += 1
            if at == len(pattern):
                return None
            tokens.append(re.escape(pattern[at]))
        else:
            tokens.append(re.escape(folded(char) if fold else char))
        at += 1
    return tokens


def _stars(pattern: str, at: int) -> tuple[str, int]:
    """The kind of a run of stars, with the slash that belongs to it, and the place after it."""
    end = at
    while pattern[end : end + 1] == "*":
        end += 1
    if end - at > 1 and (at == 0 or pattern[at - 1] == "/"):
        if end == len(pattern):
            return _REST, end
        if pattern[end] == "/":
            return _ANY_FOLDERS, end + 1
        if pattern[end : end + 2] == "\\/":
            return _SOME_FOLDERS, end + 2
    return _STAR, end


def _bracket(pattern: str, at: int, *, fold: bool) -> tuple[str, int] | None:
    """The bracket that opens at `at`, and the place after it; None if it is malformed.

    Step by step what git does: a range takes its first character in before it is known to be one,
    `]` closes unless it is the first, and `[:` that `:]` does not end is two characters.
    """
    at += 1
    negated = pattern[at : at + 1] in ("!", "^")
    at += negated
    members: set[str] = set()
    previous = ""
    char = pattern[at : at + 1]
    while True:
        if not char:
            return None
        if char == "\\":
            at += 1
            char = pattern[at : at + 1]
            if not char:
                return None
            members.add(char)
        elif char == "-" and previous and pattern[at + 1 : at + 2] not in ("", "]"):
            at += 1
            if pattern[at] == "\\":
                at += 1
            high = pattern[at : at + 1]
            if not high:
                return None
            members |= _range(previous, high, fold=fold)
            char = ""
        elif char == "[" and pattern[at + 1 : at + 2] == ":":
            end = pattern.find("]", at + 2)
            if end < 0:
                return None
            if end > at + 2 and pattern[end - 1] == ":":
                name = pattern[at + 2 : end - 1]
                if name not in _CLASSES:
                    return None
                members.update(_CLASSES["alpha" if fold and name == "upper" else name])
                at, char = end, ""
            else:
                members.add("[")
        else:
            members.add(char)
        previous = char
        at += 1
        char = pattern[at : at + 1]
        if char == "]":
            break
    members.discard("/")
    inside = "".join(f"\\x{ord(member):02x}" for member in sorted(members))
    if negated:
        return f"[^/{inside}]", at + 1
    return (f"[{inside}]" if inside else "(?!)"), at + 1


def _range(low: str, high: str, *, fold: bool) -> set[str]:
    members = {chr(code) for code in range(ord(low), ord(high) + 1)}
    return members | {folded(member) for member in members} if fold else members
