"""The values that travel through the package: frozen, slotted, and no more than checked."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeAlias, get_args

from retrieval.encoder import (
    Embeddings,
    Encoder,
    EncoderSide,
    EncoderSource,
    EncodesAhead,
    PendingEmbeddings,
    Ranked,
    Reranker,
    SpanEncoder,
    TokenSpans,
    VectorLocator,
)
from retrieval.errors import InputError
from retrieval.numeric import is_number, is_whole, plain_number

__all__ = [
    "COMPRESSING",
    "FUSED",
    "FUSIONS",
    "NO_CONTEXT",
    "NO_PLACE",
    "RETRIEVERS",
    "Context",
    "Document",
    "Embeddings",
    "Encoder",
    "EncoderSide",
    "EncoderSource",
    "EncodesAhead",
    "FusionMethod",
    "Hit",
    "Hybrid",
    "LateOptions",
    "Passage",
    "PendingEmbeddings",
    "Place",
    "ProgressCallback",
    "ProgressUpdate",
    "Ranked",
    "Reranker",
    "Retriever",
    "Single",
    "SpanEncoder",
    "TokenMatch",
    "TokenSpans",
    "VectorLocator",
]

Retriever = Literal["lexical", "dense", "late", "hybrid"]
"""Who answers a query; `hybrid` fuses the other three."""

RETRIEVERS: tuple[Retriever, ...] = get_args(Retriever)

Single = Literal["lexical", "dense", "late"]
"""A retriever that `hybrid` fuses."""

FUSED: tuple[Single, ...] = get_args(Single)

FusionMethod = Literal["minmax", "rrf", "zscore"]
"""How `hybrid` brings their scores to one scale; see `Hybrid`."""

FUSIONS: tuple[FusionMethod, ...] = get_args(FusionMethod)


@dataclass(frozen=True, slots=True)
class ProgressUpdate:
    """How far a long job is, as its progress callback is told.

    Attributes:
        stage: what is being done, such as "encoding".
        done: how much of that is done.
        total: how much there is to do; None while nobody knows.
        unit: what is counted, in the plural; "" where `stage` says it.
        seconds_left: until the whole job is done, at the rate so far; None while nobody knows.
    """

    stage: str
    done: int
    total: int | None
    unit: str = ""
    seconds_left: float | None = None


COMPRESSING = "compressing"
"""The stage in which an index compresses token vectors."""

ProgressCallback: TypeAlias = Callable[[ProgressUpdate], object]
"""What every long job takes as `progress`: it is called every so often, in the caller's thread."""


