"""Listing an index: documents by id, pages of them, counts, the values of a key."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, TypeAlias

from retrieval.errors import InputError
from retrieval.index.awaiting import in_thread
from retrieval.index.reading.contents import Contents
from retrieval.indexes import Filter, Where, as_filter
from retrieval.numeric import is_whole
from retrieval.store import Listed, ValueCount
from retrieval.store.listing import is_storable
from retrieval.types import Document, Passage

Params: TypeAlias = Mapping[str, Any]
"""Values for the parameters of a filter, by name."""

_AT_ONCE = 256
"""Number of documents read at a time while listing."""


class Listing(ABC):
    """An object whose documents can be listed: an index, or a collection in shards.

    Raises the same errors as `Index`.

    Documents without passages count too, although no search can find them. Ids are ordered by their
    code points. All results are of one generation.
    """

    @abstractmethod
    def _contents(self) -> AbstractContextManager[Contents]:
        """The contents of the current generation, kept open until the block is left."""

    def get(self, id: str) -> Document | None:
        """The document with this id, or None.

        Raises:
            InputError: the id is not a text.
        """
        return self.get_many([checked_id(id)])[0]

    async def aget(self, id: str) -> Document | None:
        """Like `get`, in a thread that does not block the event loop."""
        return await in_thread(partial(self.get, id))

    def get_many(self, ids: Iterable[str]) -> list[Document | None]:
        """The documents with these ids, in the given order; None for unknown ids.

        Raises:
            InputError: an id is not a text.
        """
        wanted = checked_ids(ids)
        with self._contents() as contents:
            found = contents.get_many(list(dict.fromkeys(wanted)))
        return [found.get(id) for id in wanted]

    def passages(self, id: str) -> list[Passage]:
        """The passages of the document with this id, in order; none if there is no such document.

        Raises:
            InputError: the id is not a text.
        """
        with self._contents() as contents:
            return contents.passages(checked_id(id))

    def ids(
        self,
        where: Where | None = None,
        *,
        after: str | None = None,
        limit: int | None = None,
        params: Params | None = None,
    ) -> list[str]:
        """Ids of all documents, or of those that match `where`, in the order of the ids.

        Args:
            where: see `Index.search`; conditions on passages hold for a document if they hold for
                one of its passages.
            after: only ids that come after this one, such as the last of the page before.
            limit: maximum number.
            params: values for the parameters of `where`.

        Raises:
            FilterError: `where` cannot be parsed.
            InputError: `after` is not a text, or `limit` is not a number from 0 on.
        """
        begin, most = _page(after, limit)
        chosen = as_filter(where, params)
        with self._contents() as contents:
            return contents.ids(chosen, begin, most)

    def documents(
        self,
        where: Where | None = None,
        *,
        after: str | None = None,
        limit: int | None = None,
        params: Params | None = None,
    ) -> Iterator[Document]:
        """All documents, or those that match `where`, one after another, in the order of the ids.

        They are read a few at a time, so that an index of any size can be iterated. All are of the
        generation that is current when the first is read.

        Args:
            where: see `ids`.
            after: only documents whose ids come after this one.
            limit: maximum number.
            params: values for the parameters of `where`.

        Raises:
            FilterError: `where` cannot be parsed.
            InputError: `after` is not a text, or `limit` is not a number from 0 on.
        """
        begin, most = _page(after, limit)
        chosen = as_filter(where, params)
        with self._contents():  # raises now if the index was closed
            return self._stream(chosen, begin, most)

    def _stream(self, where: Filter | None, after: str, left: int) -> Iterator[Document]:
        """Up to `left` documents, -1 for all, of the generation that is current at the first."""
        with self._contents() as contents:
            while left:
                most = _AT_ONCE if left < 0 else min(left, _AT_ONCE)
                ids = contents.ids(where, after, most)
                found = contents.get_many(ids)
                yield from (found[id] for id in ids)
                if len(ids) < most:
                    return
                after = ids[-1]
                left -= len(ids) if left > 0 else 0

    def listed(self, where: Where | None = None, *, params: Params | None = None) -> list[Listed]:
        """All documents without their texts, or those that match `where`, see `ids`.

        First those that did not come from a file, then those of files in the order of paths.

        Raises:
            FilterError: `where` cannot be parsed.
        """
        chosen = as_filter(where, params)
        with self._contents() as contents:
            return contents.listed(chosen)

    def count(self, where: Where | None = None, *, params: Params | None = None) -> int:
        """How many documents there are, or how many match `where`, see `ids`.

        Raises:
            FilterError: `where` cannot be parsed.
        """
        chosen = as_filter(where, params)
        with self._contents() as contents:
            return contents.count(chosen)

    def values(
        self,
        key: str,
        where: Where | None = None,
        *,
        exact: bool = False,
        params: Params | None = None,
    ) -> list[ValueCount]:
        """The values of a key and how many documents have each, the most frequent first.

        Each element of a list counts as a value; null, objects and lists within lists do not.

        Args:
            key: as in a filter, such as `author.name`, `language` or `title`.
            where: only of documents (or, with conditions on passages, of passages) that match.
            exact: distinguish 1 from 1.0, which are equal in a filter.
            params: values for the parameters of `where`.

        Raises:
            FilterError: `key` or `where` cannot be parsed.
        """
        chosen = as_filter(where, params)
        with self._contents() as contents:
            return contents.values(key, chosen, exact)

    def metadata_keys(
        self, where: Where | None = None, *, params: Params | None = None
    ) -> dict[str, dict[str, int]]:
        """The keys of all metadata, and how many documents have a value of each kind.

        Args:
            where: only of documents that match, see `ids`.
            params: values for the parameters of `where`.

        Returns:
            For each key, in order, the kinds of values as in filters (`text`, `number`, `boolean`,
            `list`, `object`, and `null`) and how many documents have such a value.

        Raises:
            FilterError: `where` cannot be parsed.
        """
        chosen = as_filter(where, params)
        with self._contents() as contents:
            return contents.metadata_keys(chosen)

    def __len__(self) -> int:
        """How many documents there are."""
        return self.count()

    def __bool__(self) -> bool:
        """True, even for an empty index: `if index` tests whether there is one."""
        return True

    def __contains__(self, id: object) -> bool:
        """Whether there is a document with this id."""
        if not isinstance(id, str):
            return False
        with self._contents() as contents:
            return contents.holds(id)

    def __iter__(self) -> Iterator[str]:
        """The ids of all documents, in their order."""
        return iter(self.ids())


def checked_id(id: object) -> str:
    """Check an id.

    Raises:
        InputError: it is not a text.
    """
    if not isinstance(id, str):
        raise InputError(f"id {id!r} is not a text; ids are str")
    return id


def checked_ids(ids: Iterable[str]) -> list[str]:
    """Check ids.

    Raises:
        InputError: a single text was given, or not an iterable, or one of them is not a text.
    """
    if isinstance(ids, str):
        raise InputError(f"one id, {ids!r}, was given; give a list of them")
    if not isinstance(ids, Iterable):
        raise InputError(f"{ids!r} was given; give a list of ids")
    return [checked_id(id) for id in ids]


def _page(after: str | None, limit: int | None) -> tuple[str, int]:
    """Check and convert to the store's `after` and `most`."""
    if after is not None and not (isinstance(after, str) and is_storable(after)):
        raise InputError(f"after={after!r} is not a text; give the id of a document, or None")
    if limit is not None and (not is_whole(limit) or limit < 0):
        raise InputError(f"limit={limit!r} is not a number of documents; give 0 or more, or None")
    return after or "", -1 if limit is None else int(limit)
