"""The recipe that distils: several teachers, vectors that are kept, several processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from lab.recipes import embedded_model
from retrieval.encoders import load_encoder
from tests.lab.distillation_samples import write_teacher
from tests.train.made_up import ASKED, FILLERS, TOLD, write_start

ROOT = Path(__file__).parents[2]


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The recipe, with a smaller student."""
    monkeypatch.setattr(embedded_model, "LAYERS", 2)
    monkeypatch.setattr(embedded_model, "HIDDEN", 128)
    return embedded_model


@pytest.fixture
def given(tmp_path: Path) -> list[str]:
    """Text and a teacher, as arguments."""
    rng = np.random.default_rng(0)
    words = [*TOLD, *ASKED, *FILLERS]
    rows = [
        {"text": " ".join(rng.choice(words, 70)), "query": " ".join(rng.choice(ASKED, 3))}
        for _ in range(60)
    ]
    text = tmp_path / "texts.jsonl"
    text.write_text("".join(json.dumps(row) + "\n" for row in rows))
    teacher = write_teacher(tmp_path / "teacher", width=128)
    return ["--text", str(text), "--teacher", str(teacher), "--threads", "1", "--device", "cpu"]


def lines(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_three_teachers_and_what_they_made_is_kept(
    recipe: ModuleType, given: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    also = ["--also", str(write_start(tmp_path / "start")), "0.5", "pooled"]
    wider = write_teacher(tmp_path / "wider", width=160, seed=1)
    also += ["--also", str(wider), "0.25", "both", "--vectors", str(tmp_path / "vectors")]
    course = [*given, *also, "--tokens", "60000"]
    out, model = tmp_path / "run", tmp_path / "model"
    assert recipe.main([*course, "--out", str(out), "--export", str(model)]) == 0
    log = lines(out)
    assert {"token", "pooled", "pooled_2", "token_3", "pooled_3", "rank_late"} <= log[-1].keys()
    assert "token_2" not in log[-1]
    assert any("long_needle" in row for row in log) == any("long_token" in row for row in log)
    assert load_encoder(model).encode_documents(["zo1 um2"]).dense.shape == (1, 128)  # type: ignore[union-attr]

    kept = {path: path.stat().st_size for path in (tmp_path / "vectors").rglob("*.rows")}
    assert {path.parent.name for path in kept} == {"tokens", "layers", "pooled"}
    assert recipe.main([*course, "--out", str(tmp_path / "again")]) == 0
    assert kept == {path: path.stat().st_size for path in (tmp_path / "vectors").rglob("*.rows")}
    for one, other in zip(log, lines(tmp_path / "again"), strict=True):
        assert one | {"tokens_per_s": 0} == other | {"tokens_per_s": 0}
    capsys.readouterr()

    # The text was not kept where no teacher reads it.
    assert recipe.main([*given, "--tokens", "1", "--out", str(tmp_path / "alone")]) == 0
    assert recipe.main([*course, "--out", str(tmp_path / "alone")]) == 1
    assert "was made without the text" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("also", "message"),
    [
        (["nowhere", "1", "tokens"], "--also nowhere: no folder with a config.json"),
        (["nowhere", "much", "pooled"], "a weight of 'much'"),
        (["nowhere", "1", "all"], "'all', expected one of pooled, tokens, both"),
    ],
)
def test_a_wrong_teacher_is_said_in_one_line(
    recipe: ModuleType,
    given: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    also: list[str],
    message: str,
) -> None:
    assert recipe.main([*given, "--out", str(tmp_path / "run"), "--also", *also]) == 1
    (said,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert message in said


@pytest.mark.slow
def test_torchs_launcher_runs_it_on_two_processes(given: list[str], tmp_path: Path) -> None:
    teacher = write_teacher(tmp_path / "large", width=384)
    course = [*given, "--teacher", str(teacher), "--tokens", "1", "--out", str(tmp_path / "run")]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [*launcher, "-m", "lab.recipes.embedded_model", *course]
    done = subprocess.run(
        [*command, "--export", str(tmp_path / "model")],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("texts, ") == 1
    state = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
    assert state["steps"] == 1 and state["seen"] > 1000
    assert load_encoder(tmp_path / "model").dense_dim == 384
