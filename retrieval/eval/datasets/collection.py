"""A test collection, checked: what was found wrong is counted, and refused or kept as a warning."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from retrieval.errors import InputError
from retrieval.eval.measures import check_grade
from retrieval.eval.plural import plural
from retrieval.types import Document

Judgement = tuple[str, str, int]
"""Query id, document id, grade; relevant above 0."""

Source = Callable[[], Iterator[Document]]
"""Starts over with every call."""


class Documents:
    """The documents of a collection, in order; iterate as often as needed, nothing is kept."""

    __slots__ = ("_count", "_repeated", "_source")

    def __init__(self, source: Source, count: int, repeated: frozenset[str]) -> None:
        self._source = source
        self._count = count
        self._repeated = repeated

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Document]:
        seen: set[str] = set()
        for document in self._source():
            if document.id in self._repeated:
                if document.id in seen:
                    continue
                seen.add(document.id)
            yield document


@dataclass(frozen=True, slots=True)
class Collection:
    """Documents, the queries that are asked of them, and who is relevant to whom.

    Attributes:
        name: of the folder, or what ir-datasets calls it.
        split: of the judgements, e.g. `test`.
        documents: can be iterated again and again.
        queries: text by id; only those with judgements. A text may be blank.
        judgements: grade by document id, by query id; the same queries.
        unjudged: queries without judgements, which are not asked.
        notes: what this format's loader decided, for the protocol.
        warnings: what is odd about the data, with counts and what is done about it.
        sha256: over all of the above that decides a result: documents, queries, judgements.
        identical: ids of queries that are documents: a document has the same id and words.
        depth: documents a query that whoever published it measures to, where that is laid down.
        ignores_identical: whether they drop a document that has the query's own id, if they say.
    """

    name: str
    split: str
    documents: Documents
    queries: Mapping[str, str]
    judgements: Mapping[str, Mapping[str, int]]
    unjudged: int
    notes: str
    warnings: tuple[str, ...]
    sha256: str
    identical: frozenset[str] = frozenset()
    depth: int = 0
    ignores_identical: bool | None = None


def assemble(
    name: str,
    split: str,
    documents: Source,
    queries: Iterable[tuple[str, str]],
    judgements: Iterable[Judgement],
    notes: str = "",
    warnings: Iterable[str] = (),
) -> Collection:
    """Check the parts of a collection against each other and put them together.

    Args:
        warnings: what the loader has to say; asked for when all else was read.

    Raises:
        InputError: nothing is left to measure, or one id stands for two different things.
    """
    said: list[str] = []
    where = f"collection {name!r}, split {split!r}"
    texts = _texts(queries, where, said)
    grades = _grades(judgements, where, said)
    if not grades:
        raise InputError(f"{where}: no judgements; choose a split that has some")
    asked = {id: text for id, text in texts.items() if id in grades}
    _report_queries(grades, asked, said)
    if not asked:
        raise InputError(
            f"{where}: none of the {len(grades)} judged queries has a text (the first is "
            f"{next(iter(grades))!r}); give the queries that were judged"
        )
    digest = hashlib.sha256()
    identical: set[str] = set()

    def compare(document: Document) -> None:
        query = _words(asked[document.id]) if document.id in asked else None
        texts = (document.text, f"{document.title} {document.text}")
        if query and query in map(_words, texts):
            identical.add(document.id)

    checked, ids = _scan(documents, where, digest, said, compare)
    judged = {id: grades[id] for id in asked}
    _report_grades(judged, ids, where, said)
    for id, text in asked.items():
        _feed(digest, "query", id, text)
        for document, grade in sorted(judged[id].items()):
            _feed(digest, "judgement", document, str(grade))
    return Collection(
        name,
        split,
        checked,
        asked,
        judged,
        len(texts) - len(asked),
        notes,
        (*warnings, *said),
        digest.hexdigest(),
        frozenset(identical),
    )


def _words(text: str) -> str:
    return " ".join(text.split())


def _texts(queries: Iterable[tuple[str, str]], where: str, said: list[str]) -> dict[str, str]:
    texts: dict[str, str] = {}
    repeated = 0
    for id, text in queries:
        if texts.setdefault(id, text) != text:
            raise InputError(f"{where}: query {id!r} is there with two texts; give each one id")
        repeated += 1
    _warn(
        said,
        repeated - len(texts),
        "query is there twice, word for word; one is asked",
        "queries are there twice, word for word; one is asked",
    )
    return texts


def _grades(
    judgements: Iterable[Judgement], where: str, said: list[str]
) -> dict[str, dict[str, int]]:
    grades: dict[str, dict[str, int]] = {}
    read = 0
    for query, document, grade in judgements:
        read += 1
        check_grade(grade, f"document {document!r} for query {query!r} ({where})")
        if grades.setdefault(query, {}).setdefault(document, grade) != grade:
            raise InputError(
                f"{where}: document {document!r} is judged {grades[query][document]} and {grade} "
                f"for query {query!r}; keep one of them"
            )
    _warn(
        said,
        read - sum(map(len, grades.values())),
        "judgement is there twice, with the same grade; it counts once",
        "judgements are there twice, with the same grade; they count once",
    )
    return grades


def _scan(
    source: Source,
    where: str,
    digest: hashlib._Hash,
    said: list[str],
    look: Callable[[Document], None],
) -> tuple[Documents, set[str]]:
    """Read all documents once: their ids, the digest of their texts, and which are repeated."""
    seen: dict[str, bytes] = {}
    repeated: set[str] = set()
    extra = blank = 0
    for document in source():
        look(document)
        own = hashlib.sha256()
        _feed(own, document.title, document.text)
        known = seen.get(document.id)
        if known is None:
            seen[document.id] = own.digest()[:8]
            _feed(digest, "document", document.id, own.hexdigest())
            blank += not (document.title.strip() or document.text.strip())
            continue
        if known != own.digest()[:8]:
            raise InputError(
                f"{where}: two different documents have the id {document.id!r}; give each its own"
            )
        repeated.add(document.id)
        extra += 1
    if not seen:
        raise InputError(f"{where}: no documents; a collection needs at least one")
    _warn(
        said,
        extra,
        "document is there twice, word for word; it is indexed once",
        "documents are there twice, word for word; they are indexed once",
    )
    _warn(
        said,
        blank,
        "document has neither title nor text and cannot be found",
        "documents have neither title nor text and cannot be found",
    )
    return Documents(source, len(seen), frozenset(repeated)), set(seen)


def _report_queries(
    grades: Mapping[str, Mapping[str, int]], asked: Mapping[str, str], said: list[str]
) -> None:
    missing = [id for id in grades if id not in asked]
    _warn(
        said,
        len(missing),
        "judged query has no text; it cannot be asked and does not count",
        "judged queries have no text; they cannot be asked and do not count",
        missing,
    )
    blank = [id for id, text in asked.items() if not text.strip()]
    _warn(
        said,
        len(blank),
        "judged query is empty; nothing is found and it counts as 0",
        "judged queries are empty; nothing is found and they count as 0",
        blank,
    )


def _report_grades(
    judged: Mapping[str, Mapping[str, int]], ids: set[str], where: str, said: list[str]
) -> None:
    relevant = {d for grades in judged.values() for d, grade in grades.items() if grade > 0}
    if not relevant:
        raise InputError(f"{where}: no judgement is above 0; nothing could be found right")
    if not relevant & ids:
        raise InputError(
            f"{where}: none of the {len(relevant)} relevant documents (such as "
            f"{min(relevant)!r}) is in the corpus; give the corpus that was judged"
        )
    unknown = {d for grades in judged.values() for d in grades} - ids
    _warn(
        said,
        len(unknown),
        "judged document is not in the corpus; if it is relevant it counts as not found, "
        "as in trec_eval",
        "judged documents are not in the corpus; the relevant ones count as not found, "
        "as in trec_eval",
        sorted(unknown),
    )
    negative = sum(grade < 0 for grades in judged.values() for grade in grades.values())
    _warn(
        said,
        negative,
        "judgement is below 0; it counts as not relevant, as in trec_eval",
        "judgements are below 0; they count as not relevant, as in trec_eval",
    )
    hopeless = [id for id, grades in judged.items() if max(grades.values()) <= 0]
    _warn(
        said,
        len(hopeless),
        "query has no relevant document; it counts as 0",
        "queries have no relevant document; they count as 0",
        hopeless,
    )


def _warn(said: list[str], count: int, one: str, many: str, examples: Iterable[str] = ()) -> None:
    """Say how many there are, if any, and one of them by name."""
    if count:
        first = next(iter(examples), None)
        said.append(plural(count, one, many) + ("" if first is None else f" (such as {first!r})"))


def _feed(digest: hashlib._Hash, *parts: str) -> None:
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
