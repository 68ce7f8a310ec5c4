"""Lists of patterns, as in a `.gitignore`: the last pattern that matches an entry decides.

A walk asks about one entry at a time and never enters an ignored folder, so a pattern speaks only
for the entry it matches, not for what lies beneath it. That is git's own reading, and it is what
makes `foo/**` with `!foo/keep` or `*` with `!*/` come out right.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from math import prod

from retrieval.documents.walk.wildmatch import MAX_PATTERN, SPECIAL, as_bytes, folded, regex_of

_EITHER_EXTENSION = re.compile(r"\*\.([\w-]*)\[([a-z0-9]{1,8})\]([\w-]*)", re.ASCII)
_EXTENSION = re.compile(r"\*\.[^.*?\[\\]*")
_MAX_SEEN = 10_000
_MAX_BRACES, _MAX_ALTERNATIVES, _MAX_EXPANDED = 16, 256, 128 * 1024
"""How many braces a pattern may have, to how many they may expand, and to how many bytes with those
of all patterns before it; one of more stays as it is."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """One line of such a list.

    Attributes:
        body: the glob, without `!`, a leading and a trailing slash.
        negated: whether it takes back in what it matches.
        only_folders: whether it ends in a slash.
        anywhere: whether it speaks of names at any depth, and not of paths.
    """

    body: str
    negated: bool
    only_folders: bool
    anywhere: bool

    @classmethod
    def of(cls, line: str) -> Pattern | None:
        """The pattern of a line, or None for a comment or an empty one."""
        line = _without_trailing_spaces(line.split("\0", 1)[0])
        negated = line.startswith("!")
        body = line[1:] if negated else line
        only_folders = body.endswith("/")
        body = body[:-1] if only_folders else body
        anywhere = "/" not in body
        body = body.removeprefix("/")
        if not body or line.startswith("#"):
            return None
        return cls(body, negated, only_folders, anywhere)

    def variants(self) -> list[tuple[str, bool]]:
        """Bodies that together match the same, and whether they speak of names anywhere.

        The simpler a body, the faster it is found: a `**/` before a name says nothing, and
        `*.py[co]` is two extensions. A pattern that is longer than any path has none.
        """
        body, anywhere = self.body, self.anywhere
        if len(body) > MAX_PATTERN:
            return []
        if body.startswith("**/") and "/" not in body[3:]:
            body, anywhere = body[3:], True
        either = _EITHER_EXTENSION.fullmatch(body) if anywhere else None
        if either is None:
            return [(body, anywhere)]
        return [(f"*.{either[1]}{char}{either[3]}", True) for char in either[2]]


class PatternList:
    """Patterns in their order; what they match is relative to one folder.

    Attributes:
        patterns: the patterns.
        file_globs: bodies of those without `!` that may match a file, and whether each speaks of
            names anywhere.

    Args:
        lines: without their newlines, as `as_bytes` has them. What git would not understand
            matches nothing.
        fold: whether the case of ASCII letters is ignored.
    """

    __slots__ = ("_fold", "_of_files", "_of_folders", "_said", "file_globs", "patterns")

    def __init__(self, lines: Iterable[str], *, fold: bool = False) -> None:
        self.patterns = tuple(filter(None, map(Pattern.of, lines)))
        self._fold = fold
        # For each pattern what it says of its match; the last, which -1 finds, is for none.
        self._said = [*(not pattern.negated for pattern in self.patterns), None]
        self._index(list(enumerate(self.patterns)))

    @classmethod
    def of_git(cls, text: str, *, fold: bool = False) -> PatternList:
        """The patterns of a file that git reads, given as `as_bytes` has it."""
        return cls(_lines(text), fold=fold)

    @classmethod
    def of_ripgrep(cls, text: str) -> PatternList:
        """The patterns of a file that ripgrep reads: all white space at the end goes, `{a,b}` is
        either, and a bracket that does not close is a character.
        """
        lines = (
            line if line.endswith("\\ ") else line.rstrip(" \t\r\n\f\v") for line in _lines(text)
        )
        return cls(_expanded(lines))

    def __bool__(self) -> bool:
        return bool(self.patterns)

    def match(self, path: str, *, is_folder: bool) -> bool | None:
        """What the last pattern that matches says: True for a plain one, False for one with `!`.

        Args:
            path: relative, with `/`.
            is_folder: whether it is one.
        """
        if not path.isascii():
            path = as_bytes(path)
        if self._fold:
            path = folded(path)
        return self._said[(self._of_folders if is_folder else self._of_files).last(path)]

    def without_those_that_match(self, folder: str) -> PatternList:
        """The list without the patterns that keep this folder, given by its path, out."""
        if not self.match(folder, is_folder=True):
            return self
        path = folded(as_bytes(folder)) if self._fold else as_bytes(folder)
        kept = PatternList((), fold=self._fold)
        kept.patterns, kept._said = self.patterns, self._said
        kept._index(
            [
                (number, pattern)
                for number, pattern in enumerate(self.patterns)
                if pattern.negated or _Matcher([(number, pattern)], fold=self._fold).last(path) < 0
            ]
        )
        return kept

    def _index(self, numbered: list[tuple[int, Pattern]]) -> None:
        self.file_globs = [
            variant
            for _, pattern in numbered
            if not pattern.negated and not pattern.only_folders
            for variant in pattern.variants()
        ]
        self._of_folders = _Matcher(numbered, fold=self._fold)
        of_files = [one for one in numbered if not one[1].only_folders]
        self._of_files = _Matcher(of_files, fold=self._fold)


class _Matcher:
    """Numbered patterns, most of them looked up: names, paths and extensions by hashing."""

    __slots__ = ("_extensions", "_names", "_of_names", "_of_paths", "_paths", "_seen")

    def __init__(self, numbered: Iterable[tuple[int, Pattern]], *, fold: bool) -> None:
        self._seen: dict[str, int] = {}  # most names of a tree come again and again
        self._names: dict[str, int] = {}
        self._paths: dict[str, int] = {}
        self._extensions: dict[str, int] = {}
        of_names: list[tuple[int, str]] = []
        of_paths: list[tuple[int, str]] = []
        variants = (
            (number, *variant) for number, pattern in numbered for variant in pattern.variants()
        )
        for number, body, anywhere in variants:
            # What stands before the first wildcard is compared first, and `**` behind it then
            # stands at the beginning of what is left: to git, `a**/b` is `a` and `**/b`.
            at = next((at for at, char in enumerate(body) if char in SPECIAL), len(body))
            literal, rest = folded(body[:at]) if fold else body[:at], body[at:]
            if not rest:
                (self._names if anywhere else self._paths)[literal] = number
            elif anywhere and rest == body and _EXTENSION.fullmatch(rest):
                self._extensions[folded(rest[2:]) if fold else rest[2:]] = number
            else:
                regex = regex_of(rest, fold=fold)
                if regex is not None:
                    (of_names if anywhere else of_paths).append(
                        (number, re.escape(literal) + regex)
                    )
        self._of_names = _AnyOf(of_names) if of_names else None
        self._of_paths = _AnyOf(of_paths) if of_paths else None

    def last(self, path: str) -> int:
        """The number of the last of them that matches, or -1."""
        name = path[path.rfind("/") + 1 :]
        found = self._seen.get(name)
        if found is None:
            found = self._last_of_name(name)
            if len(self._seen) < _MAX_SEEN:
                self._seen[name] = found
        if self._paths:
            found = max(found, self._paths.get(path, -1))
        if self._of_paths is not None:
            found = max(found, self._of_paths.last(path))
        return found

    def _last_of_name(self, name: str) -> int:
        found = self._names.get(name, -1)
        if "." in name:
            found = max(found, self._extensions.get(name[name.rfind(".") + 1 :], -1))
        if self._of_names is not None:
            found = max(found, self._of_names.last(name))
        return found


class _AnyOf:
    """Numbered regular expressions as one: of those that match, the last is tried first."""

    __slots__ = ("_fullmatch", "_numbers")

    def __init__(self, numbered: list[tuple[int, str]]) -> None:
        numbered = numbered[::-1]
        self._numbers = [-1, *(number for number, _ in numbered)]
        self._fullmatch = re.compile(
            "|".join(f"({regex})" for _, regex in numbered), re.DOTALL
        ).fullmatch

    def last(self, text: str) -> int:
        found = self._fullmatch(text)
        return self._numbers[found.lastindex or 0] if found else -1


def _lines(text: str) -> Iterator[str]:
    text = text.removeprefix("\xef\xbb\xbf")
    return (line.removesuffix("\r") for line in text.split("\n"))


def _without_trailing_spaces(line: str) -> str:
    """Without trailing spaces, but for one that a backslash keeps."""
    stripped = line.rstrip(" ")
    backslashes = len(stripped) - len(stripped.rstrip("\\"))
    return stripped + " " if backslashes % 2 and len(stripped) < len(line) else stripped


def _expanded(lines: Iterable[str]) -> Iterator[str]:
    left = _MAX_EXPANDED
    for line in lines:
        variants = _alternatives(line, left)
        if len(variants) > 1:
            left -= sum(len(variant) + 1 for variant in variants)
        yield from variants


def _alternatives(line: str, most: int) -> list[str]:
    """The lines that the braces of one stand for, if they have at most so many characters."""
    if line.count("{") > _MAX_BRACES or len(line) > MAX_PATTERN:
        return [line]
    parts: list[list[str]] = []
    at = 0
    text = ""
    while at < len(line):
        char = line[at]
        if char == "\\":
            text += line[at : at + 2]
            at += 2
            continue
        if char == "[":
            end = _bracket_end(line, at)
            text += line[at:end] if end else "\\["
            at = end or at + 1
            continue
        if char == "{":
            found = _brace(line, at, most)
            if found is not None:
                alternatives, at = found
                parts += [[text], alternatives]
                text = ""
                continue
        text += char
        at += 1
    parts.append([text])
    count = prod(map(len, parts))
    size = sum(sum(map(len, part)) * (count // len(part)) for part in parts)
    if count > _MAX_ALTERNATIVES or size + count > most:
        return [line]
    return ["".join(chosen) for chosen in product(*parts)]


def _bracket_end(line: str, at: int) -> int:
    """The place after the bracket that opens at `at`; 0 if it does not close."""
    first = at + 1 + (line[at + 1 : at + 2] in ("!", "^"))
    return line.find("]", first + 1) + 1


def _brace(line: str, at: int, most: int) -> tuple[list[str], int] | None:
    """The alternatives of the brace that opens at `at`, and the place after it."""
    depth, start, pieces = 0, at + 1, []
    for position in range(at, len(line)):
        char = line[position]
        if char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
            if not depth:
                pieces.append(line[start:position])
                return [one for piece in pieces for one in _alternatives(piece, most)], position + 1
        elif char == "," and depth == 1:
            pieces.append(line[start:position])
            start = position + 1
    return None
