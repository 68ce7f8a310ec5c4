"""What is done to an index while calls fail or a trace is taken, and what must be left after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from retrieval import LateOptions
from retrieval.index import Index
from retrieval.index.writing import merge_policy, writer
from retrieval.indexes.dense import lists
from retrieval.sync import sync
from retrieval.types import RETRIEVERS, Document

from ..index.fake_encoder import FakeEncoder
from ..index.older_formats import of_format
from ..index.source_files import write

Texts = Mapping[str, str]

BEFORE = {f"d{n}": f"own{n} shared word{n % 5}" for n in range(18)}
ADDED = {"d3": "own3 was changed shared", "new1": "ownnew1 shared", "new2": "ownnew2"}
MANY = {f"m{n}": f"own{n}m shared word{n % 7}" for n in range(40)}
FEW = dict(list(MANY.items())[:6])
GONE = ("d1", "d2", "nobody")
LISTED = 12
"""Vectors in inverted lists, where a trial needs some: as many as remain after any operation."""
EARLY = LateOptions(exact_passages=20, list_passages=50)


def documents(texts: Texts) -> list[Document]:
    return [Document(id, text, metadata={"length": len(text)}) for id, text in texts.items()]


def in_segments(folder: Path) -> None:
    """Make an index of `BEFORE` in several segments, with dead passages."""
    with Index.create(folder, encoder=FakeEncoder(), late=EARLY) as index:
        index.add(documents(dict.fromkeys(BEFORE, "an older text of shared words")))
        for first in (0, 9):
            ids = list(BEFORE)[first : first + 9]
            index.add(documents({id: BEFORE[id] for id in ids}))


def in_lists(folder: Path) -> None:
    """Make one whose vectors, of passages and of tokens, are in inverted lists, with dead ones."""
    late = LateOptions(exact_passages=LISTED, list_passages=LISTED)
    with lists_of_few(), Index.create(folder, encoder=FakeEncoder(), late=late) as index:
        index.add(documents(BEFORE | FEW))
        index.delete(FEW)


@contextmanager
def lists_of_few() -> Iterator[None]:
    """Dense vectors get inverted lists, however few a trial can write."""
    with patch.object(lists, "FEWEST", LISTED):
        yield


@contextmanager
def joined_when_few() -> Iterator[None]:
    """What a call leaves in several segments becomes one, however few a trial can write."""
    with patch.object(merge_policy, "SMALLEST", 4):
        yield


def of_older_format(folder: Path) -> None:
    """Make one as an earlier release left it."""
    of_format(2, folder, documents(BEFORE), FakeEncoder())


def of_files(folder: Path) -> None:
    """Make one of the files beside it, which change after that."""
    files = folder.parent / "files"
    for id, text in BEFORE.items():
        write(files / id, text)
    with Index.create(folder, encoder=FakeEncoder(), late=EARLY) as index:
        sync(index, [files])
    for id, text in ADDED.items():
        write(files / id, text, age=9)
    for id in GONE[:2]:
        (files / id).unlink()


def _create(folder: Path) -> None:
    Index.create(folder / "made", encoder=FakeEncoder()).close()


def _search(folder: Path) -> None:
    with _open(folder) as index:
        for retriever in RETRIEVERS:
            hits = index.search("own7 shared word2", 5, retriever=retriever)
            assert [hit.document_id for hit in hits][:1] == ["d7"], f"{retriever} found {hits}"
            assert all(BEFORE[hit.document_id] == hit.text for hit in hits)
        assert index.get("d4") == documents({"d4": BEFORE["d4"]})[0]


def _add(folder: Path) -> None:
    with _open(folder) as index:
        index.add(documents(ADDED))


def _delete(folder: Path) -> None:
    with _open(folder) as index:
        index.delete(GONE)


def _compact(folder: Path) -> None:
    with _open(folder) as index:
        index.compact()


def _promote(folder: Path) -> None:
    with lists_of_few(), _open(folder) as index:
        index.add(documents(MANY))


def _join(folder: Path) -> None:
    with (
        lists_of_few(),
        joined_when_few(),
        patch.object(writer, "COMMIT_CHANGES", 3),
        _open(folder) as index,
    ):
        index.add(documents(FEW))
        assert index.status().segments == 4  # twice vectors, words, the codec


def _sync(folder: Path) -> None:
    with _open(folder) as index:
        sync(index, [folder.parent / "files"])


def _open(folder: Path) -> Index:
    return Index.open(folder, encoder=FakeEncoder())


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of a user's.

    Attributes:
        run: it, on the folder of an index.
        after: the documents once it is done.
        prepare: makes the index, which holds `BEFORE`.
        whole: whether it is one commit; else each document by itself is as before or as after.
    """

    run: Callable[[Path], None]
    after: Texts = field(default_factory=lambda: BEFORE)
    prepare: Callable[[Path], None] = in_segments
    whole: bool = True


_LEFT = {id: text for id, text in BEFORE.items() if id not in GONE}

OPERATIONS: Mapping[str, Operation] = {
    "create": Operation(_create),
    "search": Operation(_search),
    "add": Operation(_add, BEFORE | ADDED),
    "delete": Operation(_delete, _LEFT),
    "compact": Operation(_compact),
    "promote": Operation(_promote, BEFORE | MANY),
    "join": Operation(_join, BEFORE | FEW, prepare=in_lists, whole=False),
    "search lists": Operation(_search, prepare=in_lists),
    "add to lists": Operation(_add, BEFORE | ADDED, prepare=in_lists),
    "delete from lists": Operation(_delete, _LEFT, prepare=in_lists),
    "compact lists": Operation(_compact, prepare=in_lists),
    "raise": Operation(lambda folder: _open(folder).close(), prepare=of_older_format),
    "sync": Operation(_sync, _LEFT | ADDED, prepare=of_files, whole=False),
}


def wrong(folder: Path, *allowed: Texts, whole: bool = True) -> str | None:
    """What is wrong with an index that must hold one of these; None if nothing is.

    Args:
        folder: of the index.
        allowed: its documents' texts, before and after.
        whole: whether all documents must be of the same state.
    """
    with Index.open(folder, encoder=FakeEncoder()) as index:
        texts = {Path(document.id).name: document.text for document in index.documents()}
        ids = set(texts).union(*allowed)
        known = (
            texts in allowed
            if whole
            else all(texts.get(id) in [state.get(id) for state in allowed] for id in ids)
        )
        if not known:
            return f"it holds {len(texts)} documents, none of the states that were committed"
        damage = index.verify()
        if damage:
            return f"verify says {damage[0]}"
        asked = list(texts.values())
        for retriever in ("lexical", "dense", "late") if texts else ():
            found = index.search_batch(asked, 1, retriever=retriever)  # type: ignore[arg-type]
            if [Path(hits[0].document_id).name for hits in found] != list(texts):
                return f"{retriever} does not find each document by its own text"
    return None
