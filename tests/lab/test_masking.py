"""Masked language modelling: what is hidden, what is guessed, what it costs to be wrong."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from lab.pretraining.masking import Masked, Masking, masked_lm_loss, special_ids
from retrieval.encoders.model.attention import Layout
from retrieval.errors import CheckpointError, InputError

from . import pretraining_samples as samples

SPECIAL = [samples.PAD, samples.UNK, samples.CLS, samples.SEP]


def masking(**shares: float) -> Masking:
    return Masking(samples.MASK, SPECIAL, samples.VOCABULARY, **shares)


def hide(ids: list[int] | np.ndarray, seed: int = 0, **shares: float) -> Masked:
    return masking(**shares)(np.asarray(ids), np.random.default_rng(seed))


@given(
    st.lists(st.integers(0, samples.VOCABULARY - 1), min_size=1, max_size=200),
    st.integers(0, 2**32),
)
def test_what_is_hidden_can_be_put_back_and_is_never_special(ids: list[int], seed: int) -> None:
    masked = hide(ids, seed)
    restored = masked.ids.copy()
    restored[masked.positions] = masked.targets
    assert restored.tolist() == ids
    assert not set(masked.targets) & {*SPECIAL, samples.MASK}
    ordinary = sum(token > samples.MASK for token in ids)
    assert len(masked.positions) == min(max(round(0.3 * ordinary), 1), ordinary)
    assert (np.diff(masked.positions) > 0).all()
    changed = set(masked.ids[masked.ids != np.array(ids)])
    assert not changed & set(SPECIAL)


def test_four_fifths_are_masked_a_tenth_is_random_a_tenth_stays() -> None:
    ids = np.random.default_rng(1).integers(5, samples.VOCABULARY, 100_000)
    masked = hide(ids)
    read = masked.ids[masked.positions]
    assert len(read) == 30_000
    assert (read == samples.MASK).sum() == 24_000
    # One random token of the 55 is the one that stood there.
    stayed = int((read == masked.targets).sum())
    assert stayed == pytest.approx(3_000 + 3_000 / 55, abs=40)
    others = read[(read != samples.MASK) & (read != masked.targets)]
    assert set(others) == set(range(5, samples.VOCABULARY))
    # No place is more likely than another.
    assert masked.positions.mean() == pytest.approx(50_000, rel=0.02)


def test_a_draw_is_decided_by_its_generator() -> None:
    ids = np.arange(5, 60)
    first, again, other = hide(ids, 3), hide(ids, 3), hide(ids, 4)
    assert first.ids.tolist() == again.ids.tolist()
    assert first.positions.tolist() != other.positions.tolist()


def test_shares_that_cannot_be() -> None:
    for shares in ({"share": 0.0}, {"share": 1.5}, {"masked": 0.95}, {"random": -0.1}):
        with pytest.raises(InputError, match="shares between 0 and 1"):
            masking(**shares)
    with pytest.raises(InputError, match="all 2 tokens are special"):
        Masking(0, [1], 2)


def test_guesses_are_computed_where_something_is_hidden_and_nowhere_else() -> None:
    model = samples.model().eval()
    ids = torch.randint(5, 60, (30,), generator=torch.Generator().manual_seed(0))
    positions = torch.tensor([0, 7, 29])
    layout = Layout.of([10, 20])
    with torch.no_grad():
        some = model(ids, layout, positions)
        every = model.lm_head(model.trunk(ids, layout))
    assert some.shape == (3, samples.VOCABULARY)
    torch.testing.assert_close(some, every[positions])


def test_the_loss_is_the_summed_surprise() -> None:
    logits = torch.randn(6, 9, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([0, 8, 3, 3, 1, 5])
    surprise = -F.softmax(logits, -1)[torch.arange(6), targets].log().sum()
    torch.testing.assert_close(masked_lm_loss(logits, targets), surprise)
    parts = masked_lm_loss(logits[:2], targets[:2]) + masked_lm_loss(logits[2:], targets[2:])
    torch.testing.assert_close(parts, surprise)


@pytest.mark.parametrize("tied", [True, False])
def test_weights_are_named_as_in_transformers(tied: bool) -> None:
    from transformers import ModernBertConfig, ModernBertForMaskedLM

    model = samples.model(tied=tied)
    raw = model.trunk.config.to_dict() | {"tie_word_embeddings": tied}
    for token in ("bos", "cls", "eos", "sep"):
        raw[f"{token}_token_id"] = 2
    theirs = ModernBertForMaskedLM(ModernBertConfig(**raw))
    ours = model.named_weights()
    wanted = set(theirs.state_dict()) - ({"decoder.weight"} if tied else set())
    assert set(ours) == wanted
    table = model.trunk.embeddings.tok_embeddings.weight
    assert (model.lm_head.decoder.weight is table) == tied


def test_initialise_makes_a_model_that_knows_nothing() -> None:
    for tied in (True, False):
        model = samples.model(tied=tied)
        ids = torch.arange(5, 60)
        with torch.no_grad():
            loss = masked_lm_loss(model(ids, Layout.of([55]), torch.arange(55)), ids) / 55
        assert float(loss) == pytest.approx(np.log(samples.VOCABULARY), abs=0.1)
        again = samples.model(tied=tied).state_dict()
        assert all(torch.equal(x, again[name]) for name, x in model.state_dict().items())


def test_a_vocabulary_without_a_mask_is_refused() -> None:
    vocabulary = {"[CLS]": 2, "[SEP]": 3, "[PAD]": 0, "a": 5}
    with pytest.raises(CheckpointError, match=r"has no \[MASK\]"):
        special_ids(vocabulary)
    found = special_ids({**vocabulary, "[MASK]": 4})
    assert found == {"[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "[PAD]": 0}
