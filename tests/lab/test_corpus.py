"""Text becomes windows of tokens: nothing lost, nothing too long."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from lab.text.corpus import Record, batches, read_records, tokenise
from retrieval.errors import CheckpointError, DocumentError


def _tokenizer() -> Tokenizer:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(f"w{i}" for i in range(200))]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


def _words(count: int, start: int = 0) -> str:
    return " ".join(f"w{(start + i) % 200}" for i in range(count))


def test_windows_hold_every_token_once() -> None:
    corpus = tokenise([Record(_words(1000))], _tokenizer(), max_tokens=128)
    assert corpus.lengths.max() <= 128
    kept = [i for n in range(len(corpus)) for i in corpus[n][1:-1].tolist()]
    # A tail of fewer than four tokens is no text to learn from.
    assert kept == [4 + i % 200 for i in range(len(kept))]
    assert 997 <= len(kept) <= 1000
    assert all(corpus[n][0] == 2 and corpus[n][-1] == 3 for n in range(len(corpus)))


def test_pairs_join_a_query_to_its_text() -> None:
    record = Record(_words(300, 50), title="w7 w8", query="w1 w2")
    corpus = tokenise([record, Record(_words(5))], _tokenizer(), max_tokens=64)
    ((query, text),) = corpus.pairs.tolist()
    assert corpus[query].tolist() == [2, 5, 6, 3]
    # [CLS], the title w7 w8, then the text from w50 on; word wN has the id N + 4.
    assert corpus[text][:4].tolist() == [2, 11, 12, 54]
    assert len(corpus[text]) == 64


def test_an_epoch_of_batches_sees_every_text_once() -> None:
    records = [Record(_words(int(n))) for n in np.random.default_rng(0).integers(4, 200, 300)]
    corpus = tokenise(records, _tokenizer())
    seen: list[int] = []
    for batch in batches(corpus, 500, seed=1):
        assert corpus.lengths[batch].sum() <= 500 + 256
        seen += batch.tolist()
        if len(seen) >= len(corpus):
            break
    assert sorted(seen) == list(range(len(corpus)))


def test_records_are_read_from_plain_and_packed_files(tmp_path: Path) -> None:
    line = json.dumps({"text": "a b", "title": "t", "query": None}) + "\n"
    (tmp_path / "a.jsonl").write_text(line)
    with gzip.open(tmp_path / "b.jsonl.gz", "wt") as packed:
        packed.write(line)
    found = list(read_records([tmp_path / "a.jsonl", tmp_path / "b.jsonl.gz"]))
    assert found == [Record("a b", "t", "")] * 2


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n{"title": "no text"}\n')
    with pytest.raises(DocumentError, match=r"a\.jsonl:2"):
        list(read_records([tmp_path / "a.jsonl"]))


def test_a_tokenizer_without_special_tokens_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"\[CLS\]"):
        tokenise([Record("a")], Tokenizer(models.WordLevel({"a": 0}, unk_token="a")))
