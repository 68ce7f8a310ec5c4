"""Putting the spooled documents of a shard into its index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence, Set

from retrieval.index.writing.writer import Writer
from retrieval.sharded.spool import Incoming, SpoolSection, spooled
from retrieval.sharded.storage import ObjectStorage


class Putting:
    """Puts the documents of a shard, in one or several passes over them.

    Attributes:
        owners: the ids of the documents put so far, with the files they came from.
        counts: numbers of documents added, updated and unchanged.
        problems: one line for each document that was left out.
    """

    def __init__(
        self, writer: Writer, storage: ObjectStorage, sections: Sequence[SpoolSection]
    ) -> None:
        """Set what is written, and from where.

        Args:
            writer: of the shard's index.
            storage: where the spooled documents are.
            sections: the sections with this shard's documents.
        """
        self.owners: dict[str, str | None] = {}
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []
        self._writer = writer
        self._storage = storage
        self._sections = sections

    def put(self, chosen: Callable[[str], bool]) -> Set[str]:
        """Put the documents with chosen ids, and commit; returns the ids of the others."""
        others: set[str] = set()
        for one in spooled(self._storage, self._sections):
            if not chosen(one.document.id):
                others.add(one.document.id)
            elif self._is_new(one):
                outcome = self._writer.put(one.document, None, one.outline, reader=one.reader)
                self.counts[outcome] += 1
        self._writer.commit()
        return others

    def _is_new(self, one: Incoming) -> bool:
        """Whether no earlier document has its id; without a file, the last one is kept."""
        id = one.document.id
        if id not in self.owners or one.origin is None:
            self.owners[id] = one.origin
            return True
        owner = self.owners[id]
        self.problems.append(
            f"{one.origin}: document id {id!r} already belongs to a document from {owner}, "
            "which stays; give each document an id of its own"
        )
        return False
