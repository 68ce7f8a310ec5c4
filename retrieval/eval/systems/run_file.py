"""What another program found, read from a TREC run file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from retrieval.eval.datasets import Collection, read_run
from retrieval.eval.datasets.rows import MisfitLines, encoding_warnings
from retrieval.eval.datasets.run_files import escape_id
from retrieval.eval.runs import with_ties
from retrieval.eval.systems.system import (
    Cost,
    Ranked,
    Settings,
)
from retrieval.types import ProgressCallback


class RunFile:
    """Another system's answers, from a TREC run file.

    Attributes:
        warnings: what is odd about the file.
    """

    def __init__(self, path: Path, name: str | None = None) -> None:
        self.name = name or path.stem
        misfits: MisfitLines = {}
        self._run = read_run(path, misfits)
        self.warnings = tuple(encoding_warnings(misfits))
        self._spelled: dict[str, str] = {}
        self._digest = hashlib.sha256(path.read_bytes()).hexdigest()

    def identity(self) -> str:
        """The file's digest."""
        return self._digest

    def settings(self) -> Settings:
        """Not known."""
        return Settings()

    def index(
        self, collection: Collection, folder: Path, progress: ProgressCallback | None
    ) -> Cost:
        """See which documents stand in a run file under another spelling, for white space."""
        ids = (document.id for document in collection.documents)
        self._spelled = {spelled: id for id in ids if (spelled := escape_id(id)) != id}
        return Cost()

    def answers(self, collection: Collection) -> bool:
        """Whether the file has any of the collection's queries."""
        return any(
            query in self._run or escape_id(query) in self._run for query in collection.queries
        )

    def unasked(self, collection: Collection) -> list[str]:
        """The file's queries that are not among the collection's, in the file's order."""
        asked = {spelled for query in collection.queries for spelled in (query, escape_id(query))}
        return [query for query in self._run if query not in asked]

    def search(self, queries: Mapping[str, str], k: int) -> Ranked:
        """The k best of what the file holds, and what ties with the last, see `with_ties`.

        Queries that it lacks have no answer.
        """
        found = {}
        for query in queries:
            told = self._run.get(query) or self._run.get(escape_id(query), {})
            scores = {self._spelled.get(id, id): score for id, score in told.items()}
            best = sorted(scores.items(), key=lambda pair: (pair[1], pair[0]), reverse=True)
            found[query] = with_ties(dict(best), k)
        return found

    def timed_search(self) -> None:
        """Nobody knows how long the system took."""

    def close(self) -> None:
        """Nothing to let go of."""
