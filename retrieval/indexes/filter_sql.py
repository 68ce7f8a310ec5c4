"""Compiling a filter to SQL.

The SQL is a condition over one row of table `documents` aliased `d`, with columns `number`, `id`,
`title` and `metadata` (a JSON object); `texts` has the text of each number. The SQL is built from
constants; whatever the user wrote, keys included, is passed as bound parameters. Every condition is
0 or 1, never NULL, so NOT is exact.

SQLite's parser has a stack of 100 entries. So NOT is pushed down to the conditions, and the most
deeply nested part is written first: `((a AND b) OR c)` takes one entry per level,
`(c OR (b AND a))` three.
"""

from __future__ import annotations

import heapq
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from retrieval.indexes.filter_nodes import (
    And,
    Compare,
    Condition,
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
    too_deep,
)


@dataclass(frozen=True, slots=True)
class Sql:
    """An SQL fragment and the values of its question marks, in order.

    Attributes:
        text: the SQL.
        params: the values.
        stacked: entries that it takes on the parser's stack, beyond those of one condition.
    """

    text: str
    params: tuple[str | int, ...] = ()
    stacked: int = 0


def condition(root: Node) -> Sql:
    """The SQL condition of a filter.

    Raises:
        FilterError: it has too many levels for its number of conditions.
    """
    made = _compiled(root, negated=False)
    if made.stacked > _MOST_STACKED:
        raise too_deep()
    return made


def _compiled(node: Node, *, negated: bool) -> Sql:
    """The SQL condition of a node, or of its opposite."""
    match node:
        case And(parts) | Or(parts):
            word = "AND" if isinstance(node, And) is not negated else "OR"
            return _join(word, [_compiled(part, negated=negated) for part in parts])
        case Not(part):
            return _compiled(part, negated=not negated)
        case Constant(value):
            return Sql("1" if value is not negated else "0")
    one = _single(node)
    return _fill("(NOT {one})", one=one) if negated else one


def _single(node: Condition) -> Sql:
    match node:
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


def compile_values(key: Key) -> tuple[str, Sql, Sql]:
    """A value, a table of a key's values (a list's one by one) and a condition on its rows.

    The table `e` has the column `type`, as SQLite's `json_each` gives it.
    """
    if key.column is not None:  # not as JSON, which ends a text at a NUL
        return _COLUMNS[key.column], Sql("(SELECT 'text' AS type)"), Sql("1")
    place = _place(key)
    return (
        "e.atom",
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
_MOST_STACKED = 44
"""Maximum `Sql.stacked`, of the 100 entries of the parser's stack: one condition takes up to 40,
and the statement around the filter takes some."""

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
    """The parts joined in pairs, always the two that take the least of the parser's stack.

    This also balances the tree, because SQLite limits the depth of an expression.
    """
    waiting = [(part.stacked, place, part) for place, part in enumerate(parts)]
    heapq.heapify(waiting)
    for place in range(len(parts), 2 * len(parts) - 1):
        (_, _, right), (_, _, left) = heapq.heappop(waiting), heapq.heappop(waiting)
        if left.stacked == right.stacked:
            left, right = right, left  # keep their order
        joined = _fill(f"({{left}} {word} {{right}})", left=left, right=right)
        stacked = max(left.stacked + 1, right.stacked + 3)
        heapq.heappush(waiting, (stacked, place, Sql(joined.text, joined.params, stacked)))
    return waiting[0][-1]


def _place(key: Key) -> Sql:
    """The two arguments, JSON and path, by which SQLite's JSON functions find the key."""
    if key.of == "passage":
        return Sql("p.structure, ?", ("$" + "".join(f".{name}" for name in key.path),))
    if key.of == "either":  # the passage's languages or, if it has none, the document's language
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
    kinds = ", ".join(["json_type(d.metadata, ?)"] * (len(paths) - 2))
    listed = Sql(f"'array' IN ({kinds})", tuple(paths[1:-1]))
    return _fill(
        "CASE WHEN {listed} THEN {found} ELSE d.metadata END,"
        " CASE WHEN {listed} THEN '$' ELSE {path} END",
        listed=listed,
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
    # SQLite's JSON ends a text at a NUL, which the id of a document may hold.
    bound = tuple(v for v in values if isinstance(v, str) and "\0" in v)
    times = [v.microseconds for v in values if isinstance(v, Time)]
    texts = [v for v in values if isinstance(v, str) and "\0" not in v]
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
            # Literals are passed as JSON so that SQLite parses numbers as it does in metadata.
            tests.append(
                _fill(
                    f"({{kind}} IN ({kinds}) AND {test})",
                    kind=kind,
                    value=compared,
                    literals=_bound(json.dumps(literals)),
                )
            )
    if bound:
        listed = Sql(",".join("?" * len(bound)), bound)
        tests.append(
            _fill(
                "({kind} = 'text' AND {value} IN ({texts}))", kind=kind, value=value, texts=listed
            )
        )
    return _either(tests) if tests else Sql("0")


def _either(tests: Sequence[Sql]) -> Sql:
    """Any of these few tests."""
    params = tuple(param for test in tests for param in test.params)
    return Sql(f"({' OR '.join(test.text for test in tests)})", params)
