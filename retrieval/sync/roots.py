"""Roots: the files and folders that an index was given, and which of them are gone.

A root is stored relative to the folder that contains the index, so that an index that moves
together with its files stays valid.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from retrieval.documents.naming import relative_path, source_id
from retrieval.errors import InputError
from retrieval.sync.settings import Settings


def is_under(id: str, root: str) -> bool:
    """Whether a file's id is a root's or below it."""
    if root == ".":
        return id != ".." and not id.startswith(("../", "/"))
    return id == root or id.startswith(f"{root}/")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sync will look at.

    Attributes:
        walked: paths to walk.
        nested: paths to walk too, unless the walk of another reaches them.
        gone: ids of files and folders that no longer exist.
        problems: one line for each root that is gone or cannot be looked at.
        unreadable: ids of files and folders that cannot be read, and are therefore not gone.
        roots: what the index was given, now or before, without what is gone.
    """

    walked: Sequence[Path]
    nested: Sequence[Path]
    gone: Sequence[str]
    problems: Sequence[str]
    unreadable: Sequence[str]
    roots: Sequence[str]


def plan(
    settings: Settings, folder: Path, paths: Sequence[Path] | None, known: Iterable[str]
) -> Plan:
    """Decide what to look at.

    Args:
        settings: the settings that the index remembers.
        folder: the index's folder.
        paths: the paths given now; None is all that the index was ever given.
        known: ids of the files that the index knows.

    Raises:
        InputError: a path does not exist and never did, none is given or remembered, or the
            remembered ones are in a place that the index was moved away from.
    """
    if paths is not None and not paths:
        raise InputError("no path was given; name the files or folders to read")
    base = folder.absolute().parent
    given = settings.roots
    if paths is None and not given:
        raise InputError(
            f"the index at {folder} remembers no files or folders; name them: retrieval index PATH"
        )
    state = {root: state_of(base / root) for root in given}
    gone = [root for root in given if state[root] == "gone"]
    if paths is None:
        _check_place(settings.place, base, gone)
    problems = [
        f"{root}: is gone; its documents left the index, except those found in another place"
        for root in gone
        if root in outermost([*(r for r in given if state[r] != "gone"), root])
    ]
    unreadable = [root for root in given if state[root] not in ("there", "gone")]
    problems += [
        f"{root}: cannot be read ({state[root]}); its documents stay" for root in unreadable
    ]
    left = [root for root in given if state[root] != "gone"]
    gone_ids = [source_id(base / root, base) for root in gone]
    unreadable_ids = [source_id(base / root, base) for root in unreadable]
    if paths is None:
        there = [root for root in left if state[root] == "there"]
        outer = outermost(there)
        nested = [base / root for root in there if root not in outer]
        walked = [base / root for root in outer]
        return Plan(walked, nested, gone_ids, problems, unreadable_ids, left)
    walked = []
    for path in paths:
        if state_of(path) != "gone":
            walked.append(path)
            continue
        id = source_id(path, base)
        if id not in gone_ids and not any(is_under(source, id) for source in known):
            raise InputError(f"{path} does not exist; name a file or a folder that does")
        gone_ids.append(id)
    added = [relative_path(path, base) for path in walked]
    return Plan(
        walked, [], gone_ids, problems, unreadable_ids, list(dict.fromkeys([*left, *added]))
    )


def outermost(roots: Sequence[str]) -> list[str]:
    """The roots that are not below another."""
    given = set(roots)
    return [root for root in roots if given.isdisjoint(_above(root))]


def _above(root: str) -> Iterator[str]:
    """The folders that contain a root, as far as they can be roots."""
    if root != ".":
        yield from (str(parent) for parent in PurePosixPath(root).parents if str(parent) != ".")
        if is_under(root, "."):
            yield "."


def _check_place(place: str, base: Path, gone: Sequence[str]) -> None:
    """Refuse to treat files as gone only because the index was moved away from them."""
    if gone and place not in ("", os.path.realpath(base)):
        raise InputError(
            f"{gone[0]} is not there, and the index was moved here from {place}; "
            "name the files and folders that it should contain: retrieval index PATH"
        )


def state_of(path: Path) -> str:
    """`there`, `gone`, or why that is unknown."""
    try:
        os.stat(path)  # noqa: PTH116 -- a path with a NUL is wrong input, not gone
    except (FileNotFoundError, NotADirectoryError):
        return "gone"
    except OSError as error:
        return error.strerror or str(error)
    except ValueError as error:
        raise InputError(f"{str(path)!r} cannot be read: {error}") from None
    return "there"
