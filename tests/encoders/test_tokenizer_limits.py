"""Tokenizers of strangers: refused in one line where they ask for too much."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from retrieval.encoders.tokenization import encode, encode_batch, load_tokenizer
from retrieval.errors import CheckpointError, EncoderError

GPT_2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
CL100K = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def written(folder: Path, **parts: Any) -> Path:
    contents = {
        "version": "1.0",
        "added_tokens": [],
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {"[UNK]": 0, "a": 1},
        },
        **parts,
    }
    (folder / "tokenizer.json").write_text(json.dumps(contents))
    return folder / "tokenizer.json"


def split(pattern: str) -> dict[str, Any]:
    regex = {"Regex": pattern}
    return {"type": "Split", "pattern": regex, "behavior": "Isolated", "invert": False}


def replace(pattern: str, content: str, kind: str = "String") -> dict[str, Any]:
    return {"type": "Replace", "pattern": {kind: pattern}, "content": content}


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(?:a*)*b", "(a|a)*$", r"(\p{L}+\s?)+x", "((a{2,})b?)+", "(?=(a+)+b)a"]
)
def test_a_regular_expression_that_may_take_for_ever_is_refused(
    tmp_path: Path, pattern: str
) -> None:
    whole = {"type": "Sequence", "pretokenizers": [split(pattern)]}
    for parts in ({"pre_tokenizer": whole}, {"normalizer": replace(pattern, "x", "Regex")}):
        with pytest.raises(CheckpointError, match=r"regular expression .* may take for ever"):
            load_tokenizer(written(tmp_path, **parts))


@pytest.mark.parametrize("pattern", [GPT_2, CL100K, r" {2,}", r"\d{1,3}(?=(?:\d{3})*\b)"])
def test_what_tokenizers_are_made_of_is_taken(tmp_path: Path, pattern: str) -> None:
    tokenizer = load_tokenizer(written(tmp_path, pre_tokenizer=split(pattern)))
    assert encode(tokenizer, "a").ids == [1]


def test_rules_that_multiply_a_text_are_refused(tmp_path: Path) -> None:
    rules = {"type": "Sequence", "normalizers": [replace("a", "a" * 50)] * 3}
    with pytest.raises(CheckpointError, match="may lengthen a text 125,000 times"):
        load_tokenizer(written(tmp_path, normalizer=rules))
    usual = {"type": "Sequence", "normalizers": [replace("``", '"'), replace(" ", "\u2581")]}
    assert load_tokenizer(written(tmp_path, normalizer=usual))


def test_a_panic_of_the_library_is_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    slow = split("a*" * 12 + "b")  # ends, but not within the library's own limit
    tokenizer = load_tokenizer(written(tmp_path, pre_tokenizer=slow))
    for call in (
        lambda: encode(tokenizer, "a" * 60 + " b"),
        lambda: encode_batch(tokenizer, ["a" * 60 + " b"]),
    ):
        with pytest.raises(EncoderError, match="the tokenizer cannot read a text") as caught:
            call()
        assert "\n" not in str(caught.value)
    capfd.readouterr()


def bpe(vocab: dict[str, int], merges: list[Any], prefix: str | None = None) -> dict[str, Any]:
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": prefix,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "vocab": vocab,
        "merges": merges,
    }


WHOLE = {"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4}


@pytest.mark.parametrize("merges", [[["a", "b"], ["ab", "c"]], ["a b", "ab c"]])
@pytest.mark.parametrize("lost", ["abc", "ab", "a", "c"])
def test_merges_of_what_is_no_token_are_refused_before_the_library_panics(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], lost: str, merges: list[Any]
) -> None:
    assert encode(load_tokenizer(written(tmp_path, model=bpe(WHOLE, merges))), "abc").ids
    vocab = {token: id for token, id in WHOLE.items() if token != lost}
    with pytest.raises(CheckpointError, match=f"'{lost}' is not in its vocabulary"):
        load_tokenizer(written(tmp_path, model=bpe(vocab, merges)))
    with pytest.raises(CheckpointError, match="does not go on a word"):
        load_tokenizer(written(tmp_path, model=bpe(WHOLE, merges, prefix="##")))
    going_on = {"a": 0, "##b": 1, "ab": 2}
    whole = load_tokenizer(written(tmp_path, model=bpe(going_on, [["a", "##b"]], prefix="##")))
    assert encode(whole, "ab").ids == [2]
    assert capfd.readouterr().err == ""


def test_a_text_that_needs_a_token_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    model = {"type": "WordPiece", "unk_token": "[UNK]", "vocab": {"a": 0}}
    model |= {"continuing_subword_prefix": "##", "max_input_chars_per_word": 100}
    tokenizer = load_tokenizer(written(tmp_path, model=model))
    assert encode(tokenizer, "a").ids == [0]
    for call in (lambda: encode(tokenizer, "b"), lambda: encode_batch(tokenizer, ["b"])):
        with pytest.raises(EncoderError, match=r"cannot read a text \(.*\[UNK\]"):
            call()


@pytest.mark.parametrize("text", ["[" * 200_000, '{"Regex":' * 200_000])
def test_brackets_without_end_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(CheckpointError, match="not a tokenizer"):
        load_tokenizer(tmp_path / "tokenizer.json")
