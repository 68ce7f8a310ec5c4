"""Patterns of ignore files: what each matches, one by one and in lists."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.documents.walk.patterns import PatternList
from retrieval.documents.walk.wildmatch import as_bytes, regex_of


def ignored(rules: PatternList, path: str) -> bool | None:
    return rules.match(path.removesuffix("/"), is_folder=path.endswith("/"))


@pytest.mark.parametrize(
    ("lines", "matched", "kept"),
    [
        ("*.log", ["a.log", "x/a.log", "a.log/", ".log"], ["a.logs", "log"]),
        ("*.tar.gz", ["a.tar.gz"], ["a.gz", "tar.gz"]),
        ("*~", ["a~", "x/b.c~"], ["~a"]),
        ("/top", ["top", "top/"], ["x/top"]),
        ("a/b", ["a/b"], ["x/a/b", "b"]),
        ("build/", ["build/", "x/build/"], ["build"]),
        ("**/foo", ["foo", "x/foo", "x/y/foo"], ["foobar"]),
        ("**/a/b", ["a/b", "x/y/a/b"], ["xa/b", "a/x/b"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["ab", "a/xb"]),
        ("a/**/b/*/c", ["a/b/x/c", "a/y/b/x/c", "a/b/x/b/x/c"], ["a/b/c", "a/b/x/y/c"]),
        ("a/**", ["a/x", "a/x/", "a/x/y"], ["a", "a/"]),
        ("a**/x", ["ax", "ab/x", "a/b/c/x"], ["bx", "b/x"]),
        ("a*c", ["ac", "abc", "x/abc"], ["a/c"]),
        ("x/a*c", ["x/abc"], ["x/a/c"]),
        ("?", ["a", "x/b"], ["ab"]),
        ("[a-c]", ["b"], ["d", "-"]),
        ("[!a-c]", ["d"], ["a"]),
        ("[^]x]", ["a"], ["]", "x"]),
        ("[]-]", ["]", "-"], ["a"]),
        ("[z-a]", ["z"], ["a", "m"]),
        ("[--/]", ["-", "."], ["/", "0"]),
        ("x[a/b]y", ["xay", "xby"], ["x/y"]),
        ("[[:digit:]]", ["7"], ["a", ":"]),
        ("[[:upper:]-z]", ["A", "z", "-"], ["a", "y"]),
        (r"\[a]", ["[a]"], ["a"]),
        (r"\!a", ["!a"], ["a"]),
        (r"\#a", ["#a"], ["a"]),
        (r"a\ ", ["a "], ["a"]),
        ("a  ", ["a"], ["a  "]),
        ("a.b", ["a.b"], ["axb"]),
        ("a|b", ["a|b"], ["a", "b"]),
        ("*\n!*/\n!*.py", ["a", "x/a.txt"], ["x/", "a.py", "x/a.py"]),
        ("foo/*\n!foo/keep", ["foo/a"], ["foo/keep", "foo/"]),
        ("!a\na", ["a"], []),
        ("[a\n[[:nope:]]\n# b\n\n/\n!\nc\\", [], ["a", "[a", "b", "# b", "c", "c\\", "/"]),
        ("***\n!a", ["b"], ["a"]),
        ("caf?\nb??", ["bé"], ["café"]),
    ],
)
def test_patterns_match_as_git_documents_them(
    lines: str, matched: list[str], kept: list[str]
) -> None:
    rules = PatternList.of_git(as_bytes(lines))
    assert [path for path in [*matched, *kept] if ignored(rules, path)] == matched


def test_case_is_folded_where_it_is_said_to_be_and_only_of_ascii() -> None:
    rules = PatternList.of_git(as_bytes("FOO\n*.Log\n/X/y\n[B-D]ar\nÉ"), fold=True)
    matched = ["foo", "Foo", "a.LOG", "x/Y", "BAR", "bar", "É"]
    kept = ["é", "[", "fo"]
    assert [path for path in [*matched, *kept] if ignored(rules, path)] == matched


def test_none_of_the_patterns_matching_is_not_the_same_as_being_taken_back_in() -> None:
    rules = PatternList(["*.log", "!keep.log"])
    assert ignored(rules, "a.log") is True
    assert ignored(rules, "keep.log") is False
    assert ignored(rules, "a.txt") is None
    assert not PatternList(["# nothing", ""])


def test_a_file_is_read_with_windows_newlines_and_a_byte_order_mark() -> None:
    rules = PatternList.of_git(b"\xef\xbb\xbf*.log\r\ncaf\xe9\r\n".decode("latin-1"))
    assert ignored(rules, "a.log")
    assert ignored(rules, os.fsdecode(b"caf\xe9"))


@pytest.mark.parametrize(
    ("lines", "matched", "kept"),
    [
        ("*.{js,css}", ["a.js", "x/b.css"], ["a.{js,css}", "a.html"]),
        ("{a,b{c,d}}/e", ["a/e", "bc/e", "bd/e"], ["b/e", "x/a/e"]),
        (r"\{a,b\}", ["{a,b}"], ["a"]),
        ("[{]a", ["{a"], ["a"]),
        ("{a,b", ["{a,b"], ["a"]),
        ("[abc", ["[abc"], ["a"]),
        ("a\t ", ["a"], ["a\t"]),
        ("!{a,b}\n*\n!{c,d}", ["a", "b"], ["c", "d"]),
    ],
)
def test_ripgrep_knows_braces_and_forgives_brackets(
    lines: str, matched: list[str], kept: list[str]
) -> None:
    rules = PatternList.of_ripgrep(lines)
    assert [path for path in [*matched, *kept] if ignored(rules, path)] == matched


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("a*" * 30 + "b", "a" * 250),
        ("x/" + "*a" * 40 + "b", "x/" + "a" * 250),
        ("**/a/" * 25 + "b", "a/" * 100 + "c"),
        ("**/a*a*a*/" * 12 + "b", "aaaa/" * 60 + "c"),
        ("a/**/**/**/**/**/" * 8 + "b", "a/" * 120 + "c"),
        ("**\\/a" * 20, "a/" * 100 + "c"),
        ("*?" * 60, "a" * 59),
    ],
)
def test_no_pattern_makes_a_match_explode(pattern: str, path: str) -> None:
    """A matcher that goes back at every star would not end."""
    assert ignored(PatternList([pattern]), path) is None
    assert ignored(PatternList(["!" + pattern, "zz"]), path) is None


def test_hostile_braces_stay_as_they_are() -> None:
    for line in ("{" * 20_000, "{a,b}" * 12, "{" * 5 + "a," * 2000 + "}" * 5):
        assert not ignored(PatternList.of_ripgrep(line), "b")


def test_braces_of_one_file_have_a_limit_in_all() -> None:
    rules = PatternList.of_ripgrep("\n".join(["{a,b}" * 8] * 1000))
    assert sum(len(pattern.body) + 1 for pattern in rules.patterns) < 200_000
    assert ignored(rules, "abababab")
    assert len(PatternList.of_ripgrep("{a,b}" * 8 + "?" * 3000).patterns) == 1
    assert len(PatternList.of_ripgrep("{a,b}" * 4 + "?" * 3000).patterns) == 16
    assert PatternList.of_ripgrep("{a,b}" * 8 + "?" * 3000 + "\n*.{c,d}").match(
        "a.d", is_folder=False
    )


def test_a_pattern_longer_than_any_path_matches_nothing() -> None:
    assert regex_of("?" * 4096) and regex_of("?" * 4097) is None
    for pattern in ("?" * 4097, "a" * 4097, "*" * 4097, "[a]" * 2000, "{a,b}" + "*" * 4097):
        rules = PatternList.of_ripgrep(f"{pattern}\nb\n!{pattern}\n")
        assert rules.file_globs == [("b", True)]
        assert ignored(rules, "b") is True and ignored(rules, "a" * 2000) is None


TEXT = st.text(alphabet="ab/*?[]\\-!^x:", max_size=12)


@given(TEXT, TEXT)
def test_any_pattern_can_be_compiled_and_asked(pattern: str, path: str) -> None:
    regex_of(pattern, fold=True)
    rules = PatternList([pattern, "b"])
    assert ignored(rules, path.strip("/") or "a") in (True, False, None)


def test_patterns_that_would_keep_a_folder_out_can_be_dropped() -> None:
    rules = PatternList(["build/", "*.log", "*", "!keep"])
    kept = rules.without_those_that_match("x/build")
    assert not ignored(kept, "x/build/") and not ignored(kept, "a.txt")
    assert ignored(kept, "a.log")
    assert PatternList(["*.log"]).without_those_that_match("x")
