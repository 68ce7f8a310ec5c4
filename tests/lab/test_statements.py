"""Statements alike but for a word or two: where they stand, and who asks for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lab.distillation.statements import (
    FAMILY_SIZE,
    FORM_WORDS,
    PlacedStatements,
    PlacementRule,
    Writer,
)
from lab.text.corpus import Record, tokenise
from retrieval.errors import InputError
from tests.lab.names import corpus, tokenizer, words_of

CORPUS, TOKENIZER = corpus(sentences=True), tokenizer()
WORDS = words_of(CORPUS)
MARKS: tuple[int, int, int] = tuple(TOKENIZER.token_to_id(m) for m in ("[CLS]", "[SEP]", "."))


def _placed(seed: int, rule: PlacementRule) -> PlacedStatements:
    return Writer(CORPUS, WORDS, MARKS, seed).place(rule)


def _holds(text: NDArray[Any], part: NDArray[Any]) -> bool:
    windows = np.lib.stride_tricks.sliding_window_view(text, len(part))
    return bool((windows == part).all(1).any())


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.5, 1.0]))
def test_a_statement_stands_in_the_text_that_answers(seed: int, edge: float) -> None:
    placed = _placed(seed, PlacementRule(300, 7, 3, edge))
    assert len(placed.texts) == 7
    assert len(placed.queries) == 7 * 3 // FAMILY_SIZE * FAMILY_SIZE
    for text in placed.texts:
        assert len(text) == 300
        assert (text[0], text[-1]) == MARKS[:2]
        assert not np.isin(text[1:-1], MARKS[:2]).any()
    for statement, hosts in zip(placed.statements, placed.hosts, strict=True):
        assert _holds(placed.texts[hosts[0]], statement)
        assert len(set(hosts.tolist())) == FAMILY_SIZE


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000))
def test_a_family_shares_a_form(seed: int) -> None:
    family = Writer(CORPUS, WORDS, MARKS, seed).family()
    said = [statement.tolist() for statement, _, _ in family]
    assert len({tuple(one) for one in said}) == FAMILY_SIZE
    for statement, query, decoy in family:
        assert statement[-1] == MARKS[2]
        assert (query[0], query[-1]) == MARKS[:2]
        words = [TOKENIZER.id_to_token(int(i)) for i in statement[:-1]]
        assert FORM_WORDS[0] <= sum(not word.startswith("##") for word in words) <= FORM_WORDS[1]
        asking = {token for ids in (*WORDS.asking, WORDS.ends) for token in ids}
        asked = [token for token in query[1:-1].tolist() if token not in asking]
        assert asked
        assert set(asked) <= set(statement.tolist())
        if decoy is not None:
            assert WORDS.begins[decoy[0]]


def test_a_query_asks_for_one_of_its_family() -> None:
    """What it repeats includes all the words in which the family differs."""
    fits = []
    for seed in range(40):
        family = Writer(CORPUS, WORDS, MARKS, seed).family()
        statements = [set(statement.tolist()) for statement, _, _ in family]
        every = set().union(*statements)
        for at, (_, query, _) in enumerate(family):
            asked = set(query.tolist()) & every
            assert asked <= statements[at]
            fits.append(sum(asked <= statement for statement in statements))
    # Of names that share syllables, and of a form's own, another one fits now and then.
    assert np.mean(np.array(fits) == 1) > 0.75


def test_the_same_seed_makes_the_same() -> None:
    rule = PlacementRule(200, 8, 3)
    one, same, other = (_placed(seed, rule) for seed in (1, 1, 2))
    assert all(map(np.array_equal, one.texts, same.texts))
    assert all(map(np.array_equal, one.queries, same.queries))
    assert np.array_equal(one.hosts, same.hosts)
    assert not all(map(np.array_equal, one.texts, other.texts))


def test_at_the_edge() -> None:
    placed = _placed(0, PlacementRule(300, 6, 2, edge=1.0))
    for statement, hosts in zip(placed.statements, placed.hosts, strict=True):
        inner = placed.texts[hosts[0]][1:-1]
        third = len(inner) // 3
        assert _holds(inner[:third], statement) or _holds(inner[-third:], statement)


def test_more_than_a_text_holds() -> None:
    with pytest.raises(InputError, match="expected fewer than the text's 40: make"):
        _placed(0, PlacementRule(40, 6, 4))
    with pytest.raises(InputError, match="5 texts, expected at least a family's 6"):
        _placed(0, PlacementRule(300, 5, 2))


@pytest.mark.parametrize("text", ["the and with the", "the and with " * 30])
def test_a_corpus_to_make_no_statements_of(text: str) -> None:
    plain = tokenise([Record(text) for _ in range(5)], TOKENIZER, max_tokens=64)
    with pytest.raises(InputError, match="expected passages of 8 words of which 2 are rare"):
        Writer(plain, words_of(plain), MARKS, 0).place(PlacementRule(300, 6, 2))
    nothing = tokenise([], TOKENIZER)
    with pytest.raises(InputError, match="a corpus without a word"):
        Writer(nothing, WORDS, MARKS, 0)
