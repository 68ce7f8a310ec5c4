"""Which entries of a folder are ignored: all of git's rules, and `.ignore` as ripgrep has it.

Of git's rules the innermost `.gitignore` with a pattern that matches decides, then those above it
up to the top of the work tree, then `.git/info/exclude`, then `core.excludesFile`. What git tracks
is not ignored, whatever they say. `.ignore` files stand before them all: the innermost decides, up
to the root of the file system.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

from retrieval.documents.walk.batches import Globs
from retrieval.documents.walk.gitconfig import Problem
from retrieval.documents.walk.patterns import PatternList
from retrieval.documents.walk.repository import Repository
from retrieval.documents.walk.settings_files import read_small

GITIGNORE, IGNORE = ".gitignore", ".ignore"
RULE_FILES = frozenset({".git", GITIGNORE, IGNORE})
"""Names of what brings rules into a folder."""


class Verdict(Enum):
    """What the rules say of an entry."""

    TAKEN = "no rule keeps it out"
    ASKED_FOR = "a `!` of a `.ignore` takes it in, even if it is hidden"
    INCLUDED = "the user wants it, whatever rules say"
    IGNORED = "a rule keeps it out"
    TRACKED_BENEATH = "a rule keeps it out, but for what git tracks in it"


Level = tuple[int, PatternList]
"""Patterns, and how much of an entry's path is to be left off to make it relative to them."""


@dataclass(frozen=True, slots=True, eq=False)
class IgnoreRules:
    """All that counts for the entries of one folder.

    Attributes:
        git: patterns that git reads, those that count more first.
        ignore: patterns of `.ignore` files, those that count more first.
        repository: the work tree that the folder lies in.
        only_tracked: whether the folder is ignored, and only what git tracks in it is not.
    """

    git: tuple[Level, ...] = ()
    ignore: tuple[Level, ...] = ()
    repository: Repository | None = None
    only_tracked: bool = False

    @classmethod
    def above(cls, folder: str, problem: Problem) -> IgnoreRules:
        """The rules from above a folder that was asked for.

        A pattern that would keep the folder itself or one above it out does not count: whoever
        asks for it all the same does not mean nothing.

        Args:
            folder: absolute.
            problem: told of files that cannot be read.
        """
        above = [folder]
        while above[-1] != os.path.dirname(above[-1]):
            above.append(os.path.dirname(above[-1]))
        rules = cls()
        for parent, child in zip(above[:0:-1], above[-2::-1], strict=True):
            rules = rules.within(parent, None, problem)._asked_for(child)
        return rules

    def within(self, folder: str, names: frozenset[str] | None, problem: Problem) -> IgnoreRules:
        """The rules for the entries of `folder`, by these of the folder that it lies in.

        Args:
            folder: absolute.
            names: of its entries; None above what is walked, where a `.gitignore` counts only
                in a work tree.
            problem: told of files that cannot be read.
        """
        rules = self
        if names is not None and names.isdisjoint(RULE_FILES):
            return self
        if names is None or ".git" in names:
            repository = Repository.at(folder, problem)
            if repository is not None:  # one of its own, where no rules from above count
                start = _start(folder)
                git = tuple((start, patterns) for patterns in repository.rules)
                rules = IgnoreRules(git, self.ignore, repository)
        has_own = GITIGNORE in names if names is not None else rules.repository is not None
        if has_own and not rules.only_tracked:
            level = _level(folder, GITIGNORE, rules.repository, problem)
            rules = replace(rules, git=(*level, *rules.git)) if level else rules
        if names is None or IGNORE in names:
            level = _level(folder, IGNORE, None, problem)
            rules = replace(rules, ignore=(*level, *rules.ignore)) if level else rules
        return rules

    def beneath_ignored(self) -> IgnoreRules:
        """The rules for the entries of a folder that is ignored but for what git tracks."""
        return self if self.only_tracked else replace(self, only_tracked=True)

    def verdict(self, path: str, *, is_folder: bool) -> Verdict:
        """What the rules say of the entry at an absolute path."""
        for start, patterns in self.ignore:
            said = patterns.match(path[start:], is_folder=is_folder)
            if said is not None:
                return Verdict.IGNORED if said else Verdict.ASKED_FOR
        ignored = self.only_tracked
        if not ignored:
            for start, patterns in self.git:
                said = patterns.match(path[start:], is_folder=is_folder)
                if said is not None:
                    ignored = said
                    break
        if not ignored:
            return Verdict.TAKEN
        if self.repository is not None:
            relative = path[_start(self.repository.top) :]
            if self.repository.tracks(relative):
                return Verdict.TAKEN
            if is_folder and self.repository.tracks_beneath(relative):
                return Verdict.TRACKED_BENEATH
        return Verdict.IGNORED

    @property
    def file_globs(self) -> Iterator[tuple[int, Globs]]:
        """The globs that may keep a file out, with how much of a path is to be left off."""
        return ((start, patterns.file_globs) for start, patterns in (*self.git, *self.ignore))

    def _asked_for(self, folder: str) -> IgnoreRules:
        """Without the patterns that would keep this folder out."""
        git, ignore = (
            tuple(
                (start, patterns.without_those_that_match(folder[start:]))
                for start, patterns in levels
            )
            for levels in (self.git, self.ignore)
        )
        return replace(self, git=git, ignore=ignore)


def _start(folder: str) -> int:
    return len(folder.rstrip("/")) + 1


def _level(
    folder: str, name: str, repository: Repository | None, problem: Problem
) -> tuple[Level, ...]:
    path = os.path.join(folder, name)
    try:
        text = read_small(path, follow=False).decode("latin-1")
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        is_link = os.path.islink(path)
        why = "is a link, which git does not follow either" if is_link else error.strerror
        problem(path, f"cannot be read ({why}); its rules are lost")
        return ()
    if name == IGNORE:
        patterns = PatternList.of_ripgrep(text)
    else:
        fold = repository is not None and repository.settings.ignore_case
        patterns = PatternList.of_git(text, fold=fold)
    return ((_start(folder), patterns),) if patterns else ()
