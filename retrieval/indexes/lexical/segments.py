"""The segments of a lexical index: new ones are added, and small ones are merged.

tantivy treats all segments below 10,000 passages as of one size, and merges them as soon as there
    are eight: so adding one passage could cost as much as 10,000. Here new passages are written in
    a separate folder, in which tantivy sees nothing else, and then added to the index's list of
    segments; which segments are merged is decided here.
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
"""tantivy's list of segments, and its list of files that it may delete."""

FAN_IN = 8
"""Maximum number of segments of one size; tantivy does not merge fewer either."""

IN_MEMORY = 1024
"""Maximum number of passages that are written into memory first."""

_MEMORY = Path("/dev/shm")
_ROOM = 64 << 20  # bytes; a thousand passages take a few
_ABANDONED = 3600  # seconds; a thousand passages take less than one

_SIZES = (64, 1024, 8192)
"""Passages of the largest segment of each size; larger ones are left to tantivy's own policy."""

_HEAP_BYTES = 64 << 20


@contextmanager
def writing(index: tantivy.Index, folder: Path) -> Iterator[tantivy.IndexWriter]:
    """tantivy's writer; at the end it commits and waits for tantivy's merges.

    After that, even after an error, none of its threads writes to the folder.
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
    """An empty temporary folder outside of this one.

    tantivy forces each of its many files to the disk. Few passages are therefore written into a
    memory file system, if there is one, from where the files are copied.

    Args:
        folder: the generation's folder; its parent has one writer at a time, whose leftovers are
            removed.
        passages: maximum number of passages to be written.
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
    """An empty folder in a memory file system for this writer; None if there is none."""
    try:
        held, own = os.statvfs(_MEMORY), folder.parent.stat()
        if held.f_bavail * held.f_frsize < _ROOM:
            return None
        ours = f"retrieval-{os.getuid()}-"
        _remove_abandoned(ours)
        # The name is fixed, so that killed writers leave at most one such folder.
        place = _MEMORY / f"{ours}{own.st_dev:x}-{own.st_ino:x}"
        _make_empty(place)
    except OSError:  # for one, another user's folder may have that name
        return None
    return place


def _remove_abandoned(ours: str) -> None:
    """Remove what killed writers left and nobody has written to since."""
    old = time.time() - _ABANDONED
    with os.scandir(_MEMORY) as entries:
        for entry in entries:
            if not entry.name.startswith(ours):
                continue
            with suppress(FileNotFoundError):  # removed by another writer
                if entry.stat(follow_symlinks=False).st_mtime < old:
                    shutil.rmtree(entry.path, ignore_errors=True)


def _make_empty(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(mode=0o700)


@contextmanager
def emptied_after(place: Path) -> Iterator[Path]:
    """A folder in which an index may be opened; removed at the end.

    tantivy checks once, on a thread of its own, for a newer version, and takes its lock for that: a
    file may come and go while the folder is being emptied.
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
    """Add the segments of another index, `source`, to `folder`, with their files.

    Raises:
        IndexCorrupted: the list of segments cannot be read; `origin` is named.
        IndexFormatError: it was written by another release.
        StorageError: the folder cannot be written.
    """
    meta, more = _read_meta(folder, origin), _read_meta(source, source)
    meta["segments"] += more["segments"]
    _replace(folder, meta, source)


def is_scattered(folder: Path) -> bool:
    """Whether an index has so many segments below the largest size that tantivy can merge them."""
    return len(_small(_read_meta(folder, folder)["segments"])) >= FAN_IN


def merge(folder: Path, origin: Path, *, sizes: bool = True) -> None:
    """Merge segments of one size where there are more than FAN_IN; raises as `take_over` does.

    So passages that are added one by one are rewritten once for each size, not n / 8 times.

    Args:
        folder: the generation that is being written.
        origin: the generation that it started from. If no large segment was added since, tantivy's
            own policy has nothing new to merge.
        sizes: whether sizes are kept apart; if not, all segments that have one become one.
    """
    meta = _read_meta(folder, origin)
    for group in _groups(meta["segments"]) if sizes else [_small(meta["segments"])]:
        _merge(folder, meta, group, origin)
    large = [one for one in meta["segments"] if _level(one) is None]
    known = [one["segment_id"] for one in _read_meta(origin, origin)["segments"]]
    if len(large) >= FAN_IN and any(one["segment_id"] not in known for one in large):
        _merge(folder, meta, large, origin)


def _merge(folder: Path, meta: dict[str, Any], group: Sequence[Any], origin: Path) -> None:
    """Have tantivy merge these segments of the folder; changes its `meta`."""
    with apart(folder, sum(one["max_doc"] for one in group)) as place:
        names = [name for one in group for name in _files_of(folder, one)]
        _link(folder, place, names)
        _write_json(place / META, {**meta, "segments": list(group)})
        _write_json(place / MANAGED, [META, *names])
        with writing(opened(place, origin=origin), place):
            pass  # an empty commit, after which tantivy looks for segments to merge
        rest = [one for one in meta["segments"] if one not in group]
        meta["segments"] = rest + _read_meta(place, place)["segments"]
        _replace(folder, meta, place)


def _groups(segments: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    """Groups of segments to merge, as tantivy lists them."""
    levels: dict[int, list[Any]] = {}
    for segment in segments:
        level = _level(segment)
        if level is not None:
            levels.setdefault(level, []).append(segment)
    return [group for group in levels.values() if len(group) > FAN_IN]


def _small(segments: Sequence[Any]) -> list[Any]:
    """The segments that are not large, as tantivy lists them."""
    return [segment for segment in segments if _level(segment) is not None]


def _level(segment: Mapping[str, Any]) -> int | None:
    """The index of its size in `_SIZES`; None for a large one."""
    return next((n for n, size in enumerate(_SIZES) if segment["max_doc"] <= size), None)


def _replace(folder: Path, meta: Mapping[str, Any], source: Path) -> None:
    """Make `meta` the folder's segments, linking files from `source` and removing others."""
    own = {name for one in meta["segments"] for name in _files_of(source, one)}
    # Existing files stay: an earlier generation may share them, and names are never reused.
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
    """The names of a segment's files: its id and a suffix."""
    own = str(segment["segment_id"]).replace("-", "")
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.name.startswith(f"{own}."))


def _link(source: Path, target: Path, names: Sequence[str]) -> None:
    """Hard-link files into another folder; copy them where links are not possible."""
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
    """Replace one of tantivy's lists; hard links to the old file keep the old contents."""
    try:
        path.unlink(missing_ok=True)
        path.write_text(json.dumps(value), encoding="utf-8")
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error
