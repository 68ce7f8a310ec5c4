"""Statements alike but for a word or two, put into texts that say much else, and queries for each.

Which of several texts says what is asked, where the others say nearly the same? `needles` changes
one passage of a text; here a whole family of statements shares a form, as the records of a register
do, and each stands in another text. Forms and words are the corpus's own: a form is a passage of
it, in which some telling words have others in their places. A word that a statement lacks often
stands elsewhere in its text, in a passage where the corpus uses it.
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

FAMILY = 6
"""Statements of one form, each in a text of its own."""

OPTIONS = 3
"""Words of which each place of a form takes one."""

FORM = (8, 20)
"""Words of a form, at least and at most."""

PLACES = (2, 4)
"""Places of a form that take other words, at least and at most."""

TOGETHER = 0.6
"""Share of forms whose places are the nearest to each other, as the parts of a name are."""

ALIKE = 0.6
"""Share of places that take words like the form's own; others take any telling words."""

LONGEST, FORM_TOKENS = 4, 48
"""Tokens of a word that is put into a place, and of a form, at most."""

TRIES = 10_000
"""Passages that are looked at for one that serves as a form, or for a word, before giving up."""

DROPPED, TURNED = 0.45, 0.5
"""Share of a form's other words that a query does not repeat; of queries that change the order."""

ASKED, MARKED = 0.7, 0.7
"""Share of queries that begin with a question word, and that end in a question mark."""

DECOYS, AROUND = 0.6, 15
"""Share of statements in whose text a word of another one stands, amid so many tokens each side."""

AT_SENTENCES = 0.7
"""Share of statements that are put between sentences, not just between words."""

_Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Placing:
    """Where statements are put.

    Attributes:
        length: tokens of a text, special tokens included.
        texts: how many; a family needs `FAMILY`.
        each: statements of a text, about.
        edge: share of statements that are put at a text's very beginning or end.
    """

    length: int
    texts: int
    each: int
    edge: float = 0.05


@dataclass(frozen=True, slots=True)
class Placed:
    """Texts with statements in them, and who asks.

    Attributes:
        texts: ids of each text, special tokens included.
        queries: ids of the queries, special tokens included.
        statements: ids of what each query asks for, as it stands in its text.
        hosts: i64 [q, FAMILY], for each query the text that says it, then those of its family.
    """

    texts: list[_Ids]
    queries: list[_Ids]
    statements: list[_Ids]
    hosts: NDArray[np.int64]


