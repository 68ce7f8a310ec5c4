"""The parsed form of a `where=` expression, and the SQL that it becomes.

The SQL is a condition over one row of table `documents` aliased `d`, with columns `id`, `title`
and `metadata` (a JSON object). Its text is put together from constants; whatever the user wrote,
keys included, travels as bound parameters. Every condition is 0 or 1, never NULL, so NOT is exact.
"""

from __future__ import annotations

import fnmatch
import json
import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Value = str | int | float | bool | None
"""A literal; integers beyond 64 bits have become floats, as SQLite reads them."""

Operator = Literal["==", "<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Key:
    """What is looked at: a column of the document, or a path into its metadata or a structure.

    Attributes:
        path: keys, the outermost first.
        column: of the document; the path is its name.
        of: whose JSON object the path leads into: the document's metadata, the passage's
            structure, or the passage's and, where it says nothing, the document's.
    """

    path: tuple[str, ...]
    column: Literal["id", "title"] | None = None
    of: Literal["document", "passage", "either"] = "document"


@dataclass(frozen=True, slots=True)
class Compare:
    """`key op value`."""

    key: Key
    operator: Operator
    value: Value


@dataclass(frozen=True, slots=True)
class In:
    """`key in [value, ...]`."""

    key: Key
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Glob:
    """`key glob "pattern"`."""

    key: Key
    pattern: str


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


Node = Compare | In | Glob | Truthy | Not | And | Or


@dataclass(frozen=True, slots=True)
class Sql:
    """A fragment and the values of its question marks, in order."""

    text: str
    params: tuple[str | int, ...] = ()


def compile_node(node: Node) -> Sql:
    """The SQL condition of a node."""
    match node:
        case And(parts):
            return _join("AND", [compile_node(part) for part in parts])
        case Or(parts):
            return _join("OR", [compile_node(part) for part in parts])
        case Not(part):
            return _fill("(NOT {part})", part=compile_node(part))
        case Truthy(key):
            return _truthy(key)
        case _:
            return _any_element(node)


def compile_values(key: Key) -> tuple[Sql, Sql]:
    """A table of a key's values, those of a list one by one, and what must hold of its rows.

    The table has `type` and `atom`, as SQLite's `json_each` gives them.
    """
    if key.column is not None:
        return Sql(f"json_each(json_array(d.{key.column}))"), Sql("1")
    place = _place(key)
    return (
        _fill("json_each({place})", place=place),
        _fill("(json_type({place}) <> 'object')", place=place),
    )


def register_functions(connection: sqlite3.Connection) -> None:
    """Give a connection the two functions that the SQL calls."""
    connection.create_function("path_glob", 2, path_glob, deterministic=True)
    connection.create_function("json_member", 2, json_member, deterministic=True)


def path_glob(pattern: str, value: str | bytes | None) -> bool:
    """Whether all of a path matches a glob, as in git's `:(glob)` and case-sensitively.

    `*`, `?` and `[a-z]` (`[!a-z]`) stay within one component; a component `**` stands for any
    number of them, at the end for at least one: `**/*.py` finds `a.py` and `src/b/a.py`, `src/**`
    all that is in `src`, `*.py` only what is at the top. Takes time in proportion to the product
    of the two lengths at worst.
    """
    if value is None:
        return False
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    pieces, names = _glob_pieces(pattern), text.split("/")
    at = retry = 0
    piece, stars = 0, -1
    while at < len(names):
        if piece < len(pieces) and (test := pieces[piece]) is None:
            stars, retry = piece, at
            piece += 1
        elif piece < len(pieces) and test is not None and test.match(names[at]):
            piece, at = piece + 1, at + 1
        elif stars >= 0:  # the last ** takes one component more
            retry += 1
            piece, at = stars + 1, retry
        else:
            return False
    return all(rest is None for rest in pieces[piece:])


@lru_cache(maxsize=256)
def _glob_pieces(pattern: str) -> tuple[re.Pattern[str] | None, ...]:
    """A regular expression for each component, None for `**`."""
    names = pattern.split("/")
    if names[-1] == "**":
        names.append("*")
    return tuple(None if n == "**" else re.compile(fnmatch.translate(n)) for n in names)


def json_member(document: str, path: str) -> str | None:
    """The member of a JSON document at a path (a JSON list of keys), as JSON; None if missing.

    SQLite's own paths cannot spell every key, and spell some differently from release to release.
    """
    value = json.loads(document)
    for key in json.loads(path):
        if not isinstance(value, dict) or key not in value:
            return None
        value = value[key]
    return json.dumps(value)


_PLAIN_KEY = re.compile(r"[A-Za-z0-9_ .-]+")
_SLOT = re.compile(r"\{(\w+)\}")
_SYMBOLS: dict[Operator, str] = {"==": "=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


def _fill(template: str, **parts: Sql) -> Sql:
    """The template with fragments in place of its {slots}, their parameters in the same order."""
    params: list[str | int] = []

    def fragment(slot: re.Match[str]) -> str:
        part = parts[slot[1]]
        params.extend(part.params)
        return part.text

    return Sql(_SLOT.sub(fragment, template), tuple(params))


def _bound(value: str | int) -> Sql:
    return Sql("?", (value,))


def _join(word: str, parts: Sequence[Sql]) -> Sql:
    """The parts joined as a balanced tree, because SQLite bounds the depth of an expression."""
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    left, right = _join(word, parts[:middle]), _join(word, parts[middle:])
    return _fill(f"({{left}} {word} {{right}})", left=left, right=right)


def _place(key: Key) -> Sql:
    """The two arguments, JSON and path, with which SQLite's JSON functions find the key."""
    if key.of == "passage":
        return Sql("p.structure, ?", ("$" + "".join(f".{name}" for name in key.path),))
    if key.of == "either":  # a passage's languages, else the document's language
        told = "json_type(p.structure, '$.languages') IS NULL"
        return Sql(
            f"CASE WHEN {told} THEN d.metadata ELSE p.structure END,"
            f" CASE WHEN {told} THEN '$.language' ELSE '$.languages' END"
        )
    if all(_PLAIN_KEY.fullmatch(name) for name in key.path):
        return Sql("d.metadata, ?", ("$" + "".join(f'."{name}"' for name in key.path),))
    return _fill("json_member(d.metadata, {path}), '$'", path=_bound(json.dumps(key.path)))


def _truthy(key: Key) -> Sql:
    if key.column is not None:
        return Sql(f"IFNULL(d.{key.column} <> '', 0)")
    return _fill(
        "CASE json_type({place}) WHEN 'true' THEN 1"
        " WHEN 'text' THEN json_extract({place}) <> ''"
        " WHEN 'integer' THEN json_extract({place}) <> 0"
        " WHEN 'real' THEN json_extract({place}) <> 0"
        " WHEN 'array' THEN json_array_length({place}) > 0"
        " WHEN 'object' THEN EXISTS (SELECT 1 FROM json_each({place}))"
        " ELSE 0 END",
        place=_place(key),
    )


def _any_element(node: Compare | In | Glob) -> Sql:
    """The test of the key's value or, where that is a list, of any of its elements."""
    if node.key.column is not None:
        column = Sql(f"d.{node.key.column}")
        return _fill("IFNULL({test}, 0)", test=_test(node, _fill("typeof({c})", c=column), column))
    place = _place(node.key)
    return _fill(
        "IFNULL(CASE json_type({place}) WHEN 'array' THEN"
        " EXISTS (SELECT 1 FROM json_each({place}) AS e WHERE {element})"
        " ELSE {single} END, 0)",
        place=place,
        element=_test(node, Sql("e.type"), Sql("e.atom")),
        single=_test(node, _fill("json_type({p})", p=place), _fill("json_extract({p})", p=place)),
    )


def _test(node: Compare | In | Glob, kind: Sql, value: Sql) -> Sql:
    """The node's test of one scalar; `kind` is its type in SQLite's words, NULL if missing."""
    match node:
        case Glob(_, pattern):
            # As bytes: Python refuses text from SQLite that holds half of a surrogate pair.
            return _fill(
                "({kind} = 'text' AND path_glob({pattern}, CAST({value} AS BLOB)))",
                kind=kind,
                value=value,
                pattern=_bound(pattern),
            )
        case Compare(_, operator, literal):
            values, symbol = (literal,), _SYMBOLS[operator]
            test = f"{{value}} {symbol} json_extract({{literals}}, '$[0]')"
        case In(_, values):
            test = "{value} IN (SELECT value FROM json_each({literals}))"
    texts = [v for v in values if isinstance(v, str)]
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    tests = [
        _fill(f"(IFNULL({{kind}}, 'null') = '{json.dumps(name)}')", kind=kind)
        for name in (None, True, False)
        if any(v is name for v in values)
    ]
    for kinds, literals in (("'text'", texts), ("'integer', 'real'", numbers)):
        if literals:
            # Literals go as JSON, so that SQLite reads their digits as it reads the metadata's.
            tests.append(
                _fill(
                    f"({{kind}} IN ({kinds}) AND {test})",
                    kind=kind,
                    value=value,
                    literals=_bound(json.dumps(literals)),
                )
            )
    return _join("OR", tests) if tests else Sql("0")
