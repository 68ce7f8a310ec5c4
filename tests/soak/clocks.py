"""Clocks that jump, files from the future and the past: no change of a file is missed."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from retrieval.index import Index
from retrieval.sync import sync

from ..index.fake_encoder import FakeEncoder
from .stages import Stage, Tally

STEPS = 6
CHANGES = 4
ZONES = ("UTC", "Pacific/Kiritimati", "America/Adak", "Asia/Kathmandu")
JUMPS = (0, 1, 3_600, 86_400, 40 * 365 * 86_400)
"""Seconds that the clock is ahead or behind."""

TIMES = (0, 1, 2**31 - 1, 2**31, 4_102_444_800, 1_600_000_000)
"""Seconds since 1970 that a file may say: none, the end of 32 bits, the year 2100."""

Change = Callable[[Path, random.Random], None]


def _rewrite(file: Path, chance: random.Random) -> None:
    file.write_text(_text(chance))


def _rewrite_unseen(file: Path, chance: random.Random) -> None:
    """Another text of the same length, with the time of change of the one before."""
    times = file.stat().st_mtime_ns
    file.write_text(_text(chance))
    os.utime(file, ns=(times, times))


def _replace_unseen(file: Path, chance: random.Random) -> None:
    """The same by a file that was written elsewhere, as editors and `rsync` do."""
    other = file.with_suffix(".new")
    other.write_text(_text(chance))
    shutil.copystat(file, other)
    other.replace(file)


def _date(file: Path, chance: random.Random) -> None:
    """Another time of change, and nothing else."""
    at = chance.choice(TIMES)
    os.utime(file, (at, at))


def _date_and_rewrite(file: Path, chance: random.Random) -> None:
    _date(file, chance)
    _rewrite_unseen(file, chance)


def _remove(file: Path, _: random.Random) -> None:
    file.unlink()


KINDS: tuple[Change, ...] = (
    _rewrite,
    _rewrite_unseen,
    _replace_unseen,
    _date,
    _date_and_rewrite,
    _remove,
)


def _text(chance: random.Random) -> str:
    """All of one length."""
    return f"own{chance.randrange(10**6):06d} shared"


@contextmanager
def _clock(ahead: int, zone: str) -> Iterator[None]:
    """The process's time is so many seconds ahead, in that zone; the file system's is not."""
    before, now = os.environ.get("TZ"), time.time_ns
    os.environ["TZ"] = zone
    time.tzset()
    try:
        with patch.object(time, "time_ns", lambda: now() + ahead * 10**9):
            yield
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()


def _trial(chance: random.Random, files: Path, folder: Path) -> str | None:
    """What the index holds that the files do not, after any of the steps; None if nothing."""
    names = [files / f"f{number}.txt" for number in range(5)]
    with Index.create(folder, encoder=FakeEncoder()) as index:
        for step in range(STEPS):
            for _ in range(CHANGES):
                file = chance.choice(names)
                if file.exists():
                    chance.choice(KINDS)(file, chance)
                else:
                    file.write_text(_text(chance))
                    _date(file, chance)
            with _clock(chance.choice(JUMPS) * chance.choice((-1, 1)), chance.choice(ZONES)):
                sync(index, [files])
            held = {Path(document.id).name: document.text for document in index.documents()}
            there = {file.name: file.read_text() for file in names if file.exists()}
            if held != there:
                missed = sorted(set(held.items()) ^ set(there.items()))
                return f"step {step}: {missed}"
    return None


def run(numbers: range, tally: Tally, scratch: Path) -> None:
    """A trial is a folder, `STEPS` times changed and synced under a clock of its own."""
    for number in numbers:
        place = scratch / f"clock{number}"
        (place / "files").mkdir(parents=True)
        trouble = _trial(random.Random(number), place / "files", place / "index")
        shutil.rmtree(place)
        if trouble:
            tally.fault(number, trouble)
        else:
            tally.note("each change seen")


STAGE = Stage(
    "clocks",
    "the clock jumps and files say any time: the index holds what the files do",
    target=1_000,
    batch=20,
    run=run,
)
