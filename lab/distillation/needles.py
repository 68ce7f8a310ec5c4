"""Needles: passages of long texts with one word changed, and queries for either version.

A long text has many passages that share words with a query. Which of them states what is asked, and
not something else of the same form, is what a token head has to tell. Neither a teacher that reads
windows nor pairs of whole passages teach it. So sometimes a passage of a window, or an inserted one
of another text, is searched by some of its words, and the same text with one of those words changed
is the wrong answer; and the other way round.
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
"""Nearest words in the embedding table, one of which may replace a word."""

MAX_DOCUMENT_SHARE = 0.05
"""A word in a larger share of the texts is too common to be changed."""

CHANGED_SHARE, FOREIGN_SHARE = 0.7, 0.5
"""Share of windows with a changed passage, and of these with an inserted one of another text."""

MAX_WORDS_BEFORE, MAX_WORDS_AFTER = 8, 8
"""Words of a passage before the changed one, and after it, at most."""

DROPPED_SHARE = 0.4
"""Share of a passage's other words that its query does not repeat."""

SIMILAR_SHARE = 0.5
"""Share of one-token words that are replaced by a similar one, not by one of the same text."""

QUESTION_WORD_SHARE, QUESTION_MARK_SHARE = 0.7, 0.5
"""Share of queries that begin with a question word, and that end in a question mark."""

QUESTION_WORDS = ("what", "which", "who", "where", "when", "how many", "how")


@dataclass(frozen=True, slots=True)
class Words:
    """Properties of a vocabulary's tokens.

    Attributes:
        begins: bool [V], tokens that begin a word rather than continue one.
        spelt: bool [V], tokens of letters and digits alone.
        telling: bool [V], tokens that are both and that few texts have: as words of one token they
            may be changed. Words of several tokens always may, since they are rare.
        near: i32 [V, NEIGHBOURS], the nearest tokens to a telling one in the embedding table.
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
        """The properties of a WordPiece vocabulary, from a corpus and an embedding table."""
        size = tokenizer.get_vocab_size()
        names = [tokenizer.id_to_token(number) or "" for number in range(size)]
        begins = np.array([not name.startswith("##") for name in names])
        spelt = np.array([name.isalnum() for name in names])
        long = np.array([len(name) > 2 for name in names])
        counts, texts = document_frequencies(corpus, size)
        telling = (
            begins & spelt & long & (counts > 0) & (counts <= MAX_DOCUMENT_SHARE * max(texts, 1))
        )

        def ids(text: str) -> tuple[int, ...]:
            return tuple(tokenizer.encode(text, add_special_tokens=False).ids)

        near = _nearest(table, np.flatnonzero(telling), names)
        return cls(begins, spelt, telling, near, tuple(map(ids, QUESTION_WORDS)), ids("?"))

    def within(
        self, ids: NDArray[Any]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """Where each word of the ids begins and ends, and whether it may be changed.

        A word that started before the ids is left out.
        """
        starts = np.flatnonzero(self.begins[ids])
        ends = np.append(starts[1:], len(ids))
        telling = self.telling[ids[starts]] | ((ends > starts + 1) & self.spelt[ids[starts]])
        return starts, ends, telling


@dataclass(frozen=True, slots=True)
class Needles:
    """Windows of a text with passages in them, the same with a word of each changed, and queries.

    Attributes:
        original: ids of each window, special tokens included.
        changed: the same windows with one word of each passage changed.
        queries: ids of the queries, special tokens included: for each passage one about the version
            in `original`, then one about that in `changed`.
    """

    original: list[NDArray[Any]]
    changed: list[NDArray[Any]]
    queries: list[NDArray[Any]]


def hide_needles(
    corpus: TokenCorpus, run: NDArray[np.int64], words: Words, seed: Sequence[int]
) -> Needles:
    """Change passages in some of a run's texts, and make queries for them."""
    rng = np.random.default_rng(seed)
    original = [corpus[int(text)] for text in run]
    all_ids = np.concatenate([window[1:-1] for window in original])
    changed = list(original)
    queries: list[NDArray[Any]] = []
    for index, window in enumerate(original):
        if rng.random() >= CHANGED_SHARE:
            continue
        foreign = rng.random() < FOREIGN_SHARE
        source = corpus[int(rng.integers(len(corpus)))] if foreign else window
        passage = _passage(source, words, rng)
        replacement = None if passage is None else _replacement(passage, all_ids, words, rng)
        if passage is None or replacement is None:
            continue
        ids, (first, last), (start, end) = passage
        before, word, after = ids[:start], ids[start:end], ids[end:]
        if foreign:
            # Between two words of the window, neither before [CLS] nor after [SEP].
            first = last = int(rng.choice(np.flatnonzero(words.begins[window[1:]]) + 1))
        original[index] = np.concatenate([window[:first], ids, window[last:]])
        changed[index] = np.concatenate([window[:first], before, replacement, after, window[last:]])
        marks = window[:1], window[-1:]
        queries += [
            _query(marks, (before, stated, after), words, rng) for stated in (word, replacement)
        ]
    return Needles(original, changed, queries)


