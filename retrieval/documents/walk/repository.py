"""A work tree of git: where its files are, what it tracks, and its rules that no folder holds."""

from __future__ import annotations

import os
from functools import cached_property

from retrieval.documents.walk.gitconfig import GitSettings, Problem, git_settings
from retrieval.documents.walk.gitindex import GitIndex
from retrieval.documents.walk.patterns import PatternList
from retrieval.documents.walk.settings_files import read_small

_MAX_LINK_BYTES = 8 * 1024  # of a file that holds one path


class Repository:
    """A work tree: that of a repository, a linked one, or a submodule's. Read when it is asked.

    Attributes:
        top: its path, absolute.
        git_dir: the folder of what belongs to this work tree alone.
        common_dir: the folder of what it shares with the repository's other work trees.
    """

    def __init__(self, top: str, git_dir: str, common_dir: str, problem: Problem) -> None:
        self.top = top
        self.git_dir = git_dir
        self.common_dir = common_dir
        self._problem = problem

    @classmethod
    def at(cls, top: str, problem: Problem) -> Repository | None:
        """The work tree whose top this folder is, or None.

        A `.git` that is a file makes it one even if what it names is gone, as where a linked work
        tree was moved or is seen alone in a container; a folder `.git` must have a `HEAD`.
        """
        git = os.path.join(top, ".git")
        if os.path.isdir(git):
            is_one = os.path.lexists(os.path.join(git, "HEAD"))
            return cls(top, git, _common(git), problem) if is_one else None
        try:
            line = _line(git)
        except OSError:
            return None
        if not line.startswith("gitdir:"):
            return None
        git = os.path.normpath(os.path.join(top, line.removeprefix("gitdir:").strip("\r\n ")))
        return cls(top, git, _common(git), problem)

    @property
    def is_linked(self) -> bool:
        """Whether it is a further work tree of a repository that has one."""
        return self.git_dir != self.common_dir

    @property
    def main(self) -> str | None:
        """The top of the work tree that this one is linked to, if that is where it usually is."""
        folder, name = os.path.split(self.common_dir)
        return folder if name == ".git" else None

    @property
    def is_bare(self) -> bool:
        """Whether this is not a work tree after all: its `.git` names a bare repository."""
        return not self.is_linked and self.settings.bare

    @cached_property
    def identity(self) -> str:
        """The same for all work trees of one repository."""
        return os.path.realpath(self.common_dir)

    @cached_property
    def settings(self) -> GitSettings:
        """What the files of git's configuration say."""
        return git_settings(self.top, self.git_dir, self.common_dir, self._problem)

    @cached_property
    def rules(self) -> tuple[PatternList, ...]:
        """The patterns of `core.excludesFile` and `info/exclude`, those that count more first."""
        paths = (os.path.join(self.common_dir, "info", "exclude"), self.settings.excludes_file)
        return tuple(
            rules for path in paths if path is not None and (rules := self._patterns(path))
        )

    def _patterns(self, path: str) -> PatternList | None:
        try:
            text = read_small(path).decode("latin-1")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            self._problem(path, f"cannot be read ({_why(error)}); its rules are lost")
            return None
        return PatternList.of_git(text, fold=self.settings.ignore_case)

    def tracks(self, path: str) -> bool:
        """Whether git tracks the file or submodule at this path, relative to the top."""
        return self._key(path) in self._index

    def tracks_beneath(self, folder: str) -> bool:
        """Whether git tracks anything in this folder, given relative to the top."""
        return self._index.holds_beneath(self._key(folder))

    def _key(self, path: str) -> bytes:
        key = os.fsencode(path)
        return key.lower() if self.settings.ignore_case else key

    @cached_property
    def _index(self) -> GitIndex:
        try:
            hash_bytes = 32 if self.settings.sha256 else 20
            index = GitIndex.read(self.git_dir, hash_bytes=hash_bytes)
        except (OSError, ValueError) as error:
            path = os.path.join(self.git_dir, "index")
            self._problem(path, f"{_why(error)}; what git tracks is not known")
            return GitIndex([])
        return index.lowered() if self.settings.ignore_case else index


def _common(git_dir: str) -> str:
    try:
        line = _line(os.path.join(git_dir, "commondir"))
    except OSError:
        return git_dir
    return os.path.normpath(os.path.join(git_dir, line.strip("\r\n ")))


def _line(path: str) -> str:
    """What a file holds that names another; git reads it to its first NUL."""
    return os.fsdecode(read_small(path, max_bytes=_MAX_LINK_BYTES).split(b"\0", 1)[0])


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
