"""The where= language against an evaluator of its own in plain Python."""

from __future__ import annotations

import json
import operator
import re
import sqlite3
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from retrieval.errors import FilterError
from retrieval.indexes.filters import (
    Filter,
    Where,
    as_filter,
    parse_filter,
    path_glob,
    register_functions,
)

MISSING = object()

# --- an evaluator: an expression is its text and what it says of a document ---------------------

Document = dict[str, Any]
Expression = tuple[str, Callable[[Document], bool]]


def look_up(document: Document, path: tuple[str, ...]) -> Any:
    value: Any = document["metadata"]
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return MISSING
        value = value[key]
    return value


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
WHAT += ["true", "false", "is empty", "is not empty", "time"]
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
    column = draw(st.sampled_from([None, None, None, "id", "title"]))
    path = tuple(draw(st.lists(names, min_size=1, max_size=2)))
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
    connection.execute("CREATE TABLE documents (n INTEGER, id TEXT, title TEXT, metadata TEXT)")
    connection.executemany(
        "INSERT INTO documents VALUES (?, ?, ?, ?)",
        [
            (n, d["id"], d["title"], json.dumps(d["metadata"], ensure_ascii=ascii_only))
            for n, d in enumerate(documents)
        ],
    )
    return connection


def select(connection: sqlite3.Connection, where: Where, **params: Any) -> list[int]:
    sql, bound = Filter.parse(where, params or None).to_sql()
    rows = connection.execute(f"SELECT n FROM documents AS d WHERE {sql} ORDER BY n", bound)
    return [n for (n,) in rows]


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(
    st.lists(documents, min_size=1, max_size=4),
    st.recursive(conditions(), combined, max_leaves=6),
    st.booleans(),
)
def test_sql_means_what_the_evaluator_means(
    docs: list[Document], expression: Expression, ascii_only: bool
) -> None:
    text, holds = expression
    found = select(database(docs, ascii_only=ascii_only), text)
    assert found == [n for n, d in enumerate(docs) if holds(d)]


# --- the same as a dict --------------------------------------------------------------------------

DICT_TEXTS = {"$contains": "contains", "$icontains": "icontains", "$startswith": "startswith"}
DICT_ORDER = {"$gt": operator.gt, "$gte": operator.ge, "$lt": operator.lt, "$lte": operator.le}
dotless = names.filter(lambda name: "." not in name and not name.startswith("$"))

DictExpression = tuple[dict[str, Any], Callable[[Document], bool]]


@st.composite
def dict_conditions(draw: st.DrawFn) -> DictExpression:
    path = tuple(draw(st.lists(dotless, min_size=1, max_size=2)))
    key = ".".join(path)
    if key.startswith("$"):  # an empty name before one that does
        return {"id": {"$exists": True}}, lambda d: True

    def value_of(document: Document) -> Any:
        return document[key] if key in ("id", "title") else look_up(document, path)

    what = draw(
        st.sampled_from(
            ["plain", "$eq", "$ne", "$in", "$nin", "$exists", "$empty", *DICT_TEXTS, *DICT_ORDER]
        )
    )
    if what in ("plain", "$eq", "$ne"):
        one = draw(scalars)
        return {
            key: one if what == "plain" else {what: one}
        }, lambda d: any_element(lambda v: equal(v, one), value_of(d)) is (what != "$ne")
    if what in ("$in", "$nin"):
        many = draw(st.lists(scalars, max_size=4))
        return (
            {key: {what: many}},
            lambda d: (
                any_element(lambda v: any(equal(v, one) for one in many), value_of(d))
                is (what == "$in")
            ),
        )
    if what in ("$exists", "$empty"):
        sense = draw(st.booleans())
        if what == "$exists":
            return {key: {what: sense}}, lambda d: (value_of(d) is not MISSING) is sense
        return {
            key: {what: sense}
        }, lambda d: is_one_of(value_of(d), (MISSING, None, "", [], {})) is sense
    if what in DICT_TEXTS:
        part, holds = draw(strings), TEXT_TESTS[DICT_TEXTS[what]]
        condition: dict[str, Any] = {what: part}
        test = lambda v: isinstance(v, str) and holds(v, part)  # noqa: E731
    else:
        bound, compare = draw(integers | floats | strings), DICT_ORDER[what]
        condition = {what: bound}
        test = lambda v: kind(v) is kind(bound) and bool(compare(v, bound))  # noqa: E731
    if draw(st.booleans()):
        return {key: {"$not": condition}}, lambda d: not any_element(test, value_of(d))
    return {key: condition}, lambda d: any_element(test, value_of(d))


