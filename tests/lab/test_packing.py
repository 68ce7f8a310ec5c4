"""Packs hold whole sequences, waste little, and go on where they stopped."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.pretraining.packing import Packer, PackerState, split_documents
from lab.text.tokens import Documents
from retrieval.encoders.model.attention import Layout
from retrieval.errors import InputError

from . import pretraining_samples as samples

ENDS = (samples.CLS, samples.SEP)


def documents(lengths: list[int]) -> Documents:
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    return Documents(np.arange(offsets[-1]).astype(np.int32) + 5, offsets)


def packer(
    lengths: list[int], max_tokens: int, budget: int, state: PackerState | None = None
) -> Packer:
    return Packer(documents(lengths), max_tokens, budget, ends=ENDS, seed=(0,), state=state)


LENGTHS = st.lists(st.integers(0, 40), min_size=1, max_size=30).filter(any)


@given(LENGTHS, st.integers(1, 20))
def test_documents_are_cut_evenly_and_lose_nothing(lengths: list[int], room: int) -> None:
    starts, sizes = split_documents(np.array(lengths), room)
    rows = [
        row for start, size in zip(starts, sizes, strict=True) for row in range(start, start + size)
    ]
    assert rows == list(range(sum(lengths)))
    assert sizes.min() >= 1 and sizes.max() <= room
    owner = np.repeat(np.arange(len(lengths)), lengths)[starts]
    for document, length in enumerate(lengths):
        own = sizes[owner == document]
        assert len(own) == -(-length // room)
        assert length == 0 or own.max() - own.min() <= 1


@settings(max_examples=50, deadline=None)
@given(LENGTHS, st.integers(3, 20), st.integers(0, 30), st.integers(1, 40))
def test_each_sequence_comes_once_an_epoch(
    lengths: list[int], max_tokens: int, more: int, count: int
) -> None:
    packs = packer(lengths, max_tokens, max_tokens + more)
    total = len(split_documents(np.array(lengths), max_tokens - 2)[0])
    seen: Counter[int] = Counter()
    for _ in range(count):
        plan = packs.plan()
        pack = packs.fetch(plan)
        assert 0 < len(pack.ids) <= max_tokens + more
        assert pack.fill == len(pack.ids) / (max_tokens + more)
        assert sum(pack.lengths) == len(pack.ids) and list(pack.lengths) == sorted(pack.lengths)
        seen.update(plan.tolist())
    state = packs.state
    seen.update(state.waiting)
    assert sum(seen.values()) == state.epoch * total + state.taken
    assert {seen[i] for i in range(total)} <= {state.epoch, state.epoch + 1}


def test_a_pack_is_whole_sequences_between_their_ends() -> None:
    packs = packer([7, 30, 3, 12], 12, 24)
    for _ in range(20):
        pack = packs.fetch(packs.plan())
        for part in np.split(pack.ids, np.cumsum(pack.lengths)[:-1]):
            assert part[0] == samples.CLS and part[-1] == samples.SEP
            assert (np.diff(part[1:-1]) == 1).all() and part[1:-1].min() >= 5


def test_little_of_a_pack_stays_empty() -> None:
    rng = np.random.default_rng(0)
    lengths = np.minimum(rng.lognormal(5.3, 1.0, 3000), 5000).astype(int).tolist()
    for max_tokens, budget in ((1024, 4096), (8192, 8192)):
        packs = packer(lengths, max_tokens, budget)
        fills = [packs.fetch(packs.plan()).fill for _ in range(60)]
        assert np.mean(fills) > 0.99
        assert min(fills) > 0.9


def test_nothing_waits_for_ever() -> None:
    packs = packer([30] + [3] * 400, 32, 32)
    first = [packs.plan().tolist() for _ in range(60)]
    assert any(0 in plan for plan in first)


@pytest.mark.parametrize("stop", [0, 1, 7, 25])
def test_a_packer_goes_on_where_another_stopped(stop: int) -> None:
    lengths = np.random.default_rng(1).integers(1, 90, 60).tolist()
    whole = packer(lengths, 50, 128)
    expected = [whole.plan().tolist() for _ in range(40)]
    before = packer(lengths, 50, 128)
    found = [before.plan().tolist() for _ in range(stop)]
    after = packer(lengths, 50, 128, before.state)
    found += [after.plan().tolist() for _ in range(40 - stop)]
    assert found == expected
    assert after.state == whole.state


def test_the_order_is_decided_by_the_seed_and_the_epoch() -> None:
    lengths = [5] * 20
    orders = [
        Packer(documents(lengths), 7, 7 * 20, ends=ENDS, seed=seed).plan().tolist()
        for seed in ((0, 0), (0, 0), (0, 1))
    ]
    assert orders[0] == orders[1] != orders[2]
    packs = packer(lengths, 7, 7 * 20)
    assert packs.plan().tolist() != packs.plan().tolist()


def test_texts_of_a_pack_do_not_see_each_other() -> None:
    model = samples.model().eval()
    packs = Packer(samples.documents(), 60, 200, ends=ENDS, seed=(0,))
    pack = packs.fetch(packs.plan())
    assert len(pack.lengths) > 2
    ids = torch.from_numpy(pack.ids)
    with torch.no_grad():
        together = model.trunk(ids, Layout.of(pack.lengths))
        alone = [model.trunk(part, Layout.of([len(part)])) for part in ids.split(pack.lengths)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-4)


def test_what_cannot_be_packed() -> None:
    with pytest.raises(InputError, match="packs that hold the longest"):
        packer([5], 32, 16)
    with pytest.raises(InputError, match="every text is empty"):
        packer([0, 0], 8, 16)
