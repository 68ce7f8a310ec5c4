"""Writing the lexical index: one folder per generation.

Each generation is a folder that is written once. The next one hard-links the files of the previous
one, which tantivy never changes in place, and adds and deletes in one tantivy commit, so the cost
of a generation is that of its changes; readers of older ones are not disturbed. A folder can be
copied and opened elsewhere.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrieval.errors import IndexCorrupted, InputError, StorageError
from retrieval.files.unsynced import force
from retrieval.files.whole import link
from retrieval.indexes.arrays import check_ids, force_with_parent, make_folder
from retrieval.indexes.lexical import segments
from retrieval.indexes.lexical.fields import (
    PRESENT,
    check_field,
    create,
    grams_of,
    opened,
    write_failure,
)
from retrieval.indexes.lexical.words import indexed

if TYPE_CHECKING:
    import tantivy

_REWRITTEN = frozenset({segments.META, segments.MANAGED})


def write_lexical(
    target: Path,
    *,
    previous: Path | None = None,
    add: Iterable[tuple[int, Mapping[str, str]]] = (),
    delete: ArrayLike = (),
    keep_below: int | None = None,
    sizes: bool = True,
) -> None:
    """Write the next generation into `target` and fsync it; `previous` is left as it is.

    Args:
        target: a new folder. Files in it are taken for leftovers of a killed writer and are removed
            first.
        previous: the generation to start from; None starts from nothing.
        add: passages that `previous` does not have: each one's id, and the words of those of
            `FIELDS` that it has. A field that is absent or empty costs nothing.
        delete: i64 [n], ids to remove; unknown ones are ignored.
        keep_below: drop passages of `previous` with this id or a higher one.
        sizes: see `segments.merge`.

    Raises:
        InputError: a passage id is negative, or a field is unknown.
        IndexCorrupted: `previous` cannot be opened.
        IndexFormatError: `previous` was written by another release.
        StorageError: the folder cannot be written.
    """
    if previous is not None and target.absolute() == previous.absolute():
        raise InputError(f"the new generation cannot overwrite the old one, {previous}")
    gone = check_ids(np.unique(np.asarray(delete, dtype=np.int64)))
    make_folder(target)
    _remove_files(target)
    try:
        passages = iter(add)
        if previous is None:
            _fill(create(target), target, passages)
        else:
            _link_files(previous, target)
            if len(gone) or keep_below is not None:
                _change(opened(target, origin=previous), target, gone, keep_below)
            _put_beside(target, passages, origin=previous)
            segments.merge(target, previous, sizes=sizes)
        for file in _files(target):
            if file.suffix == ".lock":
                file.unlink()
            else:
                if file.name in _REWRITTEN:  # tantivy makes these readable by their owner only
                    file.chmod(target.stat().st_mode & 0o666)
                # linked files were synced with the previous generation
                if file.stat().st_nlink == 1:
                    force(file)
    except BaseException:
        with suppress(StorageError):  # leftovers are removed by the next writer
            _remove_files(target)
        raise
    force_with_parent(target)


def _put_beside(
    folder: Path, passages: Iterator[tuple[int, Mapping[str, str]]], *, origin: Path
) -> None:
    """Add passages to the generation in `folder`, which is linked from `origin`."""
    first = list(islice(passages, segments.IN_MEMORY + 1))
    if first:
        with segments.apart(folder, len(first)) as place:
            _fill(create(place), place, chain(first, passages))
            segments.take_over(folder, place, origin)


def _change(
    index: tantivy.Index,
    folder: Path,
    delete: NDArray[np.int64],
    keep_below: int | None,
) -> None:
    """Delete passages from the index in `folder`."""
    import tantivy

    with segments.writing(index, folder) as writer, write_failure(folder):
        for passage in delete.tolist():
            writer.delete_documents_by_term("id", passage)
        if keep_below is not None:
            orphans = tantivy.Query.range_query(
                index.schema, "id", tantivy.FieldType.Integer, lower_bound=keep_below
            )
            writer.delete_documents_by_query(orphans)


def _fill(
    index: tantivy.Index, folder: Path, passages: Iterator[tuple[int, Mapping[str, str]]]
) -> None:
    """Add passages to the index in `folder`."""
    import tantivy

    with segments.writing(index, folder) as writer:
        for passage, fields in passages:  # errors from the caller's iterable are not tantivy's
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


def _add(document: tantivy.Document, field: str, *values: str) -> None:
    """Add the non-empty values; no phrase matches across two of them."""
    present = [value for value in values if value and not value.isspace()]
    for value in present:
        document.add_text(field, value)
    if present:
        document.add_text(PRESENT, field)


def _files(folder: Path) -> Iterator[Path]:
    return (entry for entry in sorted(folder.iterdir()) if entry.is_file())


def _link_files(source: Path, target: Path) -> None:
    """Hard-link a generation's files; copy those that tantivy rewrites or that cannot be linked."""
    try:
        for file in _files(source):
            if file.suffix == ".lock":
                continue
            if file.name in _REWRITTEN:
                shutil.copyfile(file, target / file.name)
            else:
                link(file, target / file.name, sync=False)
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
