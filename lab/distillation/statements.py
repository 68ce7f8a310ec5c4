"""Statements that differ in a word or two, inserted into texts about other things, with queries.

Which of several texts states what is asked, where the others state nearly the same? `needles`
changes one passage of a text. Here a whole family of statements shares a form, as the records of a
register do, and each stands in another text. Forms and words come from the corpus: a form is one of
its passages, in which some telling words are replaced. A word that a statement lacks often occurs
elsewhere in its text, in a passage in which the corpus uses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.distillation.needles import Words
from lab.text.corpus import TokenCorpus
from retrieval.errors import InputError

FAMILY_SIZE = 6
"""Statements of one form, each in a text of its own."""

OPTIONS = 3
"""Words to choose from for each slot of a form."""

FORM_WORDS = (8, 20)
"""Words of a form, at least and at most."""

SLOTS = (2, 4)
"""Slots of a form for other words, at least and at most."""

ADJACENT_SHARE = 0.6
"""Share of forms whose slots are as close together as possible, as the parts of a name are."""

SIMILAR_SHARE = 0.6
"""Share of slots with words similar to the form's own; others get any telling words."""

MAX_WORD_TOKENS, FORM_TOKENS = 4, 48
"""Most tokens of a slot's word, and of a form."""

MAX_TRIES = 10_000
"""Passages to try for a form, or for a word, before giving up."""

DROPPED_SHARE, ROTATED_SHARE = 0.45, 0.5
"""Share of a form's other words that a query leaves out; share of queries in another order."""

QUESTION_WORD_SHARE, QUESTION_MARK_SHARE = 0.7, 0.7
"""Share of queries that begin with a question word, and that end in a question mark."""

DECOY_SHARE, DECOY_CONTEXT = 0.6, 15
"""Share of statements whose text has another one's word, and the tokens around that."""

SENTENCE_SHARE = 0.7
"""Share of statements that are inserted between sentences, not just between words."""

_Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PlacementRule:
    """Where statements are inserted.

    Attributes:
        length: tokens of a text, special tokens included.
        texts: number of texts; a family needs `FAMILY_SIZE`.
        each: statements per text, about.
        edge: share of statements at the very beginning or end of a text.
    """

    length: int
    texts: int
    each: int
    edge: float = 0.05


@dataclass(frozen=True, slots=True)
class PlacedStatements:
    """Texts with statements in them, and queries.

    Attributes:
        texts: ids of each text, special tokens included.
        queries: ids of the queries, special tokens included.
        statements: ids of the statement that each query asks for.
        hosts: i64 [q, FAMILY_SIZE], for each query its statement's text, then those of its family.
    """

    texts: list[_Ids]
    queries: list[_Ids]
    statements: list[_Ids]
    hosts: NDArray[np.int64]


