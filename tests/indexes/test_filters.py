"""The where= language against an evaluator of its own in plain Python."""

from __future__ import annotations

import json
import operator
import re
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.errors import FilterError
from retrieval.indexes.filters import parse_filter, path_glob, register_functions

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
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=4,
)
documents = st.fixed_dictionaries(
    {"id": strings, "title": strings, "metadata": st.dictionaries(names, values, max_size=4)}
)


@st.composite
def conditions(draw: st.DrawFn) -> Expression:
    column = draw(st.sampled_from([None, None, None, "id", "title"]))
    path = tuple(draw(st.lists(names, min_size=1, max_size=2)))
    text = column or key_text(path)

    def value_of(document: Document) -> Any:
        return document[column] if column else look_up(document, path)

    what = draw(st.sampled_from(["bare", "==", "!=", "in", "not in", "glob", "<", "<=", ">", ">="]))
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
    compare = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}[what]
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


def select(connection: sqlite3.Connection, where: str) -> list[int]:
    sql, params = parse_filter(where).to_sql()
    rows = connection.execute(f"SELECT n FROM documents AS d WHERE {sql} ORDER BY n", params)
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
    ],
)
def test_examples(db: sqlite3.Connection, where: str, expected: list[int] | None) -> None:
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
        ("a not 3", "found '3' in column 7, expected `in`"),
        ("a glob 3", "found '3' in column 8, expected a quoted pattern"),
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
def test_any_text_parses_or_is_a_filter_error(text: str) -> None:
    try:
        where = parse_filter(text)
    except FilterError as error:
        assert "\n" not in str(error) and str(error).isascii()
    else:
        sql, params = where.to_sql()
        database([{"id": "a", "title": "", "metadata": {}}]).execute(
            f"SELECT 1 FROM documents AS d WHERE {sql}", params
        ).fetchall()


WORDS_OF_SQL = re.compile(
    r"[ (),$.<>=?'*]|CASE|WHEN|THEN|ELSE|END|NOT|AND|OR|IN|IFNULL|EXISTS|SELECT|FROM|WHERE|AS|BLOB"
    r"|CAST|path_glob|json_(?:type|extract|each|member|array_length)|typeof|true|false|null|text"
    r"|array|object|integer|real|value|atom|type|[de]|id|title|metadata|[01]|\[0\]"
)


@given(strings, names, st.integers())
def test_what_the_user_writes_never_enters_the_sql(value: str, name: str, number: int) -> None:
    where = f"`{name}`.`{name}` in [{quote(value)}, {number}] or `{name}` > {quote(value)}"
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