def dicts_combined(inner: st.SearchStrategy[DictExpression]) -> st.SearchStrategy[DictExpression]:
    several = st.lists(inner, min_size=1, max_size=4)
    return (
        inner.map(lambda e: ({"$not": e[0]}, lambda d: not e[1](d)))
        | several.map(lambda es: ({"$and": [w for w, _ in es]}, lambda d: all(f(d) for _, f in es)))
        | several.map(lambda es: ({"$or": [w for w, _ in es]}, lambda d: any(f(d) for _, f in es)))
        | several.map(
            lambda es: ({"$nor": [w for w, _ in es]}, lambda d: not any(f(d) for _, f in es))
        )
    )


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    st.lists(documents, min_size=1, max_size=4),
    st.recursive(dict_conditions(), dicts_combined, max_leaves=6),
)
def test_a_dict_means_what_the_evaluator_means(
    docs: list[Document], expression: DictExpression
) -> None:
    where, holds = expression
    assert select(database(docs), where) == [n for n, d in enumerate(docs) if holds(d)]


# --- by example ----------------------------------------------------------------------------------

DOCS = [
    {"path": "src/a.py", "lang": "python", "year": 2020, "tags": ["a", "x"], "draft": True},
    {"path": "src/b/c.py", "lang": "python", "year": 2018.5, "tags": [], "draft": False},
    {"path": "docs/a.md", "lang": "markdown", "tags": ["b"], "author": {"name": "Ann", "age": 7}},
    {"path": "a.py", "year": "2020", "tags": "a", "content-type": "x", "draft": None},
    {},
]


@pytest.fixture(scope="module")
def db() -> sqlite3.Connection:
    return database(
        [{"id": f"doc{n}", "title": "T" if n else "", "metadata": m} for n, m in enumerate(DOCS)]
    )


