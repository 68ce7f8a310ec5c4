"""What every system shares: how texts are joined, what building cost, what is kept of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from retrieval.eval.datasets import Collection, Documents
from retrieval.files.whole import write_whole
from retrieval.types import Document, ProgressCallback, ProgressUpdate

Ranked = dict[str, dict[str, float]]
"""Score by document id, by query id."""

TimedSearch = Callable[[str], object]
"""Answers one query, with `TIMED_HITS` hits."""

TIMED_HITS = 10

TEXT = "title, line break, text"

BUILT = "built.json"
"""Says that building is finished."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What it took to make a system ready for a collection; None where it was not measured.

    Attributes:
        build_s: seconds to encode and index; None also where an earlier run had begun it, or
            had done it: what another run measured is not said to be of this one.
        tokens_per_s: tokens encoded a second while building; None where build_s is.
        index_bytes: of the files that are searched, texts included where they are in them.
    """

    build_s: float | None = None
    tokens_per_s: float | None = None
    index_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """A system's own choices, for the protocol.

    Attributes:
        passage_tokens: the length that documents were cut to; None where they were not cut.
        max_tokens: the length beyond which text is dropped; None where nothing is.
        prompts: what is put before a text, by `query` or `document`.
        description: all of it in words; two results of a system are of one kind if it is the same.
    """

    passage_tokens: int | None = None
    max_tokens: int | None = None
    prompts: Mapping[str, str] = field(default_factory=dict)
    description: str = ""


class System(Protocol):
    """Something that ranks the documents of a collection.

    Attributes:
        name: in tables and file names.
    """

    name: str

    def identity(self) -> str:
        """All that decides its answers, besides the collection."""

    def settings(self) -> Settings:
        """Its own choices; asked after `index`."""

    def index(
        self, collection: Collection, folder: Path, progress: ProgressCallback | None
    ) -> Cost:
        """Make it ready for a collection.

        Args:
            folder: its own, for what is kept from one run to the next.
            progress: called as the documents are indexed.
        """

    def search(self, queries: Mapping[str, str], k: int) -> Ranked:
        """The k best documents for each query; none of the queries is blank."""

    def timed_search(self) -> TimedSearch | None:
        """What is timed: one query as a user asks it; None where its time means nothing."""

    def close(self) -> None:
        """Let go of the collection."""


def title_and_text(document: Document) -> str:
    """A document's title and text as one; what `TEXT` says."""
    return f"{document.title}\n{document.text}" if document.title else document.text


class Corpus(Protocol):
    """What is indexed; a `Collection` is one."""

    @property
    def documents(self) -> Documents:
        """All of them, in order."""

    @property
    def sha256(self) -> str:
        """Over the documents, and perhaps more."""


def with_progress(collection: Corpus, progress: ProgressCallback | None) -> Iterator[Document]:
    """The documents, telling how many of them went by."""
    total = len(collection.documents)
    for number, document in enumerate(collection.documents, start=1):
        yield document
        if progress is not None:
            progress(ProgressUpdate("indexing", number, total, "documents"))


def short_digest(text: str) -> str:
    """Twelve hexadecimal digits for a name of a folder."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def read_built(place: Path, key: str) -> Cost | None:
    """The bytes of what was built, if it was finished for this key; else it is built again."""
    try:
        found = json.loads((place / BUILT).read_text(encoding="utf-8"))
        return Cost(index_bytes=int(found["bytes"])) if found["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def forget_built(place: Path) -> None:
    """Take back that building is finished, before anything is written."""
    (place / BUILT).unlink(missing_ok=True)


def write_built(place: Path, key: str, cost: Cost) -> None:
    """Say that building is finished, for `read_built`."""
    write_whole(place / BUILT, json.dumps({"key": key, "bytes": cost.index_bytes}))
