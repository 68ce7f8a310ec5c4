"""The segments of a lexical index: more are put beside them, and small ones become one.

tantivy takes all segments below 10,000 passages for one size, and writes them anew as one as soon
as there are eight: so one passage more could cost as much as 10,000. What is added is written in a
folder of its own, in which tantivy sees nothing else, and named in the index's list of segments;
which of them become one is ours to say.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrieval.errors import StorageError
from retrieval.files.stored_json import parsed
from retrieval.files.whole import PART, link
from retrieval.indexes.lexical.fields import check_schema, opened, read_failure, write_failure

if TYPE_CHECKING:
    import tantivy

META, MANAGED = "meta.json", ".managed.json"
"""tantivy's list of segments, and that of the files which it may delete."""

FAN_IN = 8
"""Segments of one size that are let stand; tantivy merges no fewer."""

IN_MEMORY = 1024
"""So many passages are written into memory first, at most."""

_MEMORY = Path("/dev/shm")
_ROOM = 64 << 20  # bytes; a thousand passages take a few
_ABANDONED = 3600  # seconds; a thousand passages take less than one

_SIZES = (64, 1024, 8192)
"""Passages of the largest segment of each size; larger ones are left to tantivy's own policy."""

_HEAP_BYTES = 64 << 20


@contextmanager
def writing(index: tantivy.Index, folder: Path) -> Iterator[tantivy.IndexWriter]:
    """tantivy's writer; it commits at the end, and what tantivy then saw fit to merge is merged.

    None of its threads writes to the folder from there on, in any case.
    """
    with write_failure(folder):
        writer = index.writer(heap_size=_HEAP_BYTES, num_threads=1)
    try:
        yield writer
        with write_failure(folder):
            writer.commit()
    finally:
        with write_failure(folder):
            writer.wait_merging_threads()


@contextmanager
def apart(folder: Path, passages: int) -> Iterator[Path]:
    """An empty folder outside of this one, which goes in the end.

    tantivy forces each file that it writes to the disk, and there are many. For few passages it
    writes into memory, from where the files are copied, if there is a file system of that kind.

    Args:
        folder: its own folder has one writer at a time, whose remains are removed here.
        passages: how many will be written there, at most.
    """
    place = _in_memory(folder) if passages <= IN_MEMORY else None
    if place is None:
        place = folder.with_name(folder.name + PART)
        try:
            _make_empty(place)
        except OSError as error:
            raise StorageError(f"cannot write {place}: {error.strerror or error}") from error
    with emptied_after(place):
        yield place


def _in_memory(folder: Path) -> Path | None:
    """An empty folder in memory for who writes here; None if there is none to be had."""
    try:
        held, own = os.statvfs(_MEMORY), folder.parent.stat()
        if held.f_bavail * held.f_frsize < _ROOM:
            return None
        ours = f"retrieval-{os.getuid()}-"
        _remove_abandoned(ours)
        # The same name each time, so that a writer that is killed leaves one such folder at most.
        place = _MEMORY / f"{ours}{own.st_dev:x}-{own.st_ino:x}"
        _make_empty(place)
    except OSError:  # among these, that somebody else has that name
        return None
    return place


def _remove_abandoned(ours: str) -> None:
    """Remove what killed writers of indexes left that nobody has written to since."""
    old = time.time() - _ABANDONED
    with os.scandir(_MEMORY) as entries:
        for entry in entries:
            if not entry.name.startswith(ours):
                continue
            with suppress(FileNotFoundError):  # another writer was done with it
                if entry.stat(follow_symlinks=False).st_mtime < old:
                    shutil.rmtree(entry.path, ignore_errors=True)


