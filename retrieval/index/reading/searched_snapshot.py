"""One snapshot as something to search: all of an index, or a shard of a collection."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from retrieval.index.context_builder import path_of, whole_context
from retrieval.index.reading import proposing, rescoring
from retrieval.index.reading.explain import explain
from retrieval.index.reading.retrievers import SINGLE, Mask
from retrieval.index.reading.runs import Proposal, Query, Run
from retrieval.index.reading.searched import COPIES, Copies, Ids, Likeness, Mark, Shown
from retrieval.index.reading.snapshot import Snapshot
from retrieval.index.reading.stored import stored_vectors
from retrieval.indexes import Counts, Filter, encoder_query, highlight, parse_query
from retrieval.store import PassageRow, Settings, StoredDocument
from retrieval.types import Encoder, Hit, Hybrid, Passage, Single, TokenMatch

Known = TypeVar("Known")


class SearchedSnapshot:
    """Implements `Searched` for a snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Args: the snapshot, which has to stay open during use."""
        self._snapshot = snapshot

    @property
    def settings(self) -> Settings:
        """As the protocol says."""
        return self._snapshot.store.settings

    @property
    def passages(self) -> int:
        """As the protocol says."""
        return self._snapshot.passages

    @property
    def generation(self) -> int:
        """As the protocol says."""
        return self._snapshot.generation

    def guarded(self) -> AbstractContextManager[None]:
        """As the protocol says."""
        return self._snapshot.guarded()

    def allowed(self, where: Filter | None) -> Mask:
        """As the protocol says: bool by passage id, or None for all."""
        return self._snapshot.allowed(where)

    def encoder_query(self, query: str) -> str:
        """As the protocol says."""
        lexical = self._snapshot.lexical
        return encoder_query(query, lexical.best) if lexical else parse_query(query).text

    def counted(self, queries: Sequence[Query]) -> list[Query]:
        """As the protocol says: the queries unchanged."""
        return list(queries)

    def counts(self, queries: Sequence[str]) -> list[Counts | None]:
        """How many of its passages contain each term of each query; None if it has no passage."""
        lexical = self._snapshot.lexical
        return [lexical.counts(query) if lexical else None for query in queries]

    def best(self, query: str, counts: Counts) -> float:
        """The BM25 score of the best passage for a query; 0 if none matches."""
        lexical = self._snapshot.lexical
        return lexical.best(query, counts) if lexical else 0.0

    def ideal(self, query: Query) -> float:
        """As the protocol says."""
        lexical = self._snapshot.lexical
        return lexical.ideal(query.text) if lexical else 0.0

    def find(self, retriever: Single, queries: Sequence[Query], k: int, allowed: Mask) -> list[Run]:
        """As the protocol says."""
        return proposing.find(self._snapshot, retriever, queries, k, allowed)

    def propose(
        self,
        queries: Sequence[Query],
        depth: int,
        names: Sequence[Single],
        hybrid: Hybrid,
        allowed: Mask,
        first: int | None = None,
    ) -> list[Proposal]:
        """As the protocol says; `first` is that of `proposing.propose`."""
        return proposing.propose(
            self._snapshot, queries, depth, names=names, hybrid=hybrid, allowed=allowed, first=first
        )

    def scores(self, retriever: Single, query: Query, ids: Ids) -> NDArray[np.float32]:
        """As the protocol says."""
        return SINGLE[retriever].scores(self._snapshot, query, ids)

    def fresh_scores(
        self, encoder: Encoder, queries: Sequence[NDArray[np.float32]], candidates: Sequence[Ids]
    ) -> list[NDArray[np.float32]]:
        """As the protocol says."""
        return rescoring.scores(self._snapshot, encoder, queries, candidates)

    def order(self, ids: Ids) -> Ids:
        """As the protocol says."""
        return self._snapshot.order(ids)

    def described(self, ids: Sequence[int]) -> list[tuple[str, int, int, int]]:
        """What is needed to order, fold and group these passages: the document's id and the
        ordinal, by which ties are ordered, the hash of the text, and the document's number.

        Raises:
            IndexCorrupted: a passage is not stored.
        """
        with self._snapshot.guarded():
            return self._snapshot.store.described(ids)

    def text_hashes(self, ids: Ids) -> Ids:
        """As the protocol says."""
        listed = ids.tolist()
        hashes = self._snapshot.store.text_hashes(listed)
        return np.array([self._known(hashes, id) for id in listed], np.int64)

    def owners(self, ids: Ids) -> Ids:
        """As the protocol says."""
        listed = ids.tolist()
        rows = self._snapshot.store.passages(listed)
        return np.array([self._known(rows, id).document for id in listed], np.int64)

    def mean_vectors(self, ids: Ids) -> NDArray[np.float32]:
        """As the protocol says."""
        made = np.zeros((len(ids), self.settings.dense_dim or 0), np.float32)
        for segment in self._snapshot.vectors:
            if segment.dense is None:
                continue
            for at in np.flatnonzero(segment.holds(ids)):
                rows = segment.dense.vectors(ids[at : at + 1])
                mean = rows.sum(axis=0)
                made[at] = mean / max(float(np.linalg.norm(mean)), 1e-9)
        return made

    def stored(self, ids: Sequence[int]) -> dict[int, Hit]:
        """As the protocol says."""
        store = self._snapshot.store
        rows = store.passages(sorted(set(ids)))
        documents = store.documents(sorted({row.document for row in rows.values()}))
        texts = store.passage_texts(rows.values())
        return {
            id: _hit(
                self._known(rows, id),
                self._known(documents, self._known(rows, id).document, passage=id),
                self._known(texts, id),
            )
            for id in ids
        }

    def shown(
        self,
        ids: Sequence[int],
        marks: Sequence[Mark],
        hashes: Ids,
        allowed: Mask,
        meanwhile: Callable[[], None] | None = None,
    ) -> Shown:
        """As the protocol says."""
        if meanwhile is not None:
            meanwhile()
        hits = self.stored(ids)
        spans = [highlight(query, hits[id].text) for id, query in marks]
        known = {id: hit.passage for id, hit in hits.items()}
        return Shown(hits, spans, self._copies(hashes, allowed, known))

    def _copies(
        self, hashes: Ids, allowed: Mask, known: Mapping[int, Passage]
    ) -> dict[int, Copies]:
        """The allowed passages with these texts' hashes, by hash.

        Args:
            known: passages that were read already, by id.
        """
        store = self._snapshot.store
        counts: dict[int, int] = {}
        first: dict[int, list[int]] = {}
        for hash, found in store.of_text_hashes(sorted(set(hashes.tolist()))).items():
            ids = np.array(found, np.int64)
            if allowed is not None:
                ids = ids[allowed[ids]]
            counts[hash] = len(ids)
            if len(ids) > 1:
                ids = ids[np.argsort(self._snapshot.order(ids))]
            first[hash] = ids[: COPIES + 1].tolist()
        rows = store.passages(sorted({id for some in first.values() for id in some} - known.keys()))
        documents = store.documents(sorted({row.document for row in rows.values()}))
        passages = {id: passage_of(row, documents[row.document]) for id, row in rows.items()}
        every = {**known, **passages}
        return {
            hash: Copies(counts[hash], tuple(every[id] for id in some))
            for hash, some in first.items()
        }

    def likeness(self, id: str) -> Likeness | None:
        """As the protocol says."""
        if self._snapshot.store.find(id) is None:
            return None
        own = self._snapshot.allowed(Filter.of_ids([id]))
        kept = [made for _, made in stored_vectors(self._snapshot, own)]
        dense = [made.dense for made in kept if made.dense is not None]
        tokens = next((made.tokens for made in kept if made.tokens is not None), None)
        return Likeness(sum(rows.sum(axis=0) for rows in dense) if dense else None, tokens)

    def explain(
        self, encoder: Encoder, query: Query, hits: Sequence[Hit]
    ) -> list[tuple[TokenMatch, ...]]:
        """As the protocol says."""
        return explain(self._snapshot, encoder, query, hits)

    def _known(self, table: Mapping[int, Known], id: int, *, passage: int | None = None) -> Known:
        try:
            return table[id]
        except KeyError:
            found = id if passage is None else passage
            raise self._snapshot.corrupted(
                f"a search found passage {found}, which is not stored"
            ) from None


def passage_of(row: PassageRow, document: StoredDocument) -> Passage:
    """A stored passage as a `Passage`."""
    return Passage(document.id, row.ordinal, row.start, row.end, row.context, row.place)


def _hit(row: PassageRow, document: StoredDocument, text: str) -> Hit:
    path = path_of(document.metadata)
    return Hit(
        document_id=document.id,
        passage=passage_of(row, document),
        text=text,
        title=document.title,
        path=path,
        start_line=row.first_line,
        end_line=row.last_line,
        score=0.0,
        scores={},
        ranks={},
        highlights=(),
        metadata=document.metadata,
        context=whole_context(document.title, path, row.context, text),
    )