@pytest.mark.parametrize("value", [10**18 + 1, -(10**18) - 1, 2**63 - 1, -(2**63)])
def test_whole_numbers_are_compared_as_such(value: int) -> None:
    """A neighbour is the same number in floating point."""
    near = value - 1 if value > 0 else value + 1
    documents = [{"id": str(n), "title": "", "metadata": {"n": n}} for n in (value, near)]
    assert float(value) == float(near)
    assert select(database(documents), f"n == {value}") == [0]
    assert select(database(documents), f"n == {near}") == [1]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ('lang == "python"', [0, 1]),
        ("lang == 'python'", [0, 1]),
        ('lang != "python"', [2, 3, 4]),
        ("year >= 2018.5", [0, 1]),
        ("year > 2018.5 and year < 1e4", [0]),
        ('year == "2020"', [3]),
        ("year == 2020.0", [0]),
        ("year == null", [2, 4]),
        ("year != null", [0, 1, 3]),
        ('tags == "a"', [0, 3]),
        ('tags in ["a", "b",]', [0, 2, 3]),
        ('tags not in ["a", "b"]', [1, 4]),
        ("tags in []", []),
        ("draft", [0]),
        ("not draft", [1, 2, 3, 4]),
        ("draft == null", [2, 3, 4]),
        ("tags", [0, 2, 3]),
        ("author", [2]),
        ('author.name == "Ann"', [2]),
        ("author.age < 8 or author.age > 8", [2]),
        ('author == "Ann"', []),
        ('content-type == "x"', [3]),
        ('path glob "*.py"', [3]),
        ('path glob "src/*.py"', [0]),
        ('path glob "**/*.py"', [0, 1, 3]),
        ('path glob "src/**"', [0, 1]),
        ('id == "doc4" or title == ""', [0, 4]),
        ('id glob "doc[12]"', [1, 2]),
        ("`id` == null", [0, 1, 2, 3, 4]),
        ("title", [1, 2, 3, 4]),
        ("id == 1", []),
        ("id < 'doc2'", [0, 1]),
        ("not not draft", [0]),
        ("NOT draft AND Lang == null", [1, 2, 3, 4]),
        ('lang=="python"and(draft or year<2019)', [0, 1]),
        ('draft or lang == "python" and year < 2019', [0, 1]),
        ('(draft or lang == "python") and year < 2019', [1]),
        ("not draft == true and year == 2020", []),
        ("'a' == tags", None),
        ("true", [0, 1, 2, 3, 4]),
        ("false or draft", [0]),
        ("draft is empty", [2, 3, 4]),
        ("tags is not empty", [0, 2, 3]),
        ('path contains "a."', [0, 2, 3]),
        ('path not contains "a."', [1, 4]),
        ('author.name icontains "ANN"', [2]),
        ('path startswith "src/" and not path startswith "src/b"', [0]),
        (r'path matches "^(src|docs)/\\w+[.](py|md)$"', [0, 2]),
        ('path matches "a"', [0, 2, 3]),
        ('tags contains "x"', [0]),
        ("contains is empty and matches == null and is == null", [0, 1, 2, 3, 4]),
        ({"lang": "python", "year": {"$gte": 2019, "$lt": 2021}}, [0]),
        ({"$or": [{"tags": {"$in": ["b"]}}, {"author.age": 7}, {"year": "2020"}]}, [2, 3]),
        ({"tags": {"$ne": "a"}}, [1, 2, 4]),
        ({"lang": {"$exists": False}}, [3, 4]),
        ({"draft": {"$exists": True}}, [0, 1, 3]),
        ({"draft": None}, [2, 3, 4]),
        ({"path": {"$glob": "**/*.py"}, "id": {"$not": {"$regex": "[03]$"}}}, [1]),
        ({"`content-type`": "x"}, [3]),
        ({"content-type": "x"}, [3]),
        ({}, [0, 1, 2, 3, 4]),
        ("  ", [0, 1, 2, 3, 4]),
    ],
)
def test_examples(db: sqlite3.Connection, where: Any, expected: list[int] | None) -> None:
    if expected is None:
        with pytest.raises(FilterError):
            parse_filter(where)
    else:
        assert select(db, where) == expected


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("", "found the end in column 1, expected a key"),
        ("  ", "found the end in column 3"),
        ("lang = 'x'", r"found '=' \(equality is ==\) in column 6"),
        ("lang ==", "found the end in column 8, expected a value"),
        ("lang == python", "found 'python' in column 9, expected a value; strings stand in quotes"),
        ('lang == "python', r"found '\"' \(the quote is not closed\) in column 9"),
        ("`lang == 1", r"the backquote is not closed\) in column 1"),
        ("lang == 'a' lang", "found 'lang' in column 13, expected `and`, `or` or the end"),
        ("lang 'a'", "found \"'a'\" in column 6, expected an operator"),
        ("(a and b", "found the end in column 9, expected `and`, `or` or `\\)`"),
        ("a and", "found the end in column 6, expected a key"),
        ("a and )", r"found '\)' in column 7"),
        ("a in 3", r"found '3' in column 6, expected `\[`"),
        ("a in [1 2]", r"found '2' in column 9, expected `,` or `\]`"),
        ("a in [1,", "found the end in column 9"),
        ("a in [,]", "found ',' in column 7"),
        ("a not 3", "found '3' in column 7, expected `in`, glob, contains, "),
        ("a glob 3", "found '3' in column 8, expected a quoted pattern"),
        ("a contains 3", "found '3' in column 12, expected a text"),
        ("a not startswith", "found the end in column 17, expected a text"),
        ("a matches '(b'", r"expected a regular expression \(missing \): \(b\)"),
        ("a matches '(?=b)'", "expected a regular expression"),
        ("a is", "expected `empty` or `not empty`"),
        ("a is not null", "found 'null' in column 10, expected `empty`"),
        ("a > time('yesterday')", "found \"'yesterday'\" in column 10, expected a date or a time"),
        ("a > time '2024'", "found \"'2024'\" in column 10, expected `\\(`"),
        ("a > time('2024-01-01'", "found the end in column 22, expected `\\)`"),
        ("a == :y", "found ':y' in column 6, expected a name that `params` has: it has none"),
        ("a == : y", "found ':' in column 6"),
        ("a < true", "found 'true' in column 5, expected a number or a string"),
        ("a >= null", "found 'null' in column 6"),
        ("a == 1e999", "found '1e999' in column 6, expected a number that fits"),
        ("a == 'x\0'", "without NUL"),
        ("a == '\ud800'", "lone surrogates"),
        ("`\ud800` == 1", "lone surrogates"),
        ("a; DROP TABLE documents", "found ';' in column 2"),
        ("a == 1 -- x", "found '-' in column 8"),
        ("and", "found 'and' in column 1"),
        ("5 == a", "found '5' in column 1, expected a key"),
        ("a ==\n 'é' ü 'x'", "found '\\\\xfc' in column 11"),
    ],
)
def test_errors_say_what_and_where(where: str, message: str) -> None:
    with pytest.raises(FilterError, match=message) as caught:
        parse_filter(where)
    assert "\n" not in str(caught.value)


