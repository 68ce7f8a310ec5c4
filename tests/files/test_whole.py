"""A file is written whole or not at all: an error, a kill and a full disk leave the one before."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from retrieval.files import whole
from retrieval.files.whole import replacing, replacing_text, write_whole


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "state.json"
    write_whole(file, "before")
    return file


def test_a_file_gets_its_contents_and_nothing_stays_beside_it(path: Path) -> None:
    assert path.read_text() == "before"
    write_whole(path, b"\x00after")
    assert path.read_bytes() == b"\x00after"
    with replacing_text(path) as file:
        file.write("é\r\n")
    assert path.read_bytes() == "é\r\n".encode()
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError("No space left on device"), KeyboardInterrupt()])
def test_an_error_leaves_what_was_there(path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), replacing(path) as file:
        file.write(b"half")
        raise error
    with pytest.raises(type(error)), replacing_text(path) as text:
        text.write("half")
        raise error
    assert path.read_text() == "before"
    assert list(path.parent.iterdir()) == [path]


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "nowhere" / "file", "text")


KILLED = """
import os, signal, sys
from pathlib import Path
from retrieval.files.whole import replacing
with replacing(Path(sys.argv[1])) as file:
    file.write(b"half" * 100_000)
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_leaves_what_was_there_and_the_next_writer_is_not_hindered(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "before"
    write_whole(path, "after")
    assert path.read_text() == "after"
    assert list(path.parent.iterdir()) == [path]


def test_contents_and_then_the_name_are_forced_to_the_disk(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a power cut leaves: the rename comes after its contents, and is forced out as well."""
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(descriptor: int) -> None:
        folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        events.append("fsync of the folder" if folder else "fsync of the file")
        fsync(descriptor)

    def noted_replace(self: Path, target: Path) -> Path:
        events.append("rename")
        return replace(self, target)

    monkeypatch.setattr(whole.os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    write_whole(path, "after")
    assert events == ["fsync of the file", "rename", "fsync of the folder"]
