"""Long context: a document read in one pass, or in few, and which of its tokens each span has.

The idea is late chunking (Guenther et al., "Late Chunking: Contextual Chunk Embeddings Using
Long-Context Embedding Models", 2024): vectors of passages that are pooled after the network has
read the whole, so that each passage knows its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from retrieval.encoders.sides import SideReader, TokenSequence
from retrieval.encoders.tokenization import token_spans
from retrieval.errors import InputError


def read_spans(
    reader: SideReader, tokenizer: Tokenizer, text: str, spans: Sequence[tuple[int, int]]
) -> list[TokenSequence]:
    """A document as sequences that the network reads whole, with its spans as their parts.

    One sequence if the document fits. A longer one is read in stretches of about one length, each
    of which begins where one of the spans does. A span that alone is too long is cut off.

    Args:
        reader: of the document side.
        spans: character spans in the order of the text; they may have gaps or overlap.

    Raises:
        InputError: a span is not within the text, or they are not in order.
    """
    bounds = _checked(text, spans)
    if not len(bounds):
        return []
    tokens = token_spans(tokenizer, text)
    if len(tokens) <= reader.room:
        return [reader.read_parts(text, bounds)]
    starts, ends = np.maximum.accumulate(tokens, axis=0).T
    firsts = np.searchsorted(ends, bounds[:, 0], side="right")
    lasts = np.searchsorted(starts, bounds[:, 1], side="left")
    sequences = []
    for group in _groups(firsts, lasts, max(reader.room, 1)):
        begin = int(bounds[group.start, 0])
        end = len(text) if group.stop == len(bounds) else int(bounds[group.stop, 0])
        end = max(end, int(bounds[group, 1].max()))
        sequences.append(reader.read_parts(text[begin:end], bounds[group] - begin))
    return sequences


def _checked(text: str, spans: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    bounds = np.array(spans, np.int64).reshape(-1, 2)
    for start, end in bounds.tolist():
        if not 0 <= start <= end <= len(text):
            raise InputError(
                f"the span {(start, end)} is not within a text of {len(text)} characters; "
                "give (start, end) with 0 <= start <= end <= len(text)"
            )
    if (np.diff(bounds[:, 0]) < 0).any():
        raise InputError("the spans are not in the order of the text; sort them by their start")
    return bounds


def _groups(firsts: NDArray[np.int64], lasts: NDArray[np.int64], room: int) -> Iterator[slice]:
    """Runs of spans that are read together: of at most `room` tokens and about equally many.

    Args:
        firsts: i64 [s], the first token of each span.
        lasts: i64 [s], the first token beyond it.
    """
    total = int(lasts.max() - firsts[0])
    share = -(-total // -(-total // room)) if total else room
    begin = 0
    for at in range(1, len(firsts)):
        taken = int(firsts[at] - firsts[begin])
        if taken >= share or lasts[at] - firsts[begin] > room:
            yield slice(begin, at)
            begin = at
    yield slice(begin, len(firsts))
