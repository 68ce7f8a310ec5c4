"""Passages of any number: real ones as far as there are any, perturbed copies of them beyond.

The real ones are encoded once, into an index whose token vectors are all kept in 8 bits. A copy has
one word in five of another passage in its place, so that it is no copy to the lexical index, and
vectors to which a random one of length `NOISE` was added.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import InputError
from retrieval.index import Index
from retrieval.types import Document, Embeddings, LateOptions

NOISE = 0.6
BATCH = 1_000
PASSAGE_TOKENS = 256
REAL = LateOptions(exact_passages=10**12, list_passages=10**12)
QUERIES = "queries.json"

_TEXTS = {".txt", ".md", ".rst", ".py"}


def prepare(texts: Path, work: Path, passages: int, queries: int) -> dict[str, object]:
    """Encode so many passages of the folder's texts, and choose queries; what there is then."""
    folder = work / "real"
    with (
        Index.open(folder)
        if folder.exists()
        else Index.create(folder, passage_tokens=PASSAGE_TOKENS, late=REAL) as index
    ):
        documents = _documents(texts)
        while index.status().passages < passages and (batch := list(islice(documents, 200))):
            index.add(batch)
        status = index.status()
        if not status.passages:
            raise InputError(
                f"{texts} holds no text; give a folder with corpus.jsonl or text files"
            )
        asked = _queries(texts, index, queries)
    (work / QUERIES).write_text(json.dumps(asked), encoding="utf-8")
    return {"documents": status.documents, "passages": status.passages, "queries": len(asked)}


def batches(work: Path, count: int, first: int = 0) -> Iterator[tuple[list[Document], Embeddings]]:
    """Passages `first` to `count`, `BATCH` at a time: each a document of its own, and its vectors.

    The same numbers are the same passages, whatever the number of all.
    """
    if first >= count:
        return
    with Index.open(work / "real") as index:
        real = index.status().passages
        for start in range(first - first % BATCH, count, BATCH):
            wanted = range(max(start, first), min(start + BATCH, count))
            places = [number % real for number in wanted]
            found = _passages(index, work, sorted(set(places)))
            rng = np.random.default_rng(start)
            words = np.array([word for text, _ in found.values() for word in text.split()] or ["-"])
            documents, parts = [], []
            for number, place in zip(wanted, places, strict=True):
                text, made = found[place]
                if number >= real:
                    text, made = _altered(text, words, rng), _perturbed(made, rng)
                documents.append(Document(f"p{number}", text))
                parts.append(made)
            yield documents, _joined(parts)


@contextmanager
def made_elsewhere(
    work: Path, count: int, first: int
) -> Iterator[Iterator[tuple[list[Document], Embeddings]]]:
    """What `batches` gives, from another process: what it maps is not in this one's memory."""
    processes = multiprocessing.get_context("spawn")
    here, there = processes.Pipe(duplex=False)
    child = processes.Process(target=_send, args=(there, work, count, first), daemon=True)
    child.start()
    there.close()
    try:
        yield iter(here.recv, None)
    finally:
        here.close()
        child.terminate()
        child.join()


def _send(there: Connection, work: Path, count: int, first: int) -> None:
    for batch in batches(work, count, first):
        there.send(batch)
    there.send(None)


def asked(work: Path) -> list[str]:
    """The queries that were chosen."""
    return list(json.loads((work / QUERIES).read_text(encoding="utf-8")))


_order: dict[Path, list[str]] = {}


def _passages(index: Index, work: Path, places: Sequence[int]) -> dict[int, tuple[str, Embeddings]]:
    """Text and vectors of real passages, by their place among all."""
    if work not in _order:
        _order[work] = [f"{one.document_id}\0{one.ordinal}" for one, _ in index.vectors()]
    names = _order[work]
    at = {names[place]: place for place in places}
    ids = sorted({name.split("\0")[0] for name in at})
    texts = {document.id: document.text for document in map(index.get, ids) if document}
    found = {}
    for passage, made in index.vectors({"id": {"$in": ids}}):
        place = at.get(f"{passage.document_id}\0{passage.ordinal}")
        if place is not None:
            found[place] = texts[passage.document_id][passage.start : passage.end], made
    return found


def _altered(text: str, words: NDArray[np.str_], rng: np.random.Generator) -> str:
    own = text.split()
    for place in np.flatnonzero(rng.random(len(own)) < 0.2):
        own[place] = str(rng.choice(words))
    return " ".join(own) or "-"


def _perturbed(made: Embeddings, rng: np.random.Generator) -> Embeddings:
    def moved(rows: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
        if rows is None:
            return None
        noise = rng.standard_normal(rows.shape, dtype=np.float32) * (NOISE / rows.shape[1] ** 0.5)
        return _unit(rows + noise)

    return Embeddings(
        moved(made.dense),
        moved(made.tokens),
        made.offsets,
        moved(made.windows),
        made.window_offsets,
    )


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: NDArray[np.float32] = rows / np.maximum(lengths, 1e-12)
    return unit


def _joined(parts: Sequence[Embeddings]) -> Embeddings:
    """Those of several texts; the window of one without windows is its vector."""
    windows = [part.dense if part.windows is None else part.windows for part in parts]
    dense, tokens = [part.dense for part in parts], [part.tokens for part in parts]

    def stacked(rows: Sequence[NDArray[np.float32] | None]) -> NDArray[np.float32]:
        return _unit(np.concatenate([one for one in rows if one is not None]))

    def bounds(rows: Sequence[NDArray[np.float32] | None]) -> NDArray[np.int64]:
        return np.cumsum([0, *(0 if one is None else len(one) for one in rows)], dtype=np.int64)

    return Embeddings(
        stacked(dense), stacked(tokens), bounds(tokens), stacked(windows), bounds(windows)
    )


def _documents(texts: Path) -> Iterator[Document]:
    for path in sorted(texts.rglob("*")):
        if path.name == "corpus.jsonl":
            with path.open(encoding="utf-8") as lines:
                for row in map(json.loads, lines):
                    yield Document(
                        f"{path.parent.name}/{row['_id']}", row["text"], row.get("title", "")
                    )
        elif path.suffix in _TEXTS and path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            yield Document(path.relative_to(texts).as_posix(), text)


def _queries(texts: Path, index: Index, count: int) -> list[str]:
    """Queries of the folder's collections, as many of each; else sentences of its passages."""
    files = sorted(texts.rglob("queries.jsonl"))
    found = []
    for path in files:
        with path.open(encoding="utf-8") as lines:
            rows = islice((json.loads(line)["text"] for line in lines), -(-count // len(files)))
            found += [text for text in rows if text.strip()]
    if not found:
        for document in islice(index.documents(), count):
            sentence = document.text.strip().split(". ")[0][:200]
            found += [sentence] if sentence else []
    return found[:count]
