"""Which characters each token vector stands for, whatever a side puts around a text."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.encoders.runtimes.cpu import CpuEncoder
from retrieval.encoders.sides import Expansion, Side, SideReader
from retrieval.types import VectorLocator

from .cpu_models import save
from .random_models import TEXTS, WORDS, byte_bpe, wordpiece

TOKENIZERS = {"wordpiece": wordpiece().backend_tokenizer, "bpe": byte_bpe().backend_tokenizer}
SIDES = {
    "plain": Side(64),
    "short": Side(9),
    "prompt": Side(64, prompt="search: "),
    "marker": Side(64, prompt="the ", marker=5),
    "expansion": Side(16, marker=6, expansion=Expansion(4, 16)),
    "strip": Side(64, prompt="  of ", strip=True),
    "skipped": Side(64, skipped=(*range(7, 10), 2)),
}
PARTS = st.sampled_from([*WORDS, " ", "  ", "\n", ".", ",", "É", "漢字", "\ud800"])


def kept(reader, text):
    """The ids of a text's kept tokens."""
    (sequence,) = reader.read([text])
    return sequence.ids[sequence.positions].tolist()


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kind", TOKENIZERS)
@given(text=st.lists(PARTS, max_size=40).map(" ".join) | st.sampled_from(TEXTS))
def test_a_row_for_each_vector_and_the_characters_of_its_token(kind, side, text):
    tokenizer = TOKENIZERS[kind]
    reader = SideReader(tokenizer, SIDES[side])
    spans = reader.spans(text)
    ids = kept(reader, text)
    assert spans.dtype == np.int64
    assert spans.shape == (len(ids), 2)
    assert ((spans >= 0) & (spans <= len(text))).all()
    known = [
        (token, text[start:end].lower())
        for token, (start, end) in zip(ids, spans.tolist(), strict=True)
        if start < end
    ]
    assert (np.diff([start for start, end in spans.tolist() if start < end]) >= 0).all()
    if kind == "wordpiece":
        for token, part in known:
            piece = tokenizer.id_to_token(token)
            expected = piece.removeprefix("##")
            assert piece == "[UNK]" or part == expected or not part.isascii()


def test_what_is_none_of_the_text_has_an_empty_span():
    reader = SideReader(TOKENIZERS["wordpiece"], SIDES["expansion"])
    text = "a dog"
    spans = reader.spans(text).tolist()
    assert spans[:5] == [[0, 0], [0, 0], [0, 1], [2, 5], [0, 0]]  # [CLS] marker a dog [SEP]
    assert spans[5:] == [[0, 0]] * 11
    prompted = SideReader(TOKENIZERS["wordpiece"], SIDES["marker"])
    assert [text[a:b] for a, b in prompted.spans(text).tolist()] == ["", "", "", "a", "dog", ""]
    stripped = SideReader(TOKENIZERS["wordpiece"], SIDES["strip"])
    text = "  a dog "
    assert [text[a:b] for a, b in stripped.spans(text).tolist()] == ["", "", "a", "dog", ""]


@pytest.mark.parametrize("side", ["query", "document"])
def test_an_encoder_has_a_span_for_each_of_its_vectors(tmp_path: Path, side) -> None:
    settings = {"max_tokens": 12, "query_max_tokens": 6, "query_prefix": "query ", "name": "m"}
    save(tmp_path / "m", settings=settings)
    encoder = CpuEncoder(tmp_path / "m")
    assert isinstance(encoder, VectorLocator)
    encode = encoder.encode_queries if side == "query" else encoder.encode_documents
    made = encode(TEXTS)
    for text, count in zip(TEXTS, np.diff(made.offsets), strict=True):
        assert len(encoder.vector_spans(text, side)) == count
