"""`.gitignore` patterns, by what git says of them."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from retrieval.documents import discover
from retrieval.documents.walk.gitignore import GitIgnore


@pytest.mark.parametrize(
    ("lines", "ignored", "kept"),
    [
        ("*.log", ["a.log", "x/a.log", "a.log/"], ["a.logs", "log"]),
        ("/top", ["top", "top/"], ["x/top"]),
        ("a/b", ["a/b"], ["x/a/b", "b"]),
        ("build/", ["build/", "x/build/"], ["build"]),
        ("**/foo", ["foo", "x/foo", "x/y/foo"], ["foobar"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["ab", "a/xb"]),
        ("a/**", ["a/x", "a/x/", "a/x/y"], ["a", "a/"]),
        ("a*c", ["ac", "abc", "x/abc"], ["a/c"]),
        ("x/a*c", ["x/abc"], ["x/a/c"]),
        ("?", ["a", "x/b"], ["ab"]),
        ("[a-c]", ["b"], ["d", "-"]),
        ("[!a-c]", ["d"], ["a"]),
        ("[^]x]", ["a"], ["]", "x"]),
        ("[]-]", ["]", "-"], ["a"]),
        ("[z-a]", ["z"], ["a", "m"]),
        ("[[:digit:]]", ["7"], ["a", ":"]),
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
    ],
)
def test_patterns_match_as_git_documents_them(
    lines: str, ignored: list[str], kept: list[str]
) -> None:
    rules = GitIgnore(lines.split("\n"))
    assert [path for path in [*ignored, *kept] if rules.match(path)] == ignored


def test_none_of_the_patterns_matching_is_not_the_same_as_being_taken_back_in() -> None:
    rules = GitIgnore(["*.log", "!keep.log"])
    assert rules.match("a.log") is True
    assert rules.match("keep.log") is False
    assert rules.match("a.txt") is None
    assert not GitIgnore(["# nothing", ""])


def test_a_file_is_read_with_windows_newlines_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / ".gitignore"
    path.write_bytes(b"\xef\xbb\xbf*.log\r\ncaf\xe9\r\n")
    rules = GitIgnore.read(path)
    assert rules.match("a.log")
    assert rules.match(os.fsdecode(b"caf\xe9"))


def test_many_stars_do_not_make_a_match_explode() -> None:
    assert GitIgnore(["a*" * 30 + "b"]).match("a" * 250) is None


NAMES = ["a", "b", "foo", "a.log", "b.log", "x y", "]", "keep"]
SEGMENTS = [
    *("a", "b", "foo", "*", "**", "*.log", "?", "[ab]", "[!a]", "f*o", r"\a", r"x\ y", "keep"),
    *("***", "[a-]", "[]]", "[[:alpha:]]", "[^]b]", "x y ", "[b-a]"),
]
IDIOMS = [
    *("foo/*", "!foo/keep", "a/**", "!a/b", "*", "!*/", "!*.log", "/*", "!/foo", "!a/", "b/"),
    *("!b/*.log", "**/a/", "!**/a/keep", "foo/**/", "!foo/**/"),
]


def grow(folder: Path, choose: random.Random, depth: int = 0) -> None:
    for name in choose.sample(NAMES, choose.randint(2, 4)):
        path = folder / name
        if depth < 3 and "." not in name and choose.random() < 0.5:
            path.mkdir()
            grow(path, choose, depth + 1)
        else:
            path.write_text("text")
    if depth == 0 or choose.random() < 0.3:
        lines = choose.sample(IDIOMS, choose.randint(0, 3))
        for _ in range(choose.randint(0, 3)):
            body = "/".join(choose.choices(SEGMENTS, k=choose.choice([1, 1, 1, 2, 3])))
            starts, ends = choose.choice(["", "", "/"]), choose.choice(["", "", "/"])
            lines.append(choose.choice(["", "", "!"]) + starts + body + ends)
        (folder / ".gitignore").write_text("\n".join(lines))


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_what_is_found_in_random_repositories_is_what_git_would_add(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
    environment.pop("XDG_CONFIG_HOME", None)
    for seed in range(60):
        repository = tmp_path / str(seed)
        repository.mkdir()
        subprocess.run(["git", "init", "-q", str(repository)], check=True, env=environment)
        grow(repository, random.Random(seed))
        listed = subprocess.run(
            ["git", "-C", str(repository), "ls-files", "-oz", "--exclude-standard"],
            check=True,
            capture_output=True,
            text=True,
            env=environment,
        ).stdout.split("\0")
        expected = {path for path in listed if path and not path.endswith(".gitignore")}
        found = {source.id for source in discover([repository], repository)}
        assert found == expected, (seed, (repository / ".gitignore").read_text())
