"""What of a folder's entries a walk takes in, before any file is opened."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from retrieval.documents.formats.languages import BINARY_EXTENSIONS
from retrieval.documents.walk import folders, machine
from retrieval.documents.walk.batches import BatchFilter
from retrieval.documents.walk.contents import is_archive_by_name, is_machine_made
from retrieval.documents.walk.gitconfig import Problem
from retrieval.documents.walk.left_out import Reason
from retrieval.documents.walk.options import Choice, WalkOptions
from retrieval.documents.walk.repository import Repository
from retrieval.documents.walk.roots import Root, Roots
from retrieval.documents.walk.rules import RULE_FILES, IgnoreRules, Verdict

_TELLING = folders.HELD | RULE_FILES
"""Names of entries that say something of the folder that they stand in."""


@dataclass(slots=True)
class Folder:
    """A folder under way.

    Attributes:
        path: where it is.
        real: the same with every link followed.
        id: as that of a file.
        rules: what is ignored in it.
        root: what it was reached from.
        outside: whether a link led to it: it lies under none of the paths that were given.
        included: whether the user wants what lies in it though ignore files say otherwise.
        reason: why what lies in it is left out, but for what the user wants taken in.
        listed: the names of its entries, once it was listed.
        prefix: what stands before a name in an entry's path, once it was listed.
        real_prefix: the same with every link followed.
    """

    path: str
    real: str
    id: str
    rules: IgnoreRules
    root: Root
    outside: bool = False
    included: bool = False
    reason: Reason | None = None
    listed: Sequence[str] = ()
    prefix: str = ""
    real_prefix: str = ""
    _names: frozenset[str] | None = None

    @property
    def names(self) -> frozenset[str]:
        """The names of its entries, for those who look for one."""
        if self._names is None:
            self._names = frozenset(self.listed)
        return self._names


class Judge:
    """Says of entries and folders why they are left out.

    Args:
        roots: what the walk begins at.
        options: what the user wants left out and taken in.
        problem: told of files with rules or settings that cannot be read.

    Attributes:
        choice: the patterns of the options.
    """

    def __init__(self, roots: Roots, options: WalkOptions, problem: Problem) -> None:
        self.choice = Choice(options)
        self._roots = roots
        self._options = options
        self._problem = problem
        self._repositories: set[str] = set()
        self._each_is_asked = self.choice.any or roots.are_files
        self._filters: dict[IgnoreRules, BatchFilter] = {}

    def entry(
        self,
        name: str,
        path: str,
        id: str,
        parent: Folder,
        *,
        is_folder: bool = False,
        linked: bool = False,
    ) -> tuple[Reason | None, Verdict]:
        """Why an entry is left out unseen, if it is, and what the ignore files say of it."""
        included = False
        if self.choice.any:
            relative = parent.root.relative(id)
            if self.choice.excludes(relative, is_folder=is_folder):
                return Reason.EXCLUDED, Verdict.TAKEN
            included = self.choice.includes(relative, is_folder=is_folder)
        kind = None
        if is_folder or name == ".git":
            kind = folders.reason_by_name(name, parent.names)
            if kind is Reason.VERSION_CONTROL and not (included and self.choice.names(name)):
                return kind, Verdict.TAKEN
        if included:
            return None, Verdict.INCLUDED
        if parent.reason is not None:
            return parent.reason, Verdict.TAKEN
        if kind is not None:
            return kind, Verdict.TAKEN
        verdict = Verdict.TAKEN
        if not parent.included:
            verdict = parent.rules.verdict(path, is_folder=is_folder and not linked)
            if verdict is Verdict.IGNORED:
                return Reason.IGNORED, verdict
        if name[0] == "." and not self._options.hidden and verdict is not Verdict.ASKED_FOR:
            return Reason.HIDDEN, verdict
        if is_folder:
            return None, verdict
        if not self._options.archives and is_archive_by_name(name):
            return Reason.ARCHIVE, verdict
        return machine.reason_by_name(name), verdict

    def is_plain(self, folder: Folder) -> bool:
        """Whether a folder brings no rules and is of no kind that is left out, as most are not."""
        name = folder.path[folder.path.rfind("/") + 1 :]
        return _TELLING.isdisjoint(folder.listed) and not folders.is_telling(name)

    def folder(self, folder: Folder, parent: Folder | None) -> Reason | None:
        """Why a folder is left out after all, now that it is known what it holds."""
        repository = Repository.at(folder.path, self._problem) if ".git" in folder.names else None
        if parent is None:
            if repository is not None and not repository.is_bare:
                self._repositories.add(repository.identity)
            return None
        reason = None
        if repository is not None and not repository.is_bare:
            main = repository.main if repository.is_linked else None
            meets_main = main is not None and os.path.isdir(main) and self._roots.meet(main)
            if repository.identity in self._repositories or meets_main:
                reason = Reason.WORKTREE
        if reason is None and folder.reason is None:
            name = folder.path.rsplit("/", 1)[-1]
            reason = folders.reason_by_content(
                folder.path, name, folder.names, parent.names, is_machine_made
            )
        if reason is not None and self.choice.includes_any:
            relative = folder.root.relative(folder.id)
            reason = None if self.choice.includes(relative, is_folder=True) else reason
        if reason is None and repository is not None and not repository.is_bare:
            self._repositories.add(repository.identity)
        return reason

    def may_leave_out(self, folder: Folder, names: list[str]) -> bool:
        """Whether one of these files may have to be left out for its name, or comes otherwise."""
        rules = folder.rules
        if self._each_is_asked or rules.only_tracked or folder.reason is not None:
            return True
        found = self._filters.get(rules)
        if found is None:
            chunks = machine.CHUNKS if self._options.hidden else ("\0.", *machine.CHUNKS)
            found = self._filters[rules] = BatchFilter(
                rules.file_globs,
                names=machine.LOCK_FILES,
                extensions=(*machine.EXTENSIONS, *BINARY_EXTENSIONS),
                chunks=chunks,
            )
        return found.may_mean(folder.prefix, names)