@settings(deadline=None)
@given(st.text(st.sampled_from("ab.`'\"\\()[],=!<>-109e \n\0é") | st.characters(), max_size=30))
@example("heading")
@example("place.page > 3 or text contains 'a'")
def test_any_text_parses_or_is_a_filter_error(text: str) -> None:
    try:
        where = parse_filter(text)
    except FilterError as error:
        assert "\n" not in str(error) and str(error).isascii()
    else:
        sql, params = where.to_sql()
        database([{"id": "a", "title": "", "metadata": {}}]).execute(
            f"SELECT 1 FROM documents AS d, (SELECT '{{}}' AS structure) AS p WHERE {sql}", params
        ).fetchall()


WORDS_OF_SQL = re.compile(
    r"[ (),$.<>=?'*]|CASE|WHEN|THEN|ELSE|END|NOT|AND|OR|IN|IFNULL|EXISTS|SELECT|FROM|WHERE|AS|BLOB"
    r"|CAST|path_glob|json_(?:type|extract|each|member|array_length)|typeof|true|false|null|text"
    r"|array|object|integer|real|value|atom|type|[de]|id|title|instr|instant|icontains|matches|metadata|[01]|\[0\]"
)


@given(strings, names, st.integers())
def test_what_the_user_writes_never_enters_the_sql(value: str, name: str, number: int) -> None:
    where = f"`{name}`.`{name}` in [{quote(value)}, {number}] or `{name}` > {quote(value)}"
    where += "".join(f" or `{name}` {test} {quote(value)}" for test in ("glob", *TEXT_TESTS))
    where += f" or `{name}` is empty or `{name}` < time('2024-01-01')"
    sql, params = parse_filter(where).to_sql()
    assert WORDS_OF_SQL.sub("", sql) == ""
    assert sql.count("?") == len(params)


def test_sizes_are_bounded() -> None:
    for text in ("(" * 10_000, "(" * 10_000 + "a" + ")" * 10_000, "not (" * 10_000):
        with pytest.raises(FilterError, match="at most 50 nested"):
            parse_filter(text)
    with pytest.raises(FilterError, match="at most 1000 conditions"):
        parse_filter(" or ".join(["a"] * 1001))
    with pytest.raises(FilterError, match="characters"):
        parse_filter("a == '" + "x" * 2_000_000 + "'")


def test_the_largest_filters_run(db: sqlite3.Connection) -> None:
    assert select(db, "(" * 50 + "draft" + ")" * 50) == [0]
    assert select(db, "not " * 9999 + "draft") == [1, 2, 3, 4]
    for word, expected in (("and", [0]), ("or", [0, 1, 2, 3, 4])):
        many = [f"(draft == true {word} `k{n}é` != 'x')" for n in range(500)]
        assert select(db, f" {word} ".join(many)) == expected
    many_values = ", ".join(f"'value {n}'" for n in range(50_000))
    assert select(db, f"lang in [{many_values}, 'python']") == [0, 1]
    assert select(db, "year < " + "9" * 300 + " and year > -" + "9" * 5) == [0, 1]


def test_half_a_surrogate_in_the_metadata_is_no_error() -> None:
    connection = database([{"id": "a", "title": "", "metadata": {"path": "x\udcff.py", "k": "v"}}])
    assert select(connection, 'path glob "*.py"') == [0]
    assert select(connection, 'path == "x.py"') == []


def test_parameters_stand_for_values(db: sqlite3.Connection) -> None:
    assert select(db, "year >= :y and lang == :l", y=2019, l="python") == [0]
    assert select(db, "lang in :some or year == :y", some=["markdown"], y="2020") == [2, 3]
    assert select(db, "draft == :a", a=None) == [2, 3, 4]
    assert select(db, "path glob :p and path not contains :q", p="**/*.py", q="src") == [3]
    assert select(db, "lang == :l", l='" or true or lang == "') == []
    with pytest.raises(FilterError, match=r"found ':x' in column 11, expected a name .*: y, z"):
        Filter.parse("year >=   :x", {"y": 1, "z": 2})
    for value, message in (([1], "give a text"), (float("nan"), "finite"), ("\0", "without NUL")):
        with pytest.raises(FilterError, match=message):
            Filter.parse("year == :y", {"y": value})
    with pytest.raises(FilterError, match="give a list of values"):
        Filter.parse("year in :y", {"y": "2020"})
    with pytest.raises(FilterError, match="a number or a string after <"):
        Filter.parse("year < :y", {"y": None})
    for where in ({"year": 2020}, None, Filter.parse("year")):
        with pytest.raises(FilterError, match="no dict for a filter that is a text"):
            as_filter(where, {"y": 1})


