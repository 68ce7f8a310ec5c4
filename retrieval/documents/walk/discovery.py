"""Walk files and folders: what is worth reading, in a fixed order, and why the rest is not."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from retrieval.documents.naming import child_id, one_line, source_id
from retrieval.documents.walk.contents import is_binary_by_name, reason_of
from retrieval.documents.walk.judge import Folder, Judge
from retrieval.documents.walk.left_out import LeftOut, LeftOutType, Reason, Tally
from retrieval.documents.walk.options import WalkOptions, checked_bytes
from retrieval.documents.walk.roots import Root, Roots
from retrieval.documents.walk.rules import IgnoreRules, Verdict
from retrieval.documents.walk.source_file import JudgedFile, SourceFile, times_of
from retrieval.documents.walk.unchanged import Entries, KnownFiles, UnchangedFiles

MAX_BYTES = 64 * 1024 * 1024
"""Files beyond this many bytes are skipped unless the caller says otherwise."""


@dataclass(frozen=True, slots=True)
class _Skipped:
    """What is not read: the reason it is counted under, and a line if its owner should know."""

    reason: Reason
    problem: str = ""
    is_folder: bool = False


class _Entry(NamedTuple):
    """An entry of a folder: whether it is a link, and whether it is itself a folder."""

    name: str
    is_link: bool
    is_folder: bool
    parent: Folder


_WHY_GIVEN = {
    Reason.BINARY: "holds no text",
    Reason.EMPTY: "is empty",
    Reason.SPECIAL: "is not a regular file",
}
"""What is said of a file that was asked for by name where a walk would skip it silently."""

_RACY_NS = 2_000_000_000
"""A file changed so shortly before it was looked at may change again within a tick of its clock."""


class Discovery:
    """The files worth reading under the paths given: iterate, then ask what was skipped.

    Every iteration walks anew. Within each path that was given the files come in the order of their
    ids, and the paths come in the order of theirs. A file that is known and unchanged is not opened
    and does not come; it is among `unchanged`.

    What is skipped is counted once under its reason; a skipped folder counts as one:

    - `hidden`: the name begins with a dot;
    - `ignored`: a rule of git's or of a `.ignore` says so (see `retrieval.documents.walk.rules`);
    - `excluded`: the caller said so;
    - `version control`, `environment`, `dependencies`, `build`: a folder that holds what such
      programs put there, told by its marks (see `retrieval.documents.walk.folders`);
    - `worktree`: a further work tree of a repository that the walk meets;
    - `lock file`, `source map`, `minified`, `generated`, `encoded`, `vocabulary`: written by a
      program for programs (see `retrieval.documents.walk.machine`);
    - `archive`: holds other files, and nobody asked for those;
    - `binary`: no text (see `retrieval.documents.decoding.is_binary`), or an extension of such
      files, and no format that reads it;
    - `empty`: no bytes;
    - `too large`: more than `max_bytes`;
    - `symlink`: a link that leads nowhere, in a circle, or to what the walk meets anyway; others
      are followed;
    - `special`: a pipe, a socket, a device;
    - `unreadable`: the system refuses;
    - `vanished`: there when the folder was listed, gone after that.

    A path that was given is taken whatever it is, as long as it holds text.

    Attributes:
        roots: ids of the paths given; every file's id is one of them or lies beneath one
            (`.` is the base folder itself).
        problems: one line for everything skipped that its owner will want to know of.
        unreadable: ids of what exists but could not be read, and so does not count as deleted.
        judged: files that were left out for their content, by id, with what to remember so that
            they need not be opened again. Valid for this `machine.VERSION`.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        base: Path,
        *,
        exclude: Sequence[Path] = (),
        max_bytes: int = MAX_BYTES,
        options: WalkOptions | None = None,
        known: KnownFiles | None = None,
        judged: Mapping[str, JudgedFile] | None = None,
        on_left_out: Callable[[LeftOut], object] | None = None,
        on_folder: Callable[[str], object] = lambda id: None,
    ) -> None:
        self._roots = Roots(paths, base)
        self._base = base
        self._exclude = frozenset(
            form for path in exclude for form in (os.path.abspath(path), os.path.realpath(path))
        )
        self._max_bytes = checked_bytes(max_bytes)
        self._options = options or WalkOptions()
        self._known = known
        self._judged = judged or {}
        self._on_left_out = on_left_out
        self._on_folder = on_folder
        self.roots: tuple[str, ...] = tuple(root.id for root in self._roots.all)
        self._start()

    def _start(self) -> None:
        self._tally = Tally()
        self._seen: set[str] = set()
        self._judge = Judge(self._roots, self._options, self._problem)
        self._unchanged = UnchangedFiles(
            self._known or {}, self._roots, self._judge, self._max_bytes
        )
        self.problems: list[str] = []
        self.unreadable: list[str] = []
        self.judged: dict[str, JudgedFile] = {}

    @property
    def unchanged(self) -> list[str]:
        """Ids of the files that are as they are known."""
        return self._unchanged.ids

    @property
    def skipped(self) -> Mapping[str, int]:
        """How many files and folders were skipped, by reason."""
        return {reason.value: count for reason, count in sorted(self._tally.by_reason.items())}

    @property
    def left_out(self) -> Mapping[str, Mapping[str, LeftOutType]]:
        """What was skipped, by reason and by type (`.png`, `node_modules/`), with examples."""
        return self._tally.by_type()

    def __iter__(self) -> Iterator[SourceFile]:
        self._start()
        for root in self._roots.all:
            if self._is_excluded(root.path, root.real):
                why = "lies in a folder that is excluded"
                self._skip(root.id, _Skipped(Reason.EXCLUDED, why, root.is_folder))
            elif root.is_folder:
                yield from self._walk(root)
            else:
                yield from self._given_file(root)

    def _is_excluded(self, *paths: str) -> bool:
        """Whether a path that was given is excluded or lies within what is."""
        return any(
            path == excluded or path.startswith(f"{excluded}/")
            for path in paths
            for excluded in self._exclude
        )

    def _skip(self, id: str, skipped: _Skipped) -> None:
        one = LeftOut(id, skipped.reason, skipped.is_folder)
        self._tally.add(one)
        if skipped.problem:
            self.problems.append(f"{one_line(id)}: {skipped.problem}; skipped")
        if self._on_left_out is not None:
            self._on_left_out(one)

    def _refused(self, id: str, error: OSError, *, is_folder: bool = False) -> None:
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            self._skip(id, _Skipped(Reason.VANISHED, is_folder=is_folder))
            return
        self.unreadable.append(id)
        why = f"cannot be read ({error.strerror or error})"
        self._skip(id, _Skipped(Reason.UNREADABLE, why, is_folder))

    def _problem(self, path: str, why: str) -> None:
        """Take note of a file with rules or settings that is not as it should be, once."""
        id = source_id(Path(path), self._base)
        line = f"{one_line(path if id.startswith('..') else id)}: {why}"
        if line not in self.problems:
            self.problems.append(line)

    def _given_file(self, root: Root) -> Iterator[SourceFile]:
        try:
            status = os.stat(root.path)
            found = self._file(root.path, root.id, status, judged=False)
        except OSError as error:
            self._refused(root.id, error)
            return
        if isinstance(found, SourceFile):
            yield found
        elif found is not None:
            problem = found.problem or _WHY_GIVEN[found.reason]
            self._skip(root.id, _Skipped(found.reason, problem))

    def _walk(self, root: Root) -> Iterator[SourceFile]:
        rules = IgnoreRules()
        if not self._options.no_ignore:
            rules = IgnoreRules.above(root.path, self._problem)
        pending = self._entries(Folder(root.path, root.real, root.id, rules, root), None)
        while pending:
            entry = pending.pop()
            id = child_id(entry.parent.id, entry.name)
            try:
                found = self._entry(entry, id)
            except OSError as error:
                self._refused(id, error)
                continue
            if isinstance(found, SourceFile):
                yield found
            elif isinstance(found, Folder):
                pending += self._entries(found, entry.parent)
            elif found is not None:
                self._skip(id, found)

    def _entries(self, folder: Folder, parent: Folder | None) -> list[_Entry]:
        """What is to be looked at in a folder, last id first."""
        self._on_folder(folder.id)
        try:
            # By its descriptor, since the status of a file is then found without its whole path.
            descriptor = os.open(folder.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            self._refused(folder.id, error, is_folder=True)
            return []
        try:
            with os.scandir(descriptor) as listing:
                entries: Entries = list(listing)
            names = [entry.name for entry in entries]
            if not self._is_entered(folder, parent, names):
                return []
            if self._known is not None:
                entries = self._unchanged.taken_from(names, entries, folder)
            found = [
                _Entry(one.name, one.is_symlink(), one.is_dir(follow_symlinks=False), folder)
                for one in entries
            ]
        except OSError as error:
            self._refused(folder.id, error, is_folder=True)
            return []
        finally:
            os.close(descriptor)
        if len(found) > 1:
            # A folder sorts as its files' ids do, where its name is followed by a slash.
            found.sort(key=lambda one: f"{one.name}/" if one.is_folder else one.name, reverse=True)
        return found

    def _is_entered(self, folder: Folder, parent: Folder | None, names: list[str]) -> bool:
        """Whether a folder that holds these names is walked; if so, with which rules and why."""
        folder.listed = names
        folder.prefix, folder.real_prefix = _prefix(folder.path), _prefix(folder.real)
        if self._judge.is_plain(folder):
            return True
        if not self._options.no_ignore and not folder.included:
            folder.rules = folder.rules.within(folder.path, folder.names, self._problem)
        reason = self._judge.folder(folder, parent)
        if reason is not None:
            if not self._judge.choice.leads_through(folder.root.relative(folder.id)):
                self._skip(folder.id, _Skipped(reason, is_folder=True))
                return False
            folder.reason = reason
        return True

    def _entry(self, entry: _Entry, id: str) -> SourceFile | Folder | _Skipped | None:
        """The file or folder that an entry is; None if it comes otherwise, or is as it is known."""
        name, linked, is_folder, parent = entry
        path = parent.prefix + name
        real = os.path.realpath(path) if linked else parent.real_prefix + name
        if real in self._roots.real and not linked:
            return None
        if linked:
            is_folder = os.path.isdir(path)
        if path in self._exclude or real in self._exclude:
            return _Skipped(Reason.EXCLUDED, is_folder=is_folder)
        reason, verdict = self._judge.entry(
            name, path, id, parent, is_folder=is_folder, linked=linked
        )
        if reason is not None and (
            not is_folder
            or reason is Reason.EXCLUDED
            or not self._judge.choice.leads_through(parent.root.relative(id))
        ):
            return _Skipped(reason, is_folder=is_folder)
        if linked and not self._leads_elsewhere(real, parent.real):
            return _Skipped(Reason.SYMLINK)
        outside = linked or parent.outside
        if outside:
            if real in self._seen:
                return _Skipped(Reason.SYMLINK)
            self._seen.add(real)
        included = verdict is Verdict.INCLUDED
        if not is_folder:
            return self._file(path, id, os.stat(path), judged=not included)
        rules = parent.rules
        if verdict is Verdict.TRACKED_BENEATH:
            rules = rules.beneath_ignored()
        included = included or parent.included
        return Folder(path, real, id, rules, parent.root, outside, included, reason)

    def _leads_elsewhere(self, target: str, folder: str) -> bool:
        """Whether a link in `folder` leads to what exists and no walk meets or comes from."""
        if not os.path.exists(target) or self._roots.meet(target):
            return False
        return not f"{folder}/".startswith(f"{target.rstrip('/')}/")

    def _file(
        self, path: str, id: str, status: os.stat_result, *, judged: bool
    ) -> SourceFile | _Skipped | None:
        """A file to read, or why not; None if it is as it is known.

        Args:
            path: the file.
            id: its own.
            status: the system's.
            judged: whether what a program made for programs is left out.
        """
        if not stat.S_ISREG(status.st_mode):
            return _Skipped(Reason.SPECIAL)
        if is_binary_by_name(id):
            return _Skipped(Reason.BINARY)
        size, times = status.st_size, times_of(status)
        if size == 0:
            return _Skipped(Reason.EMPTY)
        if size > self._max_bytes:
            sizes = f"has {size} bytes and the limit is {self._max_bytes}"
            return _Skipped(Reason.TOO_LARGE, f"{sizes}; split it or raise the limit")
        stamp = size, times
        read = self._known.get(id) if self._known is not None else None
        if read is not None and read[:2] == stamp:
            self._unchanged.ids.append(id)
            return None
        seen = self._judged.get(id) if judged else None
        if seen is not None and seen[:2] == stamp:
            self.judged[id] = seen
            return _Skipped(Reason(seen.reason))
        looked_ns = time.time_ns()
        reason = reason_of(path, id, judged=judged)
        if reason is None:
            return SourceFile(Path(path), id, size, status.st_mtime_ns, status.st_ctime_ns)
        if looked_ns - status.st_mtime_ns >= _RACY_NS:
            self.judged[id] = JudgedFile(size, times, reason.value)
        return _Skipped(reason)


def _prefix(folder: str) -> str:
    return folder if folder.endswith("/") else f"{folder}/"


def discover(
    paths: Sequence[Path],
    base: Path,
    *,
    exclude: Sequence[Path] = (),
    max_bytes: int = MAX_BYTES,
    options: WalkOptions | None = None,
    known: KnownFiles | None = None,
    judged: Mapping[str, JudgedFile] | None = None,
    on_left_out: Callable[[LeftOut], object] | None = None,
    on_folder: Callable[[str], object] = lambda id: None,
) -> Discovery:
    """The files worth reading among and under `paths`, as they are while the result is iterated.

    Args:
        paths: files and folders; each must exist.
        base: the folder that ids are relative to.
        exclude: files and folders to leave out, such as the index itself.
        max_bytes: files beyond this size are skipped.
        options: what else is left out, and what is taken in.
        known: files by their ids; one that is as it is known is not opened and does not come.
        judged: files that were left out for their content; one that is as it was is not opened.
        on_left_out: told of everything that is left out, one by one.
        on_folder: called with the id of each folder before it is listed; what it raises ends the
            walk.

    Raises:
        InputError: no path is given, or one does not exist or cannot be reached.
    """
    return Discovery(
        paths,
        base,
        exclude=exclude,
        max_bytes=max_bytes,
        options=options,
        known=known,
        judged=judged,
        on_left_out=on_left_out,
        on_folder=on_folder,
    )
