"""A folder is one process's at a time, and a kill lets it go."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from retrieval.errors import IndexLocked, InputError
from retrieval.files.claim import LOCK, claimed

HOLDER = """
import sys, time
from pathlib import Path
from retrieval.files.claim import claimed
with claimed(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_folder_is_held_against_others_until_its_holder_dies(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with (
            pytest.raises(IndexLocked, match=f"process {holder.pid}.* wait until it is done"),
            claimed(folder),
        ):
            pass
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    with claimed(folder):
        (folder / "kept").touch()
    assert sorted(path.name for path in folder.iterdir()) == ["kept", LOCK]


def test_a_folder_that_stayed_empty_is_taken_away(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), claimed(tmp_path / "new"):
        raise KeyboardInterrupt
    assert not (tmp_path / "new").exists()
    (tmp_path / "old").mkdir()
    with claimed(tmp_path / "old"):
        pass
    assert (tmp_path / "old").is_dir()


def test_a_folder_that_cannot_be_taken_away_hides_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "rmdir", refuse)
    with pytest.raises(KeyboardInterrupt), claimed(tmp_path / "new"):
        raise KeyboardInterrupt
    with claimed(tmp_path / "other"):
        pass
    with pytest.raises(KeyboardInterrupt), claimed(tmp_path / "gone"):
        (tmp_path / "gone" / LOCK).unlink()
        (tmp_path / "gone").rename(tmp_path / "elsewhere")
        raise KeyboardInterrupt


def test_what_is_no_folder_is_said_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(InputError, match="is not a folder; give a folder"),
        claimed(tmp_path / "file"),
    ):
        pass
    with pytest.raises(InputError, match="cannot be written to"), claimed(tmp_path / "file" / "a"):
        pass