def test_times_are_moments() -> None:
    stored = [
        "2024-03-01T12:00+02:00",
        "2024-03-01T10:00:00Z",
        "2024-03-01",
        "2024-03-01 10:00:00.000001",
        "March 2024",
        1709287200,
        ["1999-01-01", "2024-03-01T11:00+01:00"],
    ]
    db = database([{"id": str(n), "title": "", "metadata": {"t": t}} for n, t in enumerate(stored)])
    assert select(db, 't == time("2024-03-01T10:00Z")') == [0, 1, 6]
    assert select(db, 't > time("2024-03-01T10:00Z")') == [3]
    assert select(db, 't < time("2024-03-01T12:00+02:00")') == [2, 6]
    assert select(db, 't in [time("2024-03-01"), "March 2024"]') == [2, 4]
    assert select(db, 't != time("2024-03-01")') == [0, 1, 3, 4, 5, 6]
    zone = timezone(timedelta(hours=2))
    moment = datetime(2024, 3, 1, 12, tzinfo=zone)
    assert select(db, "t == :t", t=moment) == select(db, {"t": moment}) == [0, 1, 6]
    assert select(db, "t == time(:t)", t="2024-03-01T10:00Z") == [0, 1, 6]
    assert select(db, {"t": {"$gte": date(2024, 3, 1), "$lt": datetime(2024, 3, 1, 10)}}) == [
        2,
        6,  # each by another element
    ]


class Colour(Enum):
    RED = "red"


def test_python_values_are_literals() -> None:
    import numpy as np

    id = UUID(int=7)
    db = database(
        [{"id": "a", "title": "", "metadata": {"u": str(id), "c": "red", "n": 3, "x": 0.5}}]
    )
    good: list[Any] = [{"u": id}, {"c": Colour.RED}, {"n": np.int64(3)}, {"n": Decimal(3)}]
    good += [{"x": np.float32(0.5)}, {"x": Decimal("0.5")}, {"n": {"$in": np.arange(5)}}]
    good += [{"n": {"$in": {1, 3}}}, {"n": {"$lt": 10**400 // 10**380}}]
    for where in good:
        assert select(db, where) == [0], where


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"year": {"$gte": None}}, "found None in the filter, expected a number, a text or a time"),
        ({"year": {">": 3}}, r"found '>' .*expected an operator for 'year'.*'year.>'"),
        ({"author": {"name": "Ann"}}, "a key of an object is 'author.name'"),
        ({"year": {"$near": 3}}, r"found '\$near' in the filter, expected an operator .*\$gte"),
        ({"year": {}}, "expected an operator for 'year'"),
        ({"year": [1, 2]}, r"expected one value for 'year', or \{'\$in'"),
        ({"year": {"$in": 3}}, r"\$in of 'year' is 3; give a list of values"),
        ({"year": {"$in": [[1]]}}, r"a value of \$in of 'year' is \[1\]; give a text"),
        ({"year": object()}, "the value of 'year' is <object"),
        ({"year": 10**400}, "give a number that is finite"),
        ({"year": float("inf")}, "give a number that is finite"),
        ({"year": {"$exists": 1}}, r"expected True or False for \$exists of 'year'"),
        ({"$and": []}, r"found \[\] in the filter, expected a list of dicts after \$and"),
        ({"$or": [{}]}, "expected a dict with at least one key"),
        ({"$or": ["a"]}, "found 'a' in the filter, expected a dict such as"),
        ({"$where": "1"}, r"found '\$where' in the filter, expected a key, \$not"),
        ({3: 4}, "found 3 in the filter, expected a key, which is a text"),
        ({"a": {"$regex": "("}}, r"expected a regular expression for \$regex of 'a' \(missing"),
        ({"a": {"$contains": 3}}, "expected a text for"),
        ({"a\0": 3}, "expected a key without NUL"),
        ({"a": "\ud800"}, "give text without NUL"),
        ({"`a": 3}, "backquote is not closed"),
        ({"$or": [{"a": n} for n in range(1001)]}, "more than 1000 conditions"),
        (3, "the filter 3 is not a text, a dict or a Filter"),
        (["a"], "is not a text, a dict or a Filter"),
    ],
)
def test_errors_of_dicts_say_what_and_where(where: Any, message: str) -> None:
    with pytest.raises(FilterError, match=message) as caught:
        as_filter(where)
    assert "\n" not in str(caught.value)


