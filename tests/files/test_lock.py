"""A lock ends with the block of the process that took it, whoever else was forked meanwhile."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from retrieval.errors import IndexLocked
from retrieval.files.lock import WriterLock

FORKS = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@FORKS
def test_a_process_that_was_forked_meanwhile_does_not_hold_it(tmp_path: Path) -> None:
    goes_on, told = os.pipe()
    with WriterLock(tmp_path / "lock"):
        child = os.fork()
        if child == 0:
            os.close(told)
            os.read(goes_on, 1)
            os._exit(0)
    try:
        with WriterLock(tmp_path / "lock"):
            pass
    finally:
        os.close(told)
        os.close(goes_on)
        os.waitpid(child, 0)


@FORKS
def test_a_process_that_was_forked_meanwhile_does_not_release_it(tmp_path: Path) -> None:
    lock = WriterLock(tmp_path / "lock")
    with lock:
        child = os.fork()
        if child == 0:
            lock.__exit__(None, None, None)
            os._exit(0)
        os.waitpid(child, 0)
        with pytest.raises(IndexLocked), WriterLock(tmp_path / "lock"):
            pass
