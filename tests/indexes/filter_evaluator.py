"""The where= language in plain Python: random expressions, and what each says of a document."""

from __future__ import annotations

import json
import operator
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from retrieval.files.packed import packed
from retrieval.indexes.filters import (
    Filter,
    Where,
    path_glob,
    register_functions,
)

MISSING = object()

# --- an evaluator: an expression is its text and what it says of a document ---------------------

Document = dict[str, Any]
Expression = tuple[str, Callable[[Document], bool]]


COLUMNS = ("id", "title", "text")


def look_up(document: Document, path: tuple[str, ...]) -> Any:
    return follow(document["metadata"], path)


def follow(value: Any, path: tuple[str, ...]) -> Any:
    if not path:
        return value
    if isinstance(value, dict):
        return follow(value[path[0]], path[1:]) if path[0] in value else MISSING
    if isinstance(value, list):
        found = [follow(one, path) for one in value if isinstance(one, dict)]
        there = [one for one in found if one is not MISSING]
        flat = [x for one in there for x in (one if isinstance(one, list) else [one])]
        return flat or MISSING
    return MISSING


def is_kind(value: Any, name: str) -> bool:
    kinds = {"text": str, "list": list, "object": dict, "boolean": bool}
    if name == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, kinds[name])


def same_list(value: Any, many: list[Any]) -> bool:
    if not isinstance(value, list) or len(value) != len(many):
        return False
    return all(map(equal, value, many))


def kind(value: Any) -> type:
    return float if type(value) is int else type(value)


def equal(value: Any, literal: Any) -> bool:
    if value is MISSING:
        return literal is None
    return kind(value) is kind(literal) and bool(value == literal)


def any_element(test: Callable[[Any], bool], value: Any) -> bool:
    return any(map(test, value)) if isinstance(value, list) else test(value)


def quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def literal_text(value: Any) -> str:
    return quote(value) if isinstance(value, str) else json.dumps(value)


def key_text(path: tuple[str, ...]) -> str:
    plain = [name in ("a", "b", "tags") or (name == "id" and len(path) > 1) for name in path]
    return ".".join(n if p else f"`{n}`" for n, p in zip(path, plain, strict=True))


# --- random documents and expressions ------------------------------------------------------------

SQLITE_TEXT = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
names = st.sampled_from(["a", "b", "tags", "id", "title", "odd key", "é", 'q"u', "b\\s", "", "$.x"])
names |= st.text(SQLITE_TEXT, max_size=3).filter(lambda name: "`" not in name)
strings = st.sampled_from(["", "a", "b", "B", "src/a.py", "é", "1", "true", "'", '"', "\\", "%"])
strings |= st.text(SQLITE_TEXT, max_size=4)
integers = st.integers(-3, 3) | st.sampled_from([2**53, 2**53 + 1, 2**63 - 1, -(2**63)])
floats = st.sampled_from([0.0, 1.0, 0.1, 0.30000000000000004, -2.5, 1e300, 5e-324, 2.0**53])
floats |= st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | integers | floats | strings
values = st.recursive(
    st.deferred(lambda: scalars),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=4,
)
any_string = st.deferred(lambda: strings)
documents = st.fixed_dictionaries(
    {
        "id": st.deferred(lambda: strings),
        "title": st.deferred(lambda: strings),
        "text": st.deferred(lambda: strings),
        "metadata": st.dictionaries(names, values, max_size=4),
    }
)


letters = st.text("aBbÀàßs", max_size=2)
times = st.sampled_from(
    [
        "2024-03-01",
        "2024-03-01T00:00",
        "2024-03-01T02:00+02:00",
        "2024-03-01T00:00:00.000001Z",
        "2024-02-29T23:30:00-00:30",
        "1969-12-31 23:59:59",
    ]
)
strings |= letters | times | st.sampled_from(["2024-02-30", "2024-3-1", "20240301", "2024-03-01 "])
scalars |= strings
WHAT = ["bare", "==", "!=", "in", "not in", "glob", "<", "<=", ">", ">="]
WHAT += ["true", "false", "is empty", "is not empty", "time", "list", "length", "is"]
KINDS = ["text", "number", "boolean", "list", "object"]
ORDER = {
    "==": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
TEXT_TESTS: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda value, part: part in value,
    "icontains": lambda value, part: part.casefold() in value.casefold(),
    "startswith": str.startswith,
}


def is_one_of(value: Any, known: tuple[Any, ...]) -> bool:
    return any(type(value) is type(one) and value == one for one in known)


def is_time(value: Any) -> bool:
    try:
        return isinstance(value, str) and len(value) > 8 and bool(as_time(value))
    except ValueError:
        return False


def as_time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


