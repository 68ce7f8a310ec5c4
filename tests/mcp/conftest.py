import contextlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import retrieval.encoders
from retrieval.mcp.tools import Tools, make_tools
from retrieval.mcp.wire import Call, ToolResult
from retrieval.service.kept_open import KeptOpen
from tests.index.fake_encoder import FakeEncoder

Ask = Callable[..., ToolResult]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a few files without an index; encoders are fakes."""

    def load(source: str | Path | None = None, *, device: str | None = None) -> FakeEncoder:
        return FakeEncoder()

    monkeypatch.setattr(retrieval.encoders, "load_encoder", load)
    project = tmp_path / "project"
    write_files(project)
    (tmp_path / "secret.txt").write_text("nobody may read this")
    return project


def write_files(project: Path) -> None:
    """A page, code, and records."""
    (project / "src").mkdir(parents=True)
    (project / "locks.md").write_text(
        "# Locks\n\nA writer takes the lock before it writes.\n\n## Waiting\n\nWho comes second "
        "waits for the lock.\n"
    )
    (project / "src" / "lock.py").write_text(
        '"""Locks for writers."""\n\n\nclass Lock:\n    def take(self, wait: bool) -> None:\n'
        '        """Take the lock before writing."""\n        self.taken = True\n\n\n'
        "def release(lock: Lock) -> None:\n    lock.taken = False\n"
    )
    (project / "rows.jsonl").write_text('{"text": "one row"}\n{"text": "another row"}\n')


@contextlib.contextmanager
def tools_over(index: Path, *, allow_write: bool = False) -> Iterator[Ask]:
    """Tools over an index; each is asked by its name."""
    kept = KeptOpen(index)
    tools = Tools(lambda: kept, allow_write=allow_write)
    offered = {one.name: one for one in make_tools(tools, allow_write=allow_write)}

    def ask(name: str, call: Call | None = None, **arguments: Any) -> ToolResult:
        return offered[name].run(arguments, call or Call(lambda message: None))

    try:
        yield ask
    finally:
        tools.stop()
        kept.close()


@pytest.fixture
def open_tools(folder: Path) -> Iterator[Callable[..., Ask]]:
    """Tools over the folder's index."""
    with contextlib.ExitStack() as stack:

        def opened(*, allow_write: bool = False, index: Path | None = None) -> Ask:
            return stack.enter_context(
                tools_over(index or folder / ".retrieval", allow_write=allow_write)
            )

        yield opened


def asked_by_the_sdk(*over: str, cwd: Path) -> Any:
    """What the protocol's official client got from a server.

    The SDK takes 30 MB and is no dependency: RETRIEVAL_TEST_MCP_SDK names the interpreter of an
    environment that has it (`pip install mcp`), if this one has not.

    Args:
        over: a URL, or a command and its arguments.
    """
    python = os.environ.get("RETRIEVAL_TEST_MCP_SDK", "")
    if not python and importlib.util.find_spec("mcp") is None:
        pytest.skip("the official client is not installed; see RETRIEVAL_TEST_MCP_SDK")
    client = Path(__file__).with_name("sdk_client.py")
    done = subprocess.run(
        [python or sys.executable, str(client), *over],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
