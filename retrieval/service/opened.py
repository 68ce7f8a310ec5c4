"""What servers work with: an index in a folder, or a collection in shards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from retrieval.errors import InputError
from retrieval.index import Index
from retrieval.types import Document

if TYPE_CHECKING:
    from retrieval.sharded import Collection, ShardedIndex

Opened: TypeAlias = "Index | Collection"


def open_to_read(place: Path | str, *, encoder: str | None = None) -> Opened:
    """The index in a folder, or the collection in shards at a URL, opened in this process."""
    if isinstance(place, Path):
        return Index.open(place, encoder=encoder)
    from retrieval.sharded import ShardedIndex  # not needed for a folder

    return ShardedIndex.open(place, encoder=encoder)


class Kept(Protocol):
    """An index or collection that a server keeps open, for many requests in many threads.

    Attributes:
        place: its folder or URL, for display.
    """

    @property
    def place(self) -> str:
        """See above."""

    def using(self) -> AbstractContextManager[Opened]:
        """The newest generation, kept open until the block is left."""

    def warm(self) -> None:
        """Load what the first search needs; errors are left to the search."""

    def close(self) -> None:
        """Close it once running requests are done."""


def add(opened: Opened, documents: Iterable[Document]) -> int:
    """Add documents, or replace those with the same ids; returns how many changed.

    Raises:
        InputError: one cannot be stored, or it was opened read-only.
    """
    if isinstance(opened, Index):
        return opened.add(documents)
    report = _written(opened).add(documents)
    return report.added + report.updated


def add_each(opened: Opened, documents: Sequence[Document]) -> tuple[int, list[tuple[int, str]]]:
    """Like `add`, but documents that cannot be stored are left out.

    Returns:
        How many changed; and for each one left out its position among the documents, and why.
    """
    if isinstance(opened, Index):
        report = opened.add(documents, on_error="skip")
        refused = [(one.place, one.reason) for one in report.refused]
        return report.added + report.updated, refused
    refused = list(_refused(documents))
    left = {place for place, _ in refused}
    return add(opened, [one for at, one in enumerate(documents) if at not in left]), refused


def delete(opened: Opened, ids: Iterable[str] | None, *, where: str | None = None) -> int:
    """Delete the documents with these ids, or those that match `where`, see `Index.delete`.

    Returns:
        How many were deleted.
    """
    if isinstance(opened, Index):
        return opened.delete(ids, where=where)
    return _written(opened).delete(ids, where=where).deleted


def _refused(documents: Sequence[Document]) -> Iterator[tuple[int, str]]:
    from retrieval.index.writing.drafts import checked

    for place, document in enumerate(documents):
        try:
            checked(document)
        except InputError as error:
            yield place, str(error)


def _written(opened: Collection) -> ShardedIndex:
    from retrieval.sharded import ShardedIndex

    if not isinstance(opened, ShardedIndex):
        raise InputError(
            f"{opened.url} is served by read-only replicas; change it with "
            f"`retrieval index PATH --index {opened.url}`"
        )
    return opened