@st.composite
def conditions(draw: st.DrawFn) -> Expression:
    column = draw(st.sampled_from([None, None, None, None, *COLUMNS]))
    path = tuple(draw(st.lists(names, min_size=1, max_size=3)))
    text = column or key_text(path)

    def value_of(document: Document) -> Any:
        return document[column] if column else look_up(document, path)

    what = draw(st.sampled_from([*WHAT, *TEXT_TESTS]))
    if what in ("true", "false"):
        return what, lambda d: what == "true"
    if what in ("is empty", "is not empty"):
        sense = what == "is empty"
        return (
            f"{text} {what}",
            lambda d: is_one_of(value_of(d), (MISSING, None, "", [], {})) is sense,
        )
    if what == "list":
        elements, sign = draw(st.lists(scalars, max_size=2)), draw(st.sampled_from(["==", "!="]))
        return (
            f"{text} {sign} [{', '.join(map(literal_text, elements))}]",
            lambda d: same_list(value_of(d), elements) is (sign == "=="),
        )
    if what == "length":
        sign, size = draw(st.sampled_from(sorted(ORDER))), draw(st.integers(0, 3))
        return (
            f"length({text}) {sign} {size}",
            lambda d: (
                isinstance(value_of(d), str | list | dict) and ORDER[sign](len(value_of(d)), size)
            ),
        )
    if what == "is":
        name, sense = draw(st.sampled_from(KINDS)), draw(st.booleans())
        return (
            f"{text} is {'' if sense else 'not '}{name}",
            lambda d: is_kind(value_of(d), name) is sense,
        )
    if what in TEXT_TESTS:
        part, sense = draw(strings | letters), draw(st.booleans())
        holds = TEXT_TESTS[what]
        return (
            f"{text} {'' if sense else 'not '}{what} {quote(part)}",
            lambda d: (
                any_element(lambda v: isinstance(v, str) and holds(v, part), value_of(d)) is sense
            ),
        )
    if what == "time":
        sign, moment = draw(st.sampled_from(sorted(ORDER))), draw(times)
        return f'{text} {sign} time("{moment}")', lambda d: any_element(
            lambda v: is_time(v) and ORDER[sign](as_time(v), as_time(moment)), value_of(d)
        )
    if what == "bare":
        return text, lambda d: value_of(d) is not MISSING and bool(value_of(d))
    if what in ("==", "!="):
        one = draw(scalars)
        sense = what == "=="
        return (
            f"{text} {what} {literal_text(one)}",
            lambda d: any_element(lambda v: equal(v, one), value_of(d)) is sense,
        )
    if what in ("in", "not in"):
        many = draw(st.lists(scalars, max_size=4))
        sense = what == "in"
        return (
            f"{text} {what} [{', '.join(map(literal_text, many))}]",
            lambda d: (
                any_element(lambda v: any(equal(v, one) for one in many), value_of(d)) is sense
            ),
        )
    if what == "glob":
        pattern = draw(st.sampled_from(["*", "**", "a", "src/*.py", "**/*.py", "[ab]", "?"]))
        return f"{text} glob {quote(pattern)}", lambda d: any_element(
            lambda v: isinstance(v, str) and path_glob(pattern, v), value_of(d)
        )
    bound = draw(integers | floats | strings)
    compare = ORDER[what]
    return f"{text} {what} {literal_text(bound)}", lambda d: any_element(
        lambda v: kind(v) is kind(bound) and bool(compare(v, bound)), value_of(d)
    )


def combined(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    several = st.lists(inner, min_size=2, max_size=4)
    return (
        inner.map(lambda e: (f"not ({e[0]})", lambda d: not e[1](d)))
        | several.map(
            lambda es: (" and ".join(f"({t})" for t, _ in es), lambda d: all(f(d) for _, f in es))
        )
        | several.map(
            lambda es: (" or ".join(f"({t})" for t, _ in es), lambda d: any(f(d) for _, f in es))
        )
    )


def database(documents: list[Document], *, ascii_only: bool = True) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    register_functions(connection)
    connection.executescript(
        "CREATE TABLE documents (number INTEGER, id TEXT, title TEXT, metadata TEXT);"
        "CREATE TABLE texts (document INTEGER, text TEXT)"
    )
    connection.executemany(
        "INSERT INTO documents VALUES (?, ?, ?, ?)",
        [
            (n, d["id"], d["title"], json.dumps(d["metadata"], ensure_ascii=ascii_only))
            for n, d in enumerate(documents)
        ],
    )
    texts = [(n, packed(d.get("text", ""))) for n, d in enumerate(documents)]
    connection.executemany("INSERT INTO texts VALUES (?, ?)", texts)
    return connection


def select(connection: sqlite3.Connection, where: Where, **params: Any) -> list[int]:
    sql, bound = Filter.parse(where, params or None).to_sql()
    rows = connection.execute(
        "SELECT number FROM documents AS d, (SELECT '{}' AS structure) AS p"
        f" WHERE {sql} ORDER BY number",
        bound,
    )
    return [n for (n,) in rows]
