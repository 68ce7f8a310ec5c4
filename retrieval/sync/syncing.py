"""sync: make an index mirror files and folders, touching only what changed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from retrieval.documents import JudgedFile, LeftOut, ReadOptions, WalkOptions
from retrieval.documents.formats import problems as format_problems
from retrieval.documents.walk.options import checked_bytes
from retrieval.files.given import Paths, paths_of
from retrieval.index import Index
from retrieval.sync import moves, roots
from retrieval.sync.catalogue import catalogue, count_documents_but
from retrieval.sync.labels import LabelField, Labeller
from retrieval.sync.looking import Found, gone_of, look
from retrieval.sync.report import SyncProgress, SyncReport
from retrieval.sync.roots import Plan, is_under
from retrieval.sync.run import Run
from retrieval.sync.settings import (
    SYNCED,
    Settings,
    judged_of,
    remember,
    remember_judged,
    settings_of,
    synced_ns_of,
)


def sync(
    index: Index,
    paths: Paths | None = None,
    *,
    progress: Callable[[SyncProgress], object] | None = None,
    exclude: Paths = (),
    max_bytes: int | None = None,
    options: ReadOptions | None = None,
    walk: WalkOptions | None = None,
    labels: Sequence[LabelField] | None = None,
    again: bool = False,
    on_left_out: Callable[[LeftOut], object] | None = None,
) -> SyncReport:
    """Index the files under `paths`, and remove from the index what is gone from there.

    A file whose size and modification times are unchanged is not opened, unless a newer version of
    its format, or other options, would read it differently. Of the files that are read, only
    passages whose text or context changed are encoded. Commits happen every few seconds: after
    an interruption the next run continues from there.

    - The index remembers the paths and the options: without any, all that it was ever given is
      brought up to date. A path that is gone is reported as a problem, its documents are deleted,
      and it is forgotten.
    - A file that is gone, or is now ignored or too large, leaves the index with all its documents.
      So does one that changed and can no longer be read as text: nothing stale is kept. A file or
      folder that the system refuses to open stays, since its content is unknown.
    - A new file with the content of one that is gone is a moved file: only what its new path
    changes
      in the encoder's input is encoded.
    - If two files give a document with the same id, the first keeps it; the other's is reported as
      a problem, and is tried again with every sync.

    Args:
        index: the index; ids of files are relative to the folder that contains it.
        paths: files and folders, or one; one that is gone may be given if the index knows it. None
            is all that the index was ever given.
        progress: called after every file, every batch of the encoder, and every block of token
            vectors that is compressed.
        exclude: files and folders, or one, to leave out this time; the index itself always is.
        max_bytes: files beyond this size are skipped; None leaves it as it was (initially 64 MiB).
        options: how files are read; files that were read with other options are read again. None
            leaves them as they were.
        walk: which files of a folder are indexed; None leaves it as it was.
        labels: classifiers that fill metadata of the documents read; if they differ from before, or
            one has changed, every file is read. None leaves them as they were.
        again: read every file, even if it seems unchanged.
        on_left_out: called for each file and folder that is not read.

    Raises:
        InputError: a path does not exist or is not a path, or none was ever given; `max_bytes` is
            not a number from 1 on.
        IndexLocked: another process is writing to the index.
        StorageError: the disk is full; the message says what was saved.
    """
    started, started_ns = time.monotonic(), time.time_ns()
    given = None if paths is None else paths_of(paths)
    left_out = [index.path, *paths_of(exclude)]
    base = index.path.parent
    with index.writing(progress=lambda now: run.advance(now)) as writer:
        before = settings_of(writer.store.remembered)
        now = Settings(
            before.roots,
            os.path.realpath(base),
            walk or before.walk,
            options or before.read,
            before.max_bytes if max_bytes is None else checked_bytes(max_bytes),
            before.labels if labels is None else tuple(labels),
        )
        labeller = Labeller(now.labels)
        if labeller.fields:
            now = replace(now, labels=labeller.known())
        again = again or now.labels != before.labels
        run = Run(now.read, labeller, progress)
        store = writer.store
        known = catalogue(store.file_rows(), now.read)
        unrecorded = store.unrecorded_sources()
        plan = roots.plan(before, index.path, given, [*known.stamps, *unrecorded])
        judged = judged_of(store.remembered)
        unopened, unjudged = ({}, {}) if again else (known.unopened, judged)
        found = look(plan, base, now, left_out, unopened, unjudged, on_left_out)
        missing = sorted({*known.stamps, *unrecorded}.difference(found.met()))
        gone = gone_of(missing, plan, found)
        moved = moves.moves(
            found.files, known.stamps, store.hash_of_source, gone, _is_gone(plan, found, base)
        )
        if moved:
            folders = moves.vacated_folders(moved.values(), base)
            stale = [id for id in known.stamps if any(is_under(id, folder) for folder in folders)]
            gone = list(dict.fromkeys([*gone, *stale]))
        run.forget(writer, set(gone).difference(moved.values()))
        remember(writer, before, replace(now, roots=tuple(found.roots)))
        remember_judged(writer, judged, _judged(judged, plan, found))
        looked_into = {*missing, *unrecorded, *(file.id for file in found.files)}
        run.unchanged += count_documents_but(store, looked_into)
        run.read_all(writer, found.files, moved=moved, again=again)
        synced_ns = synced_ns_of(store.remembered) or 0
        # A sync that has nothing to do commits nothing, whatever it could not read once more.
        if started_ns < synced_ns or any(file.ctime_ns > synced_ns for file in found.files):
            writer.remember(SYNCED, started_ns)
    return SyncReport(
        added=run.added,
        updated=run.updated,
        unchanged=run.unchanged,
        deleted=run.deleted,
        moved=run.moved,
        skipped=found.skipped,
        left_out=found.left_out,
        by_layout=run.by_layout,
        problems=[*format_problems(), *plan.problems, *found.problems, *run.problems],
        passages=writer.passages,
        tokens=writer.tokens,
        seconds=time.monotonic() - started,
    )


def _is_gone(plan: Plan, found: Found, base: Path) -> Callable[[str], bool]:
    """Whether a file outside of what was walked is gone."""
    looked = [*plan.gone, *found.places, *plan.unreadable]

    def is_gone(id: str) -> bool:
        if any(is_under(id, root) for root in looked) or "\\" in id:
            return False  # walked; or its name is not UTF-8, so that its id is not its path
        try:
            return not os.path.lexists(base / id)
        except ValueError:
            return False

    return is_gone


def _judged(before: Mapping[str, JudgedFile], plan: Plan, found: Found) -> dict[str, JudgedFile]:
    """Files that are left out for their content, as far as they were looked at."""
    looked = [*plan.gone, *found.places]
    elsewhere = {
        id: seen for id, seen in before.items() if not any(is_under(id, root) for root in looked)
    }
    for walk in found.walks:
        elsewhere |= walk.judged
    return elsewhere
