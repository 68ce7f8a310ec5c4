"""The lexical index: BM25 over titles and texts, through tantivy.

Each generation is a folder that is written once. The next one hard-links the files of the one
before, which tantivy never changes in place, and adds and deletes in one tantivy commit, so a
generation costs what changed; readers of older ones go on undisturbed. A folder that is copied
elsewhere opens there.

Title and text are two fields, scored apart by BM25 (k1 = 1.2, b = 0.75) and added, the title at
0.7: between 0.5, best where titles only repeat the text, and 1, best where they say what the text
is about. Deleted passages count in the statistics until tantivy merges them away.
"""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrieval.errors import IndexCorrupted, InputError, RetrievalError, StorageError
from retrieval.indexes.arrays import check_ids, check_k, chosen, make_folder, sync_folder
from retrieval.indexes.words import analyzer, highlight, indexed_text, query_terms

__all__ = ["LexicalIndex", "highlight", "write_lexical"]

_ANALYZER = "words"
_TITLE_WEIGHT = 0.7
_MAX_TERMS = 256
_FEW_ALLOWED = 1024
_HEAP_BYTES = 64 << 20
_REWRITTEN = frozenset({"meta.json", ".managed.json"})


def write_lexical(
    target: Path,
    *,
    previous: Path | None = None,
    add: Iterable[tuple[int, str, str]] = (),
    delete: ArrayLike = (),
    keep_below: int | None = None,
) -> None:
    """Write the next generation into `target` and fsync it; `previous` is left as it is.

    Args:
        target: a new folder. Files in it are taken for the remains of a writer that was killed
            and are removed first.
        previous: the generation to start from; None starts from nothing.
        add: (passage id, title, text) of passages that `previous` does not hold.
        delete: i64 [n], ids that leave; unknown ones are ignored.
        keep_below: drop every passage of `previous` whose id is this or above.

    Raises:
        InputError: a passage id is negative.
        IndexCorrupted: `previous` cannot be opened.
        StorageError: the folder cannot be written.
    """
    if previous is not None and target.absolute() == previous.absolute():
        raise InputError(f"the new generation cannot be written over the old one, {previous}")
    gone = check_ids(np.unique(np.asarray(delete, dtype=np.int64)))
    make_folder(target)
    _remove_files(target)
    try:
        if previous is None:
            index = _create(target)
        else:
            _link_files(previous, target)
            index = _open(target, origin=previous)
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


