"""Passages in any number: real ones as far as there are any, perturbed copies of them beyond.

The real ones are encoded once, into an index that keeps all token vectors in 8 bits. In a copy, one
word in five is replaced by a word of another passage, so that the lexical index does not see a
duplicate, and random noise of length `NOISE` is added to each vector.
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
"""Expected length of the noise added to a unit vector."""
BATCH = 1_000
"""Passages that are made at a time."""
PASSAGE_TOKENS = 256
UNCOMPRESSED = LateOptions(exact_passages=10**12, list_passages=10**12)
"""Keeps every token vector in 8 bits, whatever the number of passages."""
QUERIES_FILE = "queries.json"

_TEXT_SUFFIXES = {".txt", ".md", ".rst", ".py"}


def prepare(texts: Path, work: Path, passages: int, queries: int) -> dict[str, object]:
    """Encode at least so many passages of the folder's texts and choose queries; the counts."""
    folder = work / "real"
    with (
        Index.open(folder)
        if folder.exists()
        else Index.create(folder, passage_tokens=PASSAGE_TOKENS, late=UNCOMPRESSED) as index
    ):
        documents = _read_documents(texts)
        while index.status().passages < passages and (batch := list(islice(documents, 200))):
            index.add(batch)
        status = index.status()
        if not status.passages:
            raise InputError(
                f"{texts} holds no text; give a folder with corpus.jsonl or text files"
            )
        chosen = _choose_queries(texts, index, queries)
    (work / QUERIES_FILE).write_text(json.dumps(chosen), encoding="utf-8")
    return {"documents": status.documents, "passages": status.passages, "queries": len(chosen)}


def passage_batches(
    work: Path, count: int, first: int = 0
) -> Iterator[tuple[list[Document], Embeddings]]:
    """Passages `first` to `count`, each a document of its own, with their vectors, in batches.

    A passage of a given number is the same whatever the number of all passages.
    """
    if first >= count:
        return
    with Index.open(work / "real") as index:
        real = index.status().passages
        for start in range(first - first % BATCH, count, BATCH):
            numbers = range(max(start, first), min(start + BATCH, count))
            sources = [number % real for number in numbers]
            passages = _read_passages(index, work, sorted(set(sources)))
            rng = np.random.default_rng(start)
            words = np.array(
                [word for text, _ in passages.values() for word in text.split()] or ["-"]
            )
            documents, embedding_parts = [], []
            for number, source in zip(numbers, sources, strict=True):
                text, embeddings = passages[source]
                if number >= real:
                    text, embeddings = (
                        _perturb_text(text, words, rng),
                        _perturb_vectors(embeddings, rng),
                    )
                documents.append(Document(f"p{number}", text))
                embedding_parts.append(embeddings)
            yield documents, _concatenate(embedding_parts)


@contextmanager
def batches_from_child(
    work: Path, count: int, first: int
) -> Iterator[Iterator[tuple[list[Document], Embeddings]]]:
    """`passage_batches` made by a child process.

    The files that it maps do not count as this process's memory then.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_send_batches, args=(sender, work, count, first), daemon=True)
    child.start()
    sender.close()
    try:
        yield iter(receiver.recv, None)
    finally:
        receiver.close()
        child.terminate()
        child.join()


def _send_batches(sender: Connection, work: Path, count: int, first: int) -> None:
    for batch in passage_batches(work, count, first):
        sender.send(batch)
    sender.send(None)


def load_queries(work: Path) -> list[str]:
    """The queries that `prepare` chose."""
    return list(json.loads((work / QUERIES_FILE).read_text(encoding="utf-8")))


_passage_keys: dict[Path, list[str]] = {}
"""By working folder, `document\0ordinal` of every real passage in index order."""


def _read_passages(
    index: Index, work: Path, positions: Sequence[int]
) -> dict[int, tuple[str, Embeddings]]:
    """Text and vectors of real passages, by their position in index order."""
    if work not in _passage_keys:
        _passage_keys[work] = [
            f"{entry.document_id}\0{entry.ordinal}" for entry, _ in index.vectors()
        ]
    keys = _passage_keys[work]
    position_of = {keys[position]: position for position in positions}
    ids = sorted({key.split("\0")[0] for key in position_of})
    texts = {document.id: document.text for document in map(index.get, ids) if document}
    passages = {}
    for passage, embeddings in index.vectors({"id": {"$in": ids}}):
        position = position_of.get(f"{passage.document_id}\0{passage.ordinal}")
        if position is not None:
            passages[position] = texts[passage.document_id][passage.start : passage.end], embeddings
    return passages


def _perturb_text(text: str, words: NDArray[np.str_], rng: np.random.Generator) -> str:
    tokens = text.split()
    for position in np.flatnonzero(rng.random(len(tokens)) < 0.2):
        tokens[position] = str(rng.choice(words))
    return " ".join(tokens) or "-"


def _perturb_vectors(embeddings: Embeddings, rng: np.random.Generator) -> Embeddings:
    def add_noise(rows: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
        if rows is None:
            return None
        noise = rng.standard_normal(rows.shape, dtype=np.float32) * (NOISE / rows.shape[1] ** 0.5)
        return _normalise(rows + noise)

    return Embeddings(
        add_noise(embeddings.dense),
        add_noise(embeddings.tokens),
        embeddings.offsets,
        add_noise(embeddings.windows),
        embeddings.window_offsets,
    )


def _normalise(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    normalised: NDArray[np.float32] = rows / np.maximum(norms, 1e-12)
    return normalised


def _concatenate(parts: Sequence[Embeddings]) -> Embeddings:
    """Embeddings of several texts as one. A text without windows is its own window."""
    windows = [part.dense if part.windows is None else part.windows for part in parts]
    dense, tokens = [part.dense for part in parts], [part.tokens for part in parts]

    def stack(rows: Sequence[NDArray[np.float32] | None]) -> NDArray[np.float32]:
        return _normalise(np.concatenate([array for array in rows if array is not None]))

    def offsets_of(rows: Sequence[NDArray[np.float32] | None]) -> NDArray[np.int64]:
        return np.cumsum(
            [0, *(0 if array is None else len(array) for array in rows)], dtype=np.int64
        )

    return Embeddings(
        stack(dense), stack(tokens), offsets_of(tokens), stack(windows), offsets_of(windows)
    )


def _read_documents(texts: Path) -> Iterator[Document]:
    """Documents of every corpus.jsonl and text file below the folder."""
    for path in sorted(texts.rglob("*")):
        if path.name == "corpus.jsonl":
            with path.open(encoding="utf-8") as lines:
                for row in map(json.loads, lines):
                    yield Document(
                        f"{path.parent.name}/{row['_id']}", row["text"], row.get("title", "")
                    )
        elif path.suffix in _TEXT_SUFFIXES and path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            yield Document(path.relative_to(texts).as_posix(), text)


def _choose_queries(texts: Path, index: Index, count: int) -> list[str]:
    """Queries, as many of each collection; where there are none, sentences of its passages."""
    files = sorted(texts.rglob("queries.jsonl"))
    queries = []
    for path in files:
        with path.open(encoding="utf-8") as lines:
            rows = islice((json.loads(line)["text"] for line in lines), -(-count // len(files)))
            queries += [text for text in rows if text.strip()]
    if not queries:
        for document in islice(index.documents(), count):
            sentence = document.text.strip().split(". ")[0][:200]
            queries += [sentence] if sentence else []
    return queries[:count]
