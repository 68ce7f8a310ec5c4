"""Tags of words and the entities that they stand for, and which tags go together."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.encoders.tag_sequence import likeliest_tags
from retrieval.encoders.words import Entity, entities_of, tags_of, word_spans


@pytest.mark.parametrize(
    ("tags", "entities"),
    [
        ("O B-X I-X O", [(1, 3, "X")]),
        ("I-X I-X", [(0, 2, "X")]),  # an I- without a beginning begins one
        ("B-X B-X", [(0, 1, "X"), (1, 2, "X")]),
        ("B-X I-Y", [(0, 1, "X"), (1, 2, "Y")]),  # another label begins another
        ("B-X O I-X", [(0, 1, "X"), (2, 3, "X")]),
        ("O O", []),
        ("", []),
    ],
)
def test_tags_are_entities_as_seqeval_reads_them(
    tags: str, entities: list[tuple[int, int, str]]
) -> None:
    words = tags.split()
    spans = [(at, at + 1) for at in range(len(words))]
    assert entities_of(spans, words) == [Entity(*one) for one in entities]


def test_tags_of_entities_and_back() -> None:
    text = "Zebra finches, and hens."
    words = word_spans(text)
    entities = [Entity(0, 13, "bird"), Entity(19, 23, "bird")]
    tags = tags_of(words, entities)
    assert tags == ["B-bird", "I-bird", "O", "O", "B-bird", "O"]
    assert entities_of(words, tags) == entities
    assert tags_of(words, [Entity(0, 8, "a"), Entity(6, 13, "b")])[:2] == ["B-a", "I-a"]


def test_tags_are_chosen_together() -> None:
    labels = ("O", "B-a", "I-a", "B-b", "I-b", "I-c")
    logits = np.zeros((3, 6), np.float32)
    logits[0, [0, 1]], logits[1, 2], logits[2, [0, 4]] = (1.0, 0.9), 2.0, (0.5, 0.6)
    assert likeliest_tags(logits, labels) == ["B-a", "I-a", "O"]  # alone: O, I-a, I-b
    logits[1] = [0, 0, 0, 0, 0, 3]
    assert likeliest_tags(logits, labels)[:2] == ["O", "I-c"]  # nothing begins a c
    assert likeliest_tags(logits[:0], labels) == []
    assert likeliest_tags(np.eye(2, dtype=np.float32), ("NOUN", "VERB")) == ["NOUN", "VERB"]
