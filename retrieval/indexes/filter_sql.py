"""Compiling a filter to SQL.

The SQL is a condition over one row of table `documents` aliased `d`, with columns `number`, `id`,
`title` and `metadata` (a JSON object); `texts` has the text of each number. The SQL is built from
constants; whatever the user wrote, keys included, is passed as bound parameters. Every condition is
0 or 1, never NULL, so NOT is exact.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from retrieval.indexes.filter_nodes import (
    And,
    Compare,
    Constant,
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
    Time,
    Truthy,
)


@dataclass(frozen=True, slots=True)
class Sql:
    """An SQL fragment and the values of its question marks, in order."""

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
        case Constant(value):
            return Sql("1" if value else "0")
        case Truthy(key):
            return _truthy(key)
        case Empty(key):
            return _empty(key)
        case Exists(key):
            return Sql("1") if key.column else _fill("({t} IS NOT NULL)", t=_type(key))
        case SameList(key, values):
            return _same_list(key, values)
        case Length(key, operator, number):
            return _length(key, operator, number)
        case IsKind(key, kind):
            return _is_kind(key, kind)
        case _:
            return _any_element(node)


def compile_values(key: Key) -> tuple[Sql, Sql]:
    """A table of a key's values (a list's one by one) and a condition on its rows.

    The table has `type` and `atom`, as SQLite's `json_each` gives them.
    """
    if key.column is not None:
        return Sql(f"json_each(json_array({_COLUMNS[key.column]}))"), Sql("1")
    place = _place(key)
    return (
        _fill("json_each({place})", place=place),
        _fill("(json_type({place}) <> 'object')", place=place),
    )


_COLUMNS = {
    "id": "d.id",
    "title": "d.title",
    "text": "(SELECT CASE typeof(t.text) WHEN 'blob' THEN unpacked(t.text) ELSE t.text END"
    " FROM texts AS t WHERE t.document = d.number)",
}
_KINDS: dict[Kind, str] = {
    "text": "'text'",
    "number": "'integer', 'real'",
    "boolean": "'true', 'false'",
    "list": "'array'",
    "object": "'object'",
}
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_ .-]+")
_SLOT = re.compile(r"\{(\w+)\}")
_TEXT_TESTS: dict[TextTest, str] = {
    # Python functions take bytes: Python refuses text from SQLite with half a surrogate pair.
    "glob": "path_glob({pattern}, CAST({value} AS BLOB))",
    "icontains": "icontains({pattern}, CAST({value} AS BLOB))",
    "matches": "matches({pattern}, CAST({value} AS BLOB))",
    "contains": "instr({value}, {pattern}) > 0",
    "startswith": "instr({value}, {pattern}) = 1",
}
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
    """The parts joined as a balanced tree, because SQLite limits the depth of an expression."""
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    left, right = _join(word, parts[:middle]), _join(word, parts[middle:])
    return _fill(f"({{left}} {word} {{right}})", left=left, right=right)


def _place(key: Key) -> Sql:
    """The two arguments, JSON and path, by which SQLite's JSON functions find the key."""
    if key.of == "passage":
        return Sql("p.structure, ?", ("$" + "".join(f".{name}" for name in key.path),))
    if key.of == "either":  # a passage's languages, else the document's language
        told = "json_type(p.structure, '$.languages') IS NULL"
        return Sql(
            f"CASE WHEN {told} THEN d.metadata ELSE p.structure END,"
            f" CASE WHEN {told} THEN '$.language' ELSE '$.languages' END"
        )
    found = _fill("json_member(d.metadata, {path})", path=_bound(json.dumps(key.path)))
    if not all(_PLAIN_KEY.fullmatch(name) for name in key.path):
        return _fill("{found}, '$'", found=found)
    paths = ["$"]
    for name in key.path:
        paths.append(f'{paths[-1]}."{name}"')
    if len(key.path) == 1:
        return Sql("d.metadata, ?", (paths[-1],))
    # Only where the path leads through a list does Python have to look into its objects.
    listed = [
        _fill("(IFNULL(json_type(d.metadata, {path}), '') = 'array')", path=_bound(path))
        for path in paths[1:-1]
    ]
    return _fill(
        "CASE WHEN {listed} THEN {found} ELSE d.metadata END,"
        " CASE WHEN {listed} THEN '$' ELSE {path} END",
        listed=_join("OR", listed),
        found=found,
        path=_bound(paths[-1]),
    )


