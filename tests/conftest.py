"""What all tests share.

Their folders are in memory where there is room: an index forces what it writes to the disk, and a
test would wait for that most of its time. A run's passing tests leave nothing there.

One thread for each library of numbers, set before the first of them is imported: the tests' models
are tiny, and threads that wait for each other take several times as long as one, above all beside
other work on the same cores. And no deadline for an example of hypothesis: how long it takes says
what else the machine does.
"""

import os
from pathlib import Path

import pytest
from hypothesis import settings

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

MEMORY = Path("/dev/shm")
if MEMORY.is_dir():
    room = os.statvfs(MEMORY)
    # Some tests compile programs into their folders, and run them.
    if room.f_bavail * room.f_frsize >= 4 << 30 and not room.f_flag & os.ST_NOEXEC:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

# Read when Haystack is imported: nothing is to be sent, nor written into the home folder.
os.environ.setdefault("HAYSTACK_TELEMETRY_ENABLED", "False")
os.environ.setdefault("HAYSTACK_AUTO_TRACE_ENABLED", "False")

settings.register_profile("tests", deadline=None)
settings.load_profile("tests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first: the other processes would wait for one that came last."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
