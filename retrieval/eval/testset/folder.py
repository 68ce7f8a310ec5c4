"""The folder of a test set: what an evaluation reads, and how it was made.

made.json          queries and their sources, the index, the options of every run
judgements.jsonl   every judgement, by whom and when
corpus.jsonl       the index's documents          written from these two
queries.jsonl      the queries                    and the index,
qrels/test.tsv     the judgements that count      in BEIR's format
"""

from __future__ import annotations

import csv
import datetime
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from retrieval.errors import InputError
from retrieval.eval.datasets import beir
from retrieval.eval.testset.journal import Journal
from retrieval.eval.testset.proposals import without
from retrieval.eval.testset.sources import Source, Wanted, query_key
from retrieval.files.claim import LOCK
from retrieval.files.given import StrPath
from retrieval.files.whole import replacing_text
from retrieval.index import Index
from retrieval.store import Store
from retrieval.types import Document, ProgressCallback, ProgressUpdate

MADE = "made.json"
SCHEMA_VERSION = 1

_JOURNAL, _CORPUS, _QUERIES = "judgements.jsonl", "corpus.jsonl", "queries.jsonl"
_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Query:
    """A query of a test set.

    Attributes:
        of: what of the document a proposed one was: `heading`, `title` or `docstring`.
        document: the document that a proposed one was taken out of.
        added: when, as ISO 8601.
    """

    id: str
    text: str
    source: Source
    of: str | None
    document: str | None
    added: str


@dataclass(frozen=True, slots=True)
class Added:
    """Ids of queries that were put in, and how many were there already."""

    new: tuple[str, ...]
    known: int


@dataclass(frozen=True, slots=True)
class Written:
    """What became of the documents; the last four against the folder as it was.

    Attributes:
        documents: how many there are.
        added: documents of the index that were not in the folder.
        changed: documents with another text or title than in the folder.
        gone: documents of the folder that are not in the index any more.
        judged_gone: judged documents that are not in the index any more.
    """

    documents: int
    added: int = 0
    changed: int = 0
    gone: int = 0
    judged_gone: int = 0


