"""The rules of `.gitignore` files, read as git reads them while it walks a tree from the top.

A walk asks about one entry at a time and never enters an ignored folder, so a pattern speaks only
for the entry it matches, not for what lies beneath it. That is git's own reading, and it is what
makes `foo/**` with `!foo/keep` or `*` with `!*/` come out right; pathspec judges whole paths, and
in a walk of random repositories left git's listing in one of four.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_POSIX_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": " \\t",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": "\\s",
    "upper": "A-Z",
    "xdigit": "0-9a-fA-F",
}


class GitIgnore:
    """The patterns of one `.gitignore`; paths are relative to the folder that holds it.

    Args:
        lines: the file's lines, without their newlines. What git would not understand matches
            nothing.
    """

    __slots__ = ("_any", "_rules")

    def __init__(self, lines: Iterable[str]) -> None:
        sources: list[str] = []
        self._rules: list[tuple[re.Pattern[str], bool]] = []
        for line in lines:
            rule = _translate(line)
            if rule is not None:
                sources.append(rule[0])
                self._rules.append((re.compile(rule[0], re.DOTALL), rule[1]))
        self._rules.reverse()
        # Most entries match nothing, and one alternation says so faster than a loop.
        self._any = re.compile("|".join(sources) or r"(?!)", re.DOTALL)

    @classmethod
    def read(cls, path: Path) -> GitIgnore:
        """The patterns of the file at `path`.

        Raises:
            OSError: the file cannot be read.
        """
        # Names that are not UTF-8 come from the file system with surrogate escapes too.
        text = path.read_bytes().decode("utf-8", "surrogateescape").removeprefix("\ufeff")
        return cls(line.removesuffix("\r") for line in text.split("\n"))

    def __bool__(self) -> bool:
        return bool(self._rules)

    def match(self, path: str) -> bool | None:
        """What the last pattern that matches says: True ignored, False taken back in, None silent.

        Args:
            path: relative, with `/`; a folder's ends in `/`.
        """
        if not self._any.match(path):
            return None
        return next((ignored for regex, ignored in self._rules if regex.match(path)), None)


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """All the `.gitignore`s that count for the entries of one folder.

    Attributes:
        levels: outermost first; each with how much of an entry's path, which begins as the folder's
            does, is to be left off to make it relative to that `.gitignore`.
    """

    levels: tuple[tuple[int, GitIgnore], ...] = ()

    @classmethod
    def above(cls, folder: Path) -> IgnoreRules:
        """The rules from above `folder`, up to the top of its repository.

        There are none without a repository, or if the folder itself is ignored: whoever asks for it
        all the same does not mean nothing.

        Args:
            folder: absolute.
        """
        upwards = (folder, *folder.parents)
        repository = next((at for at in upwards if os.path.lexists(at / ".git")), None)
        rules = cls()
        if repository is None:
            return rules
        for at in reversed(upwards[: upwards.index(repository)]):
            with contextlib.suppress(OSError):
                rules = rules.within(at.parent)
            if rules.ignore(str(at), is_folder=True):
                return cls()
        return rules

    def within(self, folder: Path) -> IgnoreRules:
        """These rules and, over them, those of the `.gitignore` in `folder`.

        Raises:
            OSError: that file cannot be read.
        """
        added = GitIgnore.read(folder / ".gitignore")
        prefix = len(str(folder).rstrip("/")) + 1
        return IgnoreRules((*self.levels, (prefix, added))) if added else self

    def ignore(self, path: str, *, is_folder: bool) -> bool:
        """Whether the entry at `path` is ignored; the innermost rule that matches it decides."""
        if not self.levels:
            return False
        candidate = f"{path}/" if is_folder else path
        for prefix, level in reversed(self.levels):
            ignored = level.match(candidate[prefix:])
            if ignored is not None:
                return ignored
        return False


def _translate(line: str) -> tuple[str, bool] | None:
    """A line as (regular expression that matches whole paths, ignored), or None for no pattern."""
    pattern = _strip(line)
    if not pattern or pattern.startswith("#"):
        return None
    ignored = not pattern.startswith("!")
    pattern = pattern if ignored else pattern[1:]
    only_folders = pattern.endswith("/")
    pattern = pattern.removesuffix("/")
    anywhere = "/" not in pattern
    segments = pattern.removeprefix("/").split("/")
    if segments == [""]:
        return None
    try:
        body = _segments(segments)
    except ValueError:
        return None
    return f"{'(?:.*/)?' if anywhere else ''}{body}{'/' if only_folders else '/?'}\\Z", ignored


def _strip(line: str) -> str:
    """Without trailing spaces, but for one that a backslash keeps."""
    stripped = line.rstrip(" ")
    backslashes = len(stripped) - len(stripped.rstrip("\\"))
    return stripped + " " if backslashes % 2 and len(stripped) < len(line) else stripped


def _segments(segments: list[str]) -> str:
    """The regular expression of a pattern's path segments; `**` spans any number of them."""
    parts: list[str] = []
    for position, segment in enumerate(segments):
        last = position == len(segments) - 1
        if len(segment) > 1 and not segment.strip("*"):
            parts.append("[^/].*" if last else "(?:.*/)?")
        else:
            parts.append(f"(?=[^/]){_glob(segment)}" + ("" if last else "/"))
    return "".join(parts)


def _glob(segment: str) -> str:
    """The regular expression of one path segment.

    A `*` that another one follows takes the shortest stretch to its next literal and keeps it, so
    that `*a*a*a*b` cannot make the match explode.

    Raises:
        ValueError: a bracket that does not close, or a backslash at the end.
    """
    literals = [""]
    at = 0
    while at < len(segment):
        char = segment[at]
        if char == "*":
            if at == 0 or segment[at - 1] != "*" or literals[-1]:
                literals.append("")
            at += 1
        elif char == "?":
            literals[-1] += "[^/]"
            at += 1
        elif char == "[":
            expression, at = _bracket(segment, at)
            literals[-1] += expression
        else:
            if char == "\\":
                at += 1
                if at == len(segment):
                    raise ValueError("a backslash at the end")
            literals[-1] += re.escape(segment[at])
            at += 1
    first, *rest = literals
    if not rest:
        return first
    *middle, end = rest
    return first + "".join(f"(?>[^/]*?{literal})" for literal in middle) + f"[^/]*{end}"


def _bracket(segment: str, at: int) -> tuple[str, int]:
    """The regular expression of the bracket that opens at `at`, and the place after it."""
    at += 1
    negated = segment[at : at + 1] in ("!", "^")
    at += negated
    items: list[str] = []
    start = at
    while True:
        char = segment[at : at + 1]
        if not char:
            raise ValueError("a bracket that does not close")
        if char == "]" and at > start:
            break
        named = re.compile(r"\[:([a-z]*):\]").match(segment, at)
        if named:
            if named[1] not in _POSIX_CLASSES:
                raise ValueError("an unknown character class")
            items.append(_POSIX_CLASSES[named[1]])
            at = named.end()
            continue
        low, at = _bracket_char(segment, at)
        high = low
        if segment[at : at + 1] == "-" and segment[at + 1 : at + 2] not in ("", "]"):
            high, at = _bracket_char(segment, at + 1)
        items.append(f"{re.escape(low)}-{re.escape(max(low, high))}")
    inside = "".join(items)
    if negated:
        return f"[^/{inside}]", at + 1
    return (f"(?!/)[{inside}]" if inside else "(?!)"), at + 1


def _bracket_char(segment: str, at: int) -> tuple[str, int]:
    at += segment[at] == "\\"
    if at >= len(segment):
        raise ValueError("a backslash at the end")
    return segment[at], at + 1
