"""Globs of paths are what their definition says."""

from __future__ import annotations

import fnmatch
import re
import threading

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from retrieval.cancellation import CancelledError, cancelled_by
from retrieval.indexes.filters import path_glob


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
        ("./src/*.py", ["src/a.py", "./src/a.py"], ["a.py", "../src/a.py"]),
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


@settings(max_examples=1000)
@example("[][", "[")
@example("[!][", "[!][")
@given(st.text("[]!a-^*", max_size=12), st.text("[]!a-^b", max_size=4))
def test_a_bracket_that_nothing_closes_is_itself(pattern: str, name: str) -> None:
    expected = pattern != "**" and re.match(fnmatch.translate(pattern), name) is not None
    assert path_glob(pattern, name) == (expected or pattern == "**")


def test_a_glob_ends_where_nobody_wants_it_any_more() -> None:
    gone = threading.Event()
    gone.set()
    with cancelled_by(gone), pytest.raises(CancelledError):
        path_glob("**/a/b", "a/" * 5000)


def test_globs_take_no_exponential_time() -> None:
    assert not path_glob("[" * 4096, "a")
    assert not path_glob("*a" * 40 + "b", "a" * 5000)
    assert not path_glob("**/a/" * 40 + "b", "a/" * 2000 + "c")


def test_glob_of_other_values() -> None:
    assert not path_glob("*", None)
    assert path_glob("é*", "éa".encode())
    assert path_glob("*", b"\xff")
