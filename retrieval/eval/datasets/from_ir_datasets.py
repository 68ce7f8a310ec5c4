"""Collections by name, through ir-datasets, which downloads them and checks their checksums."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from textwrap import shorten
from typing import Any

from retrieval.errors import InputError, MissingDependency
from retrieval.eval.datasets.averaging import averaged
from retrieval.eval.datasets.collection import Collection, Judgement, Source, assemble
from retrieval.eval.datasets.shared_urls import EACH, Ids
from retrieval.types import Document

# The annotated queries of CodeSearchNet, several annotations of a pair as they were given.
_ANNOTATED = "codesearchnet/challenge"

_SHARING = "codesearchnet/"
"""Collections whose ids are URLs, which several functions may share."""


def load_by_name(name: str, split: str | None) -> list[Collection]:
    """A collection that ir-datasets knows, such as `beir/scifact/test`.

    Args:
        split: added to a name that has no judgements of its own; `test` if not given.

    Raises:
        InputError: the name is not known or has no judgements, or it cannot be fetched.
        MissingDependency: ir-datasets is not installed.
    """
    dataset, full = _find(name, split)
    for part in ("docs", "queries", "qrels"):
        if not getattr(dataset, f"has_{part}")():
            raise InputError(f"{full} of ir-datasets has no {part}; choose one of its splits")

    def documents() -> Iterator[Document]:
        for found in _fetching(full, dataset.docs_iter):
            yield _document(found)

    queries: Iterable[tuple[str, str]] = (
        (str(found.query_id), _query_text(found)) for found in _fetching(full, dataset.queries_iter)
    )
    judged: Iterable[Judgement] = (
        (str(found.query_id), str(found.doc_id), int(found.relevance))
        for found in _fetching(full, dataset.qrels_iter)
    )
    last = full.rsplit("/", 1)[-1]
    source: Source = documents
    warnings: list[str] = []
    if full == _ANNOTATED:
        judged, said = averaged(judged)
        warnings += said
    if full.startswith(_SHARING):
        source, queries, judged, said = _apart(documents, list(queries), judged)
        warnings += said
    notes = "through ir-datasets"
    return [assemble(full, last, source, queries, judged, notes, warnings)]


def _apart(
    documents: Source, queries: list[tuple[str, str]], judged: Iterable[Judgement]
) -> tuple[Source, list[tuple[str, str]], list[Judgement], tuple[str, ...]]:
    """Functions and docstrings that share a URL get ids of their own; what is said about them."""
    ids, query_ids = Ids((one.id, one.text) for one in documents()), Ids(queries)

    def source() -> Iterator[Document]:
        for one in documents():
            yield replace(one, id=ids.of(one.id, one.text))

    asked = [(query_ids.of(url, text), text) for url, text in queries]
    every = [
        (query, document, given)
        for query_url, url, given in judged
        for query in query_ids.meant(query_url)
        for document in ids.meant(url)
    ]
    return source, asked, every, tuple(ids.warnings(EACH))


def _document(found: Any) -> Document:
    """Title and text apart where they are so; else what ir-datasets calls the default text."""
    id, text = str(found.doc_id), getattr(found, "text", None)
    if isinstance(text, str):
        return Document(id, text, str(getattr(found, "title", "") or ""))
    whole = found.default_text() if hasattr(found, "default_text") else found.code
    return Document(id, str(whole))


def _find(name: str, split: str | None) -> tuple[Any, str]:
    try:
        import ir_datasets
    except ImportError:
        raise MissingDependency(
            f"{name} is not a folder, and fetching it by name needs ir-datasets: "
            "pip install 'modernbert-retrieval[eval]'"
        ) from None
    wanted = split or "test"
    tried = [f"{name}/{wanted}", name] if split or not name.endswith("/test") else [name]
    for full in tried:
        try:
            dataset = ir_datasets.load(full)
        except KeyError:
            continue
        if dataset.has_qrels() and (split is None or full.endswith(f"/{wanted}")):
            return dataset, full
    raise InputError(
        f"{name}{'' if split is None else f' with split {split!r}'} is neither a folder here nor "
        "a judged collection of ir-datasets; give a folder, or a name such as beir/scifact/test"
    )


def _fetching(name: str, rows: Callable[[], Iterable[Any]]) -> Iterator[Any]:
    """Iterate; a download that fails becomes one clear line."""
    try:
        yield from rows()
    except (OSError, RuntimeError) as wrong:
        reason = shorten(str(wrong), 200, placeholder=" ...") or type(wrong).__name__
        raise InputError(
            f"{name} cannot be fetched ({reason}); connect to the network, or give a local "
            "folder of it"
        ) from wrong


def _query_text(query: Any) -> str:
    for name in ("text", "title", "query"):
        value = getattr(query, name, None)
        if isinstance(value, str):
            return value
    return str(query.default_text())
