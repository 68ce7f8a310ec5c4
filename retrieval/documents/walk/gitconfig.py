"""The settings of git that decide what it ignores, read from its files without running it.

Git need not be installed, and a repository that somebody else wrote cannot make it run anything.
Its grammar and the order of its files are those of git-config(1). Not read: `hasconfig` conditions,
and what is given on a command line of git's.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from retrieval.documents.walk.settings_files import read_small
from retrieval.documents.walk.wildmatch import as_bytes, folded, regex_of

Problem = Callable[[str, str], object]
"""Told of a file, by its path, and of what is wrong with it."""

_MAX_DEPTH = 10  # of files that include each other, as git has it

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
_TRUE, _FALSE = ("true", "yes", "on"), ("false", "no", "off", "")


@dataclass(frozen=True, slots=True)
class GitSettings:
    """What counts for one repository.

    Attributes:
        excludes_file: the path of `core.excludesFile`, or of the file that git takes without it;
            None where it is set to nothing.
        ignore_case: `core.ignoreCase`.
        sha256: whether objects have names of 32 bytes, not 20.
        bare: `core.bare`.
    """

    excludes_file: str | None
    ignore_case: bool
    sha256: bool
    bare: bool


def git_settings(top: str, git_dir: str, common_dir: str, problem: Problem) -> GitSettings:
    """The settings of a repository.

    Args:
        top: its work tree, absolute.
        git_dir: its `.git`, or what that file names.
        common_dir: the same, or that of the repository that a linked work tree belongs to.
        problem: told of files that cannot be read or understood.
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
    """The files of the system and the user, those that count more last."""
    if not _is_true(os.environ.get("GIT_CONFIG_NOSYSTEM", "false")):
        yield os.environ.get("GIT_CONFIG_SYSTEM") or _of_system()
    if "GIT_CONFIG_GLOBAL" in os.environ:
        yield os.environ["GIT_CONFIG_GLOBAL"]
    else:
        yield os.path.join(_xdg(), "config")
        yield os.path.expanduser("~/.gitconfig")


def _of_system() -> str:
    """Where git was built to look: `etc` of where it is installed, but for `/usr`."""
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


class _Reader:
    """Settings of files in their order; the last value of a key stays."""

    def __init__(self, git_dir: str, problem: Problem) -> None:
        self.values: dict[str, str] = {}
        self._git_dir = git_dir
        self._problem = problem

    def read(self, path: str, depth: int = 0) -> None:
        try:
            text = os.fsdecode(read_small(path)).removeprefix("\ufeff")
        except (FileNotFoundError, NotADirectoryError):
            return
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            self._problem(path, f"cannot be read ({why}); its settings are lost")
            return
        try:
            for section, sub, key, value in _settings(text.replace("\r\n", "\n")):
                if section in ("include", "includeif"):
                    holds = sub is None if section == "include" else self._holds(sub or "", path)
                    if key == "path" and value is not None and holds and depth < _MAX_DEPTH:
                        self._include(path, value, depth)
                elif sub is None:
                    self.values[f"{section}.{key}"] = "true" if value is None else value
        except ValueError as error:
            self._problem(path, f"{error}; what follows is lost")

    def _include(self, path: str, value: str, depth: int) -> None:
        self.read(os.path.join(os.path.dirname(path), _expanded(value)), depth + 1)

    def _holds(self, condition: str, path: str) -> bool:
        kind, _, pattern = condition.partition(":")
        if kind in ("gitdir", "gitdir/i"):
            pattern = _expanded(pattern)
            if pattern.startswith("./"):
                pattern = os.path.join(os.path.dirname(os.path.realpath(path)), pattern[2:])
            elif not os.path.isabs(pattern):
                pattern = f"**/{pattern}"
            names = {os.path.abspath(self._git_dir), os.path.realpath(self._git_dir)}
            return any(_fits(pattern, name, fold=kind == "gitdir/i") for name in names)
        if kind == "onbranch":
            try:
                head = read_small(os.path.join(self._git_dir, "HEAD")).decode("utf-8", "replace")
            except OSError:
                return False
            branch = head.strip().removeprefix("ref: refs/heads/")
            return branch != head.strip() and _fits(pattern, branch, fold=False)
        return False


def _fits(pattern: str, name: str, *, fold: bool) -> bool:
    pattern, name = as_bytes(pattern + "**" if pattern.endswith("/") else pattern), as_bytes(name)
    regex = regex_of(pattern, fold=fold)
    name = folded(name) if fold else name
    return regex is not None and re.fullmatch(regex, name, re.DOTALL) is not None


def _settings(text: str) -> Iterator[tuple[str, str | None, str, str | None]]:
    """Section, subsection, key and value, names in lower case; ValueError where git would stop."""
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
    """The value that begins at `at`, and the place after it: quotes and escapes undone."""
    value, kept, quoted = "", 0, False
    while at < len(text) and (quoted or text[at] != "\n"):
        found = (_QUOTED if quoted else _VALUE).match(text, at)
        if found is None or (found["escape"] and found["escape"] not in _ESCAPES):
            break
        at = found.end()
        if found["quote"]:
            quoted = not quoted
            kept = len(value)
        elif found["escape"]:
            value += _ESCAPES[found["escape"]]
            kept = len(value)
        elif found["text"]:
            piece = found["text"]
            value += piece if value or quoted else piece.lstrip(" \t\r\v\f")
            kept = len(value) if quoted else max(kept, len(value.rstrip(" \t\r\v\f")))
    else:
        if not quoted:
            return value[:kept], at
    raise ValueError(f"line {text.count(chr(10), 0, at) + 1} is not a git setting")


def _expanded(path: str) -> str:
    path = path.removeprefix(":(optional)")
    return os.path.expanduser(path) if path.startswith("~") else path


def _is_true(value: str) -> bool:
    value = value.strip().lower()
    if value in _TRUE:
        return True
    return value not in _FALSE and value.lstrip("-").isdecimal() and int(value) != 0