@dataclass(slots=True)
class Writer:
    """Makes statements from a corpus, depending only on the seed.

    Attributes:
        corpus: source of forms, words and surrounding texts.
        words: properties of its vocabulary.
        marks: the ids of [CLS], [SEP] and the full stop.
        seed: of all choices.
    """

    corpus: TokenCorpus
    words: Words
    marks: tuple[int, int, int]
    seed: int
    _rng: np.random.Generator = field(init=False)
    _occurrences: dict[int, NDArray[np.int64]] = field(init=False)

    def __post_init__(self) -> None:
        if not (self.corpus.lengths > 2).any():
            raise InputError("a corpus without a word, expected text to make statements of")
        self._rng = np.random.default_rng(self.seed)
        self._occurrences = _occurrences(self.corpus, self.words, self._rng)

    def place(self, rule: PlacementRule) -> PlacedStatements:
        """Texts of the corpus with families of statements in them.

        Raises:
            InputError: the corpus is too small or has no passage to make a statement of, or a text
                has no room for its statements.
        """
        if rule.texts < FAMILY_SIZE:
            raise InputError(f"{rule.texts} texts, expected at least a family's {FAMILY_SIZE}")
        inserted: list[list[_Ids]] = [[] for _ in range(rule.texts)]
        queries: list[_Ids] = []
        statements: list[_Ids] = []
        hosts: list[_Ids] = []
        load = self._rng.random(rule.texts)
        for _ in range(rule.texts * rule.each // FAMILY_SIZE):
            chosen = np.argsort(load, kind="stable")[:FAMILY_SIZE]
            # With some randomness, so that families do not share the same texts again.
            load[chosen] += 1 + 0.1 * self._rng.random(FAMILY_SIZE)
            for index, (statement, query, decoy) in enumerate(self.family()):
                inserted[chosen[index]] += [statement] if decoy is None else [statement, decoy]
                queries.append(query)
                statements.append(statement)
                hosts.append(np.roll(chosen, -index))
        texts = [self._text(parts, rule) for parts in inserted]
        return PlacedStatements(
            texts, queries, statements, np.array(hosts, np.int64).reshape(-1, FAMILY_SIZE)
        )

    def family(self) -> list[tuple[_Ids, _Ids, _Ids | None]]:
        """Statements of one form, each with its query and sometimes a decoy for its text."""
        for _ in range(MAX_TRIES):
            form, slots = self._form()
            options = [self._options(form[slot]) for slot in slots]
            if not all(options):
                continue
            combinations: set[tuple[int, ...]] = set()
            while len(combinations) < FAMILY_SIZE:
                combinations.add(tuple(self._rng.integers(0, OPTIONS, len(slots)).tolist()))
            return [self._member(form, slots, options, chosen) for chosen in sorted(combinations)]
        raise self._too_little()

    def _member(
        self,
        form: list[_Ids],
        slots: list[int],
        options: list[list[_Ids]],
        chosen: tuple[int, ...],
    ) -> tuple[_Ids, _Ids, _Ids | None]:
        """One statement of a family, its query, and perhaps a decoy."""
        statement = list(form)
        for slot, words, number in zip(slots, options, chosen, strict=True):
            statement[slot] = words[number]
        decoy = None
        if self._rng.random() < DECOY_SHARE:
            index = int(self._rng.integers(len(slots)))
            other_option = (chosen[index] + int(self._rng.integers(1, OPTIONS))) % OPTIONS
            decoy = self._decoy_passage(options[index][other_option])
        return np.concatenate([*statement, [self.marks[2]]]), self._query(statement, slots), decoy

    def _form(self) -> tuple[list[_Ids], list[int]]:
        """Words of a passage, and the indices of those that are slots."""
        for _ in range(MAX_TRIES):
            text = self._any_text()
            starts, ends, telling = self.words.within(text)
            size = int(self._rng.integers(FORM_WORDS[0], FORM_WORDS[1] + 1))
            if len(starts) < size:
                continue
            first = int(self._rng.integers(0, len(starts) - size + 1))
            span = slice(first, first + size)
            candidates = np.flatnonzero(
                telling[span] & (ends[span] - starts[span] <= MAX_WORD_TOKENS)
            )
            tokens = int(ends[span][-1] - starts[span][0])
            if len(candidates) < SLOTS[0] or tokens > FORM_TOKENS:
                continue
            count = min(len(candidates), int(self._rng.integers(SLOTS[0], SLOTS[1] + 1)))
            if self._rng.random() < ADJACENT_SHARE:
                start_index = int(self._rng.integers(0, len(candidates) - count + 1))
                slots = candidates[start_index : start_index + count]
            else:
                slots = np.sort(self._rng.choice(candidates, count, replace=False))
            pairs = zip(starts[span], ends[span], strict=True)
            return [text[start:end] for start, end in pairs], slots.tolist()
        raise self._too_little()

    def _options(self, word: _Ids) -> list[_Ids]:
        """The word and alternatives for its slot; empty if they are not all different."""
        number = int(word[0])
        if len(word) == 1 and self.words.telling[number] and self._rng.random() < SIMILAR_SHARE:
            near = self._rng.choice(self.words.near[number], OPTIONS - 1, replace=False)
            options = [word, *(np.array([other], np.int64) for other in near)]
        else:
            options = [word, *(self._any_word() for _ in range(OPTIONS - 1))]
        return options if len({tuple(option) for option in options}) == OPTIONS else []

    def _query(self, statement: Sequence[_Ids], slots: Sequence[int]) -> _Ids:
        """A query for a statement: its slots' words and some others, sometimes as a question."""
        words = [
            word
            for index, word in enumerate(statement)
            if index in slots or self._rng.random() >= DROPPED_SHARE
        ]
        if self._rng.random() < ROTATED_SHARE:
            cut = int(self._rng.integers(len(words)))
            words = words[cut:] + words[:cut]
        begin, end, _ = self.marks
        question_word = self.words.asking[int(self._rng.integers(len(self.words.asking)))]
        first = question_word if self._rng.random() < QUESTION_WORD_SHARE else ()
        last = self.words.ends if self._rng.random() < QUESTION_MARK_SHARE else ()
        return np.concatenate([[begin], first, *words, last, [end]]).astype(np.int64)

    def _decoy_passage(self, word: _Ids) -> _Ids | None:
        """A passage of the corpus with the word, or with the token that it begins with."""
        occurrences = self._occurrences.get(int(word[0]))
        if occurrences is None:
            return None
        position = int(self._rng.choice(occurrences))
        text = int(np.searchsorted(self.corpus.offsets, position, side="right")) - 1
        before, after = self._rng.integers(DECOY_CONTEXT // 3, DECOY_CONTEXT, 2)
        first = max(self.corpus.offsets[text] + 1, position - before)
        last = min(self.corpus.offsets[text + 1] - 1, position + after)
        return self._from_word(self.corpus.ids[first:last].astype(np.int64))

    def _text(self, parts: Sequence[_Ids], rule: PlacementRule) -> _Ids:
        """Neighbouring texts of the corpus with the parts inserted at all depths."""
        room = rule.length - 2 - sum(map(len, parts))
        if room < 0:
            raise InputError(
                f"{len(parts)} statements and passages of {sum(map(len, parts))} tokens, expected "
                f"fewer than the text's {rule.length}: make the texts longer"
            )
        text = self._surrounding(room)
        sentences = np.flatnonzero(text == self.marks[2]) + 1
        begins = np.flatnonzero(self.words.begins[text])
        cuts = sorted(
            (self._insertion_point(len(text), sentences, begins, rule.edge), i)
            for i in range(len(parts))
        )
        pieces: list[Any] = [[self.marks[0]]]
        last = 0
        for cut, part in cuts:
            pieces += [text[last:cut], parts[part]]
            last = cut
        return np.concatenate([*pieces, text[last:], [self.marks[1]]]).astype(np.int64)

    def _insertion_point(self, length: int, sentences: _Ids, begins: _Ids, edge: float) -> int:
        """A position for a statement: an edge, between sentences, or between words."""
        anywhere = int(self._rng.integers(length + 1))
        kind = self._rng.random()
        if kind < edge:
            return int(self._rng.choice([0, length]))
        at_sentences = len(sentences) and kind < edge + SENTENCE_SHARE * (1 - edge)
        allowed = sentences if at_sentences else begins
        return int(allowed[np.abs(allowed - anywhere).argmin()]) if len(allowed) else anywhere

    def _surrounding(self, room: int) -> _Ids:
        """So many tokens of neighbouring texts; the corpus's last one is followed by its first."""
        start = int(self._rng.integers(len(self.corpus)))
        parts: list[_Ids] = []
        while room > 0:
            part = self.corpus[start][1:-1][:room].astype(np.int64)
            parts.append(part)
            room, start = room - len(part), (start + 1) % len(self.corpus)
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def _any_text(self) -> _Ids:
        """The ids of a random text, without special tokens."""
        text: _Ids = self.corpus[int(self._rng.integers(len(self.corpus)))][1:-1].astype(np.int64)
        return text

    def _any_word(self) -> _Ids:
        """The ids of a random telling word."""
        for _ in range(MAX_TRIES):
            text = self._any_text()
            starts, ends, telling = self.words.within(text)
            chosen = np.flatnonzero(telling & (ends - starts <= MAX_WORD_TOKENS))
            if len(chosen):
                index = int(self._rng.choice(chosen))
                return text[starts[index] : ends[index]]
        raise self._too_little()

    def _too_little(self) -> InputError:
        """The error of a corpus without enough passages."""
        return InputError(
            f"a corpus of {len(self.corpus):,} texts, expected passages of {FORM_WORDS[0]} words "
            f"of which {SLOTS[0]} are rare: give more text"
        )

    def _from_word(self, ids: _Ids) -> _Ids | None:
        """The ids from the first start of a word; None if there is none."""
        begins = np.flatnonzero(self.words.begins[ids])
        return ids[begins[0] :] if len(begins) else None


def _occurrences(
    corpus: TokenCorpus, words: Words, rng: np.random.Generator, most: int = 60_000
) -> dict[int, NDArray[np.int64]]:
    """The positions of telling tokens in the corpus's ids, in at most so many texts."""
    texts = np.sort(rng.permutation(len(corpus))[:most])
    positions_of: dict[int, list[int]] = {}
    for text in texts:
        ids, start = corpus[int(text)], int(corpus.offsets[text])
        for index in np.flatnonzero(words.telling[ids]):
            positions_of.setdefault(int(ids[index]), []).append(start + int(index))
    return {token: np.array(positions, np.int64) for token, positions in positions_of.items()}
