"""Examining: what an index holds of a document, what is like it, and why a hit is one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from retrieval.errors import InputError
from retrieval.hits import Hits
from retrieval.index.listing import Params, checked_id
from retrieval.index.reading import explain
from retrieval.index.reading.searched import Searched
from retrieval.index.reading.searched_snapshot import SearchedSnapshot
from retrieval.index.reading.snapshot import Snapshot
from retrieval.index.reading.stored import stored_vectors
from retrieval.index.searching import Searching
from retrieval.indexes import Filter, Where, as_filter
from retrieval.types import Embeddings, Hit, Passage, TokenMatch


class Examining(Searching):
    """The part of `Index` that answers questions; raises what `Index` does."""

    @abstractmethod
    def _using(self) -> AbstractContextManager[Snapshot]:
        """The current snapshot, kept open until the block is left."""

    @contextmanager
    def _searched(self) -> Iterator[Searched]:
        with self._using() as snapshot:
            yield SearchedSnapshot(snapshot)

    def similar(
        self,
        id: str,
        k: int = 10,
        *,
        where: Where | None = None,
        params: Params | None = None,
        **options: Any,
    ) -> Hits:
        """The k documents that are most like this one, without itself, each by its best passage.

        By the mean of the dense vectors of its passages or, where there are none, by the token
        vectors of its first passage. A document without vectors is like no other.

        Args:
            id: of a document in the index.
            k: at least 1.
            where: what they fulfil, see `search`.
            params: values for the parameters of `where`.
            options: what else `search` takes.

        Raises:
            InputError: there is no document with this id.
        """
        own = Filter.parse({"id": checked_id(id)})
        with self._using() as snapshot:
            if snapshot.store.find(id) is None:
                raise InputError(f"there is no document {id!r}; give the id of one, see `ids`")
            with snapshot.guarded():
                kept = [made for _, made in stored_vectors(snapshot, snapshot.allowed(own))]
        dense = [made.dense for made in kept if made.dense is not None]
        vector = sum(rows.sum(axis=0) for rows in dense) if dense else None
        tokens = next((made.tokens for made in kept if made.tokens is not None), None)
        if vector is None and (tokens is None or not len(tokens)):
            return Hits()
        others = ~own if where is None else ~own & Filter.parse(where, params)
        asked: dict[str, Any] = {"group": "document", "where": others, "k": k}
        by = {"tokens": tokens} if vector is None else {"vector": vector}
        return self.search(**asked | by | options)

    def vectors(
        self,
        where: Where | None = None,
        *,
        passages: Iterable[Passage] | None = None,
        params: Params | None = None,
    ) -> Iterator[tuple[Passage, Embeddings]]:
        """Every passage with its embeddings as they are kept, one after another.

        They come by document id and ordinal. Vectors are those of the index: rounded to 8 bits,
        token vectors compressed or merged, too. `dense` is the mean of `windows` where there are
        several.

        Args:
            where: of the documents and passages that fulfil it, see `search`.
            passages: of these alone, such as `hit.passage`; one that is not there is left out.
            params: values for the parameters of `where`.

        Raises:
            FilterError: `where` cannot be parsed.
            InputError: `passages` are none.
        """
        chosen = as_filter(where, params)
        wanted = None
        if passages is not None:
            given = [] if isinstance(passages, str) else list(passages)
            if not all(isinstance(one, Passage) for one in given):
                raise InputError(f"{passages!r:.60} was given; give Passages, as `hit.passage` is")
            wanted = {(one.document_id, one.ordinal) for one in given}
            named = Filter.parse({"id": {"$in": list({id for id, _ in wanted})}})
            chosen = named if chosen is None else chosen & named
        with self._using():  # raises now if the index was closed
            return self._vectors(chosen, wanted)

    def _vectors(
        self, where: Filter | None, wanted: set[tuple[str, int]] | None
    ) -> Iterator[tuple[Passage, Embeddings]]:
        with self._using() as snapshot:
            with snapshot.guarded():
                allowed = snapshot.allowed(where)
            for passage, made in stored_vectors(snapshot, allowed):
                if wanted is None or (passage.document_id, passage.ordinal) in wanted:
                    yield passage, made

    def explain(self, query: str, hits: Sequence[Hit]) -> list[tuple[TokenMatch, ...]]:
        """Why late interaction scores hits as it does: what each token of the query matched best.

        Args:
            query: the query that was asked.
            hits: hits of a search in this index, by whatever retriever.

        Returns:
            For each hit, a match for each token of the query, in the query's order; none for a
            passage without token vectors. They are of the vectors as stored, compressed ones
            included.

        Raises:
            InputError: the query is empty, or a hit's passage is not in the index any more.
            EncoderError: the index has no token vectors.
            EncoderMismatch: what the encoder's source holds now is not what built the index.
        """
        with self._using() as snapshot:
            explain.check(snapshot, query, hits)
            return explain.explain(snapshot, self._encoder, query, hits)
