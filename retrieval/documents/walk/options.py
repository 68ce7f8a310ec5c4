"""What a walk takes in and leaves out, as the user says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from retrieval.documents.walk.patterns import PatternList
from retrieval.documents.walk.wildmatch import as_bytes
from retrieval.errors import InputError
from retrieval.numeric import is_whole


@dataclass(frozen=True, slots=True)
class WalkOptions:
    """What to leave out besides what is left out by default, and what of that to take in.

    Both lists hold patterns as a `.gitignore` in the base folder would: one without a slash speaks
    of names at any depth, one with a slash of paths from the base folder on (from the path that was
    given, where that lies outside), one that ends in a slash only of folders; `**` spans folders;
    the last pattern that matches decides, and one with `!` takes its match out of the list.

    Attributes:
        exclude: files and folders to leave out, with all that lies beneath. Stands before
            `include`.
        include: files and folders to take in though they would be left out. Beneath a folder that
            matches, ignore files do not count; other reasons do, unless a pattern matches there,
            too. A folder that is left out is looked into where a pattern with a slash leads through
            it. A version-control folder must be named (`.git`), not just be met by a wildcard.
        hidden: whether names that begin with a dot are taken in.
        no_ignore: whether no `.gitignore`, `.ignore` or other file with such rules counts.
        archives: whether archives are taken in, and the files in them read.
    """

    exclude: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    hidden: bool = False
    no_ignore: bool = False
    archives: bool = False

    def __post_init__(self) -> None:
        for name, patterns in (("exclude", self.exclude), ("include", self.include)):
            if isinstance(patterns, str) or not all(isinstance(one, str) for one in patterns):
                raise InputError(f"{name} is {patterns!r}; give a list of patterns")
            object.__setattr__(self, name, tuple(patterns))
            for pattern in patterns:
                if not pattern.strip() or "\n" in pattern or "\0" in pattern:
                    raise InputError(
                        f"{name} has the pattern {pattern!r}; give a name, a path or a glob such "
                        "as '*.csv' or 'docs/old/'"
                    )

    def to_json(self) -> dict[str, Any]:
        """The options as values that JSON has."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> WalkOptions:
        """The options that `to_json` gave; names that are not known are passed over.

        Raises:
            InputError: a value is of another kind.
        """
        known = {name: values[name] for name in cls.__slots__ if name in values}
        for name, value in known.items():
            wanted = bool if name in ("hidden", "no_ignore", "archives") else list | tuple
            if not isinstance(value, wanted):
                raise InputError(f"the walk's option {name} is {value!r}, which cannot be used")
        return cls(**known)


class Choice:
    """The patterns of `WalkOptions`, ready to be asked about paths relative to the base folder.

    Attributes:
        any: whether there are patterns.
        includes_any: whether there are patterns of what to take in.
    """

    __slots__ = ("_exclude", "_include", "_named", "_ways", "any", "includes_any")

    def __init__(self, options: WalkOptions) -> None:
        include = [as_bytes(pattern) for pattern in options.include]
        self._exclude = PatternList(as_bytes(pattern) for pattern in options.exclude)
        self._include = PatternList(include)
        self._ways = PatternList(way for pattern in include for way in _ways(pattern))
        self.includes_any = bool(self._include)
        self.any = bool(self._exclude) or self.includes_any
        self._named = frozenset(pattern.rstrip("/").rsplit("/", 1)[-1] for pattern in include)

    def excludes(self, path: str, *, is_folder: bool) -> bool:
        """Whether the user wants this file or folder left out."""
        return self._exclude.match(path, is_folder=is_folder) is True

    def includes(self, path: str, *, is_folder: bool) -> bool:
        """Whether the user wants this file or folder taken in."""
        return self.includes_any and self._include.match(path, is_folder=is_folder) is True

    def names(self, name: str) -> bool:
        """Whether a pattern ends in exactly this name."""
        return name in self._named

    def leads_through(self, folder: str) -> bool:
        """Whether what the user wants taken in lies beneath this folder, which is left out."""
        return bool(self._ways) and self._ways.match(folder, is_folder=True) is True


def _ways(pattern: str) -> list[str]:
    """The folders on the way to what a pattern with a slash means, up to the first `**`."""
    if pattern.startswith("!"):
        return []
    *folders, _ = pattern.strip("/").split("/")
    if "**" in folders:
        folders = folders[: folders.index("**")]
    return ["/" + "/".join(folders[: count + 1]) + "/" for count in range(len(folders))]


def checked_bytes(max_bytes: int) -> int:
    """The most bytes that a file may have.

    Raises:
        InputError: it is no number from 1 on.
    """
    if not is_whole(max_bytes) or max_bytes < 1:
        raise InputError(f"max_bytes is {max_bytes!r}; it must be at least 1")
    return int(max_bytes)
