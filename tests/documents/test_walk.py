"""What a walk finds, in which order, and how it counts what it leaves out."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from retrieval.documents import Discovery, discover, source_id
from retrieval.errors import InputError

DEEP = "a/b/c/d/e/f"


def plant(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def ids(discovery: Discovery) -> list[str]:
    return [source.id for source in discovery]


def test_files_come_with_path_size_and_time_in_the_order_of_their_ids(tmp_path: Path) -> None:
    names = ["b.md", "a/z.md", "a.md", "a-b/x.md", "a/b/c.md", "Z.md", "é.md", "a/b.md"]
    plant(tmp_path, dict.fromkeys(names, "text"))
    found = list(discover([tmp_path], tmp_path))
    assert [source.id for source in found] == sorted(names)
    for source in found:
        status = (tmp_path / source.id).stat()
        assert source.path == tmp_path / source.id
        assert (source.size, source.mtime_ns) == (4, status.st_mtime_ns)


def test_everything_that_is_skipped_is_counted_by_reason(tmp_path: Path) -> None:
    plant(
        tmp_path,
        {
            "take.md": "text",
            ".hidden.md": "x",
            ".config/deep/a.md": "x",
            ".gitignore": "*.log\nbuild/\n",
            "a.log": "x",
            "build/a.md": "x",
            "nul.txt": b"a\0b",
            "late-nul.txt": b"a" * 8192 + b"\0",
            "utf16.txt": "text".encode("utf-16"),
            "picture.PNG": "no png at all",
            "empty.md": "",
            "big.md": "x" * 9001,
            "index/data.md": "x",
        },
    )
    os.mkfifo(tmp_path / "pipe.md")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.md"))
        found = discover([tmp_path], tmp_path, exclude=[tmp_path / "index"], max_bytes=9000)
        assert ids(found) == ["late-nul.txt", "take.md", "utf16.txt"]
    assert found.skipped == {
        "binary": 2,
        "empty": 1,
        "excluded": 1,
        "hidden": 3,
        "ignored": 2,
        "special": 2,
        "too large": 1,
    }
    assert found.problems == [
        "big.md: has 9001 bytes and the limit is 9000; split it or raise the limit; skipped"
    ]


def test_every_iteration_walks_and_counts_anew(tmp_path: Path) -> None:
    plant(tmp_path, {"a.md": "x", ".b": "x"})
    found = discover([tmp_path], tmp_path)
    assert ids(found) == ids(found) == ["a.md"]
    assert found.skipped == {"hidden": 1}


def test_gitignores_nest_and_the_inner_one_has_the_last_word(tmp_path: Path) -> None:
    plant(
        tmp_path,
        {
            ".gitignore": "*.txt\n!keep.txt\n/only-top\n",
            "a.txt": "x",
            "keep.txt": "x",
            "only-top/a.md": "x",
            "sub/only-top/a.md": "x",
            "sub/.gitignore": "!a.txt\nkeep.txt\n",
            "sub/a.txt": "x",
            "sub/b.txt": "x",
            "sub/keep.txt": "x",
            "sub/deeper/a.txt": "x",
        },
    )
    assert ids(discover([tmp_path], tmp_path)) == [
        "keep.txt",
        "sub/a.txt",
        "sub/deeper/a.txt",
        "sub/only-top/a.md",
    ]


def test_the_rules_of_the_enclosing_repository_count_up_to_its_top(tmp_path: Path) -> None:
    plant(
        tmp_path,
        {
            ".gitignore": "*\n",
            "repository/.git/HEAD": "x",
            "repository/.gitignore": "*.log\n/docs/private\n",
            "repository/docs/.gitignore": "!b.log\n",
            "repository/docs/deep/a.log": "x",
            "repository/docs/deep/b.log": "x",
            "repository/docs/deep/c.md": "x",
            "repository/docs/private/d.md": "x",
        },
    )
    base = tmp_path / "repository"
    assert ids(discover([base / "docs"], base)) == ["docs/deep/b.log", "docs/deep/c.md"]
    assert ids(discover([base / "docs/deep"], base)) == ["docs/deep/b.log", "docs/deep/c.md"]
    # Ignored, but asked for.
    assert ids(discover([base / "docs/private"], base)) == ["docs/private/d.md"]
    assert ids(discover([base / "docs/deep/a.log"], base)) == ["docs/deep/a.log"]


def test_a_repository_within_another_has_rules_of_its_own(tmp_path: Path) -> None:
    plant(
        tmp_path,
        {
            ".git/HEAD": "x",
            ".gitignore": "*.txt",
            "a.txt": "x",
            "inner/.git": "gitdir: elsewhere",
            "inner/a.txt": "x",
        },
    )
    assert ids(discover([tmp_path], tmp_path)) == ["inner/a.txt"]


def test_an_unreadable_gitignore_is_a_problem_and_no_more(tmp_path: Path) -> None:
    plant(tmp_path, {"a.md": "x", ".gitignore/x": "x"})
    found = discover([tmp_path], tmp_path)
    assert ids(found) == ["a.md"]
    assert found.problems == [".gitignore: cannot be read (not a regular file); its rules are lost"]


def test_a_path_that_was_given_is_taken_even_if_it_is_hidden(tmp_path: Path) -> None:
    plant(tmp_path, {".notes/a.md": "x", ".notes/.b.md": "x", ".c.md": "x", "d.md": "x"})
    given = [tmp_path / ".notes", tmp_path / ".c.md"]
    assert ids(discover(given, tmp_path)) == [".c.md", ".notes/a.md"]
    assert ids(discover([tmp_path, *given], tmp_path)) == ["d.md", ".c.md", ".notes/a.md"]


def test_paths_within_each_other_give_each_file_once(tmp_path: Path) -> None:
    plant(tmp_path, {"a/b/c.md": "x", "a/d.md": "x"})
    given = [tmp_path / "a/b", tmp_path, tmp_path / "a/b/c.md", tmp_path / "a", tmp_path]
    found = discover(given, tmp_path)
    assert sorted(ids(found)) == ["a/b/c.md", "a/d.md"]
    assert found.roots == (".", "a", "a/b", "a/b/c.md")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.png", b"x", "a.png: holds no text; skipped"),
        ("a.md", b"\0", "a.md: holds no text; skipped"),
        ("a.md", b"", "a.md: is empty; skipped"),
    ],
)
def test_a_file_that_was_given_and_is_skipped_is_named(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    plant(tmp_path, {name: content})
    found = discover([tmp_path / name], tmp_path)
    assert ids(found) == []
    assert found.problems == [said]


def test_a_pipe_that_was_given_is_named_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    found = discover([tmp_path / "pipe"], tmp_path)
    assert ids(found) == []
    assert found.problems == ["pipe: is not a regular file; skipped"]


def test_a_path_that_does_not_exist_is_refused_at_once(tmp_path: Path) -> None:
    plant(tmp_path, {"a.md": "x"})
    (tmp_path / "nowhere.md").symlink_to("gone")
    (tmp_path / "loop").symlink_to("loop")
    for wrong in ("b.md", "a.md/b", "nowhere.md"):
        with pytest.raises(InputError, match=f"{wrong} does not exist; name a file or a folder"):
            discover([tmp_path, tmp_path / wrong], tmp_path)
    for wrong in ("loop", "a\0b", "x" * 300):
        with pytest.raises(InputError, match="cannot be read"):
            discover([tmp_path / wrong], tmp_path)
    with pytest.raises(InputError, match="no path was given"):
        discover([], tmp_path)
    with pytest.raises(InputError, match="max_bytes is 0"):
        discover([tmp_path], tmp_path, max_bytes=0)


def test_what_lies_in_an_excluded_folder_is_not_read_even_if_given(tmp_path: Path) -> None:
    plant(tmp_path, {"index/a/b.md": "x"})
    found = discover([tmp_path / "index/a"], tmp_path, exclude=[tmp_path / "index"])
    assert ids(found) == []
    assert found.skipped == {"excluded": 1}
    assert found.problems == ["index/a: lies in a folder that is excluded; skipped"]


def test_links_are_followed_to_what_is_not_met_anyway(tmp_path: Path) -> None:
    outside = plant(tmp_path / "outside", {"x/a.md": "x", "b.md": "x"})
    base = plant(tmp_path / "base", {"c.md": "x", "real/d.md": "x"})
    (base / "folder").symlink_to(outside / "x")
    (base / "file.md").symlink_to(outside / "b.md")
    (base / "again.md").symlink_to("c.md")
    (base / "alias").symlink_to("real")
    (base / "nowhere").symlink_to("gone")
    found = discover([base], base)
    assert ids(found) == ["c.md", "file.md", "folder/a.md", "real/d.md"]
    assert found.skipped == {"symlink": 3}


def test_links_in_circles_end(tmp_path: Path) -> None:
    base = plant(tmp_path / "base", {f"{DEEP}/x.md": "x"})
    outside = plant(tmp_path / "outside", {"y.md": "x", "in/z.md": "x"})
    (base / "self").symlink_to("self")
    (base / "a/up").symlink_to("..")
    (base / DEEP / "above").symlink_to(tmp_path)
    (base / "out").symlink_to(outside)
    (outside / "in/back").symlink_to(outside)
    (outside / "base").symlink_to(base)
    (outside / "twice").symlink_to("in")
    found = discover([base], base)
    assert ids(found) == [f"{DEEP}/x.md", "out/in/z.md", "out/y.md"]
    assert found.skipped == {"symlink": 6}


def test_a_given_link_is_walked_under_its_own_name(tmp_path: Path) -> None:
    plant(tmp_path / "data", {"a.md": "x"})
    base = tmp_path / "base"
    base.mkdir()
    (base / "docs").symlink_to(tmp_path / "data")
    assert ids(discover([base / "docs"], base)) == ["docs/a.md"]


def test_what_the_system_refuses_is_counted_named_and_not_taken_for_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, {"a.md": "x", "shut.md": "x", "shut/b.md": "x"})
    real_open = os.open

    def refuse(path: str) -> None:
        if "shut" in Path(path).name:
            raise PermissionError(13, "Permission denied", path)

    def guarded_open(path: str, flags: int) -> int:
        refuse(path)
        return real_open(path, flags)

    # Permissions do not bind a superuser, whom tests may run as.
    monkeypatch.setattr(os, "open", guarded_open)
    found = discover([tmp_path], tmp_path)
    assert ids(found) == ["a.md"]
    assert found.skipped == {"unreadable": 2}
    assert found.unreadable == ["shut.md", "shut"]
    assert found.problems[0] == "shut.md: cannot be read (Permission denied); skipped"


def test_what_vanishes_during_the_walk_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, {"a.md": "x", "b.md": "x", "c/d.md": "x", "e.md": "x"})
    found = discover([tmp_path, tmp_path / "e.md"], tmp_path)
    seen = []
    for source in found:
        seen.append(source.id)
        (tmp_path / "b.md").unlink(missing_ok=True)
        (tmp_path / "c/d.md").unlink(missing_ok=True)
        if (tmp_path / "c").exists():
            (tmp_path / "c").rmdir()
        (tmp_path / "e.md").unlink(missing_ok=True)
    assert seen == ["a.md"]
    assert found.skipped == {"vanished": 3}
    assert found.unreadable == []


def test_ids_are_relative_to_the_base_wherever_the_file_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, {"base/a.md": "x", "other/b.md": "x"})
    base = tmp_path / "base"
    assert ids(discover([tmp_path / "other"], base)) == ["../other/b.md"]
    assert ids(discover([tmp_path], base)) == ["../base/a.md", "../other/b.md"]
    monkeypatch.chdir(base)
    assert ids(discover([Path(), Path("../other/b.md")], Path())) == [
        "a.md",
        "../other/b.md",
    ]
    link = tmp_path / "link"
    link.symlink_to(base)
    assert source_id(base / "a.md", link) == source_id(link / "a.md", base) == "a.md"
    assert source_id(base, base) == "."


def test_names_that_are_not_text_or_not_one_line_can_be_stored_and_shown(tmp_path: Path) -> None:
    for name in (b"caf\xe9.md", "naïve.md".encode(), b"two\nlines.md"):
        Path(os.fsdecode(bytes(tmp_path) + b"/" + name)).write_text("x" * 20)
    found = discover([tmp_path], tmp_path, max_bytes=10)
    assert ids(found) == []
    assert [problem.split(":")[0] for problem in found.problems] == [
        "caf\\xe9.md",
        "naïve.md",
        "two\\nlines.md",
    ]
    (source, *_) = discover([tmp_path], tmp_path)
    assert source.id == "caf\\xe9.md"
    assert source.path.read_text() == "x" * 20
