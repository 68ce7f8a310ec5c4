"""Builds of a collection that are killed, fail or meet another: nothing is lost, nothing appears.

Every trial takes a collection that holds `BEFORE` and makes it hold `AFTER`, with one fault. After
the fault a reader must find one of the two, whole; the same command, run again, must come to what
a build without a fault comes to, and leave nothing behind.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from retrieval.errors import IndexLocked, RetrievalError
from retrieval.sharded import Incoming, ShardedIndex
from retrieval.sharded.changes import Changes
from retrieval.types import Document

from ..index.fake_encoder import FakeEncoder
from ..soak.stages import Stage, Tally, python_path
from .injected import Fault, Injected, injected, loadable
from .samples import QUERIES, documents, shown

SHARDS = 3
BEFORE = documents(24)
AFTER = [*documents(30, seed=6)[4:], *BEFORE[:4]]
"""Some documents stay as they are, some change, some leave, some are new."""

IN_PROCESS = ("killed", "storage failed", "two at once")
TRACEBACK = 70
"""What a fork exits with that meets an error that nobody raised on purpose."""

Answers = dict[str, Any]


def url_of(place: Path) -> str:
    """Of the collection of a trial."""
    return f"file://{place}/storage"


def start(place: Path) -> None:
    """Make the collection that trials begin with."""
    with ShardedIndex.create(
        url_of(place), shards=SHARDS, encoder=FakeEncoder(), cache=place / "cache"
    ) as made:
        made.add(BEFORE)


def update(place: Path, **options: Any) -> int:
    """Make the collection hold `AFTER`; its generation."""
    with ShardedIndex.open(url_of(place), encoder=FakeEncoder(), cache=place / "cache") as index:
        return index.change(Changes(map(Incoming, AFTER), mirror=True), **options).generation


def answers(place: Path) -> Answers:
    """What a reader on another machine finds: all documents, and rankings."""
    with ShardedIndex.open(url_of(place), encoder=FakeEncoder(), cache=place / "reader") as index:
        ids = {one.id for one in (*BEFORE, *AFTER)}
        held = {id: found for id in sorted(ids) if (found := index.get(id)) is not None}
        return {
            "generation": index.generation,
            "count": len(index),
            "documents": {id: _plain(document) for id, document in held.items()},
            "rankings": [repr(shown(index.search(query, k=20))) for query in QUERIES],
        }


def _plain(document: Document) -> list[Any]:
    return [document.title, document.text, dict(document.metadata)]


def difference(found: Answers, expected: Answers) -> str:
    """In what two answers differ, generations aside; "" for nothing."""
    names = (name for name in expected if name != "generation")
    return ", ".join(name for name in names if found[name] != expected[name])


def outcome_of(found: Any) -> str:
    """For the tally: how a build with a fault ended."""
    if isinstance(found, int):
        return "it was done all the same"
    return str(found.get("error", "it was killed"))


class Trials:
    """Trials of one kind after another, against the answers of builds without a fault."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._start = scratch / "start"
        with loadable():
            self.before = self._in_a_child(lambda: (start(self._start), answers(self._start))[1])
            whole = self._copy("whole")
            made = self._in_a_child(lambda: self._counted(whole))
        self.calls: int = made["calls"]
        self.after: Answers = made["answers"]

    def _counted(self, place: Path) -> dict[str, Any]:
        with injected(Injected()) as what:
            update(place)
        return {"calls": what.calls, "answers": answers(place)}

    def _copy(self, name: str) -> Path:
        place = self._scratch / name
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self._start, place)
        return place

    def _in_a_child(self, work: Callable[[], Any]) -> Any:
        """What a function returns in a fork of this process, which has no threads yet; the code
        that it ends by, if it is killed."""
        result = self._scratch / "result.json"
        result.unlink(missing_ok=True)
        child = os.fork()
        if child == 0:
            code = TRACEBACK
            try:
                try:
                    found = work()
                except RetrievalError as error:
                    found = {"error": type(error).__name__, "said": str(error)}
                result.write_text(json.dumps(found), encoding="utf-8")
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        if result.exists():
            return json.loads(result.read_text(encoding="utf-8"))
        return {"killed": os.waitstatus_to_exitcode(status)}

    def run(self, number: int, tally: Tally, kinds: Sequence[str]) -> None:
        """The trial of this number, of one of these kinds."""
        drawn = random.Random(number)
        kind = kinds[number % len(kinds)]
        faults: dict[str, Callable[[Path, random.Random], Any]] = {
            "killed": self._killed,
            "storage failed": self._failed,
            "two at once": self._two,
            "disk full": self._full,
        }
        fault = faults[kind]
        place = self._copy("trial")
        with loadable():
            outcome = fault(place, drawn)
            wrong = self.judged(place)
        if outcome == {"killed": TRACEBACK}:
            wrong = wrong or "it ended by a traceback"
        if not isinstance(outcome, int) and "\n" in outcome.get("said", ""):
            wrong = wrong or "its error is no one line"
        if wrong:
            tally.fault(number, f"{kind} ({outcome}): {wrong}")
        else:
            tally.note(f"{kind}: {outcome_of(outcome)}")

    def judged(self, place: Path) -> str:
        """What is wrong after a fault, or once the build is run again."""
        found = self._in_a_child(lambda: answers(place))
        if "documents" not in found:
            return f"it cannot be read: {found}"
        expected = self.before if found["generation"] == self.before["generation"] else self.after
        if wrong := difference(found, expected):
            return f"what was committed is not there whole: {wrong}"
        again = self._in_a_child(lambda: update(place))
        if not isinstance(again, int):
            return f"run again, it does not go on: {again}"
        found = self._in_a_child(lambda: answers(place))
        if "documents" not in found:
            return f"run again, it cannot be read: {found}"
        if wrong := difference(found, self.after):
            return f"run again, it comes to something else: {wrong}"
        left = [one for one in (place / "storage" / "building").rglob("*") if one.is_file()]
        left += (place / "cache" / "building").iterdir()
        return f"it leaves {left[:3]}" if left else ""

    def _killed(self, place: Path, drawn: random.Random) -> Any:
        return self._faulty(place, drawn, ("killed before", "killed after"))

    def _failed(self, place: Path, drawn: random.Random) -> Any:
        return self._faulty(place, drawn, ("fails before", "fails after"))

    def _faulty(self, place: Path, drawn: random.Random, faults: Sequence[Fault]) -> Any:
        what = Injected(drawn.choice(faults), drawn.randint(1, self.calls))

        def work() -> Any:
            with injected(what):
                return update(place)

        return self._in_a_child(work)

    def _full(self, place: Path, drawn: random.Random) -> Any:
        """No file may grow beyond so many bytes: writing fails as on a disk that is full."""
        most = drawn.choice([0, 100, 5_000, 20_000, 50_000, 100_000, 200_000])

        def work() -> Any:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            usual = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, usual[1]))
            try:
                return update(place)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, usual)

        return self._in_a_child(work)

    def _two(self, place: Path, drawn: random.Random) -> Any:
        """Two builds at once, both slow now and then; one may die."""
        fault: Fault = drawn.choice(("slow", "slow", "killed before"))
        at = drawn.randint(1, self.calls)

        def other() -> Any:
            with injected(Injected("slow", seed=drawn.randint(0, 1 << 30))):
                return update(place)

        def both() -> Any:
            child = os.fork()
            if child == 0:
                code = 0
                try:
                    with injected(Injected(fault, at)):
                        update(place)
                except IndexLocked:
                    code = 1
                except BaseException:
                    code = 2
                os._exit(code)
            try:
                mine: Any = other()
            except IndexLocked:
                mine = "the other was faster"
            _, status = os.waitpid(child, 0)
            theirs = os.waitstatus_to_exitcode(status)
            if theirs == 2 or (theirs == 1 and not isinstance(mine, int)):
                return {"error": "of two builds none won", "said": f"{mine}, {theirs}"}
            if theirs < 0:
                return {"error": "one was killed", "said": ""}
            both_won = theirs == 0 and isinstance(mine, int)
            return {"error": "both came to the same" if both_won else "one won", "said": ""}

        return self._in_a_child(both)


