"""Facts to tell apart: passages of long texts with one word changed, and queries for either.

A long text holds many passages that share words with what is asked for. Which of them says it, and
not something else of the same form, is what a token head has to tell; neither a teacher that reads
windows nor pairs of whole passages show it. So every so often a passage of a window, or one of
another text that is put there, asks for itself in fewer words, and the same text with one of its
words changed is the wrong answer; and the other way round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from lab.distillation.query_weights import document_frequencies
from lab.text.corpus import TokenCorpus

if TYPE_CHECKING:
    from tokenizers import Tokenizer

NEIGHBOURS = 16
"""Nearest words of the table, one of which may take a word's place."""

COMMON = 0.05
"""A word that stands in a larger share of the texts tells nothing apart."""

SHARE, FOREIGN = 0.7, 0.5
"""Share of windows with a changed passage, and of these with one of another text put there."""

BEFORE, AFTER = 8, 8
"""At most so many words of a passage stand before the changed one, and after it."""

DROPPED = 0.4
"""Share of a passage's other words that its query does not repeat."""

ALIKE = 0.5
"""Share of words of one token that one like it takes the place of, not one of the same text."""

ASKED, MARKED = 0.7, 0.5
"""Share of queries that begin with a question word, and that end in a question mark."""

ASKING = ("what", "which", "who", "where", "when", "how many", "how")