class TestSet:
    """Queries and judgements of an index's documents; what is put in gets an id that stays.

    Attributes:
        folder: made when something is written.
        queries: by id, in the order in which they were put in.
        journal: the judgements.
    """

    __test__ = False  # no test of pytest's

    def __init__(self, folder: StrPath, index: Index) -> None:
        """Open the test set in the folder, or begin one.

        Raises:
            InputError: the index is empty, or the folder holds something else or is damaged.
        """
        self.folder = Path(folder)
        self._index = index
        self._status = index.status()
        if not self._status.documents:
            raise InputError(
                f"the index at {index.path} holds no document; index some, then make a test set"
            )
        self.queries: dict[str, Query] = {}
        self._made: dict[str, Any] = self._read()
        self.journal = Journal(self.folder / _JOURNAL)
        self._ids = {query_key(query.text): query.id for query in self.queries.values()}

    def add(self, wanted: Iterable[Wanted]) -> Added:
        """Put queries in, with what is relevant to them; one that is there keeps its id."""
        new: list[str] = []
        known = 0
        now = _now()
        judged: dict[Source, list[tuple[str, str, int | None]]] = {}
        for one in wanted:
            key = query_key(one.text)
            id = self._ids.get(key)
            if id is None:
                id = self._ids[key] = self._next_id()
                origin = one.relevant[0] if one.source == "proposed" else None
                self.queries[id] = Query(id, one.text, one.source, one.of, origin, now)
                new.append(id)
            else:
                known += 1
                if one.source == "proposed" and self.queries[id].document is None:
                    self.queries[id] = replace(
                        self.queries[id], of=one.of, document=one.relevant[0]
                    )
            judged.setdefault(one.source, []).extend((id, doc, 1) for doc in one.relevant)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write_made()
        if "log" in judged:
            self.journal.add_all(judged["log"], "log")
        if "proposed" in judged:
            self.journal.add_all(judged["proposed"], "proposed")
        return Added(tuple(new), known)

    def write(
        self,
        options: Mapping[str, Any],
        *,
        progress: ProgressCallback | None = None,
    ) -> Written:
        """Write documents, queries and judgements as an evaluation reads them.

        Documents are written only if they are not those that the folder has.

        Args:
            options: of this run, to be kept.
            progress: called as the documents are written.

        Raises:
            InputError: the index has none of the folder's documents.
        """
        if not self.queries:
            raise InputError("no query was given; give some with --query, --queries or --log")
        written = self._write_corpus(progress)
        now = _now()
        self._made.setdefault("created", now)
        self._made["index"] = {
            "encoder": self._status.encoder,
            "fingerprint": self._status.fingerprint,
            "generation": self._status.generation,
            "documents": self._status.documents,
            "passages": self._status.passages,
            "passage_tokens": self._status.passage_tokens,
        }
        self._made["runs"] = [*self._made.get("runs", []), {"at": now, **options}]
        self._write_made()
        rows = ({"_id": query.id, "text": query.text} for query in self.queries.values())
        _write(self.folder / _QUERIES, lambda out: _json_lines(out, rows))
        self.write_judgements()
        return written

    def write_judgements(self) -> None:
        """Write `qrels/test.tsv` from the journal: the judgements that count."""
        grades = self.journal.grades()

        def put(out: TextIO) -> None:
            table = csv.writer(out, delimiter="\t", lineterminator="\n")
            table.writerow(("query-id", "corpus-id", "score"))
            for id in self.queries:
                table.writerows(
                    (id, document, grade) for document, grade in grades.get(id, {}).items()
                )

        (self.folder / "qrels").mkdir(parents=True, exist_ok=True)
        _write(self.folder / "qrels" / "test.tsv", put)

    def documents(self) -> Iterator[Document]:
        """The index's documents as they are in the index, in its order."""
        store = Store(self._index.path)
        try:
            for numbers in _batches(store.numbers().tolist()):
                found, texts = store.documents(numbers), store.texts(numbers)
                for number in numbers:
                    row = found[number]
                    yield Document(row.id, texts[number], row.title, row.metadata)
        finally:
            store.close()

    def _write_corpus(self, progress: ProgressCallback | None) -> Written:
        path = self.folder / _CORPUS
        taken = self._taken()
        digest = self._digest(taken)
        if path.exists() and self._made.get("corpus") == digest:
            return Written(self._status.documents)
        before = _digests(path) if path.exists() else None
        moved = {tuple(pair) for pair in self._made.get("taken", [])} ^ set(_pairs(taken))
        expected = {document for document, _ in moved}
        count = added = changed = 0
        left = dict(before or {})
        with replacing_text(path) as out:
            for count, document in enumerate(self.documents(), start=1):
                if document.id in taken:
                    document = without(document, taken[document.id])
                row = {"_id": document.id, "title": document.title, "text": document.text}
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
                known = left.pop(document.id, None)
                added += known is None
                changed += known not in (None, _text_digest(document)) and (
                    document.id not in expected
                )
                if progress is not None:
                    total = self._status.documents
                    progress(ProgressUpdate("writing", count, total, "documents"))
            if before and len(left) == len(before):
                raise InputError(
                    f"the index at {self._index.path} has none of the {len(before)} documents of "
                    f"{self.folder}; give the index that it was made from, or another folder"
                )
        self._made["corpus"], self._made["taken"] = digest, sorted(_pairs(taken))
        if before is None:
            return Written(count)
        judged = {id for grades in self.journal.grades().values() for id in grades}
        return Written(count, added, changed, len(left), len(judged & left.keys()))

    def _taken(self) -> dict[str, set[str]]:
        """The texts of proposed queries by the document that they are taken out of."""
        found: dict[str, set[str]] = {}
        for query in self.queries.values():
            if query.document is not None:
                found.setdefault(query.document, set()).add(query.text)
        return found

    def _digest(self, taken: Mapping[str, set[str]]) -> str:
        """Over the documents and what is taken out of them, without reading their texts."""
        digest = hashlib.sha256()
        store = Store(self._index.path)
        try:
            for numbers in _batches(store.numbers().tolist()):
                for row in store.documents(numbers).values():
                    digest.update(f"{row.content_hash} {row.id}\0".encode())
        finally:
            store.close()
        digest.update(json.dumps(sorted(_pairs(taken))).encode())
        return digest.hexdigest()

    def _next_id(self) -> str:
        numbers = [int(id[1:]) for id in self.queries]
        return f"q{max(numbers, default=0) + 1}"

    def _read(self) -> dict[str, Any]:
        path = self.folder / MADE
        try:
            made = json.loads(path.read_text(encoding="utf-8"))
            version = made["schema_version"]
            for row in made["queries"]:
                query = Query(**row)
                int(query.id[1:])
                self.queries[query.id] = query
        except FileNotFoundError:
            check_folder(self.folder)
            return {"schema_version": SCHEMA_VERSION}
        except (OSError, ValueError, KeyError, TypeError) as wrong:
            raise InputError(
                f"{path} cannot be read ({' '.join(str(wrong).split())}); "
                "restore it, or make the test set in a new folder"
            ) from None
        if version != SCHEMA_VERSION:
            raise InputError(
                f"{path} has schema version {version}, this release reads {SCHEMA_VERSION}: "
                "update modernbert-retrieval"
            )
        return dict(made)

    def _write_made(self) -> None:
        self._made["queries"] = [asdict(query) for query in self.queries.values()]
        text = json.dumps(self._made, ensure_ascii=False, indent=1) + "\n"
        _write(self.folder / MADE, lambda out: out.write(text))


def check_folder(folder: Path) -> None:
    """See that the folder is a test set, or free for one.

    Raises:
        InputError: it holds something else.
    """
    if not folder.is_dir() or (folder / MADE).exists():
        return
    if any(path.name != LOCK for path in folder.iterdir()):
        raise InputError(
            f"{folder} holds something else (there is no {MADE} in it); "
            "give a new folder, or one that `retrieval eval make` made"
        )


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _pairs(taken: Mapping[str, set[str]]) -> list[tuple[str, str]]:
    return [(document, text) for document, texts in taken.items() for text in texts]


def _batches(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    for first in range(0, len(numbers), _AT_ONCE):
        yield numbers[first : first + _AT_ONCE]


def _digests(corpus: Path) -> dict[str, bytes]:
    return {document.id: _text_digest(document) for document in beir.documents(corpus.parent)}


def _text_digest(document: Document) -> bytes:
    return hashlib.sha256(f"{document.title}\0{document.text}".encode()).digest()[:8]


def _json_lines(out: TextIO, rows: Iterable[Mapping[str, str]]) -> None:
    out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _write(path: Path, put: Callable[[TextIO], object]) -> None:
    with replacing_text(path) as out:
        put(out)