@dataclass(frozen=True, slots=True)
class Document:
    """One source text. `id` is the caller's own and never changes."""

    id: str
    text: str
    title: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        title = f", title={shortened(self.title)!r}" if self.title else ""
        metadata = f", metadata of {len(self.metadata)} keys" if self.metadata else ""
        return f"Document({self.id!r}, {shortened(self.text)!r}{title}{metadata})"

    def __hash__(self) -> int:
        return hash((self.id, self.title, self.text))  # metadata may hold lists

    @property
    def content_hash(self) -> str:
        """SHA-256 over title, text and metadata, as 64 hex digits."""
        parts = json.dumps(
            [self.title, self.text, dict(self.metadata)], sort_keys=True, ensure_ascii=False
        )
        return hashlib.sha256(parts.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Context:
    """What a passage belongs to and does not say itself, as its document's outline tells it.

    Attributes:
        headings: of the sections that it stands in, outermost first, its own included.
        symbol: qualified name of the function or class that it is, or is a part of, or "".
        signature: of that definition, as it is written, or "".
        defines: qualified names of the definitions that begin in it.
        lead: a table's caption and header row, the columns of a CSV file, the sentence that
            introduces a list: what is to be read with every part of a block, or "".
        languages: programming languages of the code in it.
    """

    headings: tuple[str, ...] = ()
    symbol: str = ""
    signature: str = ""
    defines: tuple[str, ...] = ()
    lead: str = ""
    languages: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self != NO_CONTEXT


NO_CONTEXT = Context()


@dataclass(frozen=True, slots=True)
class Place:
    """Where the first character of a passage stands for a person, beside its line.

    Attributes:
        page: of a paginated document, from 1.
        cell: of a notebook, from 1.
        row: of a table file, from 1, its header not counted; of a workbook, as its sheet numbers
            them.
        time: of subtitles, `hh:mm:ss`.
        part: of an archive, workbook, book or mailbox: a member's, sheet's, chapter's or
            attachment's name.
    """

    page: int | None = None
    cell: int | None = None
    row: int | None = None
    time: str | None = None
    part: str | None = None

    def __bool__(self) -> bool:
        return self != NO_PLACE

    def __str__(self) -> str:
        named = (("part", self.part), ("page", self.page), ("cell", self.cell), ("row", self.row))
        parts = [
            f"{value}" if name == "part" else f"{name} {value}" for name, value in named if value
        ]
        return ", ".join([*parts, *([self.time] if self.time else [])])


NO_PLACE = Place()


@dataclass(frozen=True, slots=True)
class Passage:
    """A span of a document that is indexed and returned: `text[start:end]` of the document.

    Attributes:
        document_id: id of the document it was cut from.
        ordinal: 0 for the document's first passage.
        start: first character, counted in code points.
        end: one past the last character.
        context: what it belongs to.
        place: where it stands, beside its line.
    """

    document_id: str
    ordinal: int
    start: int
    end: int
    context: Context = NO_CONTEXT
    place: Place = NO_PLACE


_ALIKE = 1.05
"""Token vectors this far apart are merged in a small index."""


@dataclass(frozen=True, slots=True)
class LateOptions:
    """How an index keeps its token vectors; fixed when it is made.

    Attributes:
        exact_passages: up to so many passages token vectors are kept as 8-bit integers and all of
            them are compared; beyond, they are compressed. None is 6,000, or 1,000 where `bits`
            are given, or 10,000 until the call that brings them in ends, and once those are
            compressed, what comes is so at once; with a number, what comes is kept in 8 bits until
            there is more than that of it.
        list_passages: beyond so many passages, inverted lists propose which ones are compared.
        bits: of each component of a compressed vector: 2 or 4. None is 4, and 2 once there are some
            8 million token vectors, whose centroids are fine enough for that.
        pooling: similar token vectors of a passage are merged until one in so many is left, and
            dense vectors of its windows by twos; 1 merges none, 4 is the most.
        pooling_distance: token vectors that are farther apart than this are not merged, though more
            than one in `pooling` are left then: the Euclidean distance of unit vectors, above 0 and
            at most 2; of groups as Ward's method has it. None knows no such limit.

    Raises:
        InputError: a value is none of these, or `list_passages` is below `exact_passages`.
    """

    exact_passages: int | None = None
    list_passages: int = 50_000
    bits: Literal[2, 4] | None = None
    pooling: int = 1
    pooling_distance: float | None = None

    @classmethod
    def small(cls) -> LateOptions:
        """Those of a small index, in which less is found by token vectors.

        Those that are alike are one, which leaves about two in five, and one in two dense vectors;
        beyond 1,000 passages token vectors have 2 bits.
        """
        return cls(bits=2, pooling=4, pooling_distance=_ALIKE)

    def __post_init__(self) -> None:
        for name, known in (("bits", (2, 4)), ("pooling", (1, 2, 3, 4))):
            value = getattr(self, name)
            if value is None and name == "bits":
                continue
            if not is_whole(value) or value not in known:
                raise InputError(f"{name}={value!r} cannot be used; choose from {_list(known)}")
        distance = self.pooling_distance
        if distance is not None and not (is_number(distance) and 0 < distance <= 2):
            raise InputError(
                f"pooling_distance={self.pooling_distance!r} cannot be used; give a number above 0 "
                "and at most 2"
            )
        for name in ("exact_passages", "list_passages"):
            value = getattr(self, name)
            if value is None and name == "exact_passages":
                continue
            if not is_whole(value) or value < 0:
                raise InputError(f"{name}={value!r} cannot be used; give a whole number from 0 on")
        if self.exact_passages is not None and self.list_passages < self.exact_passages:
            raise InputError(
                f"list_passages={self.list_passages} is below "
                f"exact_passages={self.exact_passages}; give at least as many"
            )
        for one in fields(self):  # they are kept as JSON
            object.__setattr__(self, one.name, plain_number(getattr(self, one.name)))


@dataclass(frozen=True, slots=True)
class Hybrid:
    """How `hybrid` makes one ranking of several retrievers'.

    Attributes:
        candidates: how many passages each retriever proposes, at least; all of them score what was
            proposed.
        fusion: `minmax` adds scores that were moved to the range from 0 to 1, `zscore` scores in
            standard deviations from their mean, `rrf` the reciprocals of 60 + rank.
        lexical, dense, late: what each retriever's part counts; 0 leaves it out of the sum.
        roles: what it counts that tests, examples, changelogs and generated files stand below what
            they are about, unless the query asks for them: a factor; 0 leaves it out.
        definitions: what it counts that a name of the query is defined in a passage: a factor.

    Raises:
        InputError: a value is none of these, or no part counts.
    """

    candidates: int = 100
    fusion: FusionMethod = "minmax"
    lexical: float = 0.5
    dense: float = 1.0
    late: float = 1.0
    roles: float = 1.0
    definitions: float = 1.0

    def __post_init__(self) -> None:
        if not is_whole(self.candidates) or self.candidates < 1:
            raise InputError(
                f"candidates={self.candidates!r} cannot be used; give a whole number from 1 on"
            )
        if self.fusion not in FUSIONS:
            raise InputError(f"fusion={self.fusion!r} is unknown; choose from {', '.join(FUSIONS)}")
        factors = {"roles": self.roles, "definitions": self.definitions}
        for name, weight in {**self.weights, **factors}.items():
            if not (is_number(weight) and math.isfinite(weight) and weight >= 0):
                raise InputError(f"{name}={weight!r} is no weight; give a number from 0 on")
        if not any(self.weights.values()):
            raise InputError("every retriever's weight is 0; give one of them more")
        for name in ("candidates", *self.weights, *factors):
            object.__setattr__(self, name, plain_number(getattr(self, name)))

    @property
    def weights(self) -> dict[str, float]:
        """What each retriever's part counts, by the retriever's name."""
        return {name: getattr(self, name) for name in FUSED}


@dataclass(frozen=True, slots=True)
class Hit:
    """One search result.

    Attributes:
        document_id: id of the document.
        passage: the span that matched.
        text: the passage's text, exactly `document.text[passage.start:passage.end]`.
        title: the document's title, or "".
        path: the file that it came from, or None.
        start_line: 1-based line of the first character of the passage in the document.
        end_line: 1-based line of its last character.
        score: what the hits are ordered by, higher is better.
        relevance: how likely the passage answers the query, from 0 to 1: to be compared across
            queries, and 0.2 or less for what has nothing to do with it; see docs/retrievers.md.
        scores: each retriever's own score, for those that saw the passage.
        ranks: each retriever's own rank, 1 is best; under `hybrid` among the candidates.
        highlights: (start, end) character spans within `text` of the words that match the query.
        metadata: the document's metadata.
        context: what was read in front of the passage: title, headings, definition, table header.
        copies: other passages of the same text, white space folded, by document id and ordinal;
            the first ten, and only if copies were folded.
        copy_count: how many there are.
        others: other passages of the document that were found, best first, if hits are grouped.
    """

    document_id: str
    passage: Passage
    text: str
    title: str
    path: str | None
    start_line: int
    end_line: int
    score: float
    scores: Mapping[str, float]
    ranks: Mapping[str, int]
    highlights: tuple[tuple[int, int], ...]
    metadata: Mapping[str, Any]
    context: str = ""
    copies: tuple[Passage, ...] = ()
    copy_count: int = 0
    others: tuple[Hit, ...] = ()
    relevance: float = 0.0

    def __repr__(self) -> str:
        span = f"{self.passage.start}:{self.passage.end}"
        return (
            f"Hit({self.document_id!r}, {span}, score={self.score:.3g}, {shortened(self.text)!r})"
        )

    def __hash__(self) -> int:
        return hash((self.passage, self.score))  # metadata may hold lists

    @property
    def heading(self) -> str:
        """The headings that the passage stands under, outermost first, between ` > `; or ""."""
        return " > ".join(self.passage.context.headings)

    @property
    def symbol(self) -> str:
        """Qualified name of the definition that the passage is or is a part of, or ""."""
        return self.passage.context.symbol

    @property
    def place(self) -> Place:
        """Where the passage begins, beside its line: page, cell, row, time, part."""
        return self.passage.place


@dataclass(frozen=True, slots=True)
class TokenMatch:
    """One token of a query and the token of a passage that answers it best.

    Attributes:
        query_token: the query's text that the token stands for; "" for a special token.
        query_span: where it is in what the encoder read of the query, in characters: all of it,
            unless it has phrases or exclusions or is a trace; empty for a special token, None if
            the encoder does not say.
        passage_token: the text that the passage's token stands for, which may be in the title
            that was read before the passage; "" if there is none or it is not known.
        passage_span: where it is in the passage's text, in characters; empty for a special token
            and one of the title, None if it is not known: the encoder does not say, or the index
            merges token vectors.
        score: their inner product; a passage's late score is the sum over the query's tokens.
    """

    query_token: str
    query_span: tuple[int, int] | None
    passage_token: str
    passage_span: tuple[int, int] | None
    score: float


def _list(values: Iterable[int]) -> str:
    return ", ".join(map(str, values))


def shortened(text: str, most: int = 60) -> str:
    """The text on one line, as far as it goes."""
    line = " ".join(text[: 4 * most].split())
    return line if len(line) <= most and len(text) <= 4 * most else f"{line[: most - 1]}…"
