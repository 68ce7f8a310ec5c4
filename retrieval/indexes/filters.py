"""The `where=` language: which documents a search may return.

    lang == "python" and year >= 2020 and (tag in ["a", "b"] or not draft == true)
    path glob "src/**/*.py"

    expression := all ("or" all)*
    all        := term ("and" term)*
    term       := "not" term | "(" expression ")" | condition
    condition  := key | key operator value | key ["not"] "in" "[" [value ("," value)*] "]"
                | key "glob" string
    operator   := "==" | "!=" | "<" | "<=" | ">" | ">="
    value      := "string" | 'string' | number | true | false | null

A key is a metadata key; dots reach into nested objects, and backquotes hold what is not a plain
word (`` `odd key`.name ``). `id` and `title` are the document's own; `` `id` `` is the metadata's.
`heading`, `symbol` and `place` (`place.page`, `place.cell`, `place.row`, `place.time`,
`place.part`) are the passage's; `language` is that of the code in a passage or, where it has none,
the document's.
In strings a backslash escapes a quote or a backslash and is itself before anything else. Keywords
may be in capitals.

Meaning:
    - Types are kept apart: "1" is not 1, and true is not 1.
    - A list satisfies a condition when any of its elements does.
    - `==` with null holds where the key is null or missing. Any other comparison with a missing
      key is false; `!=` and `not in` are the opposites of `==` and `in`, so they hold there.
    - `<` and its like order numbers with numbers, and strings with strings by code point.
    - `glob` matches all of a string, see `path_glob`.
    - A bare key holds unless its value is missing, null, false, 0, "", [] or {}.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import NoReturn, cast

from retrieval.errors import FilterError
from retrieval.indexes.filter_sql import (
    And,
    Compare,
    Glob,
    In,
    Key,
    Node,
    Not,
    Operator,
    Or,
    Truthy,
    Value,
    compile_node,
    compile_values,
    path_glob,
    register_functions,
)

__all__ = ["Filter", "ValuesOf", "parse_filter", "parse_key", "path_glob", "register_functions"]

PLACES = ("page", "cell", "row", "time", "part")
"""Fields of `retrieval.types.Place`."""

_MAX_CHARACTERS = 1 << 20
_MAX_CONDITIONS = 1000
_MAX_DEPTH = 50

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)
      | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<key>(?:[^\W\d][\w-]*|`[^`]*`)(?:\.(?:[\w-]+|`[^`]*`))*)
      | (?P<sign>==|!=|<=|>=|[<>()\[\],])
      | (?P<end>\Z)
      | (?P<wrong>.)
    )""",
    re.VERBOSE | re.DOTALL,
)
_SEGMENT = re.compile(r"`([^`]*)`|([^.`]+)")
_ESCAPE = re.compile(r"\\([\\\"'])")
_WORDS = frozenset({"and", "or", "not", "in", "glob", "true", "false", "null"})
_CONSTANTS: dict[str, Value] = {"true": True, "false": False, "null": None}
_OF_PASSAGES = {
    "heading": Key(("headings",), of="passage"),
    "symbol": Key(("symbol",), of="passage"),
    "language": Key(("language",), of="either"),
} | {f"place.{name}": Key((name,), of="passage") for name in PLACES}
_OPERATORS = frozenset({"==", "!=", "<", "<=", ">", ">="})


@dataclass(frozen=True, slots=True)
class Filter:
    """A parsed `where=` expression.

    Attributes:
        text: what it was parsed from.
        root: the parsed form.
        of_passages: whether it asks for what passages of one document have different.
    """

    text: str
    root: Node
    of_passages: bool = False

    def to_sql(self) -> tuple[str, list[str | int]]:
        """A condition for an SQLite WHERE over `documents AS d`, and its positional parameters.

        The connection needs `register_functions`; `d` has `id`, `title` and JSON `metadata`. One
        `of_passages` is also over `passages AS p`, which has JSON `structure`.
        """
        sql = compile_node(self.root)
        return sql.text, list(sql.params)


def parse_filter(text: str) -> Filter:
    """Parse a `where=` expression.

    Raises:
        FilterError: it says what was found, in which column, and what was expected there.
    """
    if not isinstance(text, str):
        raise FilterError(f"the filter {text!r} is not a text; give one such as 'year > 2020'")
    if len(text) > _MAX_CHARACTERS:
        raise FilterError(
            f"the filter has {len(text)} characters; expected at most {_MAX_CHARACTERS}"
        )
    parser = _Parser(text)
    root = parser.parse()
    return Filter(text, root, parser.of_passages)


@dataclass(frozen=True, slots=True)
class ValuesOf:
    """A parsed key, as SQL.

    Attributes:
        table: of its values, see `Store.values`.
        condition: what must hold of a row.
        parameters: for the question marks of both, in this order.
        of_passages: whether it is a key of passages.
    """

    table: str
    condition: str
    parameters: tuple[str | int, ...]
    of_passages: bool


def parse_key(text: str) -> ValuesOf:
    """Parse a key as it would stand in a `where=` expression.

    Raises:
        FilterError: it is none.
    """
    if not isinstance(text, str):
        raise FilterError(f"the key {text!r} is not a text; give one such as 'author.name'")
    parser = _Parser(text)
    table, test = compile_values(parser.parse_key())
    return ValuesOf(table.text, test.text, table.params + test.params, parser.of_passages)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # number, string, key, sign, end, or a keyword itself
    text: str
    column: int  # from 1


