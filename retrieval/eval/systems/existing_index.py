"""An index that is there already, in a folder or in shards at a URL, measured as it is."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path

from retrieval.errors import InputError
from retrieval.eval.datasets import Collection
from retrieval.eval.runs import run_documents
from retrieval.eval.systems.system import TIMED_HITS, Cost, Ranked, Settings, TimedSearch
from retrieval.files.places import is_url
from retrieval.index import Index
from retrieval.sharded import ShardedIndex
from retrieval.types import ProgressCallback, Retriever

_LOOKED_AT = 1000
"""Of so many documents of a collection one must be in the index."""


class ExistingIndex:
    """One retriever of an index whose documents have the ids of the collection's.

    Nothing is written to it, and what else it holds is found, too.
    """

    def __init__(self, place: str, retriever: Retriever, label: str | None = None) -> None:
        """Open it.

        Args:
            place: folder of an index, or URL of a collection in shards.
            retriever: who answers.
            label: its name in tables; None is the last part of the place.

        Raises:
            IndexNotFound: there is none.
        """
        self.name = f"{label or place.rstrip('/').rpartition('/')[2]}:{retriever}"
        self._place = place
        self._retriever = retriever
        self._index: Index | ShardedIndex = (
            ShardedIndex.open(place) if is_url(place) else Index.open(Path(place))
        )

    def identity(self) -> str:
        """The place, its generation and its encoder."""
        status = self._index.status()
        return f"{self._place} {status.generation} {status.fingerprint} {self._retriever}"

    def settings(self) -> Settings:
        """Those that the index was made with."""
        status = self._index.status()
        said = f"index at {self._place}, generation {status.generation}"
        return Settings(
            passage_tokens=status.passage_tokens,
            description=f"{said}; encoder {status.encoder} {status.fingerprint[:12]}",
        )

    def index(
        self, collection: Collection, folder: Path, progress: ProgressCallback | None
    ) -> Cost:
        """See that it holds documents of the collection.

        Raises:
            InputError: it holds none.
        """
        first = itertools.islice(collection.documents, _LOOKED_AT)
        if not any(document.id in self._index for document in first):
            raise InputError(
                f"the index at {self._place} holds none of the first documents of "
                f"{collection.name}; index them under their own ids"
            )
        return Cost(index_bytes=self._index.status().bytes)

    def search(self, queries: Mapping[str, str], k: int) -> Ranked:
        """The k best documents for each query."""
        return run_documents(self._index, queries, retriever=self._retriever, k=k)

    def timed_search(self) -> TimedSearch:
        """One search, for the best passages, without highlights."""

        def ask(text: str) -> object:
            return self._index.search(text, TIMED_HITS, retriever=self._retriever, highlights=False)

        return ask

    def close(self) -> None:
        """Keep it open: it is asked for another collection, too."""