def _make_empty(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(mode=0o700)


@contextmanager
def emptied_after(place: Path) -> Iterator[Path]:
    """A folder in which an index may be opened; it goes in the end.

    On a thread of its own tantivy then looks once for a newer version, and for that takes its lock:
    a file may come and go while the folder is emptied.
    """
    try:
        yield place
    finally:
        for pause in (0.0, 0.01, 0.1):
            time.sleep(pause)
            with suppress(OSError):
                shutil.rmtree(place)
                break
        else:
            shutil.rmtree(place, ignore_errors=True)


def take_over(folder: Path, source: Path, origin: Path) -> None:
    """Name the segments of `source`, which is another index's, in `folder`, with their files.

    Raises:
        IndexCorrupted: the list of segments cannot be read; `origin` is named.
        IndexFormatError: it is of another release.
        StorageError: the folder cannot be written.
    """
    meta, more = _read_meta(folder, origin), _read_meta(source, source)
    meta["segments"] += more["segments"]
    _replace(folder, meta, source)


def merge(folder: Path, origin: Path) -> None:
    """Write segments of one size as one where there are more than FAN_IN of them; raises as above.

    So n passages that come one by one are each written again once for each size, not n / 8 times.

    Args:
        folder: the generation that is being written.
        origin: the one that it started from. Where no large segment has come since, tantivy was
            asked about them already.
    """
    meta = _read_meta(folder, origin)
    for group in _groups(meta["segments"]):
        _merge(folder, meta, group, origin)
    large = [one for one in meta["segments"] if _level(one) is None]
    known = [one["segment_id"] for one in _read_meta(origin, origin)["segments"]]
    if len(large) >= FAN_IN and any(one["segment_id"] not in known for one in large):
        _merge(folder, meta, large, origin)


def _merge(folder: Path, meta: dict[str, Any], group: Sequence[Any], origin: Path) -> None:
    """Let tantivy merge these segments of the folder, whose `meta` is changed."""
    with apart(folder, sum(one["max_doc"] for one in group)) as place:
        names = [name for one in group for name in _files_of(folder, one)]
        _link(folder, place, names)
        _write_json(place / META, {**meta, "segments": list(group)})
        _write_json(place / MANAGED, [META, *names])
        with writing(opened(place, origin=origin), place):
            pass  # a commit of nothing, after which tantivy looks for what to merge
        rest = [one for one in meta["segments"] if one not in group]
        meta["segments"] = rest + _read_meta(place, place)["segments"]
        _replace(folder, meta, place)


def _groups(segments: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    """The segments to be written as one, as tantivy lists them."""
    levels: dict[int, list[Any]] = {}
    for segment in segments:
        level = _level(segment)
        if level is not None:
            levels.setdefault(level, []).append(segment)
    return [group for group in levels.values() if len(group) > FAN_IN]


def _level(segment: Mapping[str, Any]) -> int | None:
    """The place of its size among `_SIZES`; None of a large one."""
    return next((n for n, size in enumerate(_SIZES) if segment["max_doc"] <= size), None)


def _replace(folder: Path, meta: Mapping[str, Any], source: Path) -> None:
    """Let the folder hold these segments, those of `source` among them, and no other's files."""
    own = {name for one in meta["segments"] for name in _files_of(source, one)}
    # What is there stays: it may be a generation's before. A name is given once.
    _link(source, folder, [name for name in sorted(own) if not (folder / name).exists()])
    living = [name for one in meta["segments"] for name in _files_of(folder, one)]
    try:
        with read_failure(folder):
            managed = json.loads((folder / MANAGED).read_text(encoding="utf-8"))
        for name in {*managed} - {META, *living}:
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write {folder}: {error.strerror or error}") from error
    _write_json(folder / META, meta)
    _write_json(folder / MANAGED, [META, *living])


def _files_of(folder: Path, segment: Mapping[str, Any]) -> list[str]:
    """The names of a segment's files, which are its id's and a suffix."""
    own = str(segment["segment_id"]).replace("-", "")
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.name.startswith(f"{own}."))


def _link(source: Path, target: Path, names: Sequence[str]) -> None:
    """Give files a second name in another folder; where there are no links, copy them."""
    try:
        for name in names:
            link(source / name, target / name, sync=False)
    except OSError as error:
        raise StorageError(
            f"cannot copy {source} to {target}: {error.strerror or error}"
        ) from error


def _read_meta(folder: Path, origin: Path) -> dict[str, Any]:
    with read_failure(origin):
        text = (folder / META).read_text(encoding="utf-8")
        check_schema(text, origin)
        found: dict[str, Any] = parsed(text)
    return found


def _write_json(path: Path, value: Any) -> None:
    """Write a list of tantivy's anew: a second name of the old one keeps what it had."""
    try:
        path.unlink(missing_ok=True)
        path.write_text(json.dumps(value), encoding="utf-8")
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error
