"""As much as there is: files by the 100,000, documents deleted by the 10,000, the longest names."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from retrieval.documents import discover
from retrieval.index import Index
from retrieval.sync import sync
from retrieval.types import Document

from ..index.fake_encoder import FakeEncoder
from .stages import Stage, Tally

GROWTH = 3
"""Times the processor time that twice as much may take: neither the machine nor memory is even."""

FILES = 100_000
DOCUMENTS = 30_000
LONGEST_NAME = 255
LONGEST_PATH = 4_095


def _growth(seconds: dict[int, float]) -> str | None:
    (few, before), (many, after) = sorted(seconds.items())
    if after > GROWTH * before:
        return f"{many:,} took {after:.1f} s of processor time where {few:,} took {before:.1f} s"
    return None


def _listing(scratch: Path) -> str | None:
    """Files in folders of 100."""
    seconds = {}
    for count in (FILES, 2 * FILES):
        for number in range(0 if count == FILES else FILES, count):
            if number % 100 == 0:
                (scratch / f"{number // 100}").mkdir()
            (scratch / f"{number // 100}" / f"{number}.txt").write_text("text")
        started = time.process_time()
        found = sum(1 for _ in discover([scratch], base=scratch))
        seconds[count] = time.process_time() - started
        if found != count:
            return f"{found:,} of {count:,} files found"
    return _growth(seconds)


def _deleting(scratch: Path) -> str | None:
    """Most documents of an index, in one call."""
    seconds = {}
    for count in (DOCUMENTS, 2 * DOCUMENTS):
        with Index.create(scratch / str(count), encoder=FakeEncoder()) as index:
            index.add(Document(f"d{n}", f"own{n} shared word{n % 5}") for n in range(count))
            gone = [f"d{n}" for n in range(count) if n % 6]
            started = time.process_time()
            index.delete(gone)
            seconds[count] = time.process_time() - started
            left = [f"d{n}" for n in range(0, count, 6)]
            if sorted(index.ids()) != sorted(left) or index.verify():
                return f"of {count:,} documents {len(index):,} are left, {index.verify()}"
            if [hit.document_id for hit in index.search("own12 own13", 1)] != ["d12"]:
                return "a document that was left is not found, or one that was deleted is"
    return _growth(seconds)


def _names(scratch: Path) -> str | None:
    """Names of as many bytes as a file system takes, and paths of as many as a system call does."""
    made = {}
    for name in ("n" * LONGEST_NAME, "ü" * (LONGEST_NAME // 2), " \n\t'\"\\*?[]{}$#;&|<>.txt"):
        (scratch / name).write_text(f"own{len(made)} shared")
        made[name] = f"own{len(made)} shared"
    folder = scratch
    while len(bytes(folder)) + LONGEST_NAME + 1 < LONGEST_PATH:
        folder = folder / ("d" * min(LONGEST_NAME, LONGEST_PATH - len(bytes(folder)) - 8))
        folder.mkdir()
        (folder / "f.txt").write_text(f"own{len(made)} shared")
        made[str((folder / "f.txt").relative_to(scratch))] = f"own{len(made)} shared"
    with Index.create(scratch / "index", encoder=FakeEncoder()) as index:
        for _ in range(2):
            report = sync(index, [scratch])
            held = {document.id: document.text for document in index.documents()}
            if report.problems or held != made:
                return f"{report.problems}, {len(held)} of {len(made)} files"
        hits = {name: index.search(text, 1)[0].document_id for name, text in made.items()}
    return None if all(name == hit for name, hit in hits.items()) else f"found {hits}"


KINDS: tuple[Callable[[Path], str | None], ...] = (_names, _listing, _deleting)


def run(numbers: range, tally: Tally, scratch: Path) -> None:
    """A trial is one of `KINDS`."""
    for number in numbers:
        kind = KINDS[number % len(KINDS)]
        place = scratch / f"extreme{number}"
        place.mkdir()
        trouble = kind(place)
        shutil.rmtree(place)
        if trouble:
            tally.fault(number, f"{kind.__name__.strip('_')}: {trouble}")
        else:
            tally.note(kind.__name__.strip("_"))


STAGE = Stage(
    "extremes",
    f"names of {LONGEST_NAME} bytes, {2 * FILES:,} files listed, {2 * DOCUMENTS * 5 // 6:,} of "
    f"{2 * DOCUMENTS:,} documents deleted: right, and in linear time",
    target=len(KINDS),
    batch=1,
    run=run,
)
