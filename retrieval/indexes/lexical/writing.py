"""Writing the lexical index: one folder a generation.

Each generation is a folder that is written once. The next one hard-links the files of the one
before, which tantivy never changes in place, and adds and deletes in one tantivy commit, so a
generation costs what changed; readers of older ones go on undisturbed. A folder that is copied
elsewhere opens there.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrieval.errors import IndexCorrupted, InputError, StorageError
from retrieval.indexes.arrays import check_ids, make_folder, sync_folder
from retrieval.indexes.lexical.fields import (
    PRESENT,
    check_field,
    create,
    grams_of,
    opened,
    write_failure,
)
from retrieval.indexes.lexical.words import indexed

_HEAP_BYTES = 64 << 20
_REWRITTEN = frozenset({"meta.json", ".managed.json"})


def write_lexical(
    target: Path,
    *,
    previous: Path | None = None,
    add: Iterable[tuple[int, Mapping[str, str]]] = (),
    delete: ArrayLike = (),
    keep_below: int | None = None,
) -> None:
    """Write the next generation into `target` and fsync it; `previous` is left as it is.

    Args:
        target: a new folder. Files in it are taken for the remains of a writer that was killed
            and are removed first.
        previous: the generation to start from; None starts from nothing.
        add: passages that `previous` does not hold: each one's id, and for each of `FIELDS` that it
            has its words. A field that is absent or empty costs nothing.
        delete: i64 [n], ids that leave; unknown ones are ignored.
        keep_below: drop every passage of `previous` whose id is this or above.

    Raises:
        InputError: a passage id is negative, or a field is none of ours.
        IndexCorrupted: `previous` cannot be opened.
        IndexFormatError: `previous` was written by another release.
        StorageError: the folder cannot be written.
    """
    if previous is not None and target.absolute() == previous.absolute():
        raise InputError(f"the new generation cannot be written over the old one, {previous}")
    gone = check_ids(np.unique(np.asarray(delete, dtype=np.int64)))
    make_folder(target)
    _remove_files(target)
    try:
        if previous is None:
            index = create(target)
        else:
            _link_files(previous, target)
            index = opened(target, origin=previous)
        _commit(index, target, add, gone, keep_below)
        for file in _files(target):
            if file.suffix == ".lock":
                file.unlink()
            else:
                if file.name in _REWRITTEN:  # tantivy makes these readable for their owner only
                    file.chmod(target.stat().st_mode & 0o666)
                if file.stat().st_nlink == 1:  # a linked one was synced by the generation before
                    _sync_file(file)
    except BaseException:
        with suppress(StorageError):  # what stays is garbage, which the next writer removes
            _remove_files(target)
        raise
    sync_folder(target)


def _commit(
    index: Any,
    folder: Path,
    add: Iterable[tuple[int, Mapping[str, str]]],
    delete: NDArray[np.int64],
    keep_below: int | None,
) -> None:
    """Delete and add in one commit, and wait until tantivy has merged what it saw fit."""
    import tantivy

    with write_failure(folder):
        writer = index.writer(heap_size=_HEAP_BYTES, num_threads=1)
    try:
        with write_failure(folder):
            for passage in delete.tolist():
                writer.delete_documents_by_term("id", passage)
            if keep_below is not None:
                orphans = tantivy.Query.range_query(
                    index.schema, "id", tantivy.FieldType.Integer, lower_bound=keep_below
                )
                writer.delete_documents_by_query(orphans)
        for passage, fields in add:  # an error of the caller's iterable stays its own
            if passage < 0:
                raise InputError(f"passage id {passage} is negative; ids start at 0")
            document = tantivy.Document(id=int(passage))
            for field, words in fields.items():
                check_field(field)
                made = indexed(words)
                _add(document, field, *made.words, made.others)
                _add(document, grams_of(field), made.grams, made.bigrams)
            with write_failure(folder):
                writer.add_document(document)
        with write_failure(folder):
            writer.commit()
    finally:  # in any case, so that none of its threads writes to the folder from here on
        with write_failure(folder):
            writer.wait_merging_threads()


def _add(document: Any, field: str, *values: str) -> None:
    """Add the values that are not empty; no phrase goes from one to the next."""
    present = [value for value in values if value and not value.isspace()]
    for value in present:
        document.add_text(field, value)
    if present:
        document.add_text(PRESENT, field)


def _files(folder: Path) -> Iterator[Path]:
    return (entry for entry in sorted(folder.iterdir()) if entry.is_file())


def _link_files(source: Path, target: Path) -> None:
    """Hard-link a generation's files; copy those that tantivy rewrites, and where links fail."""
    try:
        for file in _files(source):
            if file.suffix == ".lock":
                continue
            try:
                if file.name in _REWRITTEN:
                    shutil.copyfile(file, target / file.name)
                else:
                    os.link(file, target / file.name)
            except OSError:
                shutil.copyfile(file, target / file.name)
    except FileNotFoundError as error:
        raise IndexCorrupted(f"{error.filename} is missing; build the index again") from error
    except OSError as error:
        raise StorageError(
            f"cannot copy {source} to {target}: {error.strerror or error}"
        ) from error


def _remove_files(folder: Path) -> None:
    try:
        for file in list(_files(folder)):
            file.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"cannot empty {folder}: {error.strerror or error}") from error


def _sync_file(file: Path) -> None:
    try:
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
    except OSError as error:
        raise StorageError(f"cannot sync {file}: {error.strerror or error}") from error
