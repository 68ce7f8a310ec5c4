"""The requests that the page on serving shows are answered."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, blocks
from tests.server.conftest import Serve, serve

__all__ = ["serve"]  # a fixture

COMMANDS = [
    line
    for block in blocks(ROOT / "docs" / "serving.md", "sh")
    for line in block.text.replace("\\\n", " ").splitlines()
    if line.startswith("curl ")
]


def test_there_are_some() -> None:
    assert len(COMMANDS) >= 4


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("command", COMMANDS)
def test_curl_is_answered(serve: Serve, command: str, tmp_path: Path) -> None:
    client = serve()
    arguments = shlex.split(command.replace(":7700/", f":{client.port}/"))
    assert any(f":{client.port}/" in one for one in arguments)
    done = subprocess.run(
        [*arguments, "--fail-with-body", "--silent", "--show-error", "--noproxy", "*"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("{")
