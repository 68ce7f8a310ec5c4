"""Where the index is, as one moves about in a project."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from retrieval.errors import IndexNotFound
from retrieval.service import location

HERE = Path(".retrieval")


@pytest.fixture
def deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, two below the test's; the home folder is another one."""
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return folder


def never(index: Path, folder: Path) -> bool:
    return False


def test_the_nearest_index_upwards_is_read(deep: Path, tmp_path: Path) -> None:
    with pytest.raises(IndexNotFound, match=r"no index in .*/a/b or in a folder above it; create"):
        location.index_to_read(None)
    (tmp_path / ".retrieval").mkdir()
    assert location.index_to_read(None) == Path("../../.retrieval")
    (tmp_path / "a" / ".retrieval").mkdir()
    assert location.index_to_read(None) == Path("../.retrieval")
    (deep / ".retrieval").mkdir()
    assert location.index_to_read(None) == HERE
    assert location.index_to_read(Path("given")) == Path("given")


def test_the_nearest_index_upwards_is_written(deep: Path, tmp_path: Path) -> None:
    assert location.index_to_write(None, never) == HERE
    (tmp_path / ".retrieval").mkdir()
    assert location.index_to_write(None, never) == Path("../../.retrieval")
    assert location.is_elsewhere(location.index_to_write(None, never))
    (deep / ".retrieval").mkdir()
    assert location.index_to_write(None, never) == HERE
    assert not location.is_elsewhere(HERE)
    assert location.index_to_write(Path("given"), never) == Path("given")


@pytest.mark.parametrize("file", [False, True])
def test_no_index_outside_of_the_repository_is_written(
    deep: Path, tmp_path: Path, file: bool
) -> None:
    """A submodule and a worktree have a file where the repository has a folder."""
    (tmp_path / ".retrieval").mkdir()
    git = tmp_path / "a" / ".git"
    git.touch() if file else git.mkdir()
    assert location.index_to_write(None, never) == HERE
    (tmp_path / "a" / ".retrieval").mkdir()
    assert location.index_to_write(None, never) == Path("../.retrieval")


@pytest.mark.parametrize("held", [False, True])
def test_an_index_in_the_home_folder_is_written_if_it_holds_what_is_here(
    deep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: bool
) -> None:
    asked = []

    def covers(index: Path, folder: Path) -> bool:
        asked.append((index, folder))
        return held

    (tmp_path / ".retrieval").mkdir()
    for home in (tmp_path, tmp_path / "a"):  # in it, and above it
        monkeypatch.setenv("HOME", str(home))
        found = location.index_to_write(None, covers)
        assert found == (Path("../../.retrieval") if held else HERE)
        assert asked.pop() == (tmp_path / ".retrieval", deep)
    monkeypatch.setenv("HOME", str(deep))
    (deep / ".retrieval").mkdir()
    assert location.index_to_write(None, covers) == HERE
    assert asked == []


def test_a_file_that_cannot_be_reached_is_shown_as_it_is_stored(deep: Path, tmp_path: Path) -> None:
    (tmp_path / "broken").symlink_to("nowhere")
    assert location.shown(tmp_path / ".retrieval", "broken") == "../../broken"
    assert location.shown(tmp_path / ".retrieval", "gone.md") == "gone.md"
    long = f"{'a' * 300}/b.md"  # the system raises an error for it, as for a closed folder
    assert location.shown(tmp_path / ".retrieval", long) == long


def test_a_problem_names_its_file_as_typed_from_here(deep: Path, tmp_path: Path) -> None:
    index = tmp_path / ".retrieval"
    for name in ("a.jsonl", "at 12:30.txt", "at 12"):
        (tmp_path / name).write_text("x")
    for line in ("a.jsonl:2: not JSON: odd", "at 12:30.txt: is empty", "at 12: is empty"):
        assert location.shown_problem(index, line) == f"../../{line}"
    for line in ("gone: is gone", f"{tmp_path}/a.jsonl: is odd", "no colon"):
        assert location.shown_problem(index, line) == line


def test_a_folder_that_is_closed_is_passed_over(
    deep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".retrieval").mkdir()
    real = os.stat

    def stat(path: Any, *arguments: Any, **options: Any) -> os.stat_result:
        if str(path) == str(deep.parent / ".retrieval"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "stat", stat)
    assert location.index_to_read(None) == Path("../../.retrieval")
    assert location.index_to_write(None, never) == Path("../../.retrieval")
