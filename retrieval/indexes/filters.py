"""The `where=` language: which documents a search may return.

    lang == "python" and year >= 2020 and (tag in ["a", "b"] or not draft == true)
    path glob "src/**/*.py" and name icontains "engine" and changed >= time("2024-03-01")

    expression := all ("or" all)*
    all        := term ("and" term)*
    term       := "not" term | "(" expression ")" | condition
    condition  := "true" | "false" | key | key operator value | key "is" ["not"] kind
                | key ("==" | "!=") list | key ["not"] "in" list
                | key ["not"] text_test (string | parameter)
                | "length" "(" key ")" operator (number | parameter)
    operator   := "==" | "!=" | "<" | "<=" | ">" | ">="
    text_test  := "glob" | "contains" | "icontains" | "startswith" | "matches"
    kind       := "empty" | "text" | "number" | "boolean" | "list" | "object"
    list       := "[" [value ("," value)*] "]" | parameter
    value      := "string" | 'string' | number | true | false | null | "time" "(" string ")"
                | parameter
    parameter  := ":" name

A key is a metadata key; dots reach into nested objects, and backquotes hold what is not a plain
word (`` `odd key`.name ``). `id`, `title` and `text` are the document's own; `` `id` `` is the
metadata's.
`heading`, `symbol` and `place` (`place.page`, `place.cell`, `place.row`, `place.time`,
`place.part`) are the passage's; `language` is that of the code in a passage or, where it has none,
the document's. In strings a backslash escapes a quote or a backslash, and is literal before other
characters. Keywords may be in capitals. A filter may also be a dict: see
`retrieval.indexes.filter_dict`.

Meaning:
    - Types are kept apart: "1" is not 1, and true is not 1.
    - A list satisfies a condition when any of its elements does; where a key's path leads through
      a list, the value is the list of its objects' members. `== [...]`, `is` and `length` test the
      list itself.
    - `==` with null holds where the key is null or missing. Any other comparison with a missing
      key is false; `!=` and anything with `not` are the opposites, so they hold there.
    - `<`, `<=`, `>`, `>=` compare numbers with numbers, and strings with strings by code point.
    - A time is compared with strings that are ISO 8601 dates or times, as points in time; without
      a zone they are read as UTC, and a date counts as its midnight.
    - `glob` matches the whole string, see `path_glob`; `matches` is a regular expression (RE2) that
      matches anywhere in it; `icontains` ignores case.
    - `is empty` holds where the key is missing, null, "", [] or {}.
    - A bare key holds unless its value is missing, null, false, 0, "", [] or {}.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from retrieval.errors import FilterError
from retrieval.indexes.filter_dict import from_dict
from retrieval.indexes.filter_functions import path_glob, register_functions
from retrieval.indexes.filter_nodes import (
    And,
    Constant,
    In,
    Key,
    Node,
    Or,
    check_size,
    joined,
    of_passages,
    opposite,
)
from retrieval.indexes.filter_parsing import Parser
from retrieval.indexes.filter_sql import compile_values, condition

__all__ = [
    "Filter",
    "ValuesOf",
    "Where",
    "as_filter",
    "parse_filter",
    "parse_key",
    "path_glob",
    "register_functions",
]

_MAX_CHARACTERS = 1 << 20


@dataclass(frozen=True, slots=True)
class Filter:
    """A parsed filter. `a & b`, `a | b` and `~a` combine and negate filters.

    Attributes:
        root: the parsed form.
    """

    root: Node

    def __post_init__(self) -> None:
        """Refuse one that is too large.

        Raises:
            FilterError: it has too many conditions, or too many levels of them.
        """
        check_size(self.root)

    @classmethod
    def parse(cls, where: Where, params: Mapping[str, Any] | None = None) -> Filter:
        """Parse a text, with values for its parameters, or a dict; a `Filter` is returned as it is.

        Raises:
            FilterError: it cannot be parsed.
        """
        return as_filter(where, params) or cls(Constant(True))

    @classmethod
    def of_ids(cls, ids: Iterable[str]) -> Filter:
        """Documents with these ids, which, unlike texts that users compare with, may be any."""
        return cls(In(Key(("id",), "id"), tuple(ids)))

    @property
    def of_passages(self) -> bool:
        """Whether it depends on the passage, not only on the document."""
        return of_passages(self.root)

    def to_sql(self) -> tuple[str, list[str | int]]:
        """A condition for an SQLite WHERE over `documents AS d`, and its positional parameters.

        The connection needs `register_functions`; `d` has `number`, `id`, `title` and JSON
        `metadata`, and the table `texts` has the `text` of each number, its `document`. If
        `of_passages`, it is also over `passages AS p`, which has JSON `structure`.

        Raises:
            FilterError: it has too many levels for its number of conditions.
        """
        sql = condition(self.root)
        return sql.text, list(sql.params)

    def __and__(self, other: Filter) -> Filter:
        """What matches both."""
        return self._with(And, other) if isinstance(other, Filter) else NotImplemented

    def __or__(self, other: Filter) -> Filter:
        """What matches at least one of them."""
        return self._with(Or, other) if isinstance(other, Filter) else NotImplemented

    def _with(self, kind: type[And] | type[Or], other: Filter) -> Filter:
        return Filter(joined(kind, (self.root, other.root)))

    def __invert__(self) -> Filter:
        """What does not match."""
        return Filter(opposite(self.root))


Where: TypeAlias = str | Mapping[str, Any] | Filter
"""The forms in which a filter is given: a text, a dict, or a parsed filter."""


def as_filter(where: Where | None, params: Mapping[str, Any] | None = None) -> Filter | None:
    """The filter, parsed; None if there is none, or it is a blank text or an empty dict.

    Args:
        where: the filter.
        params: values for the parameters (`:name`) of a text, by name.

    Raises:
        FilterError: it cannot be parsed.
    """
    if params is not None and not (isinstance(where, str) and isinstance(params, Mapping)):
        raise FilterError(
            f"params={ascii(params)[:60]} is not a dict, or the filter is not a text; give such as "
            "where='year >= :y', params={'y': 2020}"
        )
    if where is None or isinstance(where, Filter):
        return where
    if isinstance(where, Mapping):
        root = from_dict(where, _parse_key)
        return None if root is None else Filter(root)
    if isinstance(where, str) and not where.strip():
        return None
    return parse_filter(where, params)


def parse_filter(text: str, params: Mapping[str, Any] | None = None) -> Filter:
    """Parse a `where=` expression, see `as_filter`.

    Raises:
        FilterError: it is not valid; the message says what was found, where, and what was expected.
    """
    if not isinstance(text, str):
        raise FilterError(
            f"the filter {ascii(text)[:60]} is not a text, a dict or a Filter; give one such as "
            "'year > 2020'"
        )
    if len(text) > _MAX_CHARACTERS:
        raise FilterError(
            f"the filter has {len(text)} characters; expected at most {_MAX_CHARACTERS}"
        )
    return Filter(Parser(text, params or {}).parse())


@dataclass(frozen=True, slots=True)
class ValuesOf:
    """A parsed key, compiled to SQL.

    Attributes:
        value: a value, see `Store.values`.
        table: table of its values.
        condition: condition on a row of the table.
        parameters: for the question marks of both, in this order.
        of_passages: whether it is a key of passages, not of documents.
    """

    value: str
    table: str
    condition: str
    parameters: tuple[str | int, ...]
    of_passages: bool


def parse_key(text: str) -> ValuesOf:
    """Parse a key as in a `where=` expression.

    Raises:
        FilterError: it is not a key.
    """
    if not isinstance(text, str):
        raise FilterError(f"the key {text!r} is not a text; give one such as 'author.name'")
    key = _parse_key(text)
    value, table, test = compile_values(key)
    params = table.params + test.params
    return ValuesOf(value, table.text, test.text, params, key.of != "document")


def _parse_key(text: str) -> Key:
    return Parser(text, {}).parse_key()