class _Parser:
    """Recursive descent over the tokens; one method a rule.

    Attributes:
        of_passages: whether a key of passages was met.
    """

    def __init__(self, text: str) -> None:
        self.of_passages = False
        self._text = text
        self._depth = 0
        self._conditions = 0
        self._place = 0
        self._token = self._read()

    def parse(self) -> Node:
        node = self._expression()
        if self._token.kind != "end":
            self._fail("`and`, `or` or the end")
        return node

    def parse_key(self) -> Key:
        if self._token.kind != "key":
            self._fail("a key")
        key = self._key(self._next())
        if self._token.kind != "end":
            self._fail("the end")
        return key

    def _expression(self) -> Node:
        parts = [self._all()]
        while self._take("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _all(self) -> Node:
        parts = [self._term()]
        while self._take("and"):
            parts.append(self._term())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _term(self) -> Node:
        negated = False
        while self._take("not"):
            negated = not negated
        if self._token.text == "(" and self._token.kind == "sign":
            self._depth += 1
            if self._depth > _MAX_DEPTH:
                self._fail(f"at most {_MAX_DEPTH} nested parentheses")
            self._next()
            node = self._expression()
            if not self._take(")"):
                self._fail("`and`, `or` or `)`")
            self._depth -= 1
        else:
            node = self._condition()
        return Not(node) if negated else node

    def _condition(self) -> Node:
        if self._token.kind != "key":
            self._fail("a key, `not` or `(`")
        self._conditions += 1
        if self._conditions > _MAX_CONDITIONS:
            self._fail(f"at most {_MAX_CONDITIONS} conditions; `in [...]` takes many values")
        key = self._key(self._next())
        if self._token.kind == "sign" and self._token.text in _OPERATORS:
            return self._comparison(key, self._next())
        if self._take("in"):
            return In(key, self._values())
        if self._take("glob"):
            if self._token.kind != "string":
                self._fail("a quoted pattern")
            return Glob(key, cast(str, self._value()))
        if self._take("not"):
            if not self._take("in"):
                self._fail("`in`")
            return Not(In(key, self._values()))
        if self._token.kind in ("number", "string", "key", "wrong", "true", "false", "null"):
            self._fail("an operator: ==, !=, <, <=, >, >=, in, not in, glob")
        return Truthy(key)

    def _comparison(self, key: Key, sign: _Token) -> Node:
        start = self._token
        value = self._value()
        if sign.text == "==":
            return Compare(key, "==", value)
        if sign.text == "!=":
            return Not(Compare(key, "==", value))
        if value is None or isinstance(value, bool):
            self._fail(f"a number or a string after {sign.text}", start)
        return Compare(key, cast(Operator, sign.text), value)

    def _values(self) -> tuple[Value, ...]:
        if not self._take("["):
            self._fail("`[`")
        values: list[Value] = []
        while not self._take("]"):
            values.append(self._value())
            if not self._take(",") and self._token.text != "]":
                self._fail("`,` or `]`")
        return tuple(values)

    def _value(self) -> Value:
        token = self._token
        if token.kind in _CONSTANTS:
            value = _CONSTANTS[token.kind]
        elif token.kind == "number":
            value = self._number(token)
        elif token.kind == "string":
            value = self._checked(_ESCAPE.sub(r"\1", token.text[1:-1]), token)
        elif token.kind == "key":
            self._fail("a value; strings stand in quotes")
        else:
            self._fail("a value: a quoted string, a number, true, false or null")
        self._next()
        return value

    def _number(self, token: _Token) -> int | float:
        digits = token.text.lstrip("-")
        if digits.isdigit() and len(digits) < 20:
            value = int(token.text)
            if -(2**63) <= value < 2**63:
                return value
        number = float(token.text)
        if math.isinf(number):
            self._fail("a number that fits 64-bit floating point", token)
        return number

    def _key(self, token: _Token) -> Key:
        if token.text in ("id", "title"):
            return Key((token.text,), "id" if token.text == "id" else "title")
        if token.text in _OF_PASSAGES:
            self.of_passages = True
            return _OF_PASSAGES[token.text]
        path = tuple(quoted or plain for quoted, plain in _SEGMENT.findall(token.text))
        return Key(tuple(self._checked(name, token) for name in path))

    def _checked(self, text: str, token: _Token) -> str:
        """Text that SQLite can compare in full."""
        if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
            self._fail("text without NUL characters and lone surrogates", token)
        return text

    def _take(self, text: str) -> bool:
        """Step over a keyword or sign if it is next."""
        if self._token.kind == text or (self._token.kind == "sign" and self._token.text == text):
            self._next()
            return True
        return False

    def _next(self) -> _Token:
        """Step over the next token and return it."""
        token = self._token
        self._token = self._read()
        return token

    def _read(self) -> _Token:
        match = cast(re.Match[str], _TOKEN.match(self._text, self._place))
        kind = cast(str, match.lastgroup)
        text = match[kind]
        self._place = match.end()
        column = match.start(kind) + 1
        if kind == "key" and text.lower() in _WORDS:
            kind = text.lower()
        return _Token(kind, text, column)

    def _fail(self, expected: str, token: _Token | None = None) -> NoReturn:
        found = token or self._token
        what = "the end" if found.kind == "end" else ascii(_shortened(found.text))
        hint = ""
        if found.kind == "wrong":
            hint = {
                "=": " (equality is ==)",
                '"': " (the quote is not closed)",
                "'": " (the quote is not closed)",
                "`": " (the backquote is not closed)",
            }.get(found.text, "")
        raise FilterError(f"found {what}{hint} in column {found.column}, expected {expected}")


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."
