"""Walk files and folders: what is worth reading, in a fixed order, and why the rest is not."""

# Paths are strings here: a walk has too many of them to make an object of each.
# ruff: noqa: PTH100, PTH110, PTH116, PTH118

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from retrieval.documents.decoding import HEAD_BYTES, is_binary
from retrieval.documents.formats.languages import BINARY_EXTENSIONS, extension_of
from retrieval.documents.naming import child_id, one_line, source_id
from retrieval.documents.walk.gitignore import IgnoreRules
from retrieval.errors import InputError

MAX_BYTES = 64 * 1024 * 1024
"""Files beyond this many bytes are skipped unless the caller says otherwise."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to read.

    Attributes:
        path: where it is.
        id: its posix path relative to the base folder, with `..` where it lies outside.
        size: bytes.
        mtime_ns: time of its last change, nanoseconds since 1970.
        ctime_ns: the same of its inode, where the system keeps one: a time that no program can set.
    """

    path: Path
    id: str
    size: int
    mtime_ns: int
    ctime_ns: int = 0


@dataclass(frozen=True, slots=True)
class _Root:
    """A path that was given: as it was named, and as it is with every link followed."""

    path: str
    real: str
    id: str
    is_folder: bool


@dataclass(frozen=True, slots=True)
class _Folder:
    path: str
    real: str
    id: str
    rules: IgnoreRules
    outside: bool
    """A link led here: it lies under none of the paths that were given."""


@dataclass(frozen=True, slots=True)
class _Skipped:
    """What is not read: the reason it is counted under, and a line if its owner should know."""

    reason: str
    problem: str = ""


_WHY_GIVEN = {
    "binary": "holds no text",
    "empty": "is empty",
    "special": "is no regular file",
}
"""What is said of a file that was asked for by name where a walk would skip it silently."""


