"""Estimating how many passages files have: a sample is read and cut, and all bytes are counted."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from retrieval.documents import chunk
from retrieval.sharded.spool import Incoming
from retrieval.types import TokenSpans

FILES = 8
"""Number of sampled files, spread over all, that are read whole."""
DOCUMENTS = 200
"""Number of randomly chosen documents of each that are cut."""

File = TypeVar("File")


def passages_in(
    files: Sequence[File],
    size_of: Callable[[File], int],
    documents_of: Callable[[File], Iterable[Incoming]],
    token_spans: TokenSpans,
    passage_tokens: int,
) -> int:
    """Estimate how many passages files have, if all are like those of a sample.

    Args:
        files: all of them.
        size_of: the size of a file in bytes.
        documents_of: reads a file.
        token_spans: the encoder's method.
        passage_tokens: maximum tokens of a passage.
    """
    sampled_bytes = 0
    passages = 0.0
    for file in files[:: max(1, len(files) // FILES)][:FILES]:
        sampled_bytes += size_of(file)
        characters, sample = _sampled(documents_of(file))
        found = sum(
            len(chunk(one.document, token_spans, outline=one.outline, max_tokens=passage_tokens))
            for one in sample
        )
        passages += found * characters / max(1, sum(len(one.document.text) for one in sample))
    return round(passages * sum(map(size_of, files)) / max(1, sampled_bytes))


def _sampled(documents: Iterable[Incoming]) -> tuple[int, list[Incoming]]:
    """The total characters of all documents, and a uniform random sample of them."""
    drawn = random.Random(0)
    sample: list[Incoming] = []
    characters = 0
    for seen, one in enumerate(documents):
        characters += len(one.document.text)
        if seen < DOCUMENTS:
            sample.append(one)
        elif (place := drawn.randint(0, seen)) < DOCUMENTS:
            sample[place] = one
    return characters, sample
