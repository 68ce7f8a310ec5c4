"""Ways to damage an index's files, and all that a user may see of one that was damaged."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from retrieval import LateOptions
from retrieval.errors import IndexCorrupted, IndexFormatError, IndexNotFound
from retrieval.index import Index
from retrieval.types import RETRIEVERS, Document

from .fake_encoder import FakeEncoder

QUERIES = ["word3 common", "word17", "title4 common"]


def make(folder: Path, late: LateOptions | None = None) -> None:
    """An index with several segments, dead passages, metadata and a file larger than a page."""
    with Index.create(folder, encoder=FakeEncoder(), passage_tokens=20, late=late) as index:
        for batch in range(3):
            index.add(
                Document(
                    f"d{n}", f"word{n} common " * (1 + n % 7) + "é", f"title{n}", {"n": n, "t": "x"}
                )
                for n in range(batch * 15, batch * 15 + 15)
            )
        index.delete(["d1", "d20"])
        assert index.verify() == []


def observe(folder: Path) -> dict[str, Any]:
    """All that a user can ask of the index."""
    with Index.open(folder, encoder=FakeEncoder()) as index:
        seen: dict[str, Any] = {f"d{n}": index.get(f"d{n}") for n in range(45)}
        for retriever in RETRIEVERS:
            seen[retriever] = index.search_batch(QUERIES, 20, retriever=retriever)
            seen[f"{retriever} where"] = index.search("common", retriever=retriever, where="n < 9")
        return seen


def diagnose(folder: Path) -> list[str]:
    """What opening or verifying reports."""
    try:
        with Index.open(folder, encoder=FakeEncoder()) as index:
            return index.verify()
    except (IndexCorrupted, IndexNotFound, IndexFormatError) as error:
        return [str(error)]


def flip(file: Path, rng: random.Random) -> None:
    at, bit = rng.randrange(file.stat().st_size), 1 << rng.randrange(8)
    with file.open("r+b") as opened:  # in place: who has it mapped may be reading it
        opened.seek(at)
        byte = opened.read(1)[0]
        opened.seek(at)
        opened.write(bytes([byte ^ bit]))


def halve(file: Path, _: random.Random) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def shorten(file: Path, _: random.Random) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def lengthen(file: Path, _: random.Random) -> None:
    file.write_bytes(file.read_bytes() + b"\0")


def empty(file: Path, _: random.Random) -> None:
    file.write_bytes(b"")


def remove(file: Path, _: random.Random) -> None:
    file.unlink()


def segment_files(folder: Path) -> list[Path]:
    files = sorted(path for path in (folder / "segments").rglob("*") if path.is_file())
    return [file for file in files if file.suffix != ".lock"]  # tantivy's, made by any reader