@dataclass(frozen=True, slots=True)
class Words:
    """What a vocabulary's tokens are, and which words are like which.

    Attributes:
        begins: bool [V], tokens that begin a word rather than going on with one.
        spelt: bool [V], tokens of letters and digits alone.
        telling: bool [V], of tokens that are both, those that few texts have: as words of one token
            they may be changed. Words of several tokens may, they are rare.
        near: i32 [V, NEIGHBOURS], for a telling token the ones nearest to it in the table.
        asking: ids of question words.
        ends: ids of the question mark.
    """

    begins: NDArray[np.bool_]
    spelt: NDArray[np.bool_]
    telling: NDArray[np.bool_]
    near: NDArray[np.int32]
    asking: tuple[tuple[int, ...], ...]
    ends: tuple[int, ...]

    @classmethod
    def of(cls, tokenizer: Tokenizer, corpus: TokenCorpus, table: NDArray[np.float32]) -> Self:
        """Of a WordPiece vocabulary, the texts that it was used on, and an embedding table."""
        size = tokenizer.get_vocab_size()
        names = [tokenizer.id_to_token(number) or "" for number in range(size)]
        begins = np.array([not name.startswith("##") for name in names])
        spelt = np.array([name.isalnum() for name in names])
        long = np.array([len(name) > 2 for name in names])
        counts, texts = document_frequencies(corpus, size)
        telling = begins & spelt & long & (counts > 0) & (counts <= COMMON * max(texts, 1))

        def ids(text: str) -> tuple[int, ...]:
            return tuple(tokenizer.encode(text, add_special_tokens=False).ids)

        near = _nearest(table, np.flatnonzero(telling), names)
        return cls(begins, spelt, telling, near, tuple(map(ids, ASKING)), ids("?"))

    def within(
        self, ids: NDArray[Any]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """Where each word of the ids begins and ends, and whether it may be changed.

        A word that the ids begin in the middle of is left out.
        """
        starts = np.flatnonzero(self.begins[ids])
        ends = np.append(starts[1:], len(ids))
        telling = self.telling[ids[starts]] | ((ends > starts + 1) & self.spelt[ids[starts]])
        return starts, ends, telling


@dataclass(frozen=True, slots=True)
class Needles:
    """Windows of a text with passages in them, the same with a word of each changed, and who asks.

    Attributes:
        own: ids of each window, special tokens included.
        changed: the same windows, of each passage a word changed.
        queries: ids of the queries, special tokens included: for each passage one that asks for it
            as it stands in `own`, then one that asks for what stands in `changed`.
    """

    own: list[NDArray[Any]]
    changed: list[NDArray[Any]]
    queries: list[NDArray[Any]]


def hide(corpus: TokenCorpus, run: NDArray[np.int64], words: Words, seed: Sequence[int]) -> Needles:
    """Change passages of some of the texts of a run, and make the queries for them."""
    rng = np.random.default_rng(seed)
    own = [corpus[int(text)] for text in run]
    told = np.concatenate([window[1:-1] for window in own])
    changed = list(own)
    queries: list[NDArray[Any]] = []
    for at, window in enumerate(own):
        if rng.random() >= SHARE:
            continue
        foreign = rng.random() < FOREIGN
        source = corpus[int(rng.integers(len(corpus)))] if foreign else window
        passage = _passage(source, words, rng)
        other = None if passage is None else _another(passage, told, words, rng)
        if passage is None or other is None:
            continue
        ids, (first, last), (start, end) = passage
        before, word, after = ids[:start], ids[start:end], ids[end:]
        if foreign:
            # Between two words of the window, neither before [CLS] nor after [SEP].
            first = last = int(rng.choice(np.flatnonzero(words.begins[window[1:]]) + 1))
        own[at] = np.concatenate([window[:first], ids, window[last:]])
        changed[at] = np.concatenate([window[:first], before, other, after, window[last:]])
        marks = window[:1], window[-1:]
        queries += [_query(marks, (before, one, after), words, rng) for one in (word, other)]
    return Needles(own, changed, queries)


_Passage = tuple[NDArray[Any], tuple[int, int], tuple[int, int]]
"""A passage's ids, where it lies in its text, and where in it the word is that may be changed."""


def _passage(text: NDArray[Any], words: Words, rng: np.random.Generator) -> _Passage | None:
    """A passage around a telling word, whole words all; None if the text has no such word."""
    starts, ends, telling = words.within(text[1:-1])
    chosen = np.flatnonzero(telling)
    if not len(chosen):
        return None
    centre = int(rng.choice(chosen))
    low = max(0, centre - int(rng.integers(2, BEFORE + 1)))
    high = min(len(starts) - 1, centre + int(rng.integers(2, AFTER + 1)))
    first, last = int(starts[low]) + 1, int(ends[high]) + 1
    word = int(starts[centre]) + 1 - first, int(ends[centre]) + 1 - first
    return text[first:last], (first, last), word


def _another(
    passage: _Passage, told: NDArray[Any], words: Words, rng: np.random.Generator
) -> NDArray[Any] | None:
    """A word for the place of the passage's: one like it or of the same text; None if none is."""
    ids, _, (start, end) = passage
    if end == start + 1 and words.telling[ids[start]] and rng.random() < ALIKE:
        near = words.near[ids[start], [int(rng.integers(NEIGHBOURS))]].astype(ids.dtype)
        return None if near[0] == ids[start] else near
    starts, ends, telling = words.within(told)
    if not telling.any():
        return None
    chosen = int(rng.choice(np.flatnonzero(telling)))
    other = told[starts[chosen] : ends[chosen]]
    return None if np.array_equal(other, ids[start:end]) else other


def _query(
    marks: tuple[NDArray[Any], NDArray[Any]],
    passage: tuple[NDArray[Any], NDArray[Any], NDArray[Any]],
    words: Words,
    rng: np.random.Generator,
) -> NDArray[Any]:
    """The passage's word and some of those around it, perhaps after a question word."""
    before, word, after = passage
    parts = [_thinned(before, words, rng), word, _thinned(after, words, rng)]
    if rng.random() < ASKED:
        parts.insert(0, np.array(words.asking[int(rng.integers(len(words.asking)))]))
    if rng.random() < MARKED:
        parts.append(np.array(words.ends))
    return np.concatenate([marks[0], *parts, marks[1]]).astype(word.dtype)


def _thinned(ids: NDArray[Any], words: Words, rng: np.random.Generator) -> NDArray[Any]:
    """Without some of its words."""
    if not len(ids):
        return ids
    word = np.cumsum(words.begins[ids])
    kept = rng.random(int(word.max()) + 1) >= DROPPED
    thinned: NDArray[Any] = ids[kept[word]]
    return thinned


def _nearest(
    table: NDArray[np.float32], telling: NDArray[np.int64], names: Sequence[str]
) -> NDArray[np.int32]:
    """For each of the `telling` tokens the nearest others that are not forms of the same word."""
    near = np.zeros((len(table), NEIGHBOURS), np.int32)
    if not len(telling):
        return near
    unit = table[telling] - table[telling].mean(0)
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
    stems = np.array([names[number][:4] for number in telling])
    wide = min(3 * NEIGHBOURS, len(telling))
    for start in range(0, len(telling), 1024):
        rows = slice(start, start + 1024)
        similar = unit[rows] @ unit.T
        similar[stems[rows, None] == stems] = -np.inf
        best = np.argpartition(-similar, wide - 1, axis=1)[:, :wide]
        order = np.take_along_axis(similar, best, 1).argsort(1)[:, ::-1]
        ranked = telling[np.take_along_axis(best, order, 1)]
        near[telling[rows]] = np.resize(ranked.T, (NEIGHBOURS, len(ranked))).T
    return near
