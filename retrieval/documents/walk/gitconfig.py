"""The git settings that decide what git ignores, read from its files without running git.

Git need not be installed, and an untrusted repository cannot make it run anything. The grammar and
the order of the files are those of git-config(1). `hasconfig` conditions and settings from git's
command line are not read.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from retrieval.documents.walk.settings_files import read_small
from retrieval.documents.walk.wildmatch import as_bytes, folded, regex_of

Problem = Callable[[str, str], object]
"""Called with a file's path and what is wrong with the file."""

_MAX_DEPTH = 10  # of nested includes, as in git
_MAX_BYTES, _PAGE = (
    2 << 20,
    4096,
)  # limit for one repository's settings; each include counts as a page, too
_MAX_BRANCH = 4096

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+|[#;][^\n]*)
    |\[(?P<section>[A-Za-z0-9.-]+)(?:[ \t]+"(?P<sub>(?:[^"\\\n]|\\[^\n])*)")?\]
    |(?P<key>[A-Za-z][A-Za-z0-9-]*)[ \t]*(?P<equals>=?)""",
    re.VERBOSE,
)
_VALUE = re.compile(
    r'(?P<text>[^"\\#;\n]+)|(?P<quote>")|\\(?P<escape>.)|(?P<comment>[#;][^\n]*)', re.DOTALL
)
_QUOTED = re.compile(r'(?P<text>[^"\\\n]+)|(?P<quote>")|\\(?P<escape>.)', re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "b": "\b", "\\": "\\", '"': '"', "\n": ""}
_BLANKS = " \t\r\v\f"
_TRUE, _FALSE = ("true", "yes", "on"), ("false", "no", "off", "")
_NUMBER = re.compile(
    r"[-+]?(?:0x(?=[0-9a-f])0*(?P<hex>[0-9a-f]{0,8})|(?=[0-9])0*(?P<plain>[0-9]{0,10}))[kmg]?"
)
_FLAGS = frozenset({"core.bare", "core.ignorecase", "extensions.worktreeconfig"})


@dataclass(frozen=True, slots=True)
class GitSettings:
    """The settings that apply to one repository.

    Attributes:
        excludes_file: the path of `core.excludesFile`, or of git's default if that is not set; None
            if it is set to an empty value.
        ignore_case: `core.ignoreCase`.
        sha256: whether the names of objects have 32 bytes instead of 20.
        bare: `core.bare`.
    """

    excludes_file: str | None
    ignore_case: bool
    sha256: bool
    bare: bool


def git_settings(top: str, git_dir: str, common_dir: str, problem: Problem) -> GitSettings:
    """The settings of a repository.

    Args:
        top: the absolute path of its work tree.
        git_dir: its `.git` folder, or the one that its `.git` file names.
        common_dir: the same, or for a linked work tree that of the repository it belongs to.
        problem: called for files that cannot be read or parsed.
    """
    reader = _Reader(git_dir, problem)
    for path in _files_of_user():
        reader.read(path)
    reader.read(os.path.join(common_dir, "config"))
    if _is_true(reader.values.get("extensions.worktreeconfig", "false")):
        reader.read(os.path.join(git_dir, "config.worktree"))
    reader.values.update(_of_environment())
    named = reader.values.get("core.excludesfile")
    if named is None:
        excludes: str | None = os.path.join(_xdg(), "ignore")
    else:
        excludes = os.path.join(top, _expanded(named)) if named else None
    return GitSettings(
        excludes_file=excludes,
        ignore_case=_is_true(reader.values.get("core.ignorecase", "false")),
        sha256=reader.values.get("extensions.objectformat", "").lower() == "sha256",
        bare=_is_true(reader.values.get("core.bare", "false")),
    )


def _xdg() -> str:
    return os.path.join(os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config"), "git")


def _files_of_user() -> Iterator[str]:
    """The configuration files of the system and the user; later ones take precedence."""
    if not _is_true(os.environ.get("GIT_CONFIG_NOSYSTEM", "false")):
        yield os.environ.get("GIT_CONFIG_SYSTEM") or _of_system()
    if "GIT_CONFIG_GLOBAL" in os.environ:
        yield os.environ["GIT_CONFIG_GLOBAL"]
    else:
        yield os.path.join(_xdg(), "config")
        yield os.path.expanduser("~/.gitconfig")


def _of_system() -> str:
    """The system's file: in `etc` below git's prefix, or `/etc/gitconfig` if that is `/usr`."""
    git = shutil.which("git")
    prefix = Path(os.path.realpath(git)).parent.parent if git else Path("/usr")
    return "/etc/gitconfig" if prefix == Path("/usr") else str(prefix / "etc/gitconfig")


def _of_environment() -> dict[str, str]:
    count = os.environ.get("GIT_CONFIG_COUNT", "")
    names = range(int(count)) if count.isdecimal() and len(count) < 5 else range(0)
    pairs = (
        (os.environ.get(f"GIT_CONFIG_KEY_{n}", ""), os.environ.get(f"GIT_CONFIG_VALUE_{n}", ""))
        for n in names
    )
    return {key.lower(): value for key, value in pairs if key.count(".") == 1}


_Identity = tuple[int, int]
"""Device and inode, which identify a file whatever path it is reached by."""


class _Reader:
    """Collects settings from files in order; the last value of a key is kept."""

    def __init__(self, git_dir: str, problem: Problem) -> None:
        self.values: dict[str, str] = {}
        self._git_dir = git_dir
        self._problem = problem
        self._reading: list[_Identity | None] = []  # each includes the next
        self._left = _MAX_BYTES

    def read(self, path: str) -> None:
        """Take the settings of a file and of those that it includes; a missing file is skipped."""
        try:
            data = read_small(path)
        except (FileNotFoundError, NotADirectoryError):
            return
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            self._problem(path, f"cannot be read ({why}); its settings are lost")
            return
        self._left -= len(data)
        self._reading.append(_identity(path))
        try:
            self._take(path, os.fsdecode(data).removeprefix("\ufeff").replace("\r\n", "\n"))
        except ValueError as error:
            self._problem(path, f"{error}; what follows is lost")
        self._reading.pop()

    def _take(self, path: str, text: str) -> None:
        holds: dict[tuple[str, str | None], bool] = {}  # conditions, each evaluated once
        for section, sub, key, value in _settings(text):
            if section in ("include", "includeif"):
                if key != "path" or value is None:
                    continue
                if (section, sub) not in holds:
                    is_plain = section == "include"
                    holds[section, sub] = sub is None if is_plain else self._holds(sub or "", path)
                if holds[section, sub]:
                    self._include(path, value)
            elif sub is None:
                name = f"{section}.{key}"
                value = "true" if value is None else value
                if name in _FLAGS and _truth(value) is None:
                    self._problem(path, f"{name} is neither true nor false; this setting is lost")
                else:
                    self.values[name] = value

    def _include(self, path: str, value: str) -> None:
        """Read an included file, each time it is included, within limits on size and depth."""
        named = os.path.join(os.path.dirname(path), _expanded(value))
        self._left -= _PAGE
        if self._left < 0:
            why = f"includes more than the {_MAX_BYTES >> 20} MiB that are read"
        elif len(self._reading) > _MAX_DEPTH:
            why = f"is the last of {_MAX_DEPTH + 1} files that include each other"
        elif (identity := _identity(named)) is not None and identity in self._reading:
            why = "includes itself"
        else:
            self.read(named)
            return
        self._problem(path, f"{why}; what it includes there is lost")

    def _holds(self, condition: str, path: str) -> bool:
        kind, _, pattern = condition.partition(":")
        if kind in ("gitdir", "gitdir/i"):
            pattern = _expanded(pattern)
            if pattern.startswith("./"):
                pattern = os.path.join(os.path.dirname(os.path.realpath(path)), pattern[2:])
            elif not os.path.isabs(pattern):
                pattern = f"**/{pattern}"
            return any(_fits(pattern, name, fold=kind == "gitdir/i") for name in self._names)
        if kind == "onbranch":
            return self._branch is not None and _fits(pattern, self._branch, fold=False)
        return False

    @cached_property
    def _names(self) -> set[str]:
        return {os.path.abspath(self._git_dir), os.path.realpath(self._git_dir)}

    @cached_property
    def _branch(self) -> str | None:
        try:
            head = read_small(os.path.join(self._git_dir, "HEAD"), max_bytes=_MAX_BRANCH)
        except OSError:
            return None
        line = head.decode("utf-8", "replace").strip()
        branch = line.removeprefix("ref: refs/heads/")
        return branch if branch != line else None


def _identity(path: str) -> _Identity | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _fits(pattern: str, name: str, *, fold: bool) -> bool:
    pattern, name = as_bytes(pattern + "**" if pattern.endswith("/") else pattern), as_bytes(name)
    regex = regex_of(pattern, fold=fold)
    name = folded(name) if fold else name
    return regex is not None and re.fullmatch(regex, name, re.DOTALL) is not None


def _settings(text: str) -> Iterator[tuple[str, str | None, str, str | None]]:
    """Sections, subsections, keys and values, with section and key names in lower case.

    Raises:
        ValueError: git would stop there.
    """
    section: str | None = None
    sub: str | None = None
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None or (found["key"] and section is None):
            raise ValueError(f"line {text.count(chr(10), 0, at) + 1} is not a git setting")
        at = found.end()
        if found["section"]:
            section, sub = found["section"].lower(), found["sub"]
            sub = re.sub(r"\\(.)", r"\1", sub) if sub is not None else None
        elif found["key"]:
            value = None
            if found["equals"]:
                value, at = _value(text, at)
            assert section is not None
            yield section, sub, found["key"].lower(), value


def _value(text: str, at: int) -> tuple[str, int]:
    """The value that begins at `at`, without quotes and escapes, and the position after it."""
    pieces: list[str] = []  # joined at the end, as there may be one per byte of the file
    length, kept, quoted = 0, 0, False
    while at < len(text) and (quoted or text[at] != "\n"):
        found = (_QUOTED if quoted else _VALUE).match(text, at)
        if found is None or (found["escape"] and found["escape"] not in _ESCAPES):
            break
        at = found.end()
        if found["quote"]:
            quoted = not quoted
            kept = length
            continue
        if found["escape"]:
            piece = stays = _ESCAPES[found["escape"]]
        else:
            piece = found["text"] or ""
            piece = piece if length or quoted else piece.lstrip(_BLANKS)
            stays = piece if quoted else piece.rstrip(_BLANKS)
        pieces.append(piece)
        kept = length + len(stays) if stays or found["escape"] else kept
        length += len(piece)
    else:
        if not quoted:
            return "".join(pieces)[:kept].split("\0", 1)[0], at  # git ends a value at a NUL
    raise ValueError(f"line {text.count(chr(10), 0, at) + 1} is not a git setting")


def _expanded(path: str) -> str:
    path = path.removeprefix(":(optional)")
    return os.path.expanduser(path) if path.startswith("~") else path


def _is_true(value: str) -> bool:
    return _truth(value) is True


def _truth(value: str) -> bool | None:
    """The truth value, given in words or as a number; None if git would not accept it."""
    value = value.strip().lower()
    if value in _TRUE or value in _FALSE:
        return value in _TRUE
    number = _NUMBER.fullmatch(value)
    return bool(number["hex"] or number["plain"]) if number else None