def _truthy(key: Key) -> Sql:
    if key.column is not None:
        return Sql(f"IFNULL({_COLUMNS[key.column]} <> '', 0)")
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


def _type(key: Key) -> Sql:
    return _fill("json_type({place})", place=_place(key))


def _empty(key: Key) -> Sql:
    if key.column is not None:
        return Sql(f"(IFNULL({_COLUMNS[key.column]}, '') = '')")
    return _fill(
        "CASE IFNULL(json_type({place}), 'null') WHEN 'null' THEN 1"
        " WHEN 'text' THEN json_extract({place}) = ''"
        " WHEN 'array' THEN json_array_length({place}) = 0"
        " WHEN 'object' THEN NOT EXISTS (SELECT 1 FROM json_each({place}))"
        " ELSE 0 END",
        place=_place(key),
    )


def _same_list(key: Key, values: Sequence[str | int | float | bool | None]) -> Sql:
    if key.column is not None:
        return Sql("0")
    return _fill(
        "IFNULL(json_type({place}) = 'array' AND json_array_length({place}) = {count} AND"
        " (SELECT count(*) FROM json_each({place}) AS e JOIN json_each({literals}) AS l"
        " ON e.key = l.key AND e.atom IS l.atom AND (e.type = l.type OR"
        " (e.type IN ('integer', 'real') AND l.type IN ('integer', 'real')))) = {count}, 0)",
        place=_place(key),
        count=_bound(len(values)),
        literals=_bound(json.dumps(values)),
    )


def _length(key: Key, operator: Operator, number: float) -> Sql:
    literal = _fill("json_extract({number}, '$[0]')", number=_bound(json.dumps([number])))
    if key.column is not None:
        size = Sql(f"characters(CAST({_COLUMNS[key.column]} AS BLOB))")
    else:
        size = _fill(
            "(CASE json_type({place}) WHEN 'array' THEN json_array_length({place})"
            " WHEN 'text' THEN characters(CAST(json_extract({place}) AS BLOB))"
            " WHEN 'object' THEN (SELECT count(*) FROM json_each({place})) END)",
            place=_place(key),
        )
    return _fill(
        f"IFNULL({{size}} {_SYMBOLS[operator]} {{literal}}, 0)", size=size, literal=literal
    )


def _is_kind(key: Key, kind: Kind) -> Sql:
    if key.column is not None:
        return Sql("1" if kind == "text" else "0")
    return _fill(f"(IFNULL(json_type({{place}}), '') IN ({_KINDS[kind]}))", place=_place(key))


def _any_element(node: Compare | In | Text) -> Sql:
    """The test applied to the key's value or, if that is a list, to any of its elements."""
    if node.key.column is not None:
        column = Sql(_COLUMNS[node.key.column])
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


def _test(node: Compare | In | Text, kind: Sql, value: Sql) -> Sql:
    """The node's test of one scalar; `kind` is its SQLite JSON type, NULL if missing."""
    match node:
        case Text(_, how, pattern):
            return _fill(
                f"({{kind}} = 'text' AND {_TEXT_TESTS[how]})",
                kind=kind,
                value=value,
                pattern=_bound(pattern),
            )
        case Compare(_, operator, literal):
            values, symbol = (literal,), _SYMBOLS[operator]
            test = f"{{value}} {symbol} json_extract({{literals}}, '$[0]')"
        case In(_, values):
            test = "{value} IN (SELECT value FROM json_each({literals}))"
    times = [v.microseconds for v in values if isinstance(v, Time)]
    texts = [v for v in values if isinstance(v, str)]
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    tests = [
        _fill(f"(IFNULL({{kind}}, 'null') = '{json.dumps(name)}')", kind=kind)
        for name in (None, True, False)
        if any(v is name for v in values)
    ]
    moment = _fill("instant(CAST({value} AS BLOB))", value=value)
    for kinds, literals, compared in (
        ("'text'", texts, value),
        ("'integer', 'real'", numbers, value),
        ("'text'", times, moment),
    ):
        if literals:
            # Literals are passed as JSON, so that SQLite parses numbers as it does the metadata's.
            tests.append(
                _fill(
                    f"({{kind}} IN ({kinds}) AND {test})",
                    kind=kind,
                    value=compared,
                    literals=_bound(json.dumps(literals)),
                )
            )
    return _join("OR", tests) if tests else Sql("0")