class LexicalIndex:
    """One generation, opened for reading; any number of threads may search it at once."""

    __slots__ = ("_folder", "_schema", "_searcher")

    def __init__(self, folder: Path, schema: Any, searcher: Any) -> None:
        self._folder = folder
        self._schema = schema
        self._searcher = searcher

    @classmethod
    def open(cls, folder: Path) -> LexicalIndex:
        """Open a generation; IndexCorrupted if a file is missing or cannot be read."""
        with ExitStack() as stack, _corruption(folder):
            place = folder
            if not os.access(folder, os.W_OK):
                # Opening takes a lock, for which tantivy makes a file: elsewhere, then.
                place = Path(tempfile.mkdtemp())
                stack.callback(_discard, place)
                for file in _files(folder):
                    if file.suffix != ".lock":
                        (place / file.name).symlink_to(file.absolute())
            index = _open(place, origin=folder)
            searcher = index.searcher()
            for field in ("title", "text"):  # fails now if the schema is not ours
                searcher.doc_freq(field, "")
        return cls(folder, index.schema, searcher)

    def __len__(self) -> int:
        return int(self._searcher.num_docs)

    def search(
        self, query: str, k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The k allowed passages of largest BM25 score that hold a word of the query.

        Args:
            query: plain text; nothing in it is syntax. Of a very long one the first 65,536
                characters count, and of its terms the 256 rarest.
            k: at least 1; may exceed what there is.
            allowed: bool by passage id, applied before the top k is taken; None allows all.

        Returns:
            ids i64 [h] and scores f32 [h], h <= k; scores descend, equal ones by ascending id.
        """
        check_k(k)
        total = len(self)
        count = total if allowed is None else int(np.count_nonzero(allowed))
        with _corruption(self._folder):
            disjunction = self._disjunction(query)
            if disjunction is None or total == 0 or count == 0:
                return _ranked(np.empty(0, np.int64), np.empty(0, np.float32))
            if allowed is not None and count <= _FEW_ALLOWED:
                disjunction = self._restrict(disjunction, np.flatnonzero(allowed))
                return _ranked(*self._take(disjunction, min(k, total)))
            # tantivy knows no filter of ours: read on in its ranking until k of it are allowed.
            limit = min(total, k if allowed is None else math.ceil(1.5 * k * total / count))
            while True:
                ids, scores = self._take(disjunction, limit)
                exhausted = len(ids) < limit or limit == total
                kept = chosen(ids, allowed)
                if exhausted or np.count_nonzero(kept) >= k:
                    return _ranked(ids[kept][:k], scores[kept][:k])
                limit = min(total, 4 * limit)

    def score(self, query: str, ids: ArrayLike) -> NDArray[np.float32]:
        """BM25 of each passage, f32 [n]; 0 where it has no word of the query or is unknown."""
        wanted = np.asarray(ids, dtype=np.int64)
        scores = np.zeros(len(wanted), dtype=np.float32)
        with _corruption(self._folder):
            disjunction = self._disjunction(query)
            if disjunction is not None and len(wanted):
                names = np.unique(wanted)
                found, values = self._take(self._restrict(disjunction, names), len(names))
                table = dict(zip(found.tolist(), values.tolist(), strict=True))
                scores[:] = [table.get(name, 0.0) for name in wanted.tolist()]
        return scores

    def _disjunction(self, query: str) -> Any | None:
        """Any of the query's terms in either field, or None if the index holds none of them."""
        import tantivy

        total = len(self)
        clauses = []
        for term, times in query_terms(query).items():
            for field, weight in (("title", _TITLE_WEIGHT), ("text", 1.0)):
                if frequency := self._searcher.doc_freq(field, term):
                    rarity = weight * times * math.log1p(total / frequency)
                    clauses.append((-rarity, term, field, weight * times))
        if not clauses:
            return None
        queries = []
        for _, term, field, boost in sorted(clauses)[:_MAX_TERMS]:
            single = tantivy.Query.term_query(self._schema, field, term, "freq")
            queries.append((tantivy.Occur.Should, tantivy.Query.boost_query(single, boost)))
        return tantivy.Query.boolean_query(queries)

    def _restrict(self, disjunction: Any, ids: NDArray[np.int64]) -> Any:
        """The same query and scores, over these passages only."""
        import tantivy

        members = tantivy.Query.term_set_query(self._schema, "id", ids.tolist())
        silent = tantivy.Query.const_score_query(members, 0.0)
        must = tantivy.Occur.Must
        return tantivy.Query.boolean_query([(must, disjunction), (must, silent)])

    def _take(self, query: Any, limit: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The first `limit` passages of tantivy's ranking: ids i64, scores f32."""
        hits = self._searcher.search(query, limit=limit, count=False).hits
        ids = self._searcher.fast_field_values("id", [address for _, address in hits])
        scores = np.array([score for score, _ in hits], dtype=np.float32)
        return np.array(ids, dtype=np.int64), scores


def _ranked(
    ids: NDArray[np.int64], scores: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    order = np.lexsort((ids, -scores))
    return ids[order], scores[order]


def _create(folder: Path) -> Any:
    import tantivy

    builder = tantivy.SchemaBuilder().add_integer_field("id", indexed=True, fast=True)
    for field in ("title", "text"):
        builder.add_text_field(field, tokenizer_name=_ANALYZER, index_option="freq")
    index = tantivy.Index(builder.build(), str(folder))
    index.register_tokenizer(_ANALYZER, analyzer())
    return index


def _discard(place: Path) -> None:
    """Remove a folder in which an index was opened a moment ago.

    On a thread of its own tantivy then looks once for a newer version, and for that takes its lock:
    a file may come and go while the folder is emptied.
    """
    for pause in (0.0, 0.01, 0.1):
        time.sleep(pause)
        with suppress(OSError):
            shutil.rmtree(place)
            return
    shutil.rmtree(place, ignore_errors=True)


def _open(folder: Path, *, origin: Path | None = None) -> Any:
    """Open the index in `folder`; an error names `origin`, which it was linked from."""
    import tantivy

    with _corruption(origin or folder):
        index = tantivy.Index.open(str(folder))
        index.register_tokenizer(_ANALYZER, analyzer())
    return index


def _commit(
    index: Any,
    folder: Path,
    add: Iterable[tuple[int, str, str]],
    delete: NDArray[np.int64],
    keep_below: int | None,
) -> None:
    """Delete and add in one commit, and wait until tantivy has merged what it saw fit."""
    import tantivy

    with _write_failure(folder):
        writer = index.writer(heap_size=_HEAP_BYTES, num_threads=1)
    try:
        with _write_failure(folder):
            for passage in delete.tolist():
                writer.delete_documents_by_term("id", passage)
            if keep_below is not None:
                orphans = tantivy.Query.range_query(
                    index.schema, "id", tantivy.FieldType.Integer, lower_bound=keep_below
                )
                writer.delete_documents_by_query(orphans)
        for passage, title, text in add:  # an error of the caller's iterable stays its own
            if passage < 0:
                raise InputError(f"passage id {passage} is negative; ids start at 0")
            document = tantivy.Document(id=int(passage), text=indexed_text(text))
            if title:
                document.add_text("title", indexed_text(title))
            with _write_failure(folder):
                writer.add_document(document)
        with _write_failure(folder):
            writer.commit()
    finally:  # in any case, so that none of its threads writes to the folder from here on
        with _write_failure(folder):
            writer.wait_merging_threads()


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


def _is_tantivys(error: BaseException) -> bool:
    """Whether tantivy raised it: a ValueError or OSError, or a panic, which is no Exception."""
    if isinstance(error, RetrievalError):
        return False
    return isinstance(error, ValueError | OSError) or type(error).__name__ == "PanicException"


@contextmanager
def _corruption(folder: Path) -> Iterator[None]:
    """Turn tantivy's errors into IndexCorrupted."""
    try:
        yield
    except BaseException as error:
        if not _is_tantivys(error):
            raise
        raise IndexCorrupted(
            f"the lexical index {folder} cannot be read ({_one_line(error)});"
            " restore it from a copy, or build the index again"
        ) from error


@contextmanager
def _write_failure(folder: Path) -> Iterator[None]:
    """Turn tantivy's errors into StorageError."""
    try:
        yield
    except BaseException as error:
        if not _is_tantivys(error):
            raise
        raise StorageError(
            f"cannot write the lexical index {folder} ({_one_line(error)})"
        ) from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