@dataclass(slots=True)
class Writer:
    """Makes statements from a corpus; what it makes depends on the seed alone.

    Attributes:
        marks: the ids of [CLS], [SEP] and the full stop.
    """

    corpus: TokenCorpus
    words: Words
    marks: tuple[int, int, int]
    seed: int
    _rng: np.random.Generator = field(init=False)
    _uses: dict[int, NDArray[np.int64]] = field(init=False)

    def __post_init__(self) -> None:
        if not (self.corpus.lengths > 2).any():
            raise InputError("a corpus without a word, expected text to make statements of")
        self._rng = np.random.default_rng(self.seed)
        self._uses = _uses(self.corpus, self.words, self._rng)

    def place(self, rule: Placing) -> Placed:
        """Texts of the corpus's own words with families of statements in them.

        Raises:
            InputError: the corpus is too small or has no passage to make a statement of, or a text
                has no room for the statements.
        """
        if rule.texts < FAMILY:
            raise InputError(f"{rule.texts} texts, expected at least a family's {FAMILY}")
        inserted: list[list[_Ids]] = [[] for _ in range(rule.texts)]
        queries: list[_Ids] = []
        statements: list[_Ids] = []
        hosts: list[_Ids] = []
        load = self._rng.random(rule.texts)
        for _ in range(rule.texts * rule.each // FAMILY):
            chosen = np.argsort(load, kind="stable")[:FAMILY]
            # A little by chance, so that families do not meet in the same texts again.
            load[chosen] += 1 + 0.1 * self._rng.random(FAMILY)
            for at, (statement, query, decoy) in enumerate(self.family()):
                inserted[chosen[at]] += [statement] if decoy is None else [statement, decoy]
                queries.append(query)
                statements.append(statement)
                hosts.append(np.roll(chosen, -at))
        texts = [self._text(parts, rule) for parts in inserted]
        return Placed(texts, queries, statements, np.array(hosts, np.int64).reshape(-1, FAMILY))

    def family(self) -> list[tuple[_Ids, _Ids, _Ids | None]]:
        """Statements of one form, each with its query and a passage with a word that it lacks."""
        for _ in range(TRIES):
            form, places = self._form()
            options = [self._options(form[place]) for place in places]
            if not all(options):
                continue
            combinations: set[tuple[int, ...]] = set()
            while len(combinations) < FAMILY:
                combinations.add(tuple(self._rng.integers(0, OPTIONS, len(places)).tolist()))
            return [self._member(form, places, options, chosen) for chosen in sorted(combinations)]
        raise self._too_little()

    def _member(
        self,
        form: list[_Ids],
        places: list[int],
        options: list[list[_Ids]],
        chosen: tuple[int, ...],
    ) -> tuple[_Ids, _Ids, _Ids | None]:
        said = list(form)
        for place, words, number in zip(places, options, chosen, strict=True):
            said[place] = words[number]
        decoy = None
        if self._rng.random() < DECOYS:
            at = int(self._rng.integers(len(places)))
            lacking = (chosen[at] + int(self._rng.integers(1, OPTIONS))) % OPTIONS
            decoy = self._use(options[at][lacking])
        return np.concatenate([*said, [self.marks[2]]]), self._query(said, places), decoy

    def _form(self) -> tuple[list[_Ids], list[int]]:
        """Words of a passage, and the numbers of those that others may take the place of."""
        for _ in range(TRIES):
            text = self._any_text()
            starts, ends, telling = self.words.within(text)
            size = int(self._rng.integers(FORM[0], FORM[1] + 1))
            if len(starts) < size:
                continue
            first = int(self._rng.integers(0, len(starts) - size + 1))
            span = slice(first, first + size)
            may = np.flatnonzero(telling[span] & (ends[span] - starts[span] <= LONGEST))
            tokens = int(ends[span][-1] - starts[span][0])
            if len(may) < PLACES[0] or tokens > FORM_TOKENS:
                continue
            count = min(len(may), int(self._rng.integers(PLACES[0], PLACES[1] + 1)))
            if self._rng.random() < TOGETHER:
                at = int(self._rng.integers(0, len(may) - count + 1))
                places = may[at : at + count]
            else:
                places = np.sort(self._rng.choice(may, count, replace=False))
            pairs = zip(starts[span], ends[span], strict=True)
            return [text[start:end] for start, end in pairs], places.tolist()
        raise self._too_little()

    def _options(self, word: _Ids) -> list[_Ids]:
        """The word and others for its place; none if they are not all different."""
        number = int(word[0])
        if len(word) == 1 and self.words.telling[number] and self._rng.random() < ALIKE:
            near = self._rng.choice(self.words.near[number], OPTIONS - 1, replace=False)
            options = [word, *(np.array([other], np.int64) for other in near)]
        else:
            options = [word, *(self._any_word() for _ in range(OPTIONS - 1))]
        return options if len({tuple(option) for option in options}) == OPTIONS else []

    def _query(self, said: Sequence[_Ids], places: Sequence[int]) -> _Ids:
        kept = [
            word for at, word in enumerate(said) if at in places or self._rng.random() >= DROPPED
        ]
        if self._rng.random() < TURNED:
            cut = int(self._rng.integers(len(kept)))
            kept = kept[cut:] + kept[:cut]
        begin, end, _ = self.marks
        asking = self.words.asking[int(self._rng.integers(len(self.words.asking)))]
        first = asking if self._rng.random() < ASKED else ()
        last = self.words.ends if self._rng.random() < MARKED else ()
        return np.concatenate([[begin], first, *kept, last, [end]]).astype(np.int64)

    def _use(self, word: _Ids) -> _Ids | None:
        """A passage of the corpus with the word, or with what it begins with, in it."""
        found = self._uses.get(int(word[0]))
        if found is None:
            return None
        at = int(self._rng.choice(found))
        text = int(np.searchsorted(self.corpus.offsets, at, side="right")) - 1
        before, after = self._rng.integers(AROUND // 3, AROUND, 2)
        first = max(self.corpus.offsets[text] + 1, at - before)
        last = min(self.corpus.offsets[text + 1] - 1, at + after)
        return self._from_word(self.corpus.ids[first:last].astype(np.int64))

    def _text(self, parts: Sequence[_Ids], rule: Placing) -> _Ids:
        """Neighbouring texts of the corpus with the parts at all depths."""
        room = rule.length - 2 - sum(map(len, parts))
        if room < 0:
            raise InputError(
                f"{len(parts)} statements and passages of {sum(map(len, parts))} tokens, expected "
                f"fewer than the text's {rule.length}: make the texts longer"
            )
        text = self._hay(room)
        sentences = np.flatnonzero(text == self.marks[2]) + 1
        begins = np.flatnonzero(self.words.begins[text])
        cuts = sorted(
            (self._cut(len(text), sentences, begins, rule.edge), i) for i in range(len(parts))
        )
        pieces: list[Any] = [[self.marks[0]]]
        last = 0
        for cut, part in cuts:
            pieces += [text[last:cut], parts[part]]
            last = cut
        return np.concatenate([*pieces, text[last:], [self.marks[1]]]).astype(np.int64)

    def _cut(self, length: int, sentences: _Ids, begins: _Ids, edge: float) -> int:
        anywhere = int(self._rng.integers(length + 1))
        kind = self._rng.random()
        if kind < edge:
            return int(self._rng.choice([0, length]))
        at_sentences = len(sentences) and kind < edge + AT_SENTENCES * (1 - edge)
        allowed = sentences if at_sentences else begins
        return int(allowed[np.abs(allowed - anywhere).argmin()]) if len(allowed) else anywhere

    def _hay(self, room: int) -> _Ids:
        """So many tokens of neighbouring texts; after the corpus's last comes its first."""
        start = int(self._rng.integers(len(self.corpus)))
        parts: list[_Ids] = []
        while room > 0:
            part = self.corpus[start][1:-1][:room].astype(np.int64)
            parts.append(part)
            room, start = room - len(part), (start + 1) % len(self.corpus)
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def _any_text(self) -> _Ids:
        text: _Ids = self.corpus[int(self._rng.integers(len(self.corpus)))][1:-1].astype(np.int64)
        return text

    def _any_word(self) -> _Ids:
        for _ in range(TRIES):
            text = self._any_text()
            starts, ends, telling = self.words.within(text)
            chosen = np.flatnonzero(telling & (ends - starts <= LONGEST))
            if len(chosen):
                at = int(self._rng.choice(chosen))
                return text[starts[at] : ends[at]]
        raise self._too_little()

    def _too_little(self) -> InputError:
        return InputError(
            f"a corpus of {len(self.corpus):,} texts, expected passages of {FORM[0]} words of "
            f"which {PLACES[0]} are rare: give more text"
        )

    def _from_word(self, ids: _Ids) -> _Ids | None:
        begins = np.flatnonzero(self.words.begins[ids])
        return ids[begins[0] :] if len(begins) else None


def _uses(
    corpus: TokenCorpus, words: Words, rng: np.random.Generator, most: int = 60_000
) -> dict[int, NDArray[np.int64]]:
    """Where telling tokens stand in the corpus's ids, of so many texts at most."""
    texts = np.sort(rng.permutation(len(corpus))[:most])
    found: dict[int, list[int]] = {}
    for text in texts:
        ids, start = corpus[int(text)], int(corpus.offsets[text])
        for at in np.flatnonzero(words.telling[ids]):
            found.setdefault(int(ids[at]), []).append(start + int(at))
    return {token: np.array(places, np.int64) for token, places in found.items()}
