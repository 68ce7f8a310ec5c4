"""TorchEncoder: batches change nothing, memory that runs out is survived."""

import os
import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.encoders import load_encoder
from retrieval.encoders.checkpoints import open_folder, read_checkpoint
from retrieval.encoders.model.heads import DenseHead, PooledHead, TokenHead, UnitLength, pool
from retrieval.encoders.model.network import Checkpoint, Network
from retrieval.encoders.model.token_head_shape import TokenHeadShape
from retrieval.encoders.runtimes import torch as torch_runtime
from retrieval.encoders.runtimes.torch import TorchEncoder
from retrieval.encoders.sides import Expansion, Side
from retrieval.errors import CheckpointError, EncoderError, InputError
from retrieval.types import Encoder

from .random_models import TEXTS, randomise, save_trunk

TOLERANCE = 5e-6
SIDES = {
    "document": Side(300, prompt="the ", skipped=(9, 11)),
    "query": Side(60, marker=5, expansion=Expansion(4, 24)),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_trunk(tmp_path_factory.mktemp("trunk"))


def both_heads(folder, **changes) -> Checkpoint:
    """A checkpoint with a dense head and a token head."""
    read = read_checkpoint(open_folder(folder))
    dense, tokens = DenseHead(32, 12), TokenHead(32, TokenHeadShape(8, 16, near=4, reach=3))
    randomise(dense), randomise(tokens)
    network = Network(read.network.trunk, dense, tokens)
    parts = {"name": "tiny", "network": network, **SIDES, **changes}
    return Checkpoint(tokenizer=read.tokenizer, vocabulary=read.vocabulary, **parts)


@pytest.fixture(scope="module")
def encoder(folder):
    return TorchEncoder(both_heads(folder), device="cpu", budget=80)


@pytest.fixture(scope="module")
def alone(encoder):
    """Each text by itself: (dense [D], tokens [t, d]) of the document side."""
    made = [encoder.encode_documents([text]) for text in TEXTS]
    return [(one.dense[0], one.tokens) for one in made]


def test_it_is_an_encoder(encoder):
    assert isinstance(encoder, Encoder)
    assert (encoder.name, encoder.dense_dim, encoder.token_dim) == ("tiny", 12, 8)
    assert encoder.max_tokens == 299  # and one of the prompt
    assert encoder.device == torch.device("cpu")


def test_it_says_how_many_tokens_it_read(encoder):
    for texts in (TEXTS, TEXTS[::-1], [TEXTS[1]], []):  # in more batches than one, in one, in none
        made = encoder.encode_documents(texts)
        assert made.tokens_read.tolist() == [len(one.ids) for one in encoder._document.read(texts)]
    # Those without a token vector of their own are read, too.
    made = encoder.encode_documents(TEXTS)
    assert (made.tokens_read >= np.diff(made.offsets)).all()
    assert made.tokens_read.sum() > made.offsets[-1]


@settings(max_examples=25, deadline=None)
@given(texts=st.lists(st.integers(0, len(TEXTS) - 1), max_size=12), budget=st.integers(1, 200))
def test_batches_and_order_change_nothing(folder, alone, texts, budget):
    encoder = _shared(folder)
    encoder._budget = budget
    made = encoder.encode_documents([TEXTS[i] for i in texts])
    assert len(made) == len(texts)
    assert made.dense.shape == (len(texts), 12) and made.dense.dtype == np.float32
    for row, i in enumerate(texts):
        dense, tokens = alone[i]
        assert np.abs(made.dense[row] - dense).max() <= TOLERANCE
        own = made.tokens[made.offsets[row] : made.offsets[row + 1]]
        assert own.shape == tokens.shape
        assert np.abs(own - tokens).max() <= TOLERANCE


_encoders = {}


def _shared(folder) -> TorchEncoder:
    return _encoders.setdefault(folder, TorchEncoder(both_heads(folder), device="cpu"))


def test_vectors_have_unit_length(encoder):
    made = encoder.encode_documents(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(made.dense, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(made.tokens, axis=1), 1, atol=1e-6)


def test_the_two_sides_differ(encoder):
    queries, documents = encoder.encode_queries(TEXTS), encoder.encode_documents(TEXTS)
    assert np.abs(queries.dense - documents.dense).max() > 0.01
    assert np.diff(queries.offsets).min() == 24  # filled up by expansion


def test_skipped_tokens_have_no_vector_but_are_read(folder):
    whole = TorchEncoder(both_heads(folder, document=Side(300)), device="cpu")
    tokens = whole._document.read(TEXTS)
    skipped = tuple(int(token) for token in np.unique(tokens[0].ids)[3:6])
    some = TorchEncoder(both_heads(folder, document=Side(300, skipped=skipped)), device="cpu")
    expected, made = whole.encode_documents(TEXTS), some.encode_documents(TEXTS)
    ids = np.concatenate([text.ids for text in tokens])
    kept = ~np.isin(ids, skipped)
    assert 0 < kept.sum() < len(kept)
    assert np.abs(made.tokens - expected.tokens[kept]).max() <= TOLERANCE
    assert np.abs(made.dense - expected.dense).max() <= TOLERANCE


def test_nothing_in_nothing_out(encoder):
    made = encoder.encode_documents([])
    assert len(made) == 0
    assert made.dense.shape == (0, 12) and made.tokens.shape == (0, 8)
    assert made.offsets.tolist() == [0]


def test_long_texts_are_cut(encoder):
    long = "the quick brown fox " * 5000
    made = encoder.encode_documents([long, long[: 4 * 2000]])
    assert np.abs(made.dense[0] - made.dense[1]).max() <= TOLERANCE
    assert made.tokens_read.tolist() == [300, 300]
    ids = encoder._document.read([long])[0].ids
    assert len(ids) == 300 and ids[-1] == 3  # the last one is still [SEP]


class Small:
    """A network on a device whose memory holds `most` tokens."""

    def __init__(self, network, most):
        self.network, self.most, self.sizes = network, most, []

    def __call__(self, ids, layout, prompt_tokens):
        self.sizes.append(len(ids))
        if len(ids) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.network(ids, layout, prompt_tokens)


def test_memory_that_runs_out_halves_the_budget(folder, alone):
    encoder = TorchEncoder(both_heads(folder), device="cpu", budget=1000)
    small = Small(encoder._network, most=310)
    encoder._network = small
    made = encoder.encode_documents(TEXTS)
    assert np.abs(made.dense - np.stack([one for one, _ in alone])).max() <= TOLERANCE
    assert np.abs(made.tokens - np.concatenate([own for _, own in alone])).max() <= TOLERANCE
    assert small.sizes[0] > 310
    small.sizes.clear()
    encoder.encode_documents(TEXTS)
    assert max(small.sizes) <= 310  # what was learnt is kept


def test_memory_that_runs_out_later_loses_nothing_that_was_begun(folder):
    encoder = TorchEncoder(both_heads(folder), device="cpu", budget=100)
    sequences = list(encoder._read(encoder._document, [TEXTS[0], TEXTS[5], TEXTS[7]] * 9))
    expected = encoder._run(encoder._document, sequences)
    small = Small(encoder._network, most=100)

    def taken_by_others(*given):
        if len(small.sizes) == 2:
            small.most = 40
        return small(*given)

    encoder._network = taken_by_others
    made = encoder._run(encoder._document, sequences)
    assert sum(size > 40 for size in small.sizes) == 3  # two that were done, and one that was not
    assert np.abs(made.dense - expected.dense).max() <= TOLERANCE
    assert np.abs(made.tokens - expected.tokens).max() <= TOLERANCE


def test_texts_are_read_while_the_network_works(folder):
    encoder = TorchEncoder(both_heads(folder), device="cpu", budget=20)
    chunk = 20 * torch_runtime._BATCHES_READ * torch_runtime._CHARACTERS
    texts = ["the quick brown fox " * 4] * (4 * chunk // 80)
    expected = encoder.encode_documents(texts[:1])
    read, network, began = encoder._read, encoder._network, []
    second = threading.Event()

    def reading(reader, run):
        began.append(threading.current_thread())
        if len(began) == 2:
            second.set()
        return read(reader, run)

    def waiting(*given, **told):
        assert second.wait(30)  # the next texts are read before the first are encoded
        return network(*given, **told)

    encoder._read, encoder._network = reading, waiting
    made = encoder.encode_documents(texts)
    assert len(began) == 4 and threading.main_thread() not in began
    assert made.dense.shape == (len(texts), 12)
    assert np.abs(made.dense - expected.dense).max() <= TOLERANCE
    assert made.offsets.tolist() == (np.arange(len(texts) + 1) * len(expected.tokens)).tolist()


@pytest.mark.gpu
def test_nothing_in_the_loop_waits_for_the_gpu(folder):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    encoder = TorchEncoder(both_heads(folder), device="cuda", budget=300)
    sequences = list(encoder._read(encoder._document, TEXTS * 4))
    encoder._run(encoder._document, sequences)
    torch.cuda.set_sync_debug_mode("error")
    try:
        later = encoder._begin(encoder._document, sequences)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(later()) == len(sequences)


def test_a_text_that_never_fits(folder):
    encoder = TorchEncoder(both_heads(folder), device="cpu")
    encoder._network = Small(encoder._network, most=10)
    with pytest.raises(EncoderError, match=r"does not fit the memory of cpu.*shorter passages"):
        encoder.encode_documents(["the fox " * 20])


def test_precision(folder, encoder):
    half = TorchEncoder(both_heads(folder), device="cpu", dtype=torch.bfloat16)
    assert half.fingerprint == encoder.fingerprint
    made, exact = half.encode_documents(TEXTS), encoder.encode_documents(TEXTS)
    assert made.dense.dtype == np.float32
    assert 1e-5 < np.abs(made.dense - exact.dense).max() < 0.2


def test_fingerprint(folder, encoder):
    def of(**changes):
        return TorchEncoder(both_heads(folder, **changes), device="cpu").fingerprint

    assert of() == encoder.fingerprint == of(name="another name")
    sides = [
        Side(299, prompt="the ", skipped=(9, 11)),
        Side(300, prompt="a ", skipped=(9, 11)),
        Side(300, prompt="the "),
    ]
    assert len({of(), *(of(document=side) for side in sides)}) == 4
    other = both_heads(folder)
    with torch.no_grad():
        other.network.trunk.layers[2].mlp.Wo.weight[3, 4] += 1e-3
    assert TorchEncoder(other, device="cpu").fingerprint != of()


def test_token_spans(encoder):
    text = "  The fox,\njumps " * 3
    spans = encoder.token_spans(text)
    assert spans.dtype == np.int64 and spans.shape[1] == 2
    words = [text[start:end] for start, end in spans]
    assert words == ["The", "fox", ",", "jumps"] * 3
    assert encoder.token_spans("").shape == (0, 2)


def test_lone_surrogates_are_survived(encoder):
    assert np.isfinite(encoder.encode_documents(["fox \ud800 dog"]).dense).all()
    assert encoder.token_spans("fox \ud800")[0].tolist() == [0, 3]


def test_sides_that_cannot_be(folder):
    with pytest.raises(CheckpointError, match="cuts texts at 2 tokens"):
        TorchEncoder(both_heads(folder, query=Side(2)), device="cpu")


def test_devices(folder):
    with pytest.raises(InputError, match="'toaster' cannot be used here"):
        load_encoder(folder, device="toaster")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="'cuda' cannot be used here"):
            load_encoder(folder, device="cuda")


@pytest.mark.gpu
def test_on_a_gpu(folder, encoder):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    on_gpu = TorchEncoder(both_heads(folder), device="cuda", dtype=torch.float32)
    for side in ("encode_documents", "encode_queries"):
        made, exact = getattr(on_gpu, side)(TEXTS), getattr(encoder, side)(TEXTS)
        assert np.abs(made.dense - exact.dense).max() < 1e-3
        assert np.abs(made.tokens - exact.tokens).max() < 1e-3
    half = TorchEncoder(both_heads(folder), device="cuda")
    assert half.fingerprint == encoder.fingerprint
    assert np.abs(half.encode_queries(TEXTS).dense - exact.dense).max() < 0.2


def test_pooling_by_definition():
    hidden = torch.arange(12, dtype=torch.float32).reshape(6, 2)
    from retrieval.encoders.model.attention import Layout

    layout = Layout.of([4, 2])
    expected = {
        "cls": [[2, 3], [10, 11]],
        "lasttoken": [[6, 7], [10, 11]],
        "mean": [[4, 5], [10, 11]],
        "max": [[6, 7], [10, 11]],
        "mean_sqrt_len_tokens": [[12 / 3**0.5, 15 / 3**0.5], [10, 11]],
        "weightedmean": [[(2 * 2 + 3 * 4 + 4 * 6) / 9, (2 * 3 + 3 * 5 + 4 * 7) / 9], [10, 11]],
    }
    for way, vectors in expected.items():
        made = pool(hidden, layout, way, skip=1)
        torch.testing.assert_close(made, torch.tensor(vectors, dtype=torch.float32))
    head = PooledHead(("mean", "cls"), after=[UnitLength()])
    assert head(hidden, layout).shape == (2, 4)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_is_told_that_torch_has_no_threads_there(encoder, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    encoder.encode_documents(["a text"])
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            encoder.encode_documents(["a text", "another"])
        except EncoderError as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        said = told.read()
    os.waitpid(child, 0)
    assert f"process {child}, a fork of {os.getpid()}, where torch has no threads; begin" in said
