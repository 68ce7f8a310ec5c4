"""A task without labels: queries that come from an index's own documents.

A heading is a query for its section, the first paragraph of a docstring for its code, a title for
the beginning of its text. Each is removed from the text that it asks for, as the words themselves
would give the answer away. Texts without a query serve as negatives.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from retrieval.documents import natural_queries
from retrieval.errors import EncoderMismatch, InputError
from retrieval.files.given import StrPath
from retrieval.store import Store
from retrieval.store.schema import Settings
from retrieval.train.pairs import Record, functions, sections, windows
from retrieval.train.task import Task, hold_out
from retrieval.types import Document

_AT_ONCE = 256
_QUERY_CHARS = 400


def index_settings(index: Path, *, fingerprint: str | None = None) -> Settings:
    """The index's settings, with its encoder.

    Raises:
        IndexNotFound: there is no index.
        EncoderMismatch: its encoder is not the one of that fingerprint.
    """
    store = Store(index)
    try:
        settings = store.settings
    finally:
        store.close()
    if fingerprint not in (None, settings.fingerprint):
        raise EncoderMismatch(
            f"the index at {index} was built with encoder {settings.encoder_name!r} "
            f"({settings.fingerprint[:12]}), not with the given model "
            f"({str(fingerprint)[:12]}); leave --from out, or name the first"
        )
    return settings


def read_index(
    index: StrPath, *, most_documents: int = 20_000, most_held_out: int = 200, seed: int = 0
) -> Task:
    """Pseudo-queries from the documents of an index, with the texts that they ask for.

    Each text (a section, a function or the beginning of a document) is a document of the task.
    Held-out queries are those of whole documents of the index, so that no neighbouring section of
    the same page is trained on.

    Args:
        index: the index's folder.
        most_documents: maximum number of texts, from randomly chosen documents.
        most_held_out: maximum number of queries to measure on.

    Raises:
        IndexNotFound: there is no index.
        InputError: nothing in it has a title, a heading or a docstring as a query.
    """
    index = Path(index)
    rng = np.random.default_rng(seed)
    documents: list[Document] = []
    queries: dict[str, str] = {}
    judged: dict[str, dict[str, int]] = {}
    groups: dict[str, dict[str, int]] = {}
    asked: set[str] = set()
    for source in _shuffled(index, rng):
        for number, record in enumerate(records(source)):
            id = f"{source.id}#{number}"
            documents.append(Document(id, record.text, record.title))
            # A heading that many pages have ("Getting started") is a query for none of them.
            query = " ".join(record.query.split())
            if query and query.lower() not in asked:
                asked.add(query.lower())
                queries[id], judged[id] = query, {id: 1}
                groups.setdefault(source.id, {})[id] = 1
        if len(documents) >= most_documents:
            break
    if not queries:
        raise InputError(
            f"the index at {index} has no titles, headings or docstrings to make queries from; "
            "give a folder with judged queries instead"
        )
    # Pages are passed as queries here, so that all queries of a page are held out, or none.
    pages, _ = hold_out({page: {page: 1} for page in groups}, most_held_out, rng)
    held = [id for page in pages for id in groups[page]][:most_held_out]
    apart = {id for page in pages for id in groups[page]}
    return Task(
        name=index.resolve().name,
        documents=documents,
        queries=queries,
        train={id: grades for id, grades in judged.items() if id not in apart},
        held_out={id: judged[id] for id in held},
        measured_on="held-out pseudo-queries (titles, headings, docstrings)",
        pseudo=True,
    )


def records(document: Document) -> Iterator[Record]:
    """The texts of a document, with a query where its author wrote one."""
    text, outline = natural_queries.read(document)
    found = list(functions(text, outline))
    if not found and outline.sections:
        found = list(sections(text, outline, document.title or None))
    if found:
        yield from found
        return
    title = document.title.strip()
    asks = len(title.split()) > 1 and len(title) <= _QUERY_CHARS
    for number, window in enumerate(windows(document.text)):
        if number == 0 and asks:
            yield Record(window.removeprefix(title).strip() or window, "", title)
        else:
            yield Record(window, title)


def _shuffled(index: Path, rng: np.random.Generator) -> Iterator[Document]:
    """The index's documents in random order."""
    store = Store(index)
    try:
        numbers = rng.permutation(store.numbers())
        for first in range(0, len(numbers), _AT_ONCE):
            chosen = [int(number) for number in numbers[first : first + _AT_ONCE]]
            rows, texts = store.documents(chosen), store.texts(chosen)
            for number in chosen:
                row = rows[number]
                yield Document(row.id, texts.get(number, ""), row.title, row.metadata)
    finally:
        store.close()