_Passage = tuple[NDArray[Any], tuple[int, int], tuple[int, int]]
"""A passage's ids, its span in the text, and the span of the word that may be changed in it."""


def _passage(text: NDArray[Any], words: Words, rng: np.random.Generator) -> _Passage | None:
    """A passage of whole words around a telling one; None if the text has none."""
    starts, ends, telling = words.within(text[1:-1])
    chosen = np.flatnonzero(telling)
    if not len(chosen):
        return None
    centre = int(rng.choice(chosen))
    low = max(0, centre - int(rng.integers(2, MAX_WORDS_BEFORE + 1)))
    high = min(len(starts) - 1, centre + int(rng.integers(2, MAX_WORDS_AFTER + 1)))
    first, last = int(starts[low]) + 1, int(ends[high]) + 1
    word = int(starts[centre]) + 1 - first, int(ends[centre]) + 1 - first
    return text[first:last], (first, last), word


def _replacement(
    passage: _Passage, all_ids: NDArray[Any], words: Words, rng: np.random.Generator
) -> NDArray[Any] | None:
    """A similar word, or one of the same text, for the passage's; None if there is none."""
    ids, _, (start, end) = passage
    if end == start + 1 and words.telling[ids[start]] and rng.random() < SIMILAR_SHARE:
        near = words.near[ids[start], [int(rng.integers(NEIGHBOURS))]].astype(ids.dtype)
        return None if near[0] == ids[start] else near
    starts, ends, telling = words.within(all_ids)
    if not telling.any():
        return None
    chosen = int(rng.choice(np.flatnonzero(telling)))
    other = all_ids[starts[chosen] : ends[chosen]]
    return None if np.array_equal(other, ids[start:end]) else other


def _query(
    marks: tuple[NDArray[Any], NDArray[Any]],
    passage: tuple[NDArray[Any], NDArray[Any], NDArray[Any]],
    words: Words,
    rng: np.random.Generator,
) -> NDArray[Any]:
    """The passage's word and some of those around it, sometimes after a question word."""
    before, word, after = passage
    parts = [_drop_words(before, words, rng), word, _drop_words(after, words, rng)]
    if rng.random() < QUESTION_WORD_SHARE:
        parts.insert(0, np.array(words.asking[int(rng.integers(len(words.asking)))]))
    if rng.random() < QUESTION_MARK_SHARE:
        parts.append(np.array(words.ends))
    return np.concatenate([marks[0], *parts, marks[1]]).astype(word.dtype)


def _drop_words(ids: NDArray[Any], words: Words, rng: np.random.Generator) -> NDArray[Any]:
    """The ids without some of their words."""
    if not len(ids):
        return ids
    word = np.cumsum(words.begins[ids])
    keep = rng.random(int(word.max()) + 1) >= DROPPED_SHARE
    remaining: NDArray[Any] = ids[keep[word]]
    return remaining


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
