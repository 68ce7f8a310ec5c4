"""Text to token ids on the query and on the document side, each with its own rules.

A side may put a prompt before every text, insert a marker token, cut at a length of its own, fill
up a short query with expansion tokens, and leave the vectors of some tokens out of the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from retrieval.encoders.tokenization import encode, encode_batch, leading, special_tokens
from retrieval.errors import CheckpointError


@dataclass(frozen=True, slots=True)
class Expansion:
    """ColBERT's query expansion: a query is filled up to `length` tokens with `token_id`.

    Attributes:
        attend: whether the other tokens attend to the expansion tokens; these attend to the
            query's own tokens in any case, and their vectors are kept.
    """

    token_id: int
    length: int
    attend: bool = False


@dataclass(frozen=True, slots=True)
class Side:
    """What one side does with a text.

    Attributes:
        max_tokens: longest sequence, special tokens and marker included; the rest is cut off.
        prompt: put before every text.
        marker: id of a token that is inserted after the first one.
        expansion: how short texts are filled up.
        skipped: ids of tokens that are read, but whose vectors are left out of `tokens`.
        strip: whether white space around a text (and its prompt) is taken away.
        weights: f32 [vocabulary], what a token's vector counts next to the text's others: the
            vectors of a text are scaled by it, by 1 on average; None is 1 for each.
        window: beside its one dense vector a text gets one for each window of at most so many
            tokens; None for none.
    """

    max_tokens: int
    prompt: str = ""
    marker: int | None = None
    expansion: Expansion | None = None
    skipped: tuple[int, ...] = ()
    strip: bool = False
    weights: NDArray[np.float32] | None = None
    window: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class TokenSequence:
    """One text as the network reads it.

    Attributes:
        ids: i64 [t], at least one.
        visible: leading tokens that may be attended to; the others are unattended expansion.
        kept: i64 positions whose token vectors are returned, or None for all.
        weights: f32, what the kept token vectors are scaled by; None is 1 for each.
        parts: i64 positions of each part of the text that gets vectors of its own, none empty;
            None where the text gets them as a whole.
    """

    ids: NDArray[np.int64]
    visible: int
    kept: NDArray[np.int64] | None = None
    weights: NDArray[np.float32] | None = None
    parts: tuple[NDArray[np.int64], ...] | None = None

    @property
    def positions(self) -> NDArray[np.int64]:
        """The positions whose token vectors are returned: i64, those of one part after another's.

        Of a text as a whole, in its order.
        """
        if self.parts is None:
            return np.arange(len(self.ids)) if self.kept is None else self.kept
        return np.concatenate([self._kept_of(part) for part in self.parts])

    @property
    def token_counts(self) -> list[int]:
        """How many token vectors the text has, or each of its parts."""
        if self.parts is None:
            return [len(self.positions)]
        return [len(self._kept_of(part)) for part in self.parts]

    @property
    def lengths(self) -> list[int]:
        """How many tokens the text has, or each of its parts."""
        return [len(self.ids)] if self.parts is None else [len(part) for part in self.parts]

    @property
    def factors(self) -> NDArray[np.float32] | None:
        """What the token vectors at `positions` are scaled by: f32; None is 1 for each."""
        if self.weights is None or self.parts is None:
            return self.weights
        whole = np.ones(len(self.ids), np.float32)
        whole[slice(None) if self.kept is None else self.kept] = self.weights
        return whole[self.positions]

    def _kept_of(self, part: NDArray[np.int64]) -> NDArray[np.int64]:
        return part if self.kept is None else part[np.isin(part, self.kept)]


class SideReader:
    """Turns texts of one side into token ids; safe to use from several threads.

    Attributes:
        prompt_tokens: leading tokens of every sequence that belong to the prompt, the special ones
            before it included; 0 without a prompt.
        text_tokens: the most tokens of a text that are read, special ones included: those that the
            prompt leaves.
        room: the most of a text's own tokens that are read.
    """

    def __init__(self, tokenizer: Tokenizer, side: Side) -> None:
        """Wrap a tokenizer, whose own truncation and padding must be off."""
        self.side = side
        self._tokenizer = tokenizer
        self._before, self._after = special_tokens(tokenizer)
        taken = len(self._before) + len(self._after) + (side.marker is not None)
        if side.max_tokens <= taken:
            raise CheckpointError(
                f"the checkpoint cuts texts at {side.max_tokens} tokens, of which special tokens "
                f"take {taken}: its configuration must allow more"
            )
        self._room = side.max_tokens - taken
        self._skipped = np.array(sorted(set(side.skipped)), np.int64)
        self.prompt_tokens, self.text_tokens = 0, side.max_tokens
        if side.prompt:
            # Counted as sentence-transformers does: the prompt alone, without what ends a text.
            content = encode_batch(tokenizer, [side.prompt])[0]
            self.prompt_tokens = len(self._before) + len(content)
            self.text_tokens = max(0, side.max_tokens - len(content))
        self.room = max(0, self.text_tokens - taken)

    def read(self, texts: Sequence[str]) -> list[TokenSequence]:
        """Token ids of texts; of a long text only a beginning is tokenised."""
        side = self.side
        begun = [leading(self._tokenizer, text, side.max_tokens) for text in texts]
        prompted = [side.prompt + text for text in begun] if side.prompt else begun
        if side.strip:
            prompted = [text.strip() for text in prompted]
        return [self._finish(content) for content in encode_batch(self._tokenizer, prompted)]

    def spans(self, text: str) -> NDArray[np.int64]:
        """Characters of the text that each kept token stands for: i64 [t, 2].

        Empty for what is none of the text: special tokens, markers, the prompt, expansion.
        """
        sequence, rows = self._located(text)
        return rows[sequence.positions]

    def read_parts(self, text: str, spans: NDArray[np.int64]) -> TokenSequence:
        """One text's token ids, with the tokens of its spans as parts.

        What is put before the text (special tokens, marker, prompt) belongs to the first
        span, what is put after it to the last.

        Args:
            spans: i64 [s, 2], of characters; a token belongs to each that has a character of it.
        """
        sequence, rows = self._located(text)
        return replace(sequence, parts=tuple(parts_of(rows, spans)))

    def _located(self, text: str) -> tuple[TokenSequence, NDArray[np.int64]]:
        """Token ids, and the characters of the text that each stands for: i64 [t, 2]."""
        side = self.side
        prompted = side.prompt + text
        shift = -len(side.prompt)
        if side.strip:
            shift += len(prompted) - len(prompted.lstrip())
            prompted = prompted.strip()
        encoding = encode(self._tokenizer, prompted)
        sequence = self._finish(encoding.ids)
        offsets = np.array(encoding.offsets[: self._room], np.int64).reshape(-1, 2)
        own = len(self._before) + np.arange(len(offsets))
        if side.marker is not None:
            own[own >= 1] += 1
        rows = np.zeros((len(sequence.ids), 2), np.int64)
        rows[own] = (offsets + shift).clip(0, len(text))
        rows[rows[:, 0] >= rows[:, 1]] = 0
        return sequence, rows

    def _finish(self, content: list[int]) -> TokenSequence:
        side = self.side
        ids = [*self._before, *content[: self._room], *self._after]
        if side.marker is not None:
            ids.insert(1, side.marker)
        visible = len(ids)
        if side.expansion is not None and len(ids) < side.expansion.length:
            ids += [side.expansion.token_id] * (side.expansion.length - len(ids))
            if side.expansion.attend:
                visible = len(ids)
        # A tokenizer without special tokens makes nothing of an empty text; token 0 stands in.
        array = np.array(ids or [0], np.int64)
        kept = None
        if len(self._skipped):
            keep = ~np.isin(array, self._skipped)
            kept = None if keep.all() else np.flatnonzero(keep)
        weights = None
        if side.weights is not None:
            weights = side.weights[array if kept is None else array[kept]]
            mean = weights.mean() if len(weights) else 0.0
            weights = weights / mean if mean > 0 else None
        return TokenSequence(array, visible or 1, kept, weights)


def check_weights(weights: NDArray[np.float32], vocabulary: int, where: str) -> NDArray[np.float32]:
    """Weights of a side, if they are one for each token of the vocabulary.

    Raises:
        CheckpointError: there are more or fewer, or one is negative, NaN or infinite.
    """
    if weights.shape != (vocabulary,):
        raise CheckpointError(
            f"{where}: the weights of query tokens are {weights.shape}, expected ({vocabulary},)"
        )
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise CheckpointError(
            f"{where}: a query token's weight is negative, NaN or infinite, expected 0 or more"
        )
    return weights


def window_lengths(tokens: int, most: int) -> NDArray[np.int64]:
    """Lengths of the windows that a text is cut into: i64 [w], at most `most` tokens each.

    As few as can be, all of one length but for the last, which is shorter by less than w tokens.
    """
    count = -(-tokens // most)
    length = -(-tokens // count)
    lengths = np.full(count, length, dtype=np.int64)
    lengths[-1] = tokens - (count - 1) * length
    return lengths


def parts_of(rows: NDArray[np.int64], spans: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Which of a text's tokens belong to each of its spans: i64 positions, never none.

    What is put before the text belongs to the first span, what is put after it to the last.

    Args:
        rows: i64 [t, 2], the characters that each token stands for; empty for what is put around.
        spans: i64 [s, 2], of characters; a token belongs to each that has a character of it.
    """
    own = np.flatnonzero(rows[:, 0] < rows[:, 1])
    first, beyond = (own[0], own[-1] + 1) if len(own) else (len(rows), len(rows))
    # A token that stands for nothing between two that do belongs where the one before does.
    starts, ends = np.maximum.accumulate(rows[first:beyond], axis=0).T
    lows = first + np.searchsorted(ends, spans[:, 0], side="right")
    highs = first + np.searchsorted(starts, spans[:, 1], side="left")
    every = np.arange(len(rows))
    # White space has no token of its own; one beside it stands in.
    nearest = np.minimum(lows, max(beyond - 1, 0))
    parts = [
        every[low:high] if low < high else every[at : at + 1]
        for low, high, at in zip(lows, highs, nearest, strict=True)
    ]
    if parts:
        parts[0] = np.union1d(every[:first], parts[0])
        parts[-1] = np.union1d(parts[-1], every[beyond:])
    return parts
