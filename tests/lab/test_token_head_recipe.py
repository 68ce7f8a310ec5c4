"""The recipe that trains the token head alone: a model folder in, one with the same trunk out."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from lab.recipes import token_head
from retrieval.encoders import load_encoder
from retrieval.encoders.model.quantized import read_weights, write_tensors
from tests.lab.names import corpus, tokenizer, write_model


@pytest.fixture
def recipe() -> ModuleType:
    return token_head


@pytest.fixture
def given(tmp_path: Path) -> list[str]:
    """A model and a corpus, as arguments."""
    texts = corpus(sentences=True)
    arrays = {field.name: getattr(texts, field.name) for field in fields(texts)}
    np.savez(tmp_path / "corpus.npz", **arrays)
    start = write_model(tmp_path / "start", texts)
    out = ["--out", str(tmp_path / "run"), "--inner", "64", "--scale", "0.001"]
    out += ["--near", "16", "--reach", "2"]
    return ["--start", str(start), "--corpus", str(tmp_path / "corpus.npz"), *out]


def test_the_trunk_stays_and_the_head_is_new(
    recipe: ModuleType, given: list[str], tmp_path: Path
) -> None:
    assert recipe.main([*given, "--steps", "2", "--export", str(tmp_path / "next")]) == 0
    old, new = (read_weights(tmp_path / name / "model.safetensors") for name in ("start", "next"))
    moved = {name for name in new if name not in old or not np.array_equal(old[name], new[name])}
    heads = {f"token_head.{part}.weight" for part in ("skip", "up", "down", "near")}
    assert moved == heads | {"query_token_weights"}
    assert new["token_head.up.weight"].shape == (64, 64 + 5 * 16)
    encoder = load_encoder(tmp_path / "next")
    assert encoder.name == "next"
    name = tokenizer().decode([40])
    both = [load_encoder(tmp_path / one).encode_documents([name]) for one in ("start", "next")]
    np.testing.assert_array_equal(both[0].dense, both[1].dense)


def test_a_run_that_is_over_is_not_begun_again(
    recipe: ModuleType, given: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert recipe.main([*given, "--steps", "2"]) == 0
    kept = {
        path: path.stat().st_mtime_ns
        for path in (tmp_path / "run").iterdir()
        if path.name != "log.jsonl"
    }
    assert len(kept) == 2 * (len(recipe.PLACINGS) + 1) + 1
    assert recipe.main([*given, "--steps", "2"]) == 0
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    assert recipe.main([*given, "--steps", "3"]) == 1
    assert "of a run with other settings (steps is 2 there, 3 here)" in capsys.readouterr().err


def test_a_start_whose_head_is_not_whole(
    recipe: ModuleType, given: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "start" / "model.safetensors"
    weights = read_weights(file)
    weights["token_head.up.weight"] = weights["token_head.up.weight"][:, 1:].copy()
    write_tensors(file, weights)
    assert recipe.main([*given, "--steps", "2"]) == 1
    told = capsys.readouterr().err
    assert f"{file} does not fit config.json (token_head.up.weight is (32, 63)" in told


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (["--steps", "0"], "--steps 0 --scale 0.001, expected numbers above 0"),
        (["--scale", "nan"], "expected numbers above 0"),
        (
            ["--inner", "8"],
            "a width of 8 inside the token head, expected a multiple of 16 that is not",
        ),
        (["--corpus", "nowhere.npz"], "nowhere.npz cannot be read"),
        (["--pairs", "-1"], "--pairs -1 of the 150 pairs of"),
        (["--pairs", "63"], "expected at least 64: make the corpus of records with a `query`"),
        (["--start", "nowhere"], "nowhere"),
    ],
)
def test_wrong_input_is_said_in_one_line(
    recipe: ModuleType,
    given: list[str],
    capsys: pytest.CaptureFixture[str],
    changed: list[str],
    message: str,
) -> None:
    assert recipe.main([*given, *changed]) == 1
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_a_model_without_query_weights(
    recipe: ModuleType, given: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = write_model(tmp_path / "plain", corpus(sentences=True), weighted=False)
    assert recipe.main([*given, "--start", str(plain)]) == 1
    assert "plain has no weights of query tokens, which are trained" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["cut", "empty", "other"])
def test_a_corpus_that_is_none(
    recipe: ModuleType,
    given: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    damage: str,
) -> None:
    path = tmp_path / "corpus.npz"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-500])
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        with np.load(path) as arrays:
            changed = {**arrays, "ids": arrays["ids"] + 1}
        np.savez(path, **changed)
    assert recipe.main(given) == 1
    said = capsys.readouterr().err
    assert "expected the corpus.npz that embedded_model.py leaves" in said
    assert said.count("\n") == 1
    assert not list((tmp_path / "run").glob("*.npy"))
