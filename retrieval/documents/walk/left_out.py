"""What a walk leaves out, why, and how it comes in all the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from retrieval.documents.formats.languages import extension_of

_MAX_TYPES = 200
_OTHERS = "others"
_MAX_EXAMPLES = 3


class Reason(StrEnum):
    """Why a file or a folder is not read."""

    HIDDEN = "hidden"
    IGNORED = "ignored"
    EXCLUDED = "excluded"
    VERSION_CONTROL = "version control"
    WORKTREE = "worktree"
    ENVIRONMENT = "environment"
    DEPENDENCIES = "dependencies"
    BUILD = "build"
    LOCK = "lock file"
    SOURCE_MAP = "source map"
    MINIFIED = "minified"
    GENERATED = "generated"
    ENCODED = "encoded"
    VOCABULARY = "vocabulary"
    ARCHIVE = "archive"
    BINARY = "binary"
    EMPTY = "empty"
    TOO_LARGE = "too large"
    SYMLINK = "symlink"
    SPECIAL = "special"
    UNREADABLE = "unreadable"
    VANISHED = "vanished"


WAY_IN: Mapping[Reason, tuple[str, ...]] = {
    Reason.HIDDEN: ("hidden", "include"),
    Reason.IGNORED: ("no_ignore", "include"),
    Reason.EXCLUDED: ("exclude",),
    Reason.TOO_LARGE: ("max_bytes",),
    Reason.ARCHIVE: ("archives", "include"),
    **dict.fromkeys(
        (
            Reason.VERSION_CONTROL,
            Reason.WORKTREE,
            Reason.ENVIRONMENT,
            Reason.DEPENDENCIES,
            Reason.BUILD,
            Reason.LOCK,
            Reason.SOURCE_MAP,
            Reason.MINIFIED,
            Reason.GENERATED,
            Reason.ENCODED,
            Reason.VOCABULARY,
        ),
        ("include",),
    ),
}
"""The options that include files left out for a reason; for most reasons, naming the path does too.

Files left out for a reason not listed here cannot be read, whatever the options.
"""


class LeftOut(NamedTuple):
    """A file or folder that is not read.

    Attributes:
        id: as a `SourceFile` has it.
        reason: why.
        is_folder: whether it is a folder, with all that lies beneath it.
    """

    id: str
    reason: Reason
    is_folder: bool

    @property
    def type(self) -> str:
        """Its extension with the dot, or its name; a folder's name ends in a slash."""
        name = self.id.rsplit("/", 1)[-1]
        return f"{name}/" if self.is_folder else extension_of(name) or name


@dataclass(frozen=True, slots=True)
class LeftOutType:
    """What was left out of one type for one reason.

    Attributes:
        count: how many.
        examples: ids of the first few.
    """

    count: int
    examples: tuple[str, ...]


class Tally:
    """Counts what is left out in bounded memory, by reason and by type."""

    def __init__(self) -> None:
        self.by_reason: Counter[Reason] = Counter()
        self._types: dict[Reason, dict[str, tuple[list[int], list[str]]]] = {}

    def add(self, one: LeftOut) -> None:
        """Count one more."""
        self.by_reason[one.reason] += 1
        types = self._types.setdefault(one.reason, {})
        type = one.type
        if type not in types:
            type = type if len(types) < _MAX_TYPES else _OTHERS
            types.setdefault(type, ([0], []))
        count, examples = types[type]
        count[0] += 1
        if len(examples) < _MAX_EXAMPLES:
            examples.append(one.id)

    def by_type(self) -> dict[str, dict[str, LeftOutType]]:
        """By reason, in the order of their names, and by type, the most frequent first."""
        return {
            reason.value: {
                type: LeftOutType(count, tuple(examples))
                for type, ((count,), examples) in sorted(
                    types.items(), key=lambda item: (-item[1][0][0], item[0])
                )
            }
            for reason, types in sorted(self._types.items())
        }
