import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import retrieval.encoders
from retrieval.cli.entry import run
from tests.index.fake_encoder import FakeEncoder

COMMAND = (sys.executable, str(Path(__file__).with_name("with_fake_encoder.py")))


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


Retrieval = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "TERM", "COLUMNS", "RETRIEVAL_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    # A busy machine takes long over a short job, which is then not silent.
    monkeypatch.setattr("retrieval.cli.output.progress.EVERY_S", 3600.0)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of the test, with two documents; one has a passage for each section."""
    more = "It waits, and it says so, and then it waits again. " * 10
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "locks.md").write_text(
        f"# Locks\n\nA writer takes the lock before it writes.\n\n{more}\n\n"
        f"## Waiting\n\nWho comes second is refused.\n\n{more}\n"
    )
    (tmp_path / "docs" / "readers.md").write_text("# Readers\n\nReaders never take the lock.\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def retrieval_command(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Retrieval:
    """`retrieval` in this process; encoders are fakes that differ by their source."""

    def load(source: str | Path | None = None, *, device: str | None = None) -> FakeEncoder:
        return FakeEncoder(name="fake-words" if source is None else str(source))

    monkeypatch.setattr(retrieval.encoders, "load_encoder", load, raising=False)

    def command(*arguments: object) -> Outcome:
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return command


@pytest.fixture
def indexed(retrieval_command: Retrieval) -> Retrieval:
    """The same; `docs` was indexed."""
    assert retrieval_command("index", "docs").code == 0
    return retrieval_command


@pytest.fixture
def process(folder: Path) -> Callable[..., subprocess.Popen[str]]:
    """`retrieval` in a process of its own, started."""

    def start(*arguments: str, **options: Any) -> subprocess.Popen[str]:
        environment = os.environ | options.pop("env", {})
        return subprocess.Popen(
            [*COMMAND, *arguments], cwd=folder, env=environment, text=True, **options
        )

    return start
