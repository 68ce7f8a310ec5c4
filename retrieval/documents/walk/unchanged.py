"""Files that are as they were when they were read: told by one stat each, and never opened.

To bring an index up to date where nothing has changed is to walk files that are all known. So this
is where such a walk spends its time, and what makes it as fast as a bare one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Protocol

from retrieval.documents.naming import is_storable
from retrieval.documents.walk.contents import is_binary_by_name
from retrieval.documents.walk.judge import Folder, Judge
from retrieval.documents.walk.roots import Roots
from retrieval.documents.walk.source_file import TIMES_MASK, Stamp


class KnownFiles(Protocol):
    """Files by id, as they were when they were read; a dict is one."""

    def get(self, id: str, /) -> Stamp | None:
        """What is known of the file; None if nothing is."""
        ...


Entries = Sequence[os.DirEntry[str]]


class UnchangedFiles:
    """The files of a walk that are as they are known.

    Args:
        known: files by id, as they were when they were read.
        roots: what the walk begins at.
        judge: says what is left out by its name.
        max_bytes: files beyond this size are left out.

    Attributes:
        ids: of those found so far.
    """

    def __init__(self, known: KnownFiles, roots: Roots, judge: Judge, max_bytes: int) -> None:
        self.ids: list[str] = []
        self._known = known
        self._roots = roots
        self._judge = judge
        self._max_bytes = max_bytes

    def taken_from(self, names: list[str], entries: Entries, folder: Folder) -> Entries:
        """The entries of a folder that have to be looked at; the others are noted.

        Args:
            names: of the entries.
            entries: of an open folder.
            folder: what they stand in.
        """
        known, most, mask = self._known.get, self._max_bytes, TIMES_MASK
        prefix = "" if folder.id == "." else f"{folder.id}/"
        rest: list[os.DirEntry[str]] = []
        ids: list[str] = []
        for entry in entries:
            id = prefix + entry.name
            # A name that is not UTF-8 has another id than this one, which no index can hold.
            seen = known(id) if entry.name.isascii() or is_storable(entry.name) else None
            if seen is None:
                rest.append(entry)
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                rest.append(entry)
                continue
            # With both times the same it is the same file: its kind is not asked about.
            if (
                seen[1] == (31 * status.st_mtime_ns + status.st_ctime_ns) & mask
                and seen[0] == status.st_size <= most
            ):
                ids.append(id)
            else:
                rest.append(entry)
        if not ids:
            return rest
        same = [id[len(prefix) :] for id in ids] if rest else names
        if not self._judge.may_leave_out(folder, same):
            self.ids += ids
            return rest
        entry_of = dict(zip(names, entries, strict=True))
        for name, id in zip(same, ids, strict=True):
            if (
                folder.real_prefix + name in self._roots.real
                or is_binary_by_name(name)
                or self._judge.entry(name, folder.prefix + name, id, folder)[0] is not None
            ):
                rest.append(entry_of[name])
            else:
                self.ids.append(id)
        return rest
