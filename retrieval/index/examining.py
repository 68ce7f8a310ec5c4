"""Reading an index through its snapshots, and showing the vectors that it stores."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager

from retrieval.errors import InputError
from retrieval.index.listing import Listing, Params
from retrieval.index.reading.contents import Contents, SnapshotContents
from retrieval.index.reading.retrievers import Mask
from retrieval.index.reading.searched import Searched
from retrieval.index.reading.searched_snapshot import SearchedSnapshot
from retrieval.index.reading.snapshot import Snapshot
from retrieval.index.reading.stored import stored_vectors
from retrieval.index.searching import Searching
from retrieval.indexes import Filter, Where, as_filter
from retrieval.types import Embeddings, Passage


class Examining(Searching, Listing):
    """The part of `Index` that reads its snapshots; raises the same errors as `Index`."""

    @abstractmethod
    def _using(self) -> AbstractContextManager[Snapshot]:
        """The current snapshot, kept open until the block is left."""

    @contextmanager
    def _searched(self) -> Iterator[Searched[Mask]]:
        with self._using() as snapshot:
            yield SearchedSnapshot(snapshot)

    @contextmanager
    def _contents(self) -> Iterator[Contents]:
        with self._using() as snapshot:
            yield SnapshotContents(snapshot)

    def vectors(
        self,
        where: Where | None = None,
        *,
        passages: Iterable[Passage] | None = None,
        params: Params | None = None,
    ) -> Iterator[tuple[Passage, Embeddings]]:
        """Every passage with its stored embeddings, one after another.

        They are ordered by document id and ordinal. The vectors are as stored: rounded to 8 bits,
        token vectors also compressed or merged. `dense` f32 [1, D] is the mean of `windows`
        f32 [w, D] if there are several; `tokens` are f32 [t, d].

        Args:
            where: only passages that match, see `search`.
            passages: only these, such as `hit.passage`; unknown ones are left out.
            params: values for the parameters of `where`.

        Raises:
            FilterError: `where` cannot be parsed.
            InputError: `passages` are not passages.
        """
        chosen, wanted = chosen_passages(where, passages, params)
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


Named = set[tuple[str, int]]
"""Passages by document id and ordinal."""


def chosen_passages(
    where: Where | None, passages: Iterable[Passage] | None, params: Params | None
) -> tuple[Filter | None, Named | None]:
    """The parsed filter, and the set of passages that are wanted; None is all."""
    chosen = as_filter(where, params)
    if passages is None:
        return chosen, None
    given = [passages] if isinstance(passages, str | Passage) else list(passages)
    if isinstance(passages, Passage) or not all(isinstance(one, Passage) for one in given):
        raise InputError(f"{passages!r:.60} was given; give Passages, as `hit.passage` is")
    wanted = {(one.document_id, one.ordinal) for one in given}
    named = Filter.of_ids({id for id, _ in wanted})
    return named if chosen is None else chosen & named, wanted
