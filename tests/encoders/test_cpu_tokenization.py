"""Long texts in pieces give what they give in one go."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.encoders import sides, tokenization
from retrieval.encoders.tokenization import leading, load_tokenizer, pieces, token_spans
from retrieval.errors import CheckpointError

from .random_models import TEXTS, WORDS, byte_bpe, wordpiece

TOKENIZERS = {"wordpiece": wordpiece().backend_tokenizer, "bpe": byte_bpe().backend_tokenizer}
PARTS = st.sampled_from([*WORDS, " ", "  ", "\n\n", " \t", ".", ",", "É", "漢字", "x" * 30])
LONG = st.lists(PARTS, max_size=120).map("".join)


@pytest.fixture(params=TOKENIZERS, name="tokenizer")
def _tokenizer(request):
    return TOKENIZERS[request.param]


@given(LONG, st.integers(1, 50))
def test_pieces_join_to_the_text(text, size):
    cut = list(pieces(text, size))
    assert "".join(piece for _, piece in cut) == text
    assert [start for start, _ in cut] == np.cumsum([0, *(len(p) for _, p in cut)])[:-1].tolist()
    assert all(len(piece) <= 2 * size for _, piece in cut)


@pytest.mark.parametrize("kind", TOKENIZERS)
@given(text=st.lists(PARTS.filter(lambda part: part != "x" * 30), max_size=120).map(" ".join))
def test_spans_in_pieces_are_the_spans_in_one_go(kind, text):
    tokenizer = TOKENIZERS[kind]
    whole = tokenizer.encode(text, add_special_tokens=False).offsets
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenization, "PIECE", 40)
        assert token_spans(tokenizer, text).tolist() == [list(span) for span in whole]


def test_spans_lie_in_the_text(tokenizer):
    for text in TEXTS:
        spans = token_spans(tokenizer, text)
        assert spans.shape[1:] == (2,) and spans.dtype == np.int64
        assert ((spans >= 0) & (spans <= len(text))).all()
        assert (spans[:, 0] <= spans[:, 1]).all() and (np.diff(spans[:, 0]) >= 0).all()
    assert token_spans(tokenizer, "").shape == (0, 2)


def test_spans_are_the_words():
    spans = token_spans(TOKENIZERS["wordpiece"], "the fox, \N{GRINNING FACE} dog")
    assert ["the fox, \N{GRINNING FACE} dog"[a:b] for a, b in spans] == [
        "the", "fox", ",", "\N{GRINNING FACE}", "dog",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", TOKENIZERS)
@given(text=LONG, count=st.integers(1, 30))
def test_a_beginning_keeps_the_first_tokens(kind, text, count):
    tokenizer = TOKENIZERS[kind]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenization, "_GENEROUS", 1)
        beginning = leading(tokenizer, text, count)
    assert text.startswith(beginning)
    expected = tokenizer.encode(text, add_special_tokens=False).ids[:count]
    assert tokenizer.encode(beginning, add_special_tokens=False).ids[:count] == expected


def test_a_beginning_is_short(tokenizer):
    assert len(leading(tokenizer, "the quick brown fox " * 50_000, 100)) < 5_000
    # No place to cut for long, then one: found without reading the rest.
    stubborn = "a" * 20_000 + " dog" * 500_000
    assert len(leading(tokenizer, stubborn, 10)) < 200_000


def test_a_side_reads_no_more_of_a_text_than_it_keeps(tokenizer, monkeypatch):
    given = []

    def encode_batch(tokenizer, texts):
        given.extend(texts)
        return tokenization.encode_batch(tokenizer, texts)

    monkeypatch.setattr(sides, "encode_batch", encode_batch)
    reader = sides.SideReader(tokenizer, sides.Side(32, prompt="the "))
    given.clear()
    long = "the quick brown fox " * 20_000
    whole = tokenization.encode_batch(tokenizer, ["the " + long[:1_000]])[0]
    (sequence,) = reader.read([long])
    inner = len(sequence.ids) - sum(map(len, tokenization.special_tokens(tokenizer)))
    before = len(tokenization.special_tokens(tokenizer)[0])
    assert sequence.ids[before : before + inner].tolist() == whole[:inner] and len(given[0]) < 5_000


def test_own_truncation_and_padding_are_off(tmp_path):
    tokenizer = wordpiece().backend_tokenizer
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=9)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    loaded = load_tokenizer(tmp_path / "tokenizer.json")
    assert len(loaded.encode("the fox jumps over a dog").ids) == 8


@pytest.mark.parametrize("contents", ["", "{}", "[1]", '{"model": 3}'])
def test_files_that_are_no_tokenizer(contents, tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text(contents)
    with pytest.raises(CheckpointError, match="not a tokenizer") as caught:
        load_tokenizer(path)
    assert "\n" not in str(caught.value)
