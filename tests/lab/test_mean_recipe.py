"""The recipe that averages models: every weight is the mean, by the shares."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from lab.recipes import mean
from retrieval.encoders import load_encoder
from retrieval.encoders.model.quantized import read_weights
from tests.train.made_up import write_start


@pytest.fixture
def recipe() -> ModuleType:
    return mean


def test_weights_are_the_mean_and_the_model_runs(recipe: ModuleType, tmp_path: Path) -> None:
    folders = [write_start(tmp_path / name, seed=seed) for seed, name in enumerate("abc")]
    shares = [2.0, 5.0, 5.0]
    given = [f"{folder}={share}" for folder, share in zip(folders, shares, strict=True)]
    assert recipe.main([*given, "--out", str(tmp_path / "mean")]) == 0
    read = [read_weights(folder / "model.safetensors") for folder in folders]
    mean = read_weights(tmp_path / "mean" / "model.safetensors")
    assert set(mean) == set(read[0])
    for name, weight in mean.items():
        expected = sum(s * one[name] for s, one in zip(shares, read, strict=True)) / sum(shares)
        # A row of int8 is rounded to 1/254 of its largest weight, at most.
        scale = np.abs(expected).max(axis=-1, keepdims=True)
        assert (np.abs(weight - expected) <= scale / 250 + 1e-6).all(), name
    encoder = load_encoder(tmp_path / "mean")
    assert encoder.name == "mean"
    assert np.isfinite(encoder.encode_documents(["a text"]).dense).all()


@pytest.mark.parametrize("text", ["model", "model=", "=1", "model=0", "model=-1", "model=nan"])
def test_a_share_that_is_none(
    recipe: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    assert recipe.main([text, "--out", str(tmp_path / "mean")]) == 1
    assert "is not a model and its share; give one such as" in capsys.readouterr().err
    assert not (tmp_path / "mean").exists()


def test_nothing_is_written_over(
    recipe: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert recipe.main(["a=1", "--out", str(tmp_path)]) == 1
    assert "is there already; give a new folder" in capsys.readouterr().err
