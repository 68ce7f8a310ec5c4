"""Texts with labels, and words with tags, as files hold them."""

from __future__ import annotations

from pathlib import Path

import pytest

from retrieval.errors import InputError
from retrieval.train.label_data import Labelled, read_labelled


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("d.csv", "words,kind\na,b\n", "has words, kind; expected a text and a label"),
        ("d.csv", "", "no text with a label"),
        ("d.jsonl", "[1]\n", "not a JSON object"),
        ("d.jsonl", '{"text": "a", "label": 1.5}\n', "label is 1.5; expected a text"),
        ("d.jsonl", '{"tokens": ["a"], "tags": []}\n', "1 tokens and 0 tags; expected as many"),
        ("d.jsonl", '{"tokens": ["a"], "tags": ["X"]}\n', "tag 'X'; expected O, or B- or I-"),
        ("d.jsonl", '{"text": "a", "entities": [{"start": 0}]}\n', "expected start, end and label"),
        (
            "d.jsonl",
            '{"text": "a", "entities": [{"start": 0, "end": 9, "label": "x"}]}\n',
            "entity from 0 to 9 of a text of 1 characters",
        ),
        (
            "d.jsonl",
            '{"text": "a", "label": "b"}\n{"tokens": ["a"], "tags": ["O"]}\n',
            "has entities, and lines before it labels",
        ),
    ],
)
def test_data_that_cannot_be_used_are_said_with_their_line(
    name: str, content: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError) as refused:
        read_labelled(tmp_path / name)
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_tokens_with_tags_are_words() -> None:
    data = Labelled("d", ("a b",), words=(((0, 1), (2, 3)),), tags=(("B-x", "O"),))
    assert data.by_token and data.names == ("O", "B-x", "I-x")


def test_a_file_may_be_named_by_text(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("text,label\na dog,animal\n")
    assert read_labelled(str(tmp_path / "d.csv")) == read_labelled(tmp_path / "d.csv")
