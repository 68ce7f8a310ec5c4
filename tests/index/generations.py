"""An index whose every document says of which commit it is, and readers that look at that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from retrieval.index import Index
from retrieval.types import Document

from .fake_encoder import FakeEncoder

SIZE = 12


def generation(number: int) -> list[Document]:
    """What the writer makes of the index at once: every document says the same number."""
    return [
        Document(f"d{n}", f"round{number} shared word{n}", metadata={"round": number})
        for n in range(SIZE)
    ]


def check_one_generation(index: Index, *, least: int = 0) -> int:
    """Every retriever sees the documents of one commit, all of them; returns which."""
    rounds = set()
    for retriever in ("lexical", "dense", "late", "hybrid"):
        hits = index.search("shared", 100, retriever=retriever)  # type: ignore[arg-type]
        assert {hit.document_id for hit in hits} == {f"d{n}" for n in range(SIZE)}, retriever
        assert len(hits) == SIZE
        rounds |= {hit.text.split()[0] for hit in hits}
        rounds |= {f"round{hit.metadata['round']}" for hit in hits}
    assert len(rounds) == 1, rounds
    number = int(rounds.pop().removeprefix("round"))
    assert index.search(f"round{number}", 1, retriever="lexical")
    for hit in index.search(f"round{number - 1}", 1, retriever="lexical"):
        assert hit.text.startswith(f"round{number} ")  # a part of the word is in each of them
    assert number >= least
    return number


def read_until(folder: Path, stop: Callable[[], bool]) -> int:
    """Open, search, refresh until told to stop; how many generations were seen."""
    seen = {0}
    with Index.open(folder, encoder=FakeEncoder()) as index:
        while True:
            last = stop()  # asked before the last look, so that the end is seen, too
            index.refresh()
            seen.add(check_one_generation(index, least=max(seen)))
            with Index.open(folder, encoder=FakeEncoder()) as fresh:
                check_one_generation(fresh, least=max(seen))
            if last:
                return len(seen)


def write_rounds(folder: Path, *, count: int) -> None:
    with Index.open(folder, encoder=FakeEncoder()) as index:
        for number in range(1, count + 1):
            index.add(generation(number))
            if number % 5 == 0:
                index.compact()
