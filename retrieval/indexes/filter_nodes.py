"""The parsed form of a filter: conditions on keys, and the operators that join them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from retrieval.errors import FilterError

MAX_CONDITIONS = 1000
MAX_DEPTH = 50
"""Maximum depth of nested parentheses, and of nested dicts."""

MAX_LEVELS = 40
"""Maximum depth of nested `and` and `or`."""

MAX_NAMES, MAX_KEY = 64, 4096
"""Maximum names in a key, which is as deep as records are stored, and their total characters."""

MAX_PATTERN, MAX_PATTERNS = 4096, 20_000
"""Maximum characters of one glob or regular expression, and of all in a filter."""


@dataclass(frozen=True, slots=True)
class Time:
    """A point in time: microseconds since the beginning of 1970 (UTC)."""

    microseconds: int


Value = str | int | float | bool | None | Time
"""A literal; integers beyond 64 bits become floats, as in SQLite."""

Operator = Literal["==", "<", "<=", ">", ">="]

TextTest = Literal["glob", "contains", "icontains", "startswith", "matches"]

Kind = Literal["text", "number", "boolean", "list", "object"]

KINDS: tuple[Kind, ...] = ("text", "number", "boolean", "list", "object")

TEXT_TESTS: tuple[TextTest, ...] = ("glob", "contains", "icontains", "startswith", "matches")


@dataclass(frozen=True, slots=True)
class Key:
    """A key: a column of the document, or a path into its metadata or a passage's structure.

    Attributes:
        path: member names, the outermost first.
        column: the document's column, or None if it is not one.
        of: the JSON object that the path leads into: the document's metadata, the passage's
            structure, or ("either") the structure or, where that lacks the key, the metadata.
    """

    path: tuple[str, ...]
    column: Literal["id", "title", "text"] | None = None
    of: Literal["document", "passage", "either"] = "document"

    def __post_init__(self) -> None:
        """Refuse a key that is too long, since its SQL grows with the square of its length.

        Raises:
            FilterError: the key is too long.
        """
        characters = sum(map(len, self.path))
        if len(self.path) > MAX_NAMES or characters > MAX_KEY:
            raise FilterError(
                f"the key {'.'.join(self.path)[:40]!a}... has {len(self.path)} names and "
                f"{characters} characters; expected at most {MAX_NAMES} and {MAX_KEY}"
            )


class _Exact:
    """A node that also compares the types of its literals, as Python's 1 and True are equal."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and repr(other) == repr(self)

    def __hash__(self) -> int:
        return hash(repr(self))


@dataclass(frozen=True, slots=True, eq=False)
class Compare(_Exact):
    """`key op value`."""

    key: Key
    operator: Operator
    value: Value


@dataclass(frozen=True, slots=True, eq=False)
class SameList(_Exact):
    """`key == [value, ...]`: the key's value is a list of these values in this order."""

    key: Key
    values: tuple[str | int | float | bool | None, ...]


@dataclass(frozen=True, slots=True)
class Length:
    """`length(key) op number`: a text's characters, a list's elements or an object's keys."""

    key: Key
    operator: Operator
    number: int | float


@dataclass(frozen=True, slots=True)
class IsKind:
    """`key is text`: whether the key's value itself (not a list's elements) is of that kind."""

    key: Key
    kind: Kind


@dataclass(frozen=True, slots=True, eq=False)
class In(_Exact):
    """`key in [value, ...]`."""

    key: Key
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """`key test "pattern"`, such as `key glob "pattern"`."""

    key: Key
    test: TextTest
    pattern: str


@dataclass(frozen=True, slots=True)
class Empty:
    """`key is empty`."""

    key: Key


@dataclass(frozen=True, slots=True)
class Exists:
    """Whether the key is present, even if null."""

    key: Key


@dataclass(frozen=True, slots=True)
class Constant:
    """`true` or `false`."""

    value: bool


@dataclass(frozen=True, slots=True)
class Truthy:
    """`key` by itself."""

    key: Key


