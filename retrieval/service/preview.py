"""What an update of an index would do: which files would be indexed, and why others not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path

from retrieval.documents import LeftOut, SourceFile, source_id
from retrieval.index import Index
from retrieval.service.opening import is_index
from retrieval.store import UNRELIABLE_TIMES, FileRow
from retrieval.sync import roots
from retrieval.sync.catalogue import Catalogue, catalogue
from retrieval.sync.looking import gone_of, look
from retrieval.sync.settings import Given, Settings, judged_of, settings_of


@dataclass(frozen=True, slots=True)
class Preview:
    """What would happen; ids of files are paths relative to the folder that contains the index.

    Attributes:
        new: files that would be indexed.
        changed: files that would be read again.
        unchanged: unchanged files.
        gone: files whose documents would be deleted.
        left_out: what is not read, and why; a folder stands for everything in it. The index itself
            is not included.
        problems: one line for each problem that the user should know about.
    """

    new: list[str]
    changed: list[str]
    unchanged: list[str]
    gone: list[str]
    left_out: list[LeftOut]
    problems: list[str]


def preview(folder: Path, paths: Sequence[Path] = (), given: Given | None = None) -> Preview:
    """Look at the files like `update`, without changing anything.

    Args:
        folder: the index's folder; it need not exist.
        paths: files and folders; empty is all that the index was ever given.
        given: options; unset ones are as the index remembers them.

    Raises:
        InputError: a path does not exist, none was ever given, or an option cannot be used.
    """
    if not is_index(folder):
        return _previewed(None, folder, paths, given or Given())
    with Index.open(folder) as index:
        return _previewed(index, folder, paths, given or Given())


def _previewed(index: Index | None, folder: Path, paths: Sequence[Path], given: Given) -> Preview:
    settings, judged = Settings(), {}
    rows: list[FileRow] = []
    if index is not None:
        settings, judged = settings_of(index.remembered), judged_of(index.remembered)
        rows = index.known_files()
    settings = given.over(settings)
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
    met = [file for file in found.files if file.id in known.stamps]
    same: set[str] = set()
    if index is not None:
        same = {file.id for file in met if _is_the_same(file, index, known)}
    return Preview(
        new=[file.id for file in found.files if file.id not in known.stamps],
        changed=[file.id for file in met if file.id not in same],
        unchanged=sorted({*found.unchanged, *same}),
        gone=gone_of(sorted(set(known.stamps).difference(found.met())), plan, found),
        left_out=[one for one in left_out if one.id != own],
        problems=[*plan.problems, *found.problems],
    )


def _is_the_same(file: SourceFile, index: Index, known: Catalogue) -> bool:
    """Whether a file that was indexed right after it was written still has the same bytes.

    The times of such a file say nothing: it could have changed within the same moment.
    """
    size, times, *_ = known.unopened.get(file.id, (-1, 0))
    if (size, times) != (file.size, UNRELIABLE_TIMES):
        return False
    try:
        with file.path.open("rb") as opened:
            return file_digest(opened, "sha256").hexdigest() == index.file_hash(file.id)
    except OSError:
        return False
