"""Settings of git that a stranger wrote: what they may cost, and what becomes of odd ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from retrieval.documents import discover
from retrieval.documents.walk import gitconfig
from retrieval.documents.walk.gitconfig import GitSettings, git_settings
from retrieval.documents.walk.repository import Repository


class Settings:
    """The settings of one repository, the files read for them and what was wrong."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reads: list[str] = []
        self.problems: set[str] = set()

    def write(self, **files: str) -> None:
        for name, text in files.items():
            (self.folder / name).write_text(text)

    def read(self) -> GitSettings:
        self.reads.clear()
        self.problems.clear()
        folder = str(self.folder)
        return git_settings(folder, folder, folder, self._problem)

    def _problem(self, path: str, why: str) -> None:
        self.problems.add(f"{Path(path).name}: {why}")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in list(os.environ):
        if name.startswith(("GIT_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "none"))
    settings = Settings(tmp_path)
    read_small = gitconfig.read_small

    def counted(path: str, **limits: int) -> bytes:
        settings.reads.append(Path(path).name)
        assert len(settings.reads) < 5000
        return read_small(path, **limits)

    monkeypatch.setattr(gitconfig, "read_small", counted)
    return settings


def included(*names: str) -> str:
    return "[include]\n" + "".join(f"path = {name}\n" for name in names)


def test_a_file_that_is_being_read_is_not_read_again(settings: Settings) -> None:
    core = "[core]\nignorecase = true\n"
    settings.write(config=included(*["config"] * 10, "./link", "a") + core, a=included("config"))
    (settings.folder / "link").symlink_to("config")
    assert settings.read().ignore_case
    assert settings.reads.count("config") == 1
    assert settings.problems == {
        f"{name}: includes itself; what it includes there is lost" for name in ("a", "config")
    }


def test_a_file_is_read_as_often_as_it_is_included_beside_itself(settings: Settings) -> None:
    core = "[core]\nexcludesfile = {}\n"
    settings.write(config=included("a", "b", "a"), a=core.format("/a"), b=core.format("/b"))
    assert settings.read().excludes_file == "/a"
    assert settings.reads.count("a") == 2
    assert not settings.problems


def test_files_that_include_each_other_are_read_to_the_depth_of_git(settings: Settings) -> None:
    files = {f"f{n}": included(f"f{n + 1}") for n in range(1, 20)}
    settings.write(config=included("f1"), **files)
    settings.read()
    assert [name for name in settings.reads if name in files] == [f"f{n}" for n in range(1, 11)]
    assert settings.problems == {
        "f10: is the last of 11 files that include each other; what it includes there is lost"
    }


def test_what_is_included_again_and_again_has_a_limit_in_all(settings: Settings) -> None:
    files = {f"f{n}": included(*[f"f{n + 1}"] * 10) for n in range(1, 10)}
    settings.write(config=included("f1"), **files)
    settings.read()
    assert len(settings.reads) < 600
    why = "includes more than the 2 MiB that are read; what it includes there is lost"
    assert f"config: {why}" not in settings.problems
    assert f"f9: {why}" in settings.problems

    settings.write(config=included(*["large"] * 50), large="#" * 500_000)
    settings.read()
    assert settings.reads.count("large") == 5
    assert settings.problems == {f"config: {why}"}


def test_a_condition_is_tried_once_however_much_stands_beneath_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []
    fits = gitconfig._fits

    def counted(pattern: str, name: str, *, fold: bool) -> bool:
        tried.append(pattern)
        return fits(pattern, name, fold=fold)

    monkeypatch.setattr(gitconfig, "_fits", counted)
    settings.write(
        HEAD="ref: refs/heads/main\n",
        config="".join(
            f'[includeIf "onbranch:{name}"]\n' + "path = a\nx = y\n" * 20
            for name in ("nothing", "main", "nothing")
        ),
        a="[core]\nignorecase = true\n",
    )
    assert settings.read().ignore_case
    assert tried == ["nothing", "main"]
    assert settings.reads.count("HEAD") == 1


@pytest.mark.parametrize(
    ("value", "truth"),
    [
        *[("true", True), ("YES", True), ("on", True), ("1", True), ("-5", True), ("+2k", True)],
        *[("0x1", True), ("0x0", False), ("0x", None)],
        *[("false", False), ("Off", False), ("", False), ("0", False), ("00", False)],
        ("0" * 5000 + "1", True),
        *[(odd, None) for odd in ("--5", "-", "5-", "k", "maybe", "٣", "9" * 5001, "1.0")],
    ],
)
def test_what_is_true_is_told_as_git_tells_it(
    settings: Settings, value: str, truth: bool | None
) -> None:
    settings.write(config=f"[core]\nbare = {value}\nignorecase = {value}\nexcludesfile = /a\n")
    read = settings.read()
    assert (read.bare, read.ignore_case, read.excludes_file) == (truth is True, truth is True, "/a")
    assert settings.problems == {
        f"config: core.{name} is neither true nor false; this setting is lost"
        for name in ("bare", "ignorecase")
        if truth is None
    }


def test_a_setting_that_is_lost_leaves_the_one_before(settings: Settings) -> None:
    settings.write(config="[core]\nignorecase\nignorecase = --5\n")
    assert settings.read().ignore_case
    assert len(settings.problems) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".git/config", "[core]\nexcludesfile = ~a\0b\n"),
        (".git/config", "[include]\npath = ~a\0b\n"),
        (".git/config", '[includeIf "gitdir:~a\0b"]\npath = a\n'),
        (".git/config", "[core]\nbare = --5\n"),
        (".git/commondir", "a\0b"),
        ("folder/.git", "gitdir: a\0b\n"),
    ],
)
def test_what_is_odd_in_a_repository_costs_no_file_of_its_folder(
    settings: Settings, name: str, text: str
) -> None:
    (settings.folder / ".git").mkdir()
    (settings.folder / "folder").mkdir()
    settings.write(**{".git/HEAD": "ref: refs/heads/main\n", "a.md": "x", "folder/b.md": "x"})
    settings.write(**{name: text})
    found = discover([settings.folder], settings.folder)
    assert [source.id for source in found] == ["a.md", "folder/b.md"]


def test_a_link_to_a_repository_is_as_long_as_a_path_at_most(tmp_path: Path) -> None:
    link = tmp_path / ".git"
    for steps, is_one in ((2000, True), (30_000, False)):
        link.write_text("gitdir: " + "a/" * steps)
        assert (Repository.at(str(tmp_path), print) is not None) == is_one


def test_a_value_of_many_pieces_is_read_as_git_reads_it(settings: Settings) -> None:
    pieces = r'  "a " b \\ c" d "  e\t ; comment'
    settings.write(config=f"[core]\nexcludesfile = /{pieces}\n")
    assert settings.read().excludes_file == "/  a  b \\ c d   e\t"
