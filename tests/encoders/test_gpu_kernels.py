"""The encoder's Triton kernels against plain torch, on a GPU or in Triton's interpreter."""

import pytest
import torch
import torch.nn.functional as F

from retrieval.encoders.model import fused
from retrieval.encoders.model.attention import Layout, attention, forced
from retrieval.encoders.model.config import ModernBertConfig
from retrieval.encoders.model.modernbert import ModernBert, Rotary, rotate
from tests.encoders.random_models import randomise
from tests.encoders.test_attention import reference_attention
from tests.triton_here import DEVICE, ignore_conversions, needs_triton

pytestmark = [needs_triton, ignore_conversions]

DTYPES = [torch.float32, torch.float16]
if DEVICE.type == "cuda":
    DTYPES.append(torch.bfloat16)
TOLERANCE = {torch.float32: 5e-6, torch.float16: 4e-3, torch.bfloat16: 4e-2}
RAGGED = {
    "one": [1],
    "ones": [1, 1, 1],
    "around a block": [63, 64, 65, 127, 128, 129, 2],
    "longer than the window": [200, 3, 130],
}


def close(made, expected, dtype):
    assert made.dtype == dtype
    tolerance = TOLERANCE[dtype]
    torch.testing.assert_close(made.float().cpu(), expected.float(), atol=tolerance, rtol=tolerance)


def random(*shape, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("window", [None, 0, 5, 64])
@pytest.mark.parametrize("lengths", RAGGED.values(), ids=RAGGED)
def test_attention(lengths, window, dtype):
    q, k, v = random(3, sum(lengths), 2, 64, dtype=dtype).unbind(0)
    with forced("triton"):
        made = attention(*(x.to(DEVICE) for x in (q, k, v)), Layout.of(lengths, DEVICE), window)
    exact = (x.float() for x in (q, k, v))
    close(made, reference_attention(*exact, Layout.of(lengths), window, 64), dtype)


@pytest.mark.parametrize("dim", [16, 32, 128])
def test_attention_of_other_heads(dim):
    q, k, v = random(3, 150, 3, dim).unbind(0)
    with forced("triton"):
        made = attention(*(x.to(DEVICE) for x in (q, k, v)), Layout.of([70, 80], DEVICE), 10)
    close(made, reference_attention(q, k, v, Layout.of([70, 80]), 10, dim), torch.float32)


@pytest.mark.parametrize("window", [None, 2])
def test_hidden_keys_and_queries_that_see_none(window):
    lengths, keys = [5, 32, 70], [5, 4, 66]
    q, k, v = random(3, sum(lengths), 2, 64).unbind(0)
    on_device = Layout.of(lengths, DEVICE, key_lengths=keys)
    with forced("triton"):
        made = attention(*(x.to(DEVICE) for x in (q, k, v)), on_device, window)
    expected = reference_attention(q, k, v, Layout.of(lengths, key_lengths=keys), window, 64)
    close(made, expected, torch.float32)
    if window is not None:
        assert made[5 + 4 + 2 : 5 + 32].abs().max() == 0


def test_queries_keys_and_values_may_lie_between_each_other():
    qkv = random(90, 3, 2, 64)
    q, k, v = qkv.to(DEVICE).unbind(1)
    with forced("triton"):
        made = attention(q, k, v, Layout.of([40, 50], DEVICE), 8)
    expected = reference_attention(*qkv.unbind(1), Layout.of([40, 50]), 8, 64)
    close(made, expected, torch.float32)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tokens", [1, 7, 8, 9, 33])
def test_rotate(tokens, dtype):
    from retrieval.encoders.gpu.elementwise import rotate_

    qkv = random(tokens, 3, 3, 64, dtype=dtype)
    cos, sin = Rotary(160_000.0, 64)(torch.arange(tokens) * 300)
    q, k, v = qkv.unbind(1)
    expected = torch.stack([rotate(q, (cos, sin)), rotate(k, (cos, sin)), v], 1)
    made = qkv.clone().to(DEVICE)
    rotate_(made, cos.squeeze(1).to(DEVICE), sin.squeeze(1).to(DEVICE))
    close(made, expected, dtype)
    assert torch.equal(made[:, 2].cpu(), v)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("hidden", [1, 48, 384, 768])
@pytest.mark.parametrize("biased", [False, True])
def test_add_norm(hidden, biased, dtype):
    from retrieval.encoders.gpu.elementwise import add_norm

    x, y = random(2, 5, hidden, dtype=dtype).unbind(0)
    weight = random(hidden, seed=1).to(dtype)
    bias = random(hidden, seed=2).to(dtype) if biased else None
    given = (None if tensor is None else tensor.to(DEVICE) for tensor in (x, y, weight, bias))
    total, normed = add_norm(*given, 1e-5)
    assert torch.equal(total.cpu(), x + y)
    exact = None if bias is None else bias.float()
    close(normed, F.layer_norm((x + y).float(), (hidden,), weight.float(), exact), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("inner", [1, 48, 768, 1100])
def test_geglu(inner, dtype):
    from retrieval.encoders.gpu.elementwise import geglu

    x = 2 * random(3, 2 * inner, dtype=dtype)
    value, gate = x.chunk(2, dim=-1)
    close(geglu(x.to(DEVICE)), F.gelu(value.float()).to(dtype) * gate, dtype)


def test_nothing_in_nothing_out():
    from retrieval.encoders.gpu.elementwise import add_norm, geglu, rotate_

    empty = torch.empty(0, 8, device=DEVICE)
    assert geglu(empty).shape == (0, 4)
    assert [part.shape for part in add_norm(empty, empty, empty[:0], None, 1e-5)] == [(0, 8)] * 2
    angles = torch.empty(0, 32, device=DEVICE)
    rotate_(torch.empty(0, 3, 2, 64, device=DEVICE), angles, angles)


@pytest.fixture
def trunk():
    kinds = ("global", "local", "local", "global")
    config = ModernBertConfig(400, 128, 96, 4, 2, kinds, window=8, norm_bias=True)
    made = ModernBert(config).eval()
    randomise(made)
    return made


@pytest.mark.parametrize("back_end", ["plain", "triton"])
def test_a_fused_trunk_is_the_trunk(trunk, back_end, monkeypatch):
    lengths = [1, 30, 5, 70]
    ids = torch.randint(0, 400, (sum(lengths),), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = trunk(ids, Layout.of(lengths))
        monkeypatch.setenv(fused.ASKED, "1")
        trunk.to(DEVICE)
        with forced(back_end):
            made = trunk(ids.to(DEVICE), Layout.of(lengths, DEVICE)).cpu()
    assert not torch.equal(made, expected)  # by other kernels
    torch.testing.assert_close(made, expected, atol=2e-5, rtol=2e-5)


def test_where_a_trunk_is_not_fused(trunk, monkeypatch):
    with torch.inference_mode():
        assert "RETRIEVAL_FUSED=1" in fused.obstacle(DEVICE)
    monkeypatch.setenv(fused.ASKED, "1")
    assert fused.obstacle(DEVICE) == "they compute no gradient"
    with torch.inference_mode():
        assert fused.obstacle(DEVICE) is None
        assert "silu" in fused.obstacle(DEVICE, activation="silu")
        assert "24 dimensions" in fused.obstacle(DEVICE, head_dim=24)
        with torch.autocast(DEVICE.type, torch.bfloat16):
            assert "autocast" in fused.obstacle(DEVICE)
    q = random(4, 2, 64).to(DEVICE).requires_grad_()
    with forced("triton"), pytest.raises(Exception, match="computes no gradient"):
        attention(q, q, q, Layout.of([4], DEVICE), None)
