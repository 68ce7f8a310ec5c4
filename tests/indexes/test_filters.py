"""Filters by example: what is found, which errors are told, and what a filter may hold."""

from __future__ import annotations

import functools
import operator
import re
import sqlite3
from datetime import date, datetime, timedelta, timezone
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
    as_filter,
    parse_filter,
)

from .filter_evaluator import (
    TEXT_TESTS,
    database,
    names,
    quote,
    select,
    strings,
)

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
        ("a is", "expected `empty`, text, number, boolean, list or object"),
        ("length(a) == 'x'", "found \"'x'\" in column 14, expected a number"),
        ("length(a", "found the end in column 9, expected `\\)`"),
        ("length() > 1", r"found '\)' in column 8, expected a key"),
        ("length(a)", "found the end in column 10, expected an operator: ==, !="),
        ("a == [time('2024-03-01')]", "the list holds a date or a time; give it as a text"),
        ("a < [1]", r"found '\[' in column 5, expected a value"),
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


HEAVY = (
    'language in ["a", 1, true, false, null, time("2024-01-01")]',
    f'{".".join("abcdefgh" * 8)} in ["a", 1, true, false, null, time("2024-01-01")]',
    'text glob "x*"',
    "length(a.b.c) > 3",
    "a.`b é` == ['x', 1]",
    "a is empty",
    "a.b.c",
)


@pytest.mark.parametrize("leaf", HEAVY)
def test_whatever_is_parsed_runs(db: sqlite3.Connection, leaf: str) -> None:
    """SQLite's parser has a stack of 100 entries: what would need more is refused before."""
    heavy, python = Filter.parse(leaf), Filter.parse('lang == "python"')
    every, of_heavy, of_python = set(range(len(DOCS))), set(select(db, heavy)), {0, 1}
    deep, expected, steps = python, of_python, 0
    with pytest.raises(FilterError, match="at most 40 levels"):
        while True:
            assert set(select(db, deep)) == expected
            steps += 1
            deep = ~(heavy & ~(python | (heavy | deep & ~heavy)))
            of_deep = of_python | of_heavy | (expected - of_heavy)
            expected = every - (of_heavy & (every - of_deep))
    assert steps > 10


def test_what_is_wide_and_deep_runs_or_is_refused(db: sqlite3.Connection) -> None:
    leaf, levels = Filter.parse(HEAVY[0]), 0
    widest = functools.reduce(operator.or_, [leaf] * 500)
    assert select(db, widest & ~widest) == []
    with pytest.raises(FilterError, match="more than 1000 conditions"):
        widest & widest & leaf
    deep = leaf
    with pytest.raises(FilterError, match="fewer where there are many conditions"):
        while True:
            deep = leaf & (functools.reduce(operator.and_, [leaf] * 20) | deep)
            select(db, deep)
            levels += 1
    assert levels > 5


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (".".join(["a"] * 65), "has 65 names"),
        ({".".join(["a"] * 50_000): 1}, "has 50000 names"),
        ({"a" * 5000: 1}, "5000 characters; expected at most 64 and 4096"),
        ("a." * 40 + "b" * 4096 + " == 1", "expected at most 64 and 4096"),
        ({"a": {"$glob": "[" * 5000}}, "the pattern '\\[+'... has 5000 characters"),
        ({"a": {"$regex": "a" * 5000}}, "has 5000 characters; expected at most 4096"),
        ({"$or": [{"a": {"$glob": "*" * 4000}}] * 6}, "patterns have 24000 characters together"),
    ],
)
def test_what_would_take_long_is_refused(where: Any, message: str) -> None:
    with pytest.raises(FilterError, match=message) as caught:
        Filter.parse(where)
    assert len(str(caught.value)) < 200


def test_the_longest_keys_and_patterns_run(db: sqlite3.Connection) -> None:
    key = ".".join(["a" * 63] * 64)
    assert select(db, {"$or": [{key: {"$in": [1, "x", None]}}] * 100}) == [0, 1, 2, 3, 4]
    assert select(db, {"id": {"$glob": "[" * 4096}}) == []
    assert select(db, {"id": {"$glob": "*[" * 2047 + "]*"}}) == []


def test_filters_may_be_joined_in_a_row(db: sqlite3.Connection) -> None:
    years = [Filter.parse({"year": {"$eq": year}}) for year in range(1021, 2021)]
    assert select(db, functools.reduce(operator.or_, years)) == [0]
    assert select(db, functools.reduce(operator.and_, years)) == []
    negated = years[-1]
    for _ in range(999):
        negated = ~negated
    assert select(db, negated) == [1, 2, 3, 4]


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
    for value, message in (({}, "give a text"), (float("nan"), "finite"), ("\0", "without NUL")):
        with pytest.raises(FilterError, match=message):
            Filter.parse("year == :y", {"y": value})
    with pytest.raises(FilterError, match="give a list of values"):
        Filter.parse("year in :y", {"y": "2020"})
    with pytest.raises(FilterError, match="a number or a string after <"):
        Filter.parse("year < :y", {"y": None})
    for where in ({"year": 2020}, None, Filter.parse("year")):
        with pytest.raises(FilterError, match="is not a dict, or the filter is not a text"):
            as_filter(where, {"y": 1})


def test_objects_in_lists_and_lists_themselves() -> None:
    stored: list[Any] = [
        {"authors": [{"name": "Ada", "tags": ["x", "y"]}, {"name": "Bob"}]},
        {"authors": {"name": "Ada"}},
        {"authors": ["Ada"]},
        {"length": 3, "authors": []},
    ]
    docs = [
        {"id": "a", "title": "", "text": "Ada's\0 notes", "metadata": metadata}
        for metadata in stored
    ]
    db = database(docs)
    assert select(db, 'authors.name == "Ada"') == [0, 1]
    assert select(db, {"authors.name": ["Ada", "Bob"]}) == [0]
    assert select(db, 'authors.tags == ["x", "y"] and length(authors.name) == 2') == [0]
    assert select(db, "authors == [] and length == 3 and length(authors) < 1") == [3]
    assert select(db, "authors == :a", a=("Ada",)) == [2]
    assert select(db, "authors is list") == [0, 2, 3]
    assert select(db, "authors is object") == [1]
    assert select(db, "text contains 'notes' and length(text) == 12 and text is text") == [
        *range(4)
    ]
    assert select(db, "`text` contains 'notes'") == []
    assert select(db, {"text": {"$icontains": "ADA"}, "authors.name": {"$type": "array"}}) == [0]


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
        ({"year": {1, 2}}, r"expected one value or a list for 'year', or \{'\$in'"),
        ({"year": [[1]]}, r"a value of the list that is the value of 'year' is \[1\]; give a text"),
        ({"year": {"$size": "3"}}, r"found '3' in the filter, expected a number for \$size"),
        ({"year": {"$size": {"$in": [3]}}}, r"found '\$in' in the filter, expected \$eq, \$ne"),
        ({"year": {"$type": ["number"]}}, r"found \['number'\] .* expected one of string, number"),
        ({"year": {"$type": "int"}}, r"found 'int' .* expected one of string, number, bool"),
        ({"year": {"$all": []}}, r"expected a list of at least one value for \$all of 'year'"),
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


@pytest.mark.parametrize("where", ["a == {}", "a in [{}, 'x']", "a == ['x', {}]", "not a == {}"])
def test_numbers_and_truth_are_different_filters(where: str) -> None:
    """To Python `1 == True`: filters are keys of caches, and of what is searched together."""
    assert parse_filter(where.format(1)) != parse_filter(where.format("true"))
    assert parse_filter(where.format(0)) != parse_filter(where.format("false"))
