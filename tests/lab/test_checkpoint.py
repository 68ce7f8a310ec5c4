"""Checkpoints: safe, whole, of this run; and folders that others read."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch

from lab.pretraining.masked_lm import write_masked_lm
from lab.pretraining.masking import MaskedLM
from lab.pretraining.phases import enter_phase
from lab.running.checkpoint import load_state, save_state
from retrieval.encoders import load_encoder
from retrieval.encoders.checkpoints.folder import Folder
from retrieval.encoders.checkpoints.transformers import read_masked_lm
from retrieval.encoders.model.attention import Layout
from retrieval.errors import CheckpointError

from . import pretraining_samples as samples

SETTINGS = {"phases": [{"tokens": 5}], "seed": 0}


def test_a_state_comes_back(tmp_path: Path) -> None:
    assert load_state(tmp_path, SETTINGS) is None
    save_state(tmp_path, SETTINGS, {"model": {"w": torch.arange(3.0)}, "place": [1, [2, 3]]})
    state = load_state(tmp_path, SETTINGS)
    assert state is not None and state["place"] == [1, [2, 3]]
    assert torch.equal(state["model"]["w"], torch.arange(3.0))
    assert [path.name for path in tmp_path.iterdir()] == ["state.pt"]


def test_a_state_of_other_settings_is_refused(tmp_path: Path) -> None:
    save_state(tmp_path, SETTINGS, {})
    with pytest.raises(CheckpointError, match=r"phases\[0\]\.tokens is 5 there, 6 here"):
        load_state(tmp_path, {"phases": [{"tokens": 6}], "seed": 0})
    with pytest.raises(CheckpointError, match="other settings"):
        load_state(tmp_path, {**SETTINGS, "more": 1})


def test_a_damaged_state_is_refused(tmp_path: Path) -> None:
    save_state(tmp_path, SETTINGS, {"model": {"w": torch.zeros(1000)}})
    path = tmp_path / "state.pt"
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"nonsense"):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="cannot be read") as error:
            load_state(tmp_path, SETTINGS)
        assert "\n" not in str(error.value)


class _Harm:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("harmed"),)  # type: ignore[return-value]


def test_a_state_runs_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"settings": _Harm()}, tmp_path / "state.pt", pickle_module=pickle)
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_state(tmp_path, SETTINGS)
    assert not Path("harmed").exists()


@pytest.mark.parametrize("tied", [True, False])
def test_a_model_folder_is_read_by_transformers_and_by_us(tmp_path: Path, tied: bool) -> None:
    from transformers import AutoTokenizer, ModernBertForMaskedLM

    from tests.encoders.random_models import wordpiece

    tokenizer = wordpiece().backend_tokenizer
    model = samples.model(
        3, tied=tied, vocab_size=tokenizer.get_vocab_size(), initializer_range=0.2
    ).eval()
    with torch.no_grad():
        model.lm_head.decoder.bias.normal_()
    enter_phase(model.trunk, samples.PHASES[0])
    write_masked_lm(tmp_path, model, tokenizer)

    theirs = ModernBertForMaskedLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    ids = torch.randint(5, model.trunk.config.vocab_size, (24,))
    with torch.no_grad():
        ours = model(ids, Layout.of([24]), torch.arange(24))
        expected = theirs(input_ids=ids[None]).logits[0]
    torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-4)
    assert theirs.config.tie_word_embeddings == tied
    read = AutoTokenizer.from_pretrained(tmp_path)
    assert (read.mask_token, read.cls_token, read.model_max_length) == ("[MASK]", "[CLS]", 24)

    trunk, head = read_masked_lm(Folder(tmp_path, "exported"))
    with torch.no_grad():
        again = head(trunk(ids, Layout.of([24])))
    torch.testing.assert_close(ours, again)
    assert load_encoder(tmp_path).encode_documents(["the quick fox"]).dense.shape == (1, 32)
    assert json.loads((tmp_path / "config.json").read_text())["global_rope_theta"] == 10_000.0


def test_a_tokenizer_without_a_mask_writes_no_model(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models

    bare = Tokenizer(models.WordLevel({"[CLS]": 0, "[SEP]": 1}, unk_token="[CLS]"))
    with pytest.raises(CheckpointError, match=r"\[MASK\]"):
        write_masked_lm(tmp_path, MaskedLM(samples.SHAPE), bare)
    assert not (tmp_path / "config.json").exists()
