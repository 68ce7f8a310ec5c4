"""Client programs: where each keeps its configuration, and the form of an entry.

claude-code  https://code.claude.com/docs/en/mcp
codex        https://developers.openai.com/codex/mcp
cursor       https://cursor.com/docs/mcp
vscode       https://code.visualstudio.com/docs/agents/reference/mcp-configuration
zed          https://zed.dev/docs/ai/mcp
opencode     https://opencode.ai/docs/mcp-servers
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Command = Sequence[str]
"""A program and its arguments."""


@dataclass(frozen=True, slots=True)
class Client:
    """A program that uses MCP servers.

    Attributes:
        title: its own name.
        user: its configuration for all projects; if there are several, the first that exists.
        project: a project's configuration, relative to its folder; likewise.
        table: path of names to the servers; if there are several, the first that exists.
        entry: makes the contents of a server's entry.
        workspace: a placeholder for the project's folder in the arguments of a project's own entry,
            if the client may start servers elsewhere.
    """

    title: str
    user: Callable[[], Sequence[Path]]
    project: Sequence[str]
    table: Sequence[Sequence[str]]
    entry: Callable[[Command], Mapping[str, Any]]
    workspace: str | None = None

    def file(self, project: Path | None) -> Path:
        """Its configuration: of a project's folder, or the user's."""
        places = self.user() if project is None else [project / one for one in self.project]
        return next((place for place in places if place.exists()), places[0])


def _home(*parts: str) -> Path:
    return Path.home().joinpath(*parts)


def _from(variable: str, default: Path) -> Path:
    given = os.environ.get(variable, "")
    return Path(given) if given else default


def _configuration() -> Path:
    """The user's configuration folder, by XDG or the system's own convention."""
    if sys.platform == "win32":
        return _from("APPDATA", _home("AppData", "Roaming"))
    return _from("XDG_CONFIG_HOME", _home(".config"))


def _vscode() -> Path:
    if sys.platform == "darwin":
        return _home("Library", "Application Support", "Code", "User", "mcp.json")
    return _configuration() / "Code" / "User" / "mcp.json"


def _plain(command: Command) -> Mapping[str, Any]:
    return {"command": command[0], "args": list(command[1:])}


def _typed(command: Command) -> Mapping[str, Any]:
    return {"type": "stdio", **_plain(command)}


def _local(command: Command) -> Mapping[str, Any]:
    return {"type": "local", "command": list(command), "enabled": True}


CLIENTS: Mapping[str, Client] = {
    "claude-code": Client(
        "Claude Code",
        lambda: [_from("CLAUDE_CONFIG_DIR", _home()) / ".claude.json"],
        [".mcp.json"],
        [["mcpServers"]],
        _typed,
    ),
    "codex": Client(
        "Codex",
        lambda: [_from("CODEX_HOME", _home(".codex")) / "config.toml"],
        [".codex/config.toml"],
        [["mcp_servers"]],
        _plain,
    ),
    "cursor": Client(
        "Cursor",
        lambda: [_home(".cursor", "mcp.json")],
        [".cursor/mcp.json"],
        [["mcpServers"]],
        _plain,
        "${workspaceFolder}",
    ),
    "vscode": Client(
        "Visual Studio Code",
        lambda: [_vscode()],
        [".vscode/mcp.json"],
        [["servers"]],
        _typed,
        "${workspaceFolder}",
    ),
    "zed": Client(
        "Zed",
        lambda: [
            _configuration() / ("Zed" if sys.platform == "win32" else "zed") / "settings.json"
        ],
        [".zed/settings.json"],
        [["context_servers"]],
        _plain,
    ),
    "opencode": Client(
        "opencode",
        lambda: [
            _from("XDG_CONFIG_HOME", _home(".config")) / "opencode" / name
            for name in ("opencode.json", "opencode.jsonc")
        ],
        ["opencode.json", "opencode.jsonc", ".opencode/opencode.json", ".opencode/opencode.jsonc"],
        [["mcp", "servers"], ["mcp"]],  # the first from version 2 on
        _local,
    ),
}
"""The known programs, by name."""