@dataclass(frozen=True, slots=True)
class Not:
    """`not part`."""

    part: Node


@dataclass(frozen=True, slots=True)
class And:
    """All of two or more parts."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of two or more parts."""

    parts: tuple[Node, ...]


Node = (
    Compare
    | SameList
    | Length
    | IsKind
    | In
    | Text
    | Empty
    | Exists
    | Constant
    | Truthy
    | Not
    | And
    | Or
)


PLACES = ("page", "cell", "row", "time", "part")
"""Fields of `retrieval.types.Place`."""

_NAMED = {
    "id": Key(("id",), "id"),
    "title": Key(("title",), "title"),
    "text": Key(("text",), "text"),
    "heading": Key(("headings",), of="passage"),
    "symbol": Key(("symbol",), of="passage"),
    "language": Key(("language",), of="either"),
} | {f"place.{name}": Key((name,), of="passage") for name in PLACES}


PREDEFINED = frozenset(name.partition(".")[0] for name in _NAMED)
"""First names of the keys that do not lead into the document's metadata, or not only."""


def named_key(text: str) -> Key | None:
    """The predefined key with this name; None for a key of the document's metadata."""
    return _NAMED.get(text)


def of_passages(node: Node) -> bool:
    """Whether it depends on the passage, not only on the document."""
    match node:
        case And(parts) | Or(parts):
            return any(map(of_passages, parts))
        case Not(part):
            return of_passages(part)
        case Constant():
            return False
        case _:
            return node.key.of != "document"


Condition = Compare | SameList | Length | IsKind | In | Text | Empty | Exists | Truthy


def conditions_of(node: Node) -> Iterator[Condition]:
    """The conditions on keys that a filter is made of."""
    match node:
        case And(parts) | Or(parts):
            for part in parts:
                yield from conditions_of(part)
        case Not(part):
            yield from conditions_of(part)
        case Constant():
            pass
        case _:
            yield node


def joined(kind: type[And] | type[Or], parts: Iterable[Node]) -> Node:
    """The `And` or `Or` of these parts; parts of the same kind are flattened into it."""
    flat: list[Node] = []
    for part in parts:
        flat += part.parts if isinstance(part, kind) else (part,)
    return flat[0] if len(flat) == 1 else kind(tuple(flat))


def opposite(node: Node) -> Node:
    """The node that matches what this one does not."""
    return node.part if isinstance(node, Not) else Not(node)


def check_size(root: Node) -> None:
    """Raise FilterError if there are too many conditions or levels, or too long patterns."""
    conditions = patterns = 0
    left = [(root, 0)]
    while left:  # without recursion: a filter that a program builds may have any depth
        node, levels = left.pop()
        if levels > MAX_LEVELS:
            raise too_deep()
        match node:
            case Not(part):
                left.append((part, levels))
            case And(parts) | Or(parts):
                left += [(part, levels + 1) for part in parts]
            case _:
                conditions += 1
                if isinstance(node, Text) and node.test in ("glob", "matches"):
                    patterns += len(node.pattern)
                    if len(node.pattern) > MAX_PATTERN:
                        raise FilterError(
                            f"the pattern {node.pattern[:40]!a}... has {len(node.pattern)} "
                            f"characters; expected at most {MAX_PATTERN}"
                        )
    if patterns > MAX_PATTERNS:
        raise FilterError(
            f"the filter's patterns have {patterns} characters together; expected at most "
            f"{MAX_PATTERNS}"
        )
    if conditions > MAX_CONDITIONS:
        raise FilterError(
            f"the filter has more than {MAX_CONDITIONS} conditions; `in` takes many values"
        )


def too_deep() -> FilterError:
    """The error for too many levels."""
    return FilterError(
        f"the filter nests `and` and `or` too deeply; expected at most {MAX_LEVELS} levels, and "
        "fewer where there are many conditions on each"
    )


def is_comparable(text: str) -> bool:
    """Whether SQLite can compare the text in full: no NUL, no half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= one <= "\udfff" for one in text)
