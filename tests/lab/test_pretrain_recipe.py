"""The recipe that pretrains, as its users run it: text in, a model's folder out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from lab.pretraining.masked_lm import load_masked_lm
from lab.recipes import pretrain
from retrieval.encoders.model.attention import Layout
from tests.encoders.random_models import wordpiece

ROOT = Path(__file__).parents[2]
COURSE = ["--tokens", 3000, "--batch-tokens", 512, "--short", 32, "--long", 128, "--device", "cpu"]
SHAPE = ["--layers", 2, "--hidden", 32, "--heads", 2, "--intermediate", 48]


@pytest.fixture(scope="module")
def recipe() -> ModuleType:
    return pretrain


@pytest.fixture
def given(tmp_path: Path) -> list[object]:
    """Text and a tokenizer, as arguments."""
    rows = [
        {"title": "search", "text": f"the quick brown fox jumps over {n} lazy dog " * (n % 9 + 1)}
        for n in range(60)
    ]
    file = tmp_path / "texts.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    wordpiece().backend_tokenizer.save(str(tmp_path / "tokenizer.json"))
    return ["--text", file, "--tokenizer", tmp_path / "tokenizer.json"]


def run(recipe: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["pretrain.py", *map(str, arguments)])
    return int(recipe.main())


def test_text_becomes_a_model_that_others_read_and_a_larger_one(
    recipe: ModuleType, monkeypatch: pytest.MonkeyPatch, given: list[object], tmp_path: Path
) -> None:
    from transformers import ModernBertForMaskedLM

    small = tmp_path / "small"
    begun = [*given, *COURSE, *SHAPE, "--out", tmp_path / "run", "--export", small]
    assert run(recipe, monkeypatch, *begun, "--minutes", 1e-9) == 0
    assert json.loads((small / "config.json").read_text())["max_position_embeddings"] == 32
    assert run(recipe, monkeypatch, *begun) == 0
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    steps = [json.loads(line) for line in lines]
    assert [step["step"] for step in steps] == list(range(1, len(steps) + 1))
    assert {step["phase"] for step in steps} == {"short", "long", "decay"}
    assert steps[-1]["loss"] < steps[0]["loss"]

    model = load_masked_lm(small).eval()
    theirs = ModernBertForMaskedLM.from_pretrained(small, dtype=torch.float32).eval()
    assert theirs.config.max_position_embeddings == 128
    ids = torch.randint(5, 60, (100,))
    with torch.no_grad():
        ours = model(ids, Layout.of([100]), torch.arange(100))
        expected = theirs(input_ids=ids[None]).logits[0]
    torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-4)

    larger = ["--from", small, "--layers", 3, "--hidden", 48, "--out", tmp_path / "larger"]
    export = ["--export", tmp_path / "large", "--minutes", 1e-9]
    assert run(recipe, monkeypatch, *given[:2], *COURSE, *larger, *export) == 0
    config = load_masked_lm(tmp_path / "large").trunk.config
    assert (config.num_layers, config.hidden_size, config.num_heads) == (3, 48, 3)
    assert config.intermediate_size == 72
    (first,) = (tmp_path / "larger" / "log.jsonl").read_text().splitlines()
    # It begins with what the small one has learnt.
    assert json.loads(first)["loss"] < steps[0]["loss"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--text", "nowhere/*.jsonl"], None),
        (["--tokenizer", "nowhere.json"], "cannot be read"),
        (["--hidden", "30"], "heads of an even size"),
        (["--from", "nowhere"], "no config.json there"),
        (["--pack-tokens", "64"], "do not fit packs of 64"),
        (["--tokens", "0"], "below 1"),
        (["--share", "2"], "shares between 0 and 1"),
    ],
)
def test_wrong_input_is_said_in_one_line(
    recipe: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    given: list[object],
    tmp_path: Path,
    changes: list[str],
    message: str | None,
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = [*given, *COURSE, *SHAPE, "--out", tmp_path / "run"]
    if message is None:
        message, arguments = "no file matches nowhere", arguments[2:]
    assert run(recipe, monkeypatch, *arguments, *changes) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert message in said[-1] and "Traceback" not in "".join(said)


@pytest.mark.slow
def test_torchs_launcher_runs_it_on_two_processes(given: list[object], tmp_path: Path) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    own = [*COURSE, *SHAPE, "--out", tmp_path / "run", "--export", tmp_path / "model"]
    command = [*launcher, "-m", "lab.recipes.pretrain", *given, *own, "--threads", 1]
    one = os.environ | {"OMP_NUM_THREADS": "1"}
    said = {"cwd": ROOT, "capture_output": True, "text": True, "check": False}
    done = subprocess.run(list(map(str, command)), env=one, **said)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr
    steps = [json.loads(x) for x in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert steps[-1]["seen"] == sum(step["tokens"] for step in steps) >= 3000
    assert load_masked_lm(tmp_path / "model").trunk.config.hidden_size == 32
