"""What bringing an index up to date would do: which files go in, and why the others do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from retrieval.documents import LeftOut, source_id
from retrieval.index import Index
from retrieval.service.opening import is_index
from retrieval.store import FileRow
from retrieval.sync import roots
from retrieval.sync.catalogue import catalogue
from retrieval.sync.looking import gone_of, look
from retrieval.sync.settings import Given, Settings, judged_of, settings_of


@dataclass(frozen=True, slots=True)
class Preview:
    """What would happen; ids of files are paths from the folder that the index lies in.

    Attributes:
        new: files that would go in.
        changed: files that would be read again.
        unchanged: files that are as they were.
        gone: files whose documents would leave.
        left_out: what is not read, and why; folders stand for all that is in them. The index
            itself is not among it.
        problems: one line for everything else that its owner will want to know of.
    """

    new: list[str]
    changed: list[str]
    unchanged: list[str]
    gone: list[str]
    left_out: list[LeftOut]
    problems: list[str]


def preview(folder: Path, paths: Sequence[Path] = (), given: Given | None = None) -> Preview:
    """Look at the files as `update` would, and change nothing.

    Args:
        folder: of the index; there need be none.
        paths: files and folders; none are all that the index was given.
        given: options; what they leave open is as the index remembers it.

    Raises:
        InputError: a path does not exist, none was ever given, or an option cannot be used.
    """
    settings, judged = Settings(), {}
    rows: list[FileRow] = []
    if is_index(folder):
        with Index.open(folder) as index:
            settings, judged = settings_of(index.remembered), judged_of(index.remembered)
            rows = index.known_files()
    settings = (given or Given()).over(settings)
    known = catalogue(rows, settings.read)
    plan = roots.plan(settings, folder, list(paths) or None, known.stamps)
    left_out: list[LeftOut] = []
    own = source_id(folder, folder.absolute().parent)
    found = look(
        plan,
        folder.absolute().parent,
        settings,
        [folder],
        known.unopened,
        judged,
        on_left_out=left_out.append,
    )
    return Preview(
        new=[file.id for file in found.files if file.id not in known.stamps],
        changed=[file.id for file in found.files if file.id in known.stamps],
        unchanged=list(found.unchanged),
        gone=gone_of(sorted(set(known.stamps).difference(found.met())), plan, found),
        left_out=[one for one in left_out if one.id != own],
        problems=[*plan.problems, *found.problems],
    )