def test_the_depth_of_dicts_is_bounded() -> None:
    deep: dict[str, Any] = {"a": 1}
    inner: dict[str, Any] = {"$eq": 1}
    for _ in range(5000):
        deep, inner = {"$not": deep}, {"$not": inner}
    for where in (deep, {"a": inner}):
        with pytest.raises(FilterError, match="at most 50 levels"):
            as_filter(where)


def test_regular_expressions_take_no_exponential_time() -> None:
    db = database([{"id": "a" * 50_000, "title": "", "metadata": {}}])
    assert select(db, 'id matches "^(a+)+$" and not id matches "^(a|a)*b$"') == [0]


def test_filters_join(db: sqlite3.Connection) -> None:
    python, year = Filter.parse('lang == "python"'), Filter.parse({"year": {"$gte": 2019}})
    assert select(db, python & year) == [0]
    assert select(db, python | Filter.parse("author")) == [0, 1, 2]
    assert select(db, ~python) == [2, 3, 4]
    assert as_filter(python) is python
    assert as_filter(None) is None and as_filter({}) is None and as_filter(" \n") is None
    assert not python.of_passages
    assert (python & ~Filter.parse('heading == "x"')).of_passages


def test_filters_are_values() -> None:
    assert parse_filter("a == 1") == parse_filter("a == 1")
    assert hash(parse_filter("a in [1, 'b']")) == hash(parse_filter("a in [1, 'b']"))


# --- globs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("*.py", ["a.py", ".py"], ["src/a.py", "a.pyc", "A.PY"]),
        ("**/*.py", ["a.py", "src/a.py", "a/b/c.py"], ["a.md"]),
        ("src/**", ["src/a", "src/a/b"], ["src", "a/src/b"]),
        ("**", ["a", "a/b"], []),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["ab", "a/xb", "a/b/c"]),
        ("**/a/**/b/**", ["a/b/c", "x/a/y/b/z", "a/a/b/b/c"], ["a/b", "b/a/c"]),
        ("a**b", ["ab", "axxb"], ["a/b"]),
        ("a?c", ["abc"], ["ac", "a/c"]),
        ("[a-c]x", ["bx"], ["dx", "-x"]),
        ("[!a]", ["b"], ["a", "/"]),
        ("[", ["["], ["a"]),
        ("", [""], ["a"]),
        ("a\nb*", ["a\nb\n"], ["a"]),
    ],
)
def test_glob_examples(pattern: str, yes: list[str], no: list[str]) -> None:
    assert [path for path in yes if not path_glob(pattern, path)] == []
    assert [path for path in no if path_glob(pattern, path)] == []


def naive_glob(pattern: list[str], names: list[str]) -> bool:
    if not pattern:
        return not names
    if pattern == ["**"]:
        return bool(names)
    if pattern[0] == "**":
        return any(naive_glob(pattern[1:], names[n:]) for n in range(len(names) + 1))
    return bool(names) and naive_name(pattern[0], names[0]) and naive_glob(pattern[1:], names[1:])


def naive_name(pattern: str, name: str) -> bool:
    if not pattern:
        return not name
    if pattern[0] == "*":
        return any(naive_name(pattern[1:], name[n:]) for n in range(len(name) + 1))
    return bool(name) and pattern[0] in ("?", name[0]) and naive_name(pattern[1:], name[1:])


pieces = st.sampled_from(["**", "*", "a", "b", "a*", "*b", "a*b", "?", "a?", ""])


@given(st.lists(pieces, min_size=1, max_size=6), st.text("ab/", max_size=12))
def test_glob_is_its_definition(pattern: list[str], path: str) -> None:
    assert path_glob("/".join(pattern), path) == naive_glob(pattern, path.split("/"))


def test_globs_take_no_exponential_time() -> None:
    assert not path_glob("*a" * 40 + "b", "a" * 5000)
    assert not path_glob("**/a/" * 40 + "b", "a/" * 2000 + "c")


def test_glob_of_other_values() -> None:
    assert not path_glob("*", None)
    assert path_glob("é*", "éa".encode())
    assert path_glob("*", b"\xff")
