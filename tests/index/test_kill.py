"""Writers killed at random instants: what was committed is there, and nothing else is."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import retrieval
from retrieval.index import Index

from .fake_encoder import FakeEncoder
from .killed_writer import Texts, after

KILLS = 100
SEED = 20240607


@pytest.fixture
def writers() -> Iterator[subprocess.Popen[str]]:
    here = Path(__file__).parent
    path = os.pathsep.join([str(Path(retrieval.__file__).parents[1]), str(here.parent)])
    process = subprocess.Popen(
        [sys.executable, "-m", f"{here.name}.killed_writer"],
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


def killed_run(writers: subprocess.Popen[str], folder: Path, rng: random.Random) -> list[str]:
    """Let a writer work until it is killed; the lines that it wrote."""
    assert writers.stdin is not None
    assert writers.stdout is not None
    die_at = rng.randint(1, 400) if rng.random() < 0.7 else None
    order = {"folder": str(folder), "seed": rng.getrandbits(32), "die_at": die_at}
    writers.stdin.write(json.dumps(order) + "\n")
    writers.stdin.flush()
    pid = int(writers.stdout.readline().split()[1])
    lines = []
    if die_at is None:
        commits = rng.randint(0, 3)
        while lines.count("done\n") < commits:
            lines.append(writers.stdout.readline())
        time.sleep(rng.uniform(0, 0.1))
        os.kill(pid, signal.SIGKILL)
    for line in writers.stdout:
        if line.startswith("exit "):
            assert line == f"exit {-signal.SIGKILL}\n", "the writer failed by itself"
            return lines
        lines.append(line)
    raise AssertionError("the process that starts the writers ended")


def read_back(index: Index) -> Texts:
    documents = [index.get(f"d{n}") for n in range(30)]
    return {document.id: document.text for document in documents if document is not None}


def check_searchable(index: Index, texts: Texts, stale: list[str]) -> None:
    """Every retriever finds each document by its own word, and none by a word that is gone."""
    ids = list(texts)
    own = [texts[id].split()[0] for id in ids]
    for retriever in ("lexical", "dense", "late"):
        found = index.search_batch(own, 1, retriever=retriever)  # type: ignore[arg-type]
        assert [[hit.document_id for hit in hits] for hits in found] == [[id] for id in ids]
        everything = index.search("shared", 1000, retriever=retriever)  # type: ignore[arg-type]
        assert {hit.document_id: hit.text for hit in everything} == texts
        assert len(everything) == len(texts)
    assert not any(index.search_batch(stale, 1, retriever="lexical"))


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory if there is such a place: a kill, unlike a power cut, does not ask for a disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as made:
        yield Path(made) / "index"


@pytest.mark.slow
def test_a_killed_writer_loses_nothing_and_leaves_nothing(
    folder: Path, writers: subprocess.Popen[str]
) -> None:
    rng = random.Random(SEED)
    Index.create(folder, encoder=FakeEncoder()).close()
    committed: Texts = {}
    commits = cut_short = 0
    for kill in range(KILLS):
        lines = killed_run(writers, folder, rng)
        works = [json.loads(line[6:]) for line in lines if line.startswith("start ")]
        done = lines.count("done\n")
        words = [text.split()[0] for work in works for text in work.get("add", {}).values()]
        for work in works[:done]:
            committed = after(committed, work)
        commits += done
        with Index.open(folder, encoder=FakeEncoder()) as index:
            stored = read_back(index)
            if stored != committed and len(works) > done:
                # Killed after the commit and before the word of it.
                committed = after(committed, works[-1])
            elif len(works) > done:
                cut_short += 1
            assert stored == committed, f"after kill {kill}"
            assert index.status().documents == len(committed)
            stale = sorted(set(words) - {text.split()[0] for text in committed.values()})
            check_searchable(index, committed, stale)
            assert index.verify() == [], f"after kill {kill}"
    # Otherwise the kills hit nothing, and the test shows nothing.
    assert commits > KILLS / 2
    assert cut_short > KILLS / 4
    with Index.open(folder, encoder=FakeEncoder()) as index:
        index.delete(committed)
        named = index.status().segments
        assert len(list((folder / "segments").iterdir())) == named  # nothing was left behind
