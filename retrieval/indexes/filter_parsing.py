"""Recursive descent from a `where=` expression to its parsed form; `filters` has the grammar."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from retrieval.errors import FilterError
from retrieval.indexes.filter_functions import compiled, instant
from retrieval.indexes.filter_nodes import (
    KINDS,
    MAX_CONDITIONS,
    MAX_DEPTH,
    TEXT_TESTS,
    And,
    Compare,
    Constant,
    Empty,
    In,
    IsKind,
    Key,
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
    Value,
    is_comparable,
    joined,
    named_key,
)
from retrieval.indexes.filter_values import as_list, as_value, as_values, is_list

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)
      | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<key>(?:[^\W\d][\w-]*|`[^`]*`)(?:\.(?:[\w-]+|`[^`]*`))*)
      | (?P<parameter>:[^\W\d]\w*)
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
_OPERATORS = frozenset({"==", "!=", "<", "<=", ">", ">="})


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a filter; `column` counts from 1."""

    kind: str  # number, string, key, parameter, sign, end, or a keyword itself
    text: str
    column: int


class Parser:
    """Recursive descent over the tokens; one method per rule."""

    def __init__(self, text: str, params: Mapping[str, Any]) -> None:
        self._text = text
        self._params = params
        self._depth = 0
        self._conditions = 0
        self._place = 0
        self._token = self._read()

    def parse(self) -> Node:
        """Parse the whole text as a filter."""
        node = self._expression()
        if self._token.kind != "end":
            self._fail("`and`, `or` or the end")
        return node

    def parse_key(self) -> Key:
        """Parse the whole text as a key."""
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
        return joined(Or, parts)

    def _all(self) -> Node:
        parts = [self._term()]
        while self._take("and"):
            parts.append(self._term())
        return joined(And, parts)

    def _term(self) -> Node:
        negated = False
        while self._take("not"):
            negated = not negated
        if self._token.text == "(" and self._token.kind == "sign":
            self._depth += 1
            if self._depth > MAX_DEPTH:
                self._fail(f"at most {MAX_DEPTH} nested parentheses")
            self._next()
            node = self._expression()
            if not self._take(")"):
                self._fail("`and`, `or` or `)`")
            self._depth -= 1
        else:
            node = self._condition()
        return Not(node) if negated else node

    def _condition(self) -> Node:
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            self._fail(f"at most {MAX_CONDITIONS} conditions; `in [...]` takes many values")
        if self._token.kind in ("true", "false"):
            return Constant(self._next().kind == "true")
        if self._token.kind != "key":
            self._fail("a key, `not` or `(`")
        word = self._next()
        if word.text.lower() == "length" and self._take("("):
            return self._length()
        key = self._key(word)
        if self._token.kind == "sign" and self._token.text in _OPERATORS:
            return self._comparison(key, self._next())
        if self._take_word("is"):
            negated = self._take("not")
            kind = self._kind_of(key)
            return Not(kind) if negated else kind
        if self._take("not"):
            node = self._test_of(key)
            if node is None:
                self._fail(f"`in`, {', '.join(TEXT_TESTS[:-1])} or {TEXT_TESTS[-1]}")
            return Not(node)
        node = self._test_of(key)
        if node is not None:
            return node
        if self._token.kind in (*_CONSTANTS, "number", "string", "key", "parameter", "wrong"):
            self._fail(
                "an operator: ==, !=, <, <=, >, >=, in, not in, is, " + ", ".join(TEXT_TESTS)
            )
        return Truthy(key)

    def _length(self) -> Node:
        """Parse what follows `length(`."""
        if self._token.kind != "key":
            self._fail("a key")
        key = self._key(self._next())
        if not self._take(")"):
            self._fail("`)`")
        if not (self._token.kind == "sign" and self._token.text in _OPERATORS):
            self._fail("an operator: ==, !=, <, <=, >, >=")
        sign, start = self._next(), self._token
        number = self._value()
        if not isinstance(number, int | float) or isinstance(number, bool):
            self._fail("a number", start)
        if sign.text == "!=":
            return Not(Length(key, "==", number))
        return Length(key, cast(Operator, sign.text), number)

    def _kind_of(self, key: Key) -> Node:
        """Parse what follows `is` or `is not`."""
        if self._take_word("empty"):
            return Empty(key)
        for kind in KINDS:
            if self._take_word(kind):
                return IsKind(key, kind)
        self._fail(f"`empty`, {', '.join(KINDS[:-1])} or {KINDS[-1]}")

    def _test_of(self, key: Key) -> Node | None:
        """Parse an operator after a key that may be negated with `not`, if one is next."""
        if self._take("in"):
            return In(key, self._values())
        for test in TEXT_TESTS:
            if self._take(test) or self._take_word(test):
                return Text(key, test, self._pattern(test))
        return None

    def _pattern(self, test: TextTest) -> str:
        token = self._token
        pattern = self._value() if token.kind in ("string", "parameter") else None
        if not isinstance(pattern, str):
            self._fail("a quoted pattern" if test in ("glob", "matches") else "a text", token)
        if test == "matches":
            try:
                compiled(pattern)
            except ValueError as error:
                self._fail(f"a regular expression ({error})", token)
        return pattern

    def _comparison(self, key: Key, sign: Token) -> Node:
        start = self._token
        if sign.text in ("==", "!=") and self._takes_list():
            same = SameList(key, as_list(self._values(), "the list"))
            return same if sign.text == "==" else Not(same)
        value = self._value()
        if sign.text == "==":
            return Compare(key, "==", value)
        if sign.text == "!=":
            return Not(Compare(key, "==", value))
        if value is None or isinstance(value, bool):
            self._fail(f"a number or a string after {sign.text}", start)
        return Compare(key, cast(Operator, sign.text), value)

    def _takes_list(self) -> bool:
        """Whether a list, or a parameter that is a list, is next."""
        if self._token.kind == "parameter":
            return is_list(self._param(self._token))
        return self._token.kind == "sign" and self._token.text == "["

    def _values(self) -> tuple[Value, ...]:
        if self._token.kind == "parameter":
            token = self._next()
            return as_values(self._param(token), f"the parameter {token.text}")
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
        elif token.kind == "parameter":
            value = as_value(self._param(token), f"the parameter {token.text}")
        elif token.kind == "key" and token.text.lower() == "time":
            return self._time()
        elif token.kind == "key":
            self._fail("a value; strings stand in quotes")
        else:
            self._fail("a value: a quoted string, a number, true, false or null")
        self._next()
        return value

    def _time(self) -> Time:
        self._next()
        if not self._take("("):
            self._fail('`(`, as in time("2024-03-01T12:00+02:00")')
        token = self._token
        text = self._value() if token.kind in ("string", "parameter") else None
        if isinstance(text, str):
            moment = instant(text)
            value = None if moment is None else Time(moment)
        else:
            value = text if isinstance(text, Time) else None  # a parameter that is a time
        if value is None:
            self._fail('a date or a time such as "2024-03-01T12:00+02:00"', token)
        if not self._take(")"):
            self._fail("`)`")
        return value

    def _param(self, token: Token) -> Any:
        name = token.text[1:]
        if name not in self._params:
            self._fail(
                f"a name that `params` has: {', '.join(self._params) or 'it has none'}", token
            )
        return self._params[name]

    def _number(self, token: Token) -> int | float:
        digits = token.text.lstrip("-")
        if digits.isdigit() and len(digits) < 20:
            value = int(token.text)
            if -(2**63) <= value < 2**63:
                return value
        number = float(token.text)
        if math.isinf(number):
            self._fail("a number that fits 64-bit floating point", token)
        return number

    def _key(self, token: Token) -> Key:
        named = named_key(token.text)
        if named is not None:
            return named
        path = tuple(quoted or plain for quoted, plain in _SEGMENT.findall(token.text))
        return Key(tuple(self._checked(name, token) for name in path))

    def _checked(self, text: str, token: Token) -> str:
        """The text, if SQLite can compare it in full; else fail."""
        if not is_comparable(text):
            self._fail("text without NUL characters and lone surrogates", token)
        return text

    def _take(self, text: str) -> bool:
        """Step over a keyword or sign if it is next."""
        if self._token.kind == text or (self._token.kind == "sign" and self._token.text == text):
            self._next()
            return True
        return False

    def _take_word(self, word: str) -> bool:
        """Step over a word that is a keyword only here, and a key elsewhere, if it is next."""
        if self._token.kind == "key" and self._token.text.lower() == word:
            self._next()
            return True
        return False

    def _next(self) -> Token:
        """Step over the next token and return it."""
        token = self._token
        self._token = self._read()
        return token

    def _read(self) -> Token:
        match = cast(re.Match[str], _TOKEN.match(self._text, self._place))
        kind = cast(str, match.lastgroup)
        text = match[kind]
        self._place = match.end()
        column = match.start(kind) + 1
        if kind == "key" and text.lower() in _WORDS:
            kind = text.lower()
        return Token(kind, text, column)

    def _fail(self, expected: str, token: Token | None = None) -> NoReturn:
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
