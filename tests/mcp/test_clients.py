"""`retrieval install`: each program's own form, what is kept, what is asked, what is refused."""

from __future__ import annotations

import errno
import io
import json
import stat
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from retrieval.cli.entry import run
from retrieval.errors import InputError, RetrievalError
from retrieval.mcp.clients import toml
from retrieval.mcp.clients.forms import CLIENTS
from retrieval.mcp.clients.installing import installation


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of its own, and a project below it that is worked in."""
    for name in ("XDG_CONFIG_HOME", "CODEX_HOME", "CLAUDE_CONFIG_DIR", "APPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    project = tmp_path / "home" / "project"
    project.mkdir(parents=True)
    monkeypatch.chdir(project)
    monkeypatch.setattr(sys, "platform", "linux")
    return tmp_path / "home"


def program() -> str:
    """What starts this program here."""
    written = json.loads(installation("cursor", "x", [], None).after)
    return str(written["mcpServers"]["x"]["command"])


def local(command: list[str]) -> dict[str, Any]:
    return {"type": "local", "command": command, "enabled": True}


USER = {
    "claude-code": (
        ".claude.json",
        lambda c: {"mcpServers": {"retrieval": {"type": "stdio", **c}}},
    ),
    "codex": (".codex/config.toml", lambda c: {"mcp_servers": {"retrieval": c}}),
    "cursor": (".cursor/mcp.json", lambda c: {"mcpServers": {"retrieval": c}}),
    "vscode": (
        ".config/Code/User/mcp.json",
        lambda c: {"servers": {"retrieval": {"type": "stdio", **c}}},
    ),
    "zed": (".config/zed/settings.json", lambda c: {"context_servers": {"retrieval": c}}),
    "opencode": (
        ".config/opencode/opencode.json",
        lambda c: {
            "mcp": {
                "retrieval": {
                    "type": "local",
                    "command": [c["command"], *c["args"]],
                    "enabled": True,
                }
            }
        },
    ),
}
PROJECT = {
    "claude-code": ".mcp.json",
    "codex": ".codex/config.toml",
    "cursor": ".cursor/mcp.json",
    "vscode": ".vscode/mcp.json",
    "zed": ".zed/settings.json",
    "opencode": "opencode.json",
}


def parsed(file: Path) -> Any:
    text = file.read_text("utf-8")
    return tomllib.loads(text) if file.suffix == ".toml" else json.loads(text)


def test_every_program_is_tested() -> None:
    assert set(USER) == set(PROJECT) == set(CLIENTS)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("there", [None, "", "\n"])
def test_there_is_nothing_to_take_out_of_an_empty_configuration(
    client: str, there: str | None, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = home / USER[client][0]
    if there is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(there)
    assert run(["install", client, "--remove", "--yes"]) == 0
    assert "already up to date" in capsys.readouterr().out
    assert (file.read_text() if file.exists() else None) == there


@pytest.mark.parametrize("client", CLIENTS)
def test_the_entry_is_written_in_the_programs_own_form_and_taken_out(
    client: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, form = USER[client]
    file = home / name
    assert run(["install", client, "--yes", "--allow-write"]) == 0
    out = capsys.readouterr().out
    assert f"+++ {file}" in out and out.endswith(f"written: {file}\n")
    assert parsed(file) == form({"command": program(), "args": ["mcp", "--allow-write"]})
    assert run(["install", client, "--yes", "--allow-write"]) == 0
    assert "already up to date" in capsys.readouterr().out
    assert run(["install", client, "--remove", "--yes"]) == 0
    assert "retrieval" not in file.read_text().replace(str(file), "")
    assert run(["install", client, "--remove", "--yes"]) == 0


@pytest.mark.parametrize("client", CLIENTS)
def test_a_projects_configuration_is_for_all_who_share_it(client: str, home: Path) -> None:
    assert run(["install", client, "--project", "--yes"]) == 0
    text = (home / "project" / PROJECT[client]).read_text()
    assert str(home) not in text and sys.prefix not in text
    if client in ("cursor", "vscode"):  # which may start servers in any folder
        assert "${workspaceFolder}/.retrieval" in text
    assert not (home / USER[client][0]).exists()


WAS = {
    "claude-code": '{"numStartups": 5, "mcpServers": {"other": {"command": "x"}}}\n',
    "codex": '# mine\nmodel = "x"  # best\n\n[mcp_servers.other]\ncommand = "x"\n\n[tui]\na = 1\n',
    "cursor": '{\n\t"mcpServers": {\n\t\t"other": {"url": "http://x"}\n\t}\n}\n',
    "vscode": '{\n  // mine\n  "servers": {\n    "other": {"command": "x"}, // theirs\n  },\n}\n',
    "zed": '// Zed settings\n{\n  "theme": "One Dark", // dark\n  "vim_mode": true\n}\n',
    "opencode": '{\n  "$schema": "https://opencode.ai/config.json",\n  "model": "x" // why\n}\n',
}


@pytest.mark.parametrize("client", CLIENTS)
def test_what_is_there_is_kept_with_its_comments(client: str, home: Path) -> None:
    file = home / USER[client][0]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(WAS[client])
    file.chmod(0o600)
    assert run(["install", client, "--yes"]) == 0
    text = file.read_text()
    for line in WAS[client].splitlines():
        kept = line.strip().rstrip("},").strip()
        assert kept.partition(" //")[0].rstrip("},") in text
        assert kept.partition("//")[2] in text
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert run(["install", client, "--remove", "--yes"]) == 0
    left = file.read_text()
    assert "bin/retrieval" not in left and "[mcp_servers.retrieval]" not in left
    if client in ("claude-code", "codex", "cursor", "vscode"):  # which had a table of servers
        assert left == WAS[client]


def test_opencode_of_version_2_has_a_table_of_its_own(home: Path) -> None:
    file = home / "project" / "opencode.jsonc"
    file.write_text('{"mcp": {"servers": {}}}')
    assert run(["install", "opencode", "--project", "--yes"]) == 0
    assert list(parsed(file)["mcp"]["servers"]) == ["retrieval"]
    assert list(parsed(file)["mcp"]) == ["servers"]


def test_the_systems_folders_are_minded(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def file(client: str) -> Path:
        return CLIENTS[client].file(None)

    monkeypatch.setattr(sys, "platform", "darwin")
    support = home / "Library" / "Application Support"
    assert file("vscode") == support / "Code" / "User" / "mcp.json"
    assert file("zed") == home / ".config" / "zed" / "settings.json"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("APPDATA", "/roaming")
    assert file("vscode") == Path("/roaming/Code/User/mcp.json")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/configured")
    assert file("zed") == Path("/configured/zed/settings.json")
    monkeypatch.setenv("CODEX_HOME", "/codex")
    assert file("codex") == Path("/codex/config.toml")
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", "/claude")
    assert file("claude-code") == Path("/claude/.claude.json")


def test_nothing_is_written_unasked(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = home / ".cursor" / "mcp.json"
    assert run(["install", "cursor", "--dry-run"]) == 0
    assert "+++" in capsys.readouterr().out
    assert run(["install", "cursor"]) == 2  # there is nobody to ask
    assert "--yes" in capsys.readouterr().err

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal(""))  # Ctrl-D
    assert run(["install", "cursor"]) == 130
    assert capsys.readouterr().err.splitlines()[-1].endswith("stopped")
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    assert run(["install", "cursor"]) == 0
    assert "mcp.json? [y/N]" in capsys.readouterr().err
    assert not file.exists()
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    assert run(["install", "cursor"]) == 0
    assert file.exists()


def test_as_json(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["install", "codex", "--yes", "--json", "--name", "notes", "--index", "x"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["written"] and said["changes"] and said["client"] == "codex"
    entry = tomllib.loads(Path(said["file"]).read_text())["mcp_servers"]["notes"]
    assert entry["args"] == ["mcp", "--index", str(home / "project" / "x")]


@pytest.mark.parametrize(
    ("client", "text", "said"),
    [
        ("cursor", "{", "not JSON at line 1"),
        ("cursor", "[]", "not an object"),
        ("cursor", '{"mcpServers": 5}', "mcpServers is not an object"),
        ("codex", "a = ", "not TOML"),
        ("codex", "mcp_servers = 5", "mcp_servers is not a table"),
        ("cursor", b"\xff", "not UTF-8"),
    ],
)
def test_what_cannot_be_edited_is_left_as_it_is(
    home: Path, client: str, text: str | bytes, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = home / USER[client][0]
    file.parent.mkdir(parents=True)
    data = text.encode() if isinstance(text, str) else text
    file.write_bytes(data)
    assert run(["install", client, "--yes"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line and str(file) in line
    assert file.read_bytes() == data


def test_a_program_that_is_not_known_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["install", "emacs", "--yes"]) == 2
    assert "choose from claude-code, codex" in capsys.readouterr().err


def test_a_link_is_followed_and_a_file_that_changed_meanwhile_is_not_written(home: Path) -> None:
    real = home / "dotfiles.json"
    real.write_text("{}")
    link = home / ".cursor" / "mcp.json"
    link.parent.mkdir()
    link.symlink_to(real)
    change = installation("cursor", "retrieval", [], None)
    real.write_text('{"a": 1}')
    with pytest.raises(InputError, match="changed meanwhile"):
        change.write()
    installation("cursor", "retrieval", [], None).write()
    assert link.is_symlink()
    assert set(parsed(real)) == {"a", "mcpServers"}


@pytest.mark.parametrize(
    ("before", "kept"),
    [
        ("", {}),
        ("[mcp_servers]\n", {}),
        ("mcp_servers = {other = {command = 'x'}}\n", {"other": {"command": "x"}}),
        ("mcp_servers.other.command = 'x'\n", {"other": {"command": "x"}}),
        ("[mcp_servers.other]\ncommand = 'x'\n[mcp_servers.other.env]\nA = '1'\n",
         {"other": {"command": "x", "env": {"A": "1"}}}),
        ("[mcp_servers.retrieval]\ncommand = 'old'\n[mcp_servers.retrieval.env]\nA = '1'\n", {}),
    ],
)  # fmt: skip
def test_every_way_to_write_a_table_of_toml(before: str, kept: Mapping[str, Any]) -> None:
    path = ["mcp_servers", "retrieval"]
    put = toml.set_value(before, path, {"command": "retrieval", "args": ["mcp"]})
    entry = {"command": "retrieval", "args": ["mcp"]}
    assert tomllib.loads(put)["mcp_servers"] == {**kept, "retrieval": entry}
    removed = tomllib.loads(toml.remove(put, path)).get("mcp_servers", {})
    assert removed == kept


def test_a_configuration_that_the_system_refuses_is_no_wrong_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    change = installation("cursor", "retrieval", [], None)
    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(RetrievalError, match="cannot be written: Permission denied") as failed:
        change.write()
    assert not isinstance(failed.value, InputError)
