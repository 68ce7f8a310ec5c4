"""Why late interaction found a passage: for each query token, the passage's best token."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import EncoderError, InputError
from retrieval.index.context_builder import ContextBuilder
from retrieval.index.reading import search
from retrieval.index.reading.encoded import passage_encoder, stretches_of
from retrieval.index.reading.runs import Query
from retrieval.index.reading.search import Request
from retrieval.index.reading.snapshot import Snapshot
from retrieval.indexes import TokenMatches
from retrieval.store import Settings
from retrieval.types import Encoder, Hit, TokenMatch, VectorLocator

Spans = NDArray[np.int64]
"""Start and end of the characters that each token vector stands for, [t, 2]."""


def check(settings: Settings, query: str, hits: Sequence[Hit]) -> None:
    """Refuse what cannot be explained.

    Raises:
        InputError: the query is empty, or `hits` contains something else than hits.
        EncoderError: the index has no token vectors.
    """
    problem = search.query_problem(query)
    if problem is not None:
        raise InputError(problem)
    search.check(settings, [query], Request(retriever="lexical"))
    if isinstance(hits, Hit):
        raise InputError("one Hit was given; give a list of them")
    for hit in hits:
        if not isinstance(hit, Hit):
            raise InputError(f"{hit!r} is not a Hit; give hits that a search returned")
    if settings.token_dim is None:
        raise EncoderError(
            f"matches of tokens need a token head, which encoder {settings.encoder_name!r} of "
            "this index lacks; highlights show the words"
        )


def explain(
    snapshot: Snapshot, encoder: Encoder, asked: Query, hits: Sequence[Hit]
) -> list[tuple[TokenMatch, ...]]:
    """For each hit, each query token with the passage's token that matches it best.

    Args:
        snapshot: contains the hits' passages.
        encoder: the index's encoder.
        asked: the query, with its token vectors.
        hits: the hits to explain.

    Raises:
        InputError: a hit's passage is no longer in the index.
    """
    if asked.tokens is None or not hits:
        return [() for _ in hits]
    with snapshot.guarded():
        ids = [_passage_id(snapshot, hit) for hit in hits]
        found = snapshot.late.explain(asked.tokens, np.array(ids, np.int64))
        passages = passage_encoder(snapshot, encoder)
        context_builder = ContextBuilder.of(encoder, snapshot.store.settings.passage_tokens)
        stretches = stretches_of(snapshot, passages, context_builder, ids)
    own = _query_spans(encoder, asked.read, len(asked.tokens))
    pooled = snapshot.store.settings.late.pooling > 1
    at = {id: (one, place) for one in stretches for place, id in enumerate(one.ids)}
    answers = []
    for id, matches in zip(ids, found, strict=True):
        one, place = at[id]
        spans = None if pooled else passages.vector_spans(one.texts, place)
        read, lead = one.texts[place], one.leads[place]
        answers.append(tuple(_matches(asked.read, own, read, lead, spans, matches)))
    return answers


def _passage_id(snapshot: Snapshot, hit: Hit) -> int:
    """The id, in this generation, of the passage that a hit shows."""
    passage = hit.passage
    document = snapshot.store.find(hit.document_id)
    if document is not None and document.title == hit.title:
        text = snapshot.store.texts([document.number]).get(document.number, "")
        for row in snapshot.store.passages_of(document.number):
            place = (row.ordinal, row.start, row.end)
            if place == (passage.ordinal, passage.start, passage.end):
                if text[row.start : row.end] == hit.text:
                    return row.id
                break
    raise gone(hit)


def gone(hit: Hit) -> InputError:
    """The error for a hit whose passage the index does not have, or has otherwise."""
    return InputError(
        f"passage {hit.passage.ordinal} of document {hit.document_id!r} is not in the index as the "
        "hit shows it; search again"
    )


def _query_spans(encoder: Encoder, query: str, count: int) -> Spans | None:
    """The spans of a query's token vectors; None if the encoder does not give `count` of them."""
    if not isinstance(encoder, VectorLocator):
        return None
    spans = np.asarray(encoder.vector_spans(query, "query"), np.int64)
    return spans if len(spans) == count else None


def _matches(
    query: str, own: Spans | None, read: str, lead: int, spans: Spans | None, found: TokenMatches
) -> list[TokenMatch]:
    """The matches of one passage.

    Args:
        query: what the encoder read of the query.
        own: the spans of its tokens.
        read: what the encoder read of the passage.
        lead: how many characters of that come before the passage.
        spans: the spans of its tokens in `read`.
        found: for each query token the passage's best one.
    """
    matches = []
    for place, (token, score) in enumerate(
        zip(found.tokens.tolist(), found.scores.tolist(), strict=True)
    ):
        if token < 0:  # a passage without token vectors
            continue
        asked = None if own is None else _trimmed(query, own[place])
        answer = None
        if spans is not None and token < len(spans):
            answer = _trimmed(read, spans[token])
        matches.append(
            TokenMatch(
                query_token="" if asked is None else query[slice(*asked)],
                query_span=asked,
                passage_token="" if answer is None else read[slice(*answer)],
                passage_span=None if answer is None else _within(answer, lead),
                score=score,
            )
        )
    return matches


def _trimmed(text: str, span: NDArray[np.int64]) -> tuple[int, int]:
    """A token's span without white space, which some tokenizers include."""
    start, end = int(span[0]), int(span[1])
    token = text[start:end]
    if not token.strip():
        return start, end
    return end - len(token.lstrip()), start + len(token.rstrip())


def _within(span: tuple[int, int], lead: int) -> tuple[int, int]:
    """A span of the text that was read, as a span of the passage; empty if outside of it."""
    start, end = max(span[0] - lead, 0), max(span[1] - lead, 0)
    return (start, end) if start < end else (0, 0)
