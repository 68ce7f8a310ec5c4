"""Bytes flipped, files cut, swapped or replaced: found or harmless; never another text shown."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from retrieval import LateOptions
from retrieval.errors import RetrievalError
from retrieval.types import Document

from ..index import damaging
from .operations import LISTED, lists_of_few
from .stages import Stage, Tally

LIMIT = 60  # seconds; more is a hang


def link(file: Path, _: random.Random) -> None:
    """To another file of the index."""
    file.unlink()
    file.symlink_to(next(other for other in file.parent.iterdir() if other != file))


def pipe(file: Path, _: random.Random) -> None:
    file.unlink()
    os.mkfifo(file)


def folder(file: Path, _: random.Random) -> None:
    file.unlink()
    file.mkdir()


def swap(file: Path, chance: random.Random) -> None:
    """With another file of its folder."""
    others = sorted(other for other in file.parent.iterdir() if other.is_file() and other != file)
    if others:
        other = chance.choice(others)
        data = file.read_bytes()
        file.write_bytes(other.read_bytes())
        other.write_bytes(data)


def overwrite(file: Path, chance: random.Random) -> None:
    """A stretch of it by random bytes."""
    data = bytearray(file.read_bytes())
    at = chance.randrange(len(data) + 1)
    data[at : at + 64] = chance.randbytes(len(data[at : at + 64]))
    file.write_bytes(data)


Damage = Callable[[Path, random.Random], None]

REPLACED: tuple[Damage, ...] = (
    damaging.halve,
    damaging.shorten,
    damaging.lengthen,
    damaging.empty,
    damaging.remove,
    overwrite,
    swap,
    link,
    pipe,
    folder,
)


def files(index: Path) -> list[Path]:
    """All that hold something; what holds a lock holds nothing."""
    found = (path for path in sorted(index.rglob("*")) if path.is_file())
    return [file for file in found if file.stat().st_size and file.name != ".gitignore"]


@contextmanager
def limited() -> Iterator[None]:
    """A hang is a TimeoutError."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"not done after {LIMIT} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LIMIT)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def judged(copy: Path, expected: dict[str, Any]) -> tuple[str, str | None]:
    """How the damage ended, and what must not be of that."""
    try:
        with limited():
            lines = damaging.diagnose(copy)
            try:
                seen = damaging.observe(copy)
            except RetrievalError as error:
                said = str(error)
                return "refused", None if lines and "\n" not in said else f"{said!r}, then {lines}"
    except Exception as error:  # a fault is what the stage looks for
        return "", f"{type(error).__name__}: {error}"
    if any("\n" in line for line in lines):
        return "", f"more than a line: {lines}"
    texts = {made.id: made.text for made in expected.values() if isinstance(made, Document)}
    shown = [made for made in seen.values() if isinstance(made, Document)]
    hits = [hit for found in seen["hybrid"] for hit in found] + seen["hybrid where"]
    if any(texts.get(document.id) != document.text for document in shown):
        return "", "another document is shown"
    if any(hit.text not in texts.get(hit.document_id, "") for hit in hits):
        return "", "a hit's text is not of its document"
    if seen == expected:
        return "found by verify" if lines else "harmless", None
    return "found by verify", None if lines else "another ranking, and verify finds nothing"


def _exact(folder: Path) -> None:
    damaging.make(folder)


def _in_lists(folder: Path) -> None:
    with lists_of_few():
        damaging.make(folder, LateOptions(exact_passages=LISTED, list_passages=LISTED))


def _run(damages: tuple[Damage, ...], numbers: range, tally: Tally, scratch: Path) -> None:
    """Each file of an index that compares all vectors, and of one with inverted lists, in turn."""
    expected, names = {}, []
    for make in (_exact, _in_lists):
        good = scratch / make.__name__
        make(good)
        expected[good] = damaging.observe(good)
        names += [(good, file.relative_to(good)) for file in files(good)]
    for number in numbers:
        chance = random.Random(number)
        good, name = names[number % len(names)]
        damage = damages[number // len(names) % len(damages)]
        copy = shutil.copytree(good, scratch / "copy")
        damage(copy / name, chance)
        outcome, trouble = judged(copy, expected[good])
        shutil.rmtree(copy)
        if trouble:
            tally.fault(number, f"{damage.__name__} {good.name}/{name}: {trouble[:300]}")
        else:
            tally.note(outcome)


def flips(numbers: range, tally: Tally, scratch: Path) -> None:
    """One bit of one file."""
    _run((damaging.flip,), numbers, tally, scratch)


def replaced(numbers: range, tally: Tally, scratch: Path) -> None:
    """One file as a whole."""
    _run(REPLACED, numbers, tally, scratch)


FLIPS = Stage("flips", "a bit of a file is another", target=10_000, batch=100, run=flips)
REPLACES = Stage(
    "files",
    "a file is cut, lengthened, emptied, removed, overwritten, swapped, a link, a pipe, a folder",
    target=2_000,
    batch=100,
    run=replaced,
)
