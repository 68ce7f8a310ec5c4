"""The contents of an index, chosen as users name them: by paths, globs, ids and filters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from retrieval.documents import source_id
from retrieval.errors import InputError
from retrieval.index import Index, Listed
from retrieval.index.context_builder import path_of
from retrieval.index.listing import Listing
from retrieval.indexes import path_glob
from retrieval.sharded import ShardedIndex
from retrieval.sync.roots import is_under
from retrieval.sync.settings import remember, settings_of

_MAGIC = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Choice:
    """Documents that were chosen.

    Attributes:
        documents: first those without a file, then by file.
        unknown: names that match none.
    """

    documents: list[Listed]
    unknown: list[str]


def choose(index: Index, names: Sequence[str] = (), *, where: str | None = None) -> Choice:
    """The documents that match one of the names and the filter; all, if neither is given.

    A name is a file or a folder as typed here, relative to the current folder, even if it no longer
    exists; or a glob over such files (`*` and `?` within a component, `**` across components), with
    everything below what it matches; or a document's id.

    Args:
        index: the index.
        names: a document has to match one of them; empty is no condition.
        where: a filter, see `Index.search`.

    Raises:
        InputError: a name is empty.
        FilterError: `where` cannot be parsed.
    """
    return _chosen(index.listed(where), names, index.path.parent)


def choose_of_collection(
    collection: Listing, names: Sequence[str] = (), *, where: str | None = None
) -> Choice:
    """Like `choose`, by the paths in documents' metadata, relative to the current folder."""
    listed = [replace(one, source=path_of(one.metadata)) for one in collection.listed(where)]
    return _chosen(sorted(listed, key=lambda one: (one.source or "", one.id)), names, Path.cwd())


def _chosen(documents: list[Listed], names: Sequence[str], base: Path) -> Choice:
    if not names:
        return Choice(documents, [])
    if "" in names:  # which the system takes for the current folder, and all that is in it
        raise InputError(
            "a name is empty; give a file, a folder ('.' is this one), a glob or an id"
        )
    chosen: set[str] = set()
    unknown = []
    for name in dict.fromkeys(names):
        found = _fitting(documents, name, base)
        if not found:
            unknown.append(name)
        chosen |= found
    return Choice([one for one in documents if one.id in chosen], unknown)


def delete(
    index: Index, names: Sequence[str] = (), *, where: str | None = None
) -> tuple[int, list[str]]:
    """Delete the documents that match one of the names and the filter, see `choose`.

    Files and folders that are deleted by name are also forgotten: they do not come back.

    Returns:
        How many documents were deleted, and the names that matched none.

    Raises:
        InputError: neither a name nor a filter was given, or a name is empty.
        FilterError: `where` cannot be parsed.
    """
    where = _checked(names, where)
    choice = choose(index, names, where=where)
    if where is None:
        _forget_roots(index, names)
    ids = [one.id for one in choice.documents] if names else None
    return index.delete(ids, where=where), choice.unknown


def delete_of_collection(
    collection: ShardedIndex,
    names: Sequence[str] = (),
    *,
    where: str | None = None,
    workers: int = 1,
    ray: str | None = None,
) -> tuple[int, list[str]]:
    """Like `delete`, for documents chosen by `choose_of_collection`.

    Args:
        collection: the collection.
        names: see `delete`.
        where: see `delete`.
        workers: number of processes that write shards.
        ray: the address of a Ray cluster that writes shards, or `local`; None for none.
    """
    where = _checked(names, where)
    choice = choose_of_collection(collection, names, where=where)
    ids = [one.id for one in choice.documents] if names else None
    report = collection.delete(ids, where=where, workers=workers, ray=ray)
    return report.deleted, choice.unknown


def _checked(names: Sequence[str], where: str | None) -> str | None:
    """The filter, None if it is blank; InputError if there is neither a filter nor a name."""
    if not where or (isinstance(where, str) and not where.strip()):
        where = None
    if not names and where is None:
        raise InputError("nothing was named; give files, folders, globs or ids, or a filter")
    return where


def _forget_roots(index: Index, names: Sequence[str]) -> None:
    """Remove these names from what the index was given."""
    base = index.path.parent
    before = settings_of(index.remembered)
    named = [source_id(Path(name), base) for name in names]
    kept = tuple(
        root
        for root in before.roots
        if not any(is_under(source_id(base / root, base), name) for name in named)
    )
    if kept != before.roots:
        with index.writing() as writer:
            remember(writer, before, replace(before, roots=kept))


def _fitting(documents: Sequence[Listed], name: str, base: Path) -> set[str]:
    """Ids of the documents that a name matches: as a path, else as a glob, else as an id."""
    try:
        place = source_id(Path(name), base)
    except ValueError:  # a NUL: neither a path nor an id
        return set()
    found = {one.id for one in documents if one.source and is_under(one.source, place)}
    if not found and _MAGIC.intersection(name):
        found = {
            one.id
            for one in documents
            if one.source and (path_glob(place, one.source) or path_glob(f"{place}/**", one.source))
        }
    return found or {one.id for one in documents if one.id == name}
