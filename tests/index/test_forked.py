"""A process that is forked while an index is written may end as it likes."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from retrieval.index import Index
from retrieval.store import StoreWriter
from retrieval.store.writing import Commit
from retrieval.types import Document


class EndedError(Exception):
    """What the forked process raises through the call that writes."""


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_that_ends_by_an_error_takes_nothing_away(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, children = os.getpid(), []
    goes_on, told = os.pipe()

    def documents() -> Iterator[Document]:
        yield Document("a", "some words")
        child = os.fork()
        if child == 0:
            os.close(told)
            os.read(goes_on, 1)
            raise EndedError
        children.append(child)
        yield Document("b", "other words")

    commit = StoreWriter.commit

    def once_it_ended(store: StoreWriter, change: Commit) -> None:
        """Make the commit whose segments are written, and not named yet."""
        while children:
            os.close(told)
            assert os.waitpid(children.pop(), 0)[1] == 0
        commit(store, change)

    monkeypatch.setattr(StoreWriter, "commit", once_it_ended)
    try:
        index.add(documents())
    except EndedError:
        assert os.getpid() != own
    finally:
        if os.getpid() != own:
            os._exit(0)
    os.close(goes_on)
    assert index.verify() == [] and len(index.search("words")) == 2
    index.add([Document("c", "more words")])  # nobody holds the lock
