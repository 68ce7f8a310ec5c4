"""What git ignores, by what git itself says of random repositories with all of its rules."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from retrieval.documents import WalkOptions, discover
from retrieval.documents.walk.gitindex import GitIndex

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

NAMES = ["a", "b", "foo", "Bar", "a.log", "b.LOG", "x y", "]", "keep", "café", "[", "a\\b"]
SEGMENTS = [
    *("a", "b", "foo", "*", "**", "*.log", "?", "[ab]", "[!a]", "f*o", r"\a", r"x\ y", "keep"),
    *("***", "[a-]", "[]]", "[[:alpha:]]", "[^]b]", "x y ", "[b-a]", "[a/b]", "[[:upper:]]*"),
    *("caf?", "caf??", "caf[é]", "*é", "[F]oo", "[A-G]oo", "FOO", "\\F*", "[", "a[", "a\\", "a**"),
    *(
        "bar",
        "[B]ar",
        "[A-C]ar",
        "**a",
        "*a*b*",
        "[[:nope:]]",
        "[a-c-e]",
        "[\\]]",
        "[!]]",
        "a\\\\b",
        "*.",
        "[[.a.]]",
        "[a[:]",
    ),
]
IDIOMS = [
    *("foo/*", "!foo/keep", "a/**", "!a/b", "*", "!*/", "!*.log", "/*", "!/foo", "!a/", "b/"),
    *("!b/*.log", "**/a/", "!**/a/keep", "foo/**/", "!foo/**/", "a**/b", "/a*/**/b", "**/foo/**/a"),
    *("# a", "\\#a", "\\!a", "!", "/", "//", "a//", "a\r", "  ", "\\ ", "a \\ ", "**/**", "/**/a"),
]


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    home = tmp_path / "home"
    home.mkdir()
    for name in list(os.environ):
        if name.startswith(("GIT_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    (home / ".gitconfig").write_text(
        '[user]\n\tname = a\n\temail = a@b\n[protocol "file"]\n\tallow = always\n'
    )
    return Git(tmp_path)


class Git:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"

    def __call__(self, *arguments: str | Path, at: Path) -> str:
        ran = subprocess.run(["git", *map(str, arguments)], cwd=at, check=True, capture_output=True)
        return os.fsdecode(ran.stdout)

    def new(self, name: str, files: Mapping[str, str]) -> Path:
        repository = self.folder / name
        repository.mkdir()
        self("init", "-q", ".", at=repository)
        write(repository, files)
        return repository

    def takes(self, repository: Path) -> set[str]:
        """What git tracks, or would add, of all that exists."""
        listed = self("ls-files", "-cozd", "--exclude-standard", at=repository)
        return {
            path
            for path in listed.split("\0")
            if (repository / path).is_file() and not path.endswith((".gitignore", ".gitmodules"))
        }


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def found(folder: Path, **options: bool) -> set[str]:
    discovery = discover([folder], folder, options=WalkOptions(**options))
    ids = {source.id for source in discovery}
    assert discovery.problems == []
    return ids


def found_of_known(folder: Path) -> set[str]:
    """What is found where every file is known, whatever any rule says, and none has changed."""
    everything = discover([folder], folder, options=WalkOptions(include=("**",)))
    known = {file.id: file.stamp for file in everything}
    discovery = discover([folder], folder, known=known)
    assert list(discovery) == []
    return set(discovery.unchanged)


def patterns(choose: random.Random) -> str:
    lines = choose.sample(IDIOMS, choose.randint(0, 3))
    for _ in range(choose.randint(0, 3)):
        body = "/".join(choose.choices(SEGMENTS, k=choose.choice([1, 1, 1, 2, 3, 4])))
        starts, ends = choose.choice(["", "", "/"]), choose.choice(["", "", "/", " ", "\r"])
        lines.append(choose.choice(["", "", "!"]) + starts + body + ends)
    choose.shuffle(lines)
    return choose.choice(["", "", "\ufeff"]) + "\n".join(lines) + choose.choice(["", "\n"])


def grow(folder: Path, choose: random.Random, depth: int = 0) -> None:
    for name in choose.sample(NAMES, choose.randint(2, 5)):
        path = folder / name
        if depth < 3 and "." not in name and choose.random() < 0.5:
            path.mkdir()
            grow(path, choose, depth + 1)
        else:
            path.write_text("text")
    if depth == 0 or choose.random() < 0.3:
        (folder / ".gitignore").write_text(patterns(choose))


@pytest.mark.parametrize("seed", range(40))
def test_what_is_found_in_a_random_repository_is_what_git_would_add(git: Git, seed: int) -> None:
    choose = random.Random(seed)
    repository = git.new("repository", {})
    grow(repository, choose)
    if choose.random() < 0.5:
        write(repository, {".git/info/exclude": patterns(choose)})
    place = choose.choice(["none", "default", "global", "repository", "environment"])
    if place == "default":
        write(git.home, {".config/git/ignore": patterns(choose)})
    elif place != "none":
        write(git.home, {"mine": patterns(choose)})
        where = {"global": "--global", "repository": "--local"}.get(place, "--global")
        git("config", where, "core.excludesFile", "~/mine", at=repository)
    if choose.random() < 0.4:
        git("config", "core.ignoreCase", "true", at=repository)
    files = [path for path in repository.rglob("*") if path.is_file() and ".git" not in path.parts]
    tracked = [path for path in files if choose.random() < 0.2]
    if tracked and choose.random() < 0.7:
        git("add", "-f", "--", *tracked, at=repository)
        version = choose.choice(["2", "3", "4"])
        git("update-index", "--index-version", version, at=repository)
    assert found(repository) == git.takes(repository)
    assert found_of_known(repository) == found(repository)


@pytest.mark.parametrize("seed", range(10))
def test_every_path_of_a_random_repository_is_judged_as_by_check_ignore(
    git: Git, seed: int
) -> None:
    choose = random.Random(1000 + seed)
    repository = git.new("repository", {})
    grow(repository, choose)
    paths = [
        path.relative_to(repository).as_posix()
        for path in repository.rglob("*")
        if path.is_file() and ".git" not in path.parts and path.name != ".gitignore"
    ]
    asked = subprocess.run(
        ["git", "check-ignore", "-z", "--stdin"],
        cwd=repository,
        input=b"\0".join(map(os.fsencode, paths)),
        capture_output=True,
    )
    ignored = set(os.fsdecode(asked.stdout).split("\0"))
    assert found(repository) == set(paths) - ignored


@pytest.mark.parametrize("version", ["2", "3", "4"])
@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("format", ["sha1", "sha256"])
def test_the_index_of_git_is_read_in_all_its_versions(
    git: Git, version: str, split: bool, format: str
) -> None:
    choose = random.Random(version)
    repository = git.folder / "repository"
    git("init", "-q", f"--object-format={format}", repository, at=git.folder)
    names = [
        "/".join([*choose.choices(["a", "bb", "é", "d" * 200], k=choose.randint(0, 3)), f"f{n}"])
        for n in range(200)
    ]
    write(repository, dict.fromkeys(names, "text"))
    git("add", "-A", at=repository)
    git("update-index", "--index-version", version, at=repository)
    if split:
        git("config", "splitIndex.maxPercentChange", "100", at=repository)
        git("update-index", "--split-index", at=repository)
        git("rm", "-q", "--cached", *names[:40], at=repository)
        write(repository, dict.fromkeys([*names[60:80], "new"], "changed"))
        git("add", "-u", at=repository)
        git("add", "new", at=repository)
        assert list((repository / ".git").glob("sharedindex.*"))
    index = GitIndex.read(str(repository / ".git"), hash_bytes=32 if format == "sha256" else 20)
    tracked = set(git("ls-files", "-z", at=repository).split("\0")) - {""}
    assert {name for name in [*names, "new", "f", "a"] if os.fsencode(name) in index} == tracked
    assert not index.holds_beneath(b"f1")
    assert index.holds_beneath(b"a") == any(name.startswith("a/") for name in tracked)


def test_a_tracked_file_is_taken_from_an_ignored_folder_and_what_lies_beside_it_is_not(
    git: Git,
) -> None:
    repository = git.new(
        "r",
        {
            ".gitignore": "out/\n*.log\n",
            "out/in/a.md": "x",
            "out/in/b.md": "x",
            "c.log": "x",
            "out/.gitignore": "!b.md\n",
        },
    )
    git("add", "-f", "out/in/a.md", "c.log", at=repository)
    assert found(repository) == git.takes(repository) == {"c.log", "out/in/a.md"}
    git("rm", "-q", "--cached", "c.log", at=repository)
    assert found(repository) == {"out/in/a.md"}


def test_settings_are_read_from_every_file_of_git_in_its_order(
    git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{n}.md" for n in range(9)]
    repository = git.new("r", dict.fromkeys(names, "text"))
    write(git.home, {f"rules{n}": f"{n}.md\n" for n in range(9)})

    def left() -> str:
        assert found(repository) == git.takes(repository)
        (missing,) = set(names) - found(repository)
        return missing[0]

    write(git.home, {".config/git/ignore": "0.md\n"})
    assert left() == "0"
    write(git.home, {".config/git/config": "[core]\n excludesfile = ~/rules1 ; comment\n"})
    assert left() == "1"
    write(git.home, {".gitconfig": '[Core] ExcludesFile = "~/rules\\\n2" # comment\n'})
    assert left() == "2"
    config = repository / ".git/config"
    start = config.read_text()
    config.write_text(f"{start}[include]\npath = inner\n")
    write(repository, {".git/inner": f"[core]\n\texcludesFile = {git.home}/rules3\n"})
    assert left() == "3"
    config.write_text(
        f'{start}[includeIf "gitdir:**/r/.git"]\npath = {git.home}/yes\n'
        f'[includeIf "gitdir:nowhere/"]\npath = {git.home}/no\n'
    )
    write(git.home, {"yes": "[core]\nexcludesFile=~/rules4\n", "no": "[core]\nexcludesFile=~/1\n"})
    assert left() == "4"
    config.write_text(
        f'{start}[core]\nexcludesFile=~/rules5\n[includeIf "onbranch:fe*/"]\npath={git.home}/yes\n'
    )
    assert left() == "5"
    git("symbolic-ref", "HEAD", "refs/heads/feature/x", at=repository)
    assert left() == "4"
    git("config", "extensions.worktreeConfig", "true", at=repository)
    write(repository, {".git/config.worktree": "[core]\nexcludesFile = .git/rules6\n"})
    write(repository, {".git/rules6": "6.md"})
    assert left() == "6"
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.excludesFile")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "~/rules7")
    assert left() == "7"
    monkeypatch.delenv("GIT_CONFIG_COUNT")
    (repository / ".git/config.worktree").unlink()
    config.write_text(start)
    write(git.home, {"other": "[core]\nexcludesFile = ~/rules8\n"})
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(git.home / "other"))
    assert left() == "8"
    config.write_text(f"{start}[core]\nexcludesFile =\n")
    assert found(repository) == git.takes(repository) == set(names)


def test_a_damaged_setting_or_index_is_a_problem_and_no_more(git: Git) -> None:
    repository = git.new("r", {"a.md": "x", "b.log": "x", ".gitignore": "*.log\n"})
    git("add", "-f", "b.log", at=repository)
    index = repository / ".git/index"
    whole = index.read_bytes()
    for damaged, said in (
        (whole[:40], "is cut short"),
        (b"what", "is cut short"),
        (b"what" + whole[4:], "is not a git index"),
        (b"DIRC\0\0\0\x09" + whole[8:], "has version 9; versions 2 to 4 are read"),
    ):
        index.write_bytes(damaged)
        discovery = discover([repository], repository)
        assert [source.id for source in discovery] == ["a.md"]
        assert discovery.problems == [f".git/index: {said}; what git tracks is not known"]
    index.write_bytes(whole)
    config = repository / ".git/config"
    config.write_text("[core]\nignorecase = true\n[broken\n")
    discovery = discover([repository], repository)
    assert [source.id for source in discovery] == ["a.md", "b.log"]
    assert discovery.problems == [".git/config: line 3 is not a git setting; what follows is lost"]


def test_rules_are_read_from_plain_files_of_some_size_only(git: Git) -> None:
    repository = git.new("r", {"a.md": "x", "rules": "*.md\n", "b/c.md": "x", "d/e.md": "x"})
    (repository / ".gitignore").symlink_to("rules")
    os.mkfifo(repository / "b/.gitignore")
    (repository / "d/.gitignore").write_text("*.md\n" + "#" * 600_000)
    discovery = discover([repository], repository)
    assert {source.id for source in discovery} == {"a.md", "b/c.md", "d/e.md", "rules"}
    assert discovery.problems == [
        ".gitignore: cannot be read (is a link, which git does not follow either); "
        "its rules are lost",
        "b/.gitignore: cannot be read (not a regular file); its rules are lost",
        "d/.gitignore: cannot be read (has 600005 bytes, and the limit is 524288); "
        "its rules are lost",
    ]


def test_git_need_not_be_there(git: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = git.new("r", {"a.md": "x", "b.md": "x", ".git/info/exclude": "*.md\n"})
    git("add", "-f", "b.md", at=repository)
    monkeypatch.setenv("PATH", "")
    assert found(repository) == {"b.md"}


def test_submodules_have_rules_of_their_own_and_are_never_ignored(git: Git) -> None:
    inner = git.new("inner", {"a.md": "x", "b.log": "x", "c.tmp": "x"})
    git("add", ".", at=inner)
    git("commit", "-qm", "x", at=inner)
    outer = git.new("outer", {"d.log": "x", ".gitignore": "*.log\nsub*\n"})
    git("submodule", "--quiet", "add", "-f", inner, "submodule", at=outer)
    write(
        outer,
        {
            ".git/modules/submodule/info/exclude": "n.*\n",
            "submodule/n.md": "x",
            "submodule/o.log": "x",
            "sub.md": "x",
        },
    )
    assert (
        found(outer)
        == {f"submodule/{name}" for name in git.takes(outer / "submodule")}
        == {f"submodule/{name}" for name in ("a.md", "b.log", "c.tmp", "o.log")}
    )


def test_of_a_repository_one_work_tree_is_taken(git: Git) -> None:
    main = git.new("main", {"a.md": "x", ".gitignore": "*.log\n"})
    write(main, {".git/info/exclude": "private\n"})
    git("add", ".", at=main)
    git("commit", "-qm", "x", at=main)
    git("worktree", "add", "-q", main / "trees/one", at=main)
    git("worktree", "add", "-q", git.folder / "a-tree", at=main)
    write(git.folder / "a-tree", {"private": "x", "b.log": "x", "c.md": "x"})
    assert found(main) == {"a.md"}
    assert found(git.folder / "a-tree") == git.takes(git.folder / "a-tree") == {"a.md", "c.md"}
    discovery = discover([git.folder], git.folder)
    assert {source.id for source in discovery} == {"main/a.md"}
    assert discovery.skipped["worktree"] == 2
    assert {source.id for source in discover([main, main / "trees/one"], main)} == {
        "a.md",
        "trees/one/a.md",
    }
    wanted = discover([main], main, options=WalkOptions(include=("one",)))
    assert {source.id for source in wanted} == {"a.md", "trees/one/a.md"}
    (main / "trees/two").mkdir()
    git("worktree", "add", "-q", main / "trees/two/deep", at=main)
    assert {source.id for source in discover([main / "trees"], main)} == {"trees/one/a.md"}


def test_work_trees_beside_a_bare_repository_are_taken_once(git: Git) -> None:
    start = git.new("start", {"a.md": "x"})
    git("add", ".", at=start)
    git("commit", "-qm", "x", at=start)
    project = git.folder / "project"
    git("clone", "-q", "--bare", start, project / ".bare", at=git.folder)
    (project / ".git").write_text("gitdir: ./.bare\n")
    git("worktree", "add", "-q", "one", at=project)
    git("worktree", "add", "-q", "two", at=project)
    assert found(project) == {"one/a.md"}


def test_a_work_tree_whose_repository_is_gone_keeps_the_rules_it_has(git: Git) -> None:
    folder = git.folder / "moved"
    write(
        folder,
        {
            ".git": "gitdir: /nowhere/.git/worktrees/x\n",
            ".gitignore": "*.log\n",
            "a.log": "x",
            "b.md": "x",
        },
    )
    write(git.folder, {".gitignore": "*\n"})
    assert found(folder) == {"b.md"}
