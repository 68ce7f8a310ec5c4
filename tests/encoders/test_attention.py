"""Every attention back end against the definition, written out sequence by sequence."""

import itertools
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from retrieval.encoders.model.attention import (
    BACK_ENDS,
    Call,
    Layout,
    attention,
    back_ends,
    choose,
    forced,
    obstacles,
    plain,
)
from retrieval.encoders.model.attention.back_ends import FORCED, BackEnd
from retrieval.encoders.model.attention.plain import BLOCK, SHORT
from retrieval.errors import InputError

HEADS, DIM = 2, 8
LENGTHS = {
    "one": [1],
    "ones": [1, 1, 1],
    "mixed": [7, 7, 64, 65, 66, 130, 3],
    "runs": [300, 300, 20, 20, 20],
    "around a block": [SHORT + 1, BLOCK * 5, BLOCK * 5 + 1, BLOCK * 6 - 1],
    "long": [777],
}


def reference_attention(q, k, v, layout, window, dim=DIM):
    out = torch.zeros_like(q)
    visible = layout.key_lengths or layout.lengths
    spans = itertools.pairwise([0, *itertools.accumulate(layout.lengths)])
    for (start, stop), keys in zip(spans, visible, strict=True):
        at = torch.arange(stop - start)
        seen = (at < keys)[None, :].expand(len(at), -1)
        if window is not None:
            seen = seen & ((at[:, None] - at).abs() <= window)
        scores = torch.einsum("qhd,khd->hqk", q[start:stop], k[start:stop]) / dim**0.5
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
def test_each_way_of_the_plain_back_end_is_reached(path, monkeypatch):
    called = []
    original = getattr(plain, path)
    monkeypatch.setattr(plain, path, lambda *args: called.append(path) or original(*args))
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


DEVICES = [
    pytest.param("cpu", torch.float32, id="cpu"),
    pytest.param("cuda", torch.bfloat16, id="cuda", marks=pytest.mark.gpu),
]


@pytest.mark.parametrize("window", [None, 5, 64])
@pytest.mark.parametrize(("device", "dtype"), DEVICES)
@pytest.mark.parametrize("name", BACK_ENDS)
def test_every_back_end_matches_the_definition(name, device, dtype, window):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    generator = torch.Generator().manual_seed(0)
    lengths = [1, 7, 64, 65, 300, 777]
    qkv = torch.randn(3, sum(lengths), HEADS, 64, generator=generator).to(dtype)
    layout = Layout.of(lengths, device)
    on_device = qkv.to(device).unbind(0)
    obstacle = BACK_ENDS[name].obstacle(Call.of(*on_device, layout))
    if obstacle is not None:
        pytest.skip(f"{name}: {obstacle}")
    with forced(name):
        made = attention(*on_device, layout, window)
    expected = reference_attention(*qkv.float().unbind(0), Layout.of(lengths), window, 64)
    tolerance = 2e-6 if dtype == torch.float32 else 0.03
    torch.testing.assert_close(made.float().cpu(), expected, atol=tolerance, rtol=0)


def marked(name, obstacle=None):
    return BackEnd(lambda q, *_: name, lambda call: obstacle)


@pytest.fixture
def table(monkeypatch):
    table = {"absent": marked("absent", "not installed"), "a": marked("a"), "b": marked("b")}
    monkeypatch.setattr("retrieval.encoders.model.attention.back_ends.BACK_ENDS", table)
    monkeypatch.delenv(FORCED, raising=False)
    return table


ARGUMENTS = (*random_qkv(4), Layout.of([4]), None)


def test_the_first_back_end_that_can_is_used_and_one_can_be_forced(table, monkeypatch):
    assert attention(*ARGUMENTS) == "a"
    with forced("b"):
        assert attention(*ARGUMENTS) == "b"
        with forced("a"):
            assert attention(*ARGUMENTS) == "a"
        assert attention(*ARGUMENTS) == "b"
    assert attention(*ARGUMENTS) == "a"
    monkeypatch.setenv(FORCED, "b")
    assert attention(*ARGUMENTS) == "b"
    with forced("a"):
        assert attention(*ARGUMENTS) == "a"


def test_a_forced_back_end_that_cannot_is_refused(table, monkeypatch):
    monkeypatch.setenv(FORCED, "absent")
    with pytest.raises(InputError, match=r"ATTENTION=absent cannot .* torch\.fl.*not installed"):
        attention(*ARGUMENTS)
    monkeypatch.setenv(FORCED, "c")
    with pytest.raises(InputError, match="RETRIEVAL_ATTENTION=c is unknown; choose from absent, a"):
        attention(*ARGUMENTS)
    with forced("absent"), pytest.raises(InputError, match="forced to absent cannot be used"):
        attention(*ARGUMENTS)


def test_a_back_end_is_forced_for_its_own_thread_alone(table):
    with forced("b"), ThreadPoolExecutor(1) as other:
        assert other.submit(attention, *ARGUMENTS).result() == "a"


def test_every_back_end_says_why_not():
    on_cpu = Call(torch.device("cpu"), torch.float32)
    found = obstacles(on_cpu)
    assert list(found) == list(BACK_ENDS)
    assert found.pop("plain") is None
    assert all(found.values())
    assert choose(on_cpu) == "plain"


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ({"dtype": torch.float32}, "takes float16 and bfloat16, not float32"),
        ({"capability": (7, 5)}, "needs an Ampere GPU"),
        ({"hidden_keys": True}, "every token must be attended to"),
        ({"head_dim": 260}, "heads of 260 dimensions"),
        ({"head_dim": 20}, "heads of 20 dimensions"),
        ({"gradient": True}, None),
        ({}, None),
    ],
)
def test_what_torch_s_own_kernel_cannot_take(monkeypatch, call, expected):
    capability = call.pop("capability", (9, 0))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    call = Call(torch.device("cuda"), **{"dtype": torch.bfloat16} | call)
    found = BACK_ENDS["varlen"].obstacle(call)
    assert found == expected if expected is None else found.startswith(expected)


def test_an_older_torch_s_kernel_without_windows_is_not_used(monkeypatch):
    def older(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, is_causal=False): ...

    back_ends._varlen_missing.cache_clear()
    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", older)
    found = BACK_ENDS["varlen"].obstacle(Call(torch.device("cuda"), torch.bfloat16))
    back_ends._varlen_missing.cache_clear()
    assert found.endswith("knows no window")


def test_a_flash_attn_that_does_not_fit_is_not_used(tmp_path, monkeypatch):
    (tmp_path / "flash_attn.py").write_text("raise ImportError('undefined symbol: _ZN3c10')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "flash_attn", raising=False)
    back_ends._flash_attn_missing.cache_clear()
    found = BACK_ENDS["flash_attn"].obstacle(Call(torch.device("cuda"), torch.bfloat16))
    back_ends._flash_attn_missing.cache_clear()
    assert found == "cannot be imported (undefined symbol: _ZN3c10)"


def test_gradients_are_seen():
    q, k, v = random_qkv(4)
    assert not Call.of(q, k, v, Layout.of([4])).gradient
    assert Call.of(q, k.requires_grad_(), v, Layout.of([4])).gradient
    with torch.no_grad():
        assert not Call.of(q, k, v, Layout.of([4])).gradient
