"""Builds and loads `interposed.c`, which stands between a process and its files."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

SHORT_WRITE = -1
"""In the place of an error number: half of the data is written."""

KILL = -2
"""In the place of an error number: the process is killed before the call."""


def build(folder: Path) -> Path | None:
    """The library, compiled into `folder`; None without a C compiler or on another system."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    source, made = Path(__file__).with_name("interposed.c"), folder / "interposed.so"
    if compiler is None or os.uname().sysname != "Linux":
        return None
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(made), str(source)]
    subprocess.run([*command, "-ldl", "-lpthread"], check=True, capture_output=True)
    return made


class Interposed:
    """The library as loaded by LD_PRELOAD; it does nothing until it is told a folder to watch."""

    def __init__(self, library: str) -> None:
        self._library = ctypes.CDLL(library)
        self._library.interposed_calls.restype = ctypes.c_long
        self._library.interposed_failed.restype = ctypes.c_char_p
        self._library.interposed_fail.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_int]

    def watch(self, folder: Path) -> None:
        """Only calls on this folder and what is below it count from here on."""
        self._library.interposed_watch(os.fsencode(folder.resolve()))

    def fail(self, at: int, error: int, *, on: bool = False) -> None:
        """Let the `at`-th call from here fail with an error number, or write half of its data.

        Args:
            at: counted from 1; 0 lets none fail.
            on: whether all calls after it fail, too.
        """
        self._library.interposed_fail(at, error, int(on))

    @property
    def calls(self) -> int:
        """Since `fail` was called."""
        return int(self._library.interposed_calls())

    @property
    def failed(self) -> str:
        """The name of the call that failed; empty if none did."""
        return bytes(self._library.interposed_failed()).decode()

    def trace(self, file: Path) -> None:
        """Write down every call that changes a file, with its data, into `file`."""
        self._library.interposed_trace(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))

    def note(self, text: str) -> None:
        """Write a line of one's own between those of the calls."""
        self._library.interposed_note(text.encode())
