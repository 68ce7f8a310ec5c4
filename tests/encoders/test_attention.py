"""Every attention back end against the definition, written out sequence by sequence."""

import importlib.util
import itertools

import pytest
import torch

from retrieval.encoders.model import attention as module
from retrieval.encoders.model.attention import BLOCK, SHORT, Layout, attention, plain_attention

HEADS, DIM = 2, 8
LENGTHS = {
    "one": [1],
    "ones": [1, 1, 1],
    "mixed": [7, 7, 64, 65, 66, 130, 3],
    "runs": [300, 300, 20, 20, 20],
    "around a block": [SHORT + 1, BLOCK * 5, BLOCK * 5 + 1, BLOCK * 6 - 1],
    "long": [777],
}


def reference_attention(q, k, v, layout, window):
    out = torch.zeros_like(q)
    visible = layout.key_lengths or layout.lengths
    spans = itertools.pairwise([0, *itertools.accumulate(layout.lengths)])
    for (start, stop), keys in zip(spans, visible, strict=True):
        at = torch.arange(stop - start)
        seen = (at < keys)[None, :].expand(len(at), -1)
        if window is not None:
            seen = seen & ((at[:, None] - at).abs() <= window)
        scores = torch.einsum("qhd,khd->hqk", q[start:stop], k[start:stop]) / DIM**0.5
        weights = scores.masked_fill(~seen, -torch.inf).softmax(-1).nan_to_num(0.0)
        out[start:stop] = torch.einsum("hqk,khd->qhd", weights, v[start:stop])
    return out


def random_qkv(total, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, total, HEADS, DIM, generator=generator).unbind(0)


@pytest.mark.parametrize("window", [None, 0, 1, 5, 64, 100])
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_cpu_back_ends_match_the_definition(lengths, window):
    layout = Layout.of(lengths)
    q, k, v = random_qkv(layout.total)
    expected = reference_attention(q, k, v, layout, window)
    torch.testing.assert_close(attention(q, k, v, layout, window), expected, atol=2e-6, rtol=0)
    half = [x.bfloat16() for x in (q, k, v)]
    exact = reference_attention(*(x.float() for x in half), layout, window)
    rough = attention(*half, layout, window)
    assert rough.dtype == torch.bfloat16
    torch.testing.assert_close(rough.float(), exact, atol=0.04, rtol=0)


@pytest.mark.parametrize("path", ["_dense", "_blocked", "_by_matmul"])
def test_each_cpu_back_end_is_reached(path, monkeypatch):
    called = []
    original = getattr(module, path)
    monkeypatch.setattr(module, path, lambda *args: called.append(path) or original(*args))
    layout = Layout.of([SHORT + 50, 100])
    q, k, v = random_qkv(layout.total)
    dtype = torch.bfloat16 if path == "_by_matmul" else torch.float32
    attention(q.to(dtype), k.to(dtype), v.to(dtype), layout, 64)
    assert called


@pytest.mark.parametrize("window", [None, 2, 64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_hidden_keys_are_attended_to_by_nobody(window, dtype):
    layout = Layout.of([5, 32, 32, 300], key_lengths=[5, 4, 32, 90])
    q, k, v = (x.to(dtype) for x in random_qkv(layout.total))
    out = attention(q, k, v, layout, window).float()
    expected = reference_attention(q.float(), k.float(), v.float(), layout, window)
    torch.testing.assert_close(out, expected, atol=2e-6 if dtype == torch.float32 else 0.03, rtol=0)
    if window == 2:
        far = slice(5 + 4 + 2, 5 + 32)  # more than the window away from every visible key
        assert out[far].abs().max() == 0


def test_neighbours_change_nothing():
    q, k, v = random_qkv(500)
    alone = attention(q[:300], k[:300], v[:300], Layout.of([300]), 64)
    beside = attention(q, k, v, Layout.of([300, 200]), 64)[:300]
    torch.testing.assert_close(alone, beside, atol=1e-6, rtol=0)


def test_layout():
    layout = Layout.of([3, 1, 1, 2])
    assert layout.cu_seqlens.tolist() == [0, 3, 4, 5, 7]
    assert layout.cu_seqlens.dtype == torch.int32
    assert layout.positions.tolist() == [0, 1, 2, 0, 0, 0, 1]
    assert (layout.total, layout.max_seqlen) == (7, 3)
    assert layout.runs == ((0, 3, 1, 0), (3, 1, 2, 1), (5, 2, 1, 3))
    assert Layout.of([2, 3], key_lengths=[2, 3]).key_lengths is None
    with pytest.raises(ValueError, match="at least one"):
        Layout.of([2, 0])


@pytest.mark.gpu
@pytest.mark.parametrize("window", [None, 5, 64])
@pytest.mark.parametrize("back_end", ["_varlen", "_flash_attn"])
def test_cuda_back_ends_match_the_definition(back_end, window):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    if back_end == "_flash_attn" and importlib.util.find_spec("flash_attn") is None:
        pytest.skip("flash-attn is not installed")
    lengths = [1, 7, 64, 65, 300, 777]
    generator = torch.Generator().manual_seed(0)
    qkv = torch.randn(3, sum(lengths), HEADS, 64, generator=generator).bfloat16()
    layout, on_device = Layout.of(lengths), Layout.of(lengths, "cuda")
    expected = plain_attention(*qkv.float().unbind(0), layout, window)
    made = getattr(module, back_end)(*qkv.cuda().unbind(0), on_device, window)
    torch.testing.assert_close(made.float().cpu(), expected, atol=0.03, rtol=0)
    plain = plain_attention(*qkv.cuda().unbind(0), on_device, window)
    torch.testing.assert_close(plain.float().cpu(), expected, atol=0.03, rtol=0)
