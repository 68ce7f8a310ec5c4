"""The C library keeps to few arenas where it is told, and gives back what it keeps."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

ARENAS = """
import ctypes, sys, threading
from retrieval.malloc import bound_arenas
said = bound_arenas()
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
waiting = threading.Barrier(33)
def work():
    held = [library.malloc(1000) for _ in range(100)]
    waiting.wait()
    waiting.wait()
threads = [threading.Thread(target=work) for _ in range(32)]
[one.start() for one in threads]
waiting.wait()
sys.stderr.write(str(said))
library.malloc_info(0, ctypes.c_void_p.in_dll(library, "stdout"))
library.fflush(None)
waiting.wait()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc")
@pytest.mark.parametrize(("environment", "bound"), [({}, True), ({"MALLOC_ARENA_MAX": "5"}, False)])
def test_threads_share_few_arenas(environment: dict[str, str], bound: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ARENAS],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path), "PYTHONMALLOC": "malloc", **environment},
    )
    assert done.stderr == str(bound)
    heaps = ElementTree.fromstring(done.stdout).findall("heap")
    assert len(heaps) == (2 if bound else 5)


TRIMMED = """
import ctypes
from pathlib import Path
import numpy as np
from retrieval.malloc import trim
def held():
    return int(Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0])
freed = np.ones(1 << 21)  # 16 MiB: once it is freed, less than that comes from the heap
del freed
arrays = [np.ones(1 << 17) for _ in range(100)]  # 1 MiB each
last = np.ones(1 << 17)
arrays.clear()
before = held()
trim()
print(before - held())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc")
def test_what_lies_free_between_what_is_used_is_given_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", TRIMMED],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert int(done.stdout) > 90 * 1024


MAPPED = """
import ctypes
import numpy as np
from retrieval.malloc import map_large_blocks
print(map_large_blocks())
freed = np.ones(1 << 21)  # 16 MiB, which would have less than that come from the heap
del freed
held = [np.ones(1 << 17) for _ in range(20)]  # 1 MiB each
ctypes.CDLL(None).malloc_stats()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc")
@pytest.mark.parametrize(
    ("environment", "mapped"), [({}, True), ({"MALLOC_MMAP_THRESHOLD_": "33554432"}, False)]
)
def test_large_blocks_are_mapped_whatever_was_freed(
    environment: dict[str, str], mapped: bool
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MAPPED],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path), **environment},
    )
    assert done.stdout.split() == [str(mapped)]
    (most,) = re.findall(r"max mmap bytes\s*=\s*(\d+)", done.stderr)
    in_use = re.findall(r"in use bytes\s*=\s*(\d+)", done.stderr)[-1]  # of all
    assert (int(most) > 20 << 20) == mapped
    assert int(in_use) > 20 << 20
