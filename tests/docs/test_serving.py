"""The requests that the page on serving shows are answered."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.docs.pages import ROOT, blocks
from tests.server.conftest import Serve, serve

__all__ = ["serve"]  # a fixture

COMMANDS = [
    line
    for block in blocks(ROOT / "docs" / "serving.md", "sh")
    for line in block.text.replace("\\\n", " ").splitlines()
    if "curl " in line
]


def test_there_are_some() -> None:
    assert len(COMMANDS) >= 4


needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
OPTIONS = "--fail-with-body --silent --show-error --noproxy '*'"


def printed(command: str, port: int) -> str:
    """What a command of the page prints, asked of the server at a port."""
    assert ":7700/" in command
    ran = command.replace(":7700/", f":{port}/").replace("curl ", f"curl {OPTIONS} ")
    done = subprocess.run(["sh", "-c", ran], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_curl
@pytest.mark.parametrize("command", COMMANDS)
def test_curl_is_answered(serve: Serve, command: str) -> None:
    assert printed(command, serve().port).startswith("{")


@needs_curl
def test_lines_are_answered_as_the_page_says(serve: Serve) -> None:
    (command,) = (one for one in COMMANDS if one.startswith("printf"))
    said = printed(command, serve().port)
    assert said in [block.text for block in blocks(ROOT / "docs" / "serving.md", "ndjson")]