def _forking(numbers: range, scratch: Path, kinds: Sequence[str]) -> Sequence[Any]:
    tally = Tally()
    trials = Trials(scratch)
    for number in numbers:
        trials.run(number, tally, kinds)
    return tally.trials, dict(tally.outcomes), tally.faults


def run(kinds: Sequence[str], numbers: range, tally: Tally, scratch: Path) -> None:
    """Run trials in a process that has no threads and can be forked."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as process:
        found = process.submit(_forking, numbers, scratch, kinds).result()
    _take(tally, found)


def run_on_ray(numbers: range, tally: Tally, scratch: Path) -> None:
    """The same on a cluster of several nodes, in a process of its own, see `kills_on_ray`."""
    result = scratch / "on_ray.json"
    command = [sys.executable, "-m", "tests.sharded.kills_on_ray"]
    subprocess.run(
        [*command, str(numbers.start), str(numbers.stop), str(scratch), str(result)],
        check=True,
        env=os.environ | {"PYTHONPATH": python_path()},
    )
    _take(tally, json.loads(result.read_text(encoding="utf-8")))


def _take(tally: Tally, found: Sequence[Any]) -> None:
    trials, outcomes, faults = found
    tally.trials += trials
    tally.outcomes.update(outcomes)
    tally.faults += faults


STAGE = Stage(
    "shards",
    "a build of a collection in shards is killed, its storage fails, or another builds: a reader "
    "finds what was or what is to be, and run again it comes to what a build without a fault does",
    600,
    10,
    partial(run, IN_PROCESS),
)

FULL_DISK = Stage(
    "shards on a full disk",
    "the same of a build whose files may not grow beyond some bytes: an error in one line",
    60,
    10,
    partial(run, ["disk full"]),
)

ON_RAY = Stage(
    "shards on ray",
    "the same of a build on a Ray cluster of two nodes, of which a worker, a node or the driver is "
    "killed",
    40,
    3,
    run_on_ray,
)
