"""BM25 by the package bm25s, as a baseline."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retrieval.errors import MissingDependency
from retrieval.eval.datasets import Collection
from retrieval.eval.systems.system import (
    TIMED_HITS,
    Cost,
    Ranked,
    Settings,
    TimedSearch,
    title_and_text,
    with_progress,
)
from retrieval.types import ProgressCallback


class Bm25s:
    """BM25 by bm25s: Lucene's variant, k1 1.2, b 0.75, English stemmer and stop words."""

    name = "bm25s"

    def __init__(self) -> None:
        try:
            import bm25s
            import Stemmer
        except ImportError:
            raise MissingDependency(
                "the baseline bm25s needs bm25s and PyStemmer: "
                "pip install 'modernbert-retrieval[eval]'"
            ) from None
        self._bm25s = bm25s
        self._options = {
            "stopwords": "en",
            "stemmer": Stemmer.Stemmer("english"),
            "show_progress": False,
        }
        self._index: Any = None
        self._ids: list[str] = []

    def identity(self) -> str:
        """The package's version and the parameters."""
        return f"bm25s {self._bm25s.__version__} lucene 1.2 0.75 english"

    def settings(self) -> Settings:
        """Whole documents."""
        said = "whole documents; Lucene's BM25, k1 1.2, b 0.75, English stemmer and stop words"
        return Settings(description=said)

    def index(
        self, collection: Collection, folder: Path, progress: ProgressCallback | None
    ) -> Cost:
        """Index whole documents; it is quick, so that only what is done is kept."""
        self._ids, texts = [], []
        started = time.perf_counter()
        for document in with_progress(collection, progress):
            self._ids.append(document.id)
            texts.append(title_and_text(document))
        self._index = self._bm25s.BM25(method="lucene", k1=1.2, b=0.75)
        words = self._bm25s.tokenize(texts, **self._options)
        self._index.index(words, show_progress=False)
        seconds = time.perf_counter() - started
        place = folder / "bm25s"
        self._index.save(place)
        size = sum(path.stat().st_size for path in place.rglob("*"))
        return Cost(seconds, None, size)

    def search(self, queries: Mapping[str, str], k: int) -> Ranked:
        """The k best documents for each query that share a word with it."""
        words = self._bm25s.tokenize(list(queries.values()), **self._options, return_ids=False)
        run: Ranked = {}
        for query, asked in zip(queries, words, strict=True):
            known = [word for word in asked if word in self._index.vocab_dict]
            run[query] = self._best(known, k) if known else {}
        return run

    def _best(self, words: list[str], k: int) -> dict[str, float]:
        found, scores = self._index.retrieve([words], k=min(k, len(self._ids)), show_progress=False)
        pairs = zip(found[0].tolist(), scores[0].tolist(), strict=True)
        return {self._ids[at]: score for at, score in pairs if score > 0}

    def timed_search(self) -> TimedSearch:
        """One query, for the best documents."""
        return lambda text: self.search({"": text}, TIMED_HITS)

    def close(self) -> None:
        """Forget the collection."""
        self._index, self._ids = None, []
