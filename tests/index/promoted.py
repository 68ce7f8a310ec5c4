"""What the tests of promotion share: documents, an index that promotes early, what it must find."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from retrieval import LateOptions
from retrieval.index import Index
from retrieval.indexes import CompressedSegment, open_late
from retrieval.types import RETRIEVERS, Document, Retriever

from .fake_encoder import FakeEncoder

EARLY = LateOptions(exact_passages=20, list_passages=60, bits=4)


def documents(first: int, last: int, *, words: str = "word", seed: int = 0) -> list[Document]:
    """Each with a word of its own, twice, and some that it shares."""
    rng = random.Random(f"{seed} {first}")
    return [
        Document(
            f"d{n}",
            " ".join([f"own{seed}x{n}", f"own{seed}x{n}", "shared"])
            + "".join(f" {words}{rng.randrange(100)}" for _ in range(6)),
            metadata={"third": n % 3, "seed": seed},
        )
        for n in range(first, last)
    ]


@contextmanager
def folder_in_memory() -> Iterator[Path]:
    """Where writing is quick, if there is such a place; the folder itself does not exist yet."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as made:
        yield Path(made) / "index"


def create(folder: Path, late: LateOptions = EARLY) -> Index:
    return Index.create(folder, encoder=FakeEncoder(), late=late)


def check(index: Index, expected: list[Document], *retrievers: Retriever) -> None:
    """The index holds these documents and no others, and every search finds each by its own."""
    assert index.status().documents == len(expected)
    assert sum(index.status().regimes.values()) == len(expected)
    texts = {document.id: document.text for document in expected}
    own = [document.text for document in expected]
    for retriever in retrievers or RETRIEVERS:
        found = index.search_batch(own, 1, retriever=retriever, highlights=False)
        assert [hits[0].document_id for hits in found] == list(texts), retriever
        hits = index.search("shared", len(expected) + 10, retriever=retriever, highlights=False)
        assert {hit.document_id: hit.text for hit in hits} == texts, retriever
        assert len(hits) == len(expected)
    assert index.verify() == []


def check_swept(index: Index) -> None:
    """No folder is left but those that are named."""
    names = {path.name for path in (index.path / "segments").iterdir()}
    assert len(names) == index.status().segments


def truth(index: Index, query: str, expected: list[Document]) -> dict[str, float]:
    """MaxSim by the encoder's own vectors, in float64."""
    encoder = index.encoder
    asked = encoder.encode_queries([query]).tokens
    scores = {}
    for document in expected:
        stored = encoder.encode_documents([document.text]).tokens
        assert asked is not None
        assert stored is not None
        scores[document.id] = float((asked.astype(np.float64) @ stored.T).max(axis=1).sum())
    return scores


def late_segments(folder: Path) -> list[CompressedSegment]:
    """The compressed ones that stand in the index's folder, largest first."""
    found = [open_late(path) for path in folder.glob("segments/*/late")]
    compressed = [segment for segment in found if isinstance(segment, CompressedSegment)]
    return sorted(compressed, key=lambda segment: -segment.tokens)