class Discovery:
    """The files worth reading under the paths given: iterate, then ask what was skipped.

    Every iteration walks anew. Within each path that was given the files come in the order of their
    ids, and the paths come in the order of theirs.

    What is skipped is counted once under its reason; a skipped folder counts as one:

    - `hidden`: the name begins with a dot;
    - `ignored`: a `.gitignore` says so, of the folder, those above it up to the top of the
      repository, or those between;
    - `excluded`: the caller said so;
    - `binary`: a NUL in the first 8 KiB (and no mark of UTF-16), or an extension of such files;
    - `empty`: no bytes;
    - `too large`: more than `max_bytes`;
    - `symlink`: a link that leads nowhere, in a circle, or to what the walk meets anyway; others
      are followed;
    - `special`: a pipe, a socket, a device;
    - `unreadable`: the system refuses;
    - `vanished`: there when the folder was listed, gone after that.

    A path that was given is taken even if it is hidden or ignored.

    Attributes:
        roots: ids of the paths given; every file's id is one of them or lies beneath one
            (`.` is the base folder itself).
        problems: one line for everything skipped that its owner will want to know of.
        unreadable: ids of what exists but could not be looked into, which is therefore not gone.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        base: Path,
        *,
        exclude: Sequence[Path] = (),
        max_bytes: int = MAX_BYTES,
    ) -> None:
        if not paths:
            raise InputError("no path was given; name the files or folders to read")
        if max_bytes < 1:
            raise InputError(f"max_bytes is {max_bytes}; it must be at least 1")
        by_real: dict[str, _Root] = {}
        for path in paths:
            root = _root(path, base)
            by_real.setdefault(root.real, root)
        self._roots = sorted(by_real.values(), key=lambda root: root.id)
        self._roots_real = frozenset(by_real)
        self._roots_under = tuple(f"{real.rstrip('/')}/" for real in by_real)
        self._exclude = frozenset(
            form for path in exclude for form in (os.path.abspath(path), os.path.realpath(path))
        )
        self._max_bytes = max_bytes
        self.roots: tuple[str, ...] = tuple(root.id for root in self._roots)
        self._start()

    def _start(self) -> None:
        self._skipped: Counter[str] = Counter()
        self._seen: set[str] = set()
        self.problems: list[str] = []
        self.unreadable: list[str] = []

    @property
    def skipped(self) -> Mapping[str, int]:
        """How many files and folders were skipped, by reason."""
        return dict(sorted(self._skipped.items()))

    def __iter__(self) -> Iterator[SourceFile]:
        self._start()
        for root in self._roots:
            if self._is_excluded(root.path, root.real):
                self._skip(root.id, _Skipped("excluded", "lies in a folder that is excluded"))
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
        self._skipped[skipped.reason] += 1
        if skipped.problem:
            self.problems.append(f"{one_line(id)}: {skipped.problem}; skipped")

    def _refused(self, id: str, error: OSError) -> None:
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            self._skip(id, _Skipped("vanished"))
            return
        self.unreadable.append(id)
        self._skip(id, _Skipped("unreadable", f"cannot be read ({error.strerror or error})"))

    def _given_file(self, root: _Root) -> Iterator[SourceFile]:
        try:
            found = self._file(root.path, root.id, os.stat(root.path))
        except OSError as error:
            self._refused(root.id, error)
            return
        if isinstance(found, SourceFile):
            yield found
        else:
            problem = found.problem or _WHY_GIVEN[found.reason]
            self._skip(root.id, _Skipped(found.reason, problem))

    def _walk(self, root: _Root) -> Iterator[SourceFile]:
        rules = IgnoreRules.above(Path(root.path))
        pending = self._entries(_Folder(root.path, root.real, root.id, rules, outside=False))
        while pending:
            entry, parent = pending.pop()
            id = child_id(parent.id, entry.name)
            try:
                found = self._entry(entry, parent, id)
            except OSError as error:
                self._refused(id, error)
                continue
            if isinstance(found, SourceFile):
                yield found
            elif isinstance(found, _Folder):
                pending += self._entries(found)
            elif found is not None:
                self._skip(id, found)

    def _entries(self, folder: _Folder) -> list[tuple[os.DirEntry[str], _Folder]]:
        """What a folder holds, last id first, with the rules that count in it."""
        try:
            with os.scandir(folder.path) as listing:
                entries = list(listing)
            # A folder sorts as its files' ids do, where its name is followed by a slash.
            entries.sort(
                key=lambda entry: entry.name + ("/" if entry.is_dir(follow_symlinks=False) else ""),
                reverse=True,
            )
        except OSError as error:
            self._refused(folder.id, error)
            return []
        names = {entry.name for entry in entries}
        if ".git" in names:  # a repository of its own, where no rules from above count
            folder = replace(folder, rules=IgnoreRules())
        if ".gitignore" in names:
            folder = replace(folder, rules=self._rules(folder))
        return [(entry, folder) for entry in entries]

    def _rules(self, folder: _Folder) -> IgnoreRules:
        try:
            return folder.rules.within(Path(folder.path))
        except OSError as error:
            where = one_line(child_id(folder.id, ".gitignore"))
            self.problems.append(f"{where}: cannot be read ({error.strerror}); its rules are lost")
            return folder.rules

    def _entry(
        self, entry: os.DirEntry[str], parent: _Folder, id: str
    ) -> SourceFile | _Folder | _Skipped | None:
        """The file or the folder to walk that an entry is; None if it was given, and comes so."""
        linked = entry.is_symlink()
        real = os.path.realpath(entry.path) if linked else os.path.join(parent.real, entry.name)
        if real in self._roots_real and not linked:
            return None
        if entry.name.startswith("."):
            return _Skipped("hidden")
        if entry.path in self._exclude or real in self._exclude:
            return _Skipped("excluded")
        if linked and not self._leads_elsewhere(real, parent.real):
            return _Skipped("symlink")
        outside = linked or parent.outside
        if outside:
            if real in self._seen:
                return _Skipped("symlink")
            self._seen.add(real)
        is_folder = entry.is_dir()
        if parent.rules.ignore(entry.path, is_folder=is_folder):
            return _Skipped("ignored")
        if is_folder:
            return _Folder(entry.path, real, id, parent.rules, outside)
        return self._file(entry.path, id, entry.stat())

    def _leads_elsewhere(self, target: str, folder: str) -> bool:
        """Whether a link in `folder` leads to what exists and no walk meets or comes from."""
        if not os.path.exists(target) or f"{target}/".startswith(self._roots_under):
            return False
        return not f"{folder}/".startswith(f"{target.rstrip('/')}/")

    def _file(self, path: str, id: str, status: os.stat_result) -> SourceFile | _Skipped:
        if not stat.S_ISREG(status.st_mode):
            return _Skipped("special")
        if extension_of(id) in BINARY_EXTENSIONS:
            return _Skipped("binary")
        if status.st_size == 0:
            return _Skipped("empty")
        if status.st_size > self._max_bytes:
            sizes = f"has {status.st_size} bytes and the limit is {self._max_bytes}"
            return _Skipped("too large", f"{sizes}; split it or raise the limit")
        if is_binary(_head(path)):
            return _Skipped("binary")
        return SourceFile(Path(path), id, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def discover(
    paths: Sequence[Path],
    base: Path,
    *,
    exclude: Sequence[Path] = (),
    max_bytes: int = MAX_BYTES,
) -> Discovery:
    """The files worth reading among and under `paths`, as they are while the result is iterated.

    Args:
        paths: files and folders; each must exist.
        base: the folder that ids are relative to.
        exclude: files and folders to leave out, such as the index itself.
        max_bytes: files beyond this size are skipped.

    Raises:
        InputError: no path is given, or one does not exist or cannot be reached.
    """
    return Discovery(paths, base, exclude=exclude, max_bytes=max_bytes)


def _root(path: Path, base: Path) -> _Root:
    try:
        status = os.stat(path)
        real = os.path.realpath(path)
    except (FileNotFoundError, NotADirectoryError):
        shown = one_line(str(path))
        raise InputError(f"{shown} does not exist; name a file or a folder that does") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"{one_line(str(path))} cannot be read: {why}") from None
    is_folder = stat.S_ISDIR(status.st_mode)
    return _Root(os.path.abspath(path), real, source_id(path, base), is_folder)


def _head(path: str) -> bytes:
    # A pipe that took the file's place a moment ago must not hold the walk up.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(descriptor, HEAD_BYTES)
    finally:
        os.close(descriptor)
