"""Promotions killed at random moments: the old segments serve, and the next writer promotes."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import retrieval
from retrieval.index import Index

from .fake_encoder import FakeEncoder
from .promoted import check, check_swept, create, documents, folder_in_memory, late_segments

BEFORE, ADDED, LATER = documents(0, 20), documents(20, 60), documents(60, 61)
ADDED_TO_HALVE, HALVED_LATER = documents(60, 110), documents(110, 111)
KILLS = 20
TIMED = 8


@pytest.fixture
def promoters() -> Iterator[subprocess.Popen[str]]:
    here = Path(__file__).parent
    path = os.pathsep.join([str(Path(retrieval.__file__).parents[1]), str(here.parent)])
    process = subprocess.Popen(
        [sys.executable, "-m", f"{here.name}.killed_promotion"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    yield process
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    process.wait(10)
    process.stdout.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    with folder_in_memory() as place:
        with create(place) as index:
            index.add(BEFORE)
            assert index.status().regimes == {"exact": 20}
        yield place


def run(
    promoters: subprocess.Popen[str],
    folder: Path,
    die_at: int | None,
    after: float | None = None,
    *,
    first: int = 20,
    last: int = 60,
    many: int = 1 << 23,
) -> int:
    """Let a writer add and promote until it is killed; its exit status."""
    assert promoters.stdin is not None
    assert promoters.stdout is not None
    order = {"folder": str(folder), "first": first, "last": last, "many": many}
    order |= {"die_at": die_at, "after": after}
    promoters.stdin.write(json.dumps(order) + "\n")
    promoters.stdin.flush()
    return int(promoters.stdout.readline())


def check_survived(folder: Path) -> str:
    """All that was committed is found, in one regime or the other; the next writer ends it."""
    with Index.open(folder, encoder=FakeEncoder()) as index:
        (regime,) = index.status().regimes
        check(index, BEFORE + ADDED, "late", "dense")
        index.add(LATER)
        assert list(folder.glob("segments/*/dense/dense.centroids.npy")) or regime == "exact"
        expected = {"exact": {"lists": 61}, "compressed": {"compressed": 60, "exact": 1}}
        assert index.status().regimes == expected[regime]
        check(index, BEFORE + ADDED + LATER, "late", "dense")
        check_swept(index)
    return regime


@pytest.mark.slow
def test_a_killed_promotion_leaves_what_there_was(
    folder: Path, promoters: subprocess.Popen[str]
) -> None:
    rng = random.Random(5)
    moments = 1
    while run(promoters, copied(folder, f"end{moments}"), moments) == -signal.SIGKILL:
        moments *= 2
    assert moments > 64
    found = {}
    for moment in sorted(rng.sample(range(1, moments), KILLS)):
        copy = copied(folder, f"killed{moment}")
        assert run(promoters, copy, moment) in (0, -signal.SIGKILL)
        found[moment] = check_survived(copy)
    regimes = list(found.values())
    assert regimes == sorted(regimes, reverse=True), "compressed, and exact again"
    assert regimes.count("exact") > KILLS / 4
    for number in range(TIMED):
        copy = copied(folder, f"timed{number}")
        assert run(promoters, copy, None, rng.uniform(0.001, 0.05)) in (0, -signal.SIGALRM)
        check_survived(copy)


@pytest.mark.slow
def test_killed_while_4_bits_become_2(folder: Path, promoters: subprocess.Popen[str]) -> None:
    """50 documents are compressed, then these and the 60 of before are halved."""
    assert run(promoters, folder, None) == 0
    assert [segment.codec.bits for segment in late_segments(folder)] == [4]
    how = {"first": 60, "last": 110, "many": 110 * 9}
    rng = random.Random(7)
    moments = 1
    while run(promoters, copied(folder, f"end{moments}"), moments, **how) == -signal.SIGKILL:
        moments *= 2
    found = {}
    for moment in sorted(rng.sample(range(1, moments), KILLS)):
        copy = copied(folder, f"killed{moment}")
        assert run(promoters, copy, moment, **how) in (0, -signal.SIGKILL)
        found[moment] = check_halved(copy)
    states = list(found.values())
    assert states == sorted(states, key=["exact", "4", "2"].index)
    assert {"exact", "4"} <= set(states)


def check_halved(folder: Path) -> str:
    """As `check_survived`: what the token vectors that were added last are kept in."""
    kept = BEFORE + ADDED + ADDED_TO_HALVE
    with Index.open(folder, encoder=FakeEncoder()) as index:
        check(index, kept, "late", "dense")
        exact = "exact" in index.status().regimes
        index.add(HALVED_LATER)
        check(index, kept + HALVED_LATER, "late", "dense")
        check_swept(index)
        (width,) = {segment.codec.bits for segment in late_segments(folder)}
    return "exact" if exact else str(width)


def copied(folder: Path, name: str) -> Path:
    return shutil.copytree(folder, folder.with_name(name))
