"""Filters as dicts, in the form that MongoDB, Chroma, Pinecone and LangChain share.

    {"lang": "python", "year": {"$gte": 2020}, "$or": [{"tag": {"$in": ["a"]}}, {"draft": False}]}

All entries of a dict must hold. An entry is a key and a value to be equal to, a key and a dict of
operators, or one of `$and`, `$or`, `$nor` (lists of dicts) and `$not` (a dict). Operators mean the
same as in text, see `retrieval.indexes.filters`, and so do keys: dots lead into objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

from retrieval.errors import FilterError
from retrieval.indexes.filter_functions import compiled
from retrieval.indexes.filter_nodes import (
    MAX_CONDITIONS,
    MAX_DEPTH,
    And,
    Compare,
    Empty,
    Exists,
    In,
    IsKind,
    Key,
    Kind,
    Length,
    Node,
    Not,
    Operator,
    Or,
    SameList,
    Text,
    TextTest,
    is_comparable,
    joined,
    named_key,
)
from retrieval.indexes.filter_values import as_list, as_value, as_values, is_list

_ORDER: dict[str, Operator] = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_TEXTS: dict[str, TextTest] = {
    "$contains": "contains",
    "$icontains": "icontains",
    "$startswith": "startswith",
    "$regex": "matches",
    "$glob": "glob",
}
_KINDS: dict[str, Kind] = {  # MongoDB's names
    "string": "text",
    "number": "number",
    "bool": "boolean",
    "array": "list",
    "object": "object",
}
_JOINS = ("$and", "$or", "$nor")
_OPERATORS = (
    *("$eq", "$ne", *_ORDER, "$in", "$nin", "$all", "$size", "$type", "$exists", "$not", "$empty"),
    *_TEXTS,
)


def from_dict(where: Mapping[str, Any], parse_key: Callable[[str], Key]) -> Node | None:
    """Parse a filter that is a dict; None if it is empty.

    Args:
        where: the filter.
        parse_key: parses keys that contain backquotes.

    Raises:
        FilterError: it is not valid; the message says what was found, where, and what was expected.
    """
    return _Reader(parse_key).all_of(where, 0) if where else None


class _Reader:
    def __init__(self, parse_key: Callable[[str], Key]) -> None:
        self._parse_key = parse_key
        self._conditions = 0

    def all_of(self, where: object, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise FilterError(f"the filter is nested; expected at most {MAX_DEPTH} levels")
        if not isinstance(where, Mapping):
            _fail(where, "a dict such as {'year': {'$gte': 2020}}")
        if not where:
            _fail(where, "a dict with at least one key")
        return joined(And, [self._entry(name, value, depth) for name, value in where.items()])

    def _entry(self, name: object, value: Any, depth: int) -> Node:
        if not isinstance(name, str):
            _fail(name, "a key, which is a text")
        if name in _JOINS:
            if not isinstance(value, list | tuple) or not value:
                _fail(value, f"a list of dicts after {name}")
            parts = [self.all_of(part, depth + 1) for part in value]
            return Not(joined(Or, parts)) if name == "$nor" else joined(_JOINED[name], parts)
        if name == "$not":
            return Not(self.all_of(value, depth + 1))
        if name.startswith("$"):
            _fail(name, f"a key, $not, {' or '.join(_JOINS)}")
        return self._condition(name, self._key(name), value, depth)

    def _condition(self, name: str, key: Key, value: Any, depth: int) -> Node:
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            raise FilterError(
                f"the filter has more than {MAX_CONDITIONS} conditions; $in takes many values"
            )
        if not isinstance(value, Mapping):
            if isinstance(value, set | frozenset):
                _fail(value, f"one value or a list for {name!r}, or {{'$in': [...]}}")
            return _equal(key, value, f"the value of {name!r}")
        if not value:
            _fail(value, f"an operator for {name!r}: {', '.join(_OPERATORS)}")
        return joined(And, [self._operator(name, key, *pair, depth) for pair in value.items()])

    def _operator(self, name: str, key: Key, operator: object, value: Any, depth: int) -> Node:
        where = f"{operator} of {name!r}"
        match operator:
            case "$eq":
                return _equal(key, value, where)
            case "$ne":
                return Not(_equal(key, value, where))
            case "$in":
                return In(key, as_values(value, where))
            case "$nin":
                return Not(In(key, as_values(value, where)))
            case "$all":
                parts: list[Node] = [Compare(key, "==", one) for one in as_values(value, where)]
                if not parts:
                    _fail(value, f"a list of at least one value for {where}")
                return joined(And, parts)
            case "$size":
                return joined(And, list(_lengths(key, value, where)))
            case "$type":
                if not isinstance(value, str) or value not in _KINDS:
                    _fail(value, f"one of {', '.join(_KINDS)} for {where}")
                return IsKind(key, _KINDS[value])
            case "$exists" | "$empty":
                if not isinstance(value, bool):
                    _fail(value, f"True or False for {where}")
                node = Exists(key) if operator == "$exists" else Empty(key)
                return node if value else Not(node)
            case "$not":
                if depth > MAX_DEPTH:
                    raise FilterError(f"the filter is nested; expected at most {MAX_DEPTH} levels")
                return Not(self._condition(name, key, value, depth + 1))
        if operator in _ORDER:
            bound = as_value(value, where)
            if bound is None or isinstance(bound, bool):
                _fail(value, f"a number, a text or a time for {where}")
            return Compare(key, _ORDER[str(operator)], bound)
        if operator in _TEXTS:
            return Text(key, _TEXTS[str(operator)], _pattern(value, str(operator), where))
        hint = f"; a key of an object is {f'{name}.{operator}'!r}"
        if isinstance(operator, str) and operator.startswith("$"):
            hint = ""
        _fail(operator, f"an operator for {name!r}: {', '.join(_OPERATORS)}{hint}")

    def _key(self, text: str) -> Key:
        if "`" in text:
            return self._parse_key(text)
        if not is_comparable(text):
            _fail(text, "a key without NUL characters and lone surrogates")
        return named_key(text) or Key(tuple(text.split(".")))


_JOINED: dict[str, type[And] | type[Or]] = {"$and": And, "$or": Or}


def _equal(key: Key, value: Any, where: str) -> Node:
    if is_list(value):
        return SameList(key, as_list(as_values(value, f"the list that is {where}"), where))
    return Compare(key, "==", as_value(value, where))


def _lengths(key: Key, value: Any, where: str) -> Iterator[Node]:
    asked = value if isinstance(value, Mapping) else {"$eq": value}
    for operator, number in asked.items():
        if operator not in ("$eq", "$ne", *_ORDER):
            _fail(operator, f"$eq, $ne, {', '.join(_ORDER)} for {where}")
        bound = as_value(number, where)
        if not isinstance(bound, int | float) or isinstance(bound, bool):
            _fail(number, f"a number for {where}")
        node = Length(key, _ORDER.get(operator, "=="), bound)
        yield Not(node) if operator == "$ne" else node
    if not asked:
        _fail(value, f"a number for {where}")


def _pattern(value: Any, operator: str, where: str) -> str:
    if not isinstance(value, str) or not is_comparable(value):
        _fail(value, f"a text for {where}")
    if operator == "$regex":
        try:
            compiled(value)
        except ValueError as error:
            _fail(value, f"a regular expression for {where} ({error})")
    return value


def _fail(found: object, expected: str) -> NoReturn:
    raise FilterError(f"found {ascii(found)[:60]} in the filter, expected {expected}")
