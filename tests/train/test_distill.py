"""Distillation learns, resumes, and its losses are what their formulas say."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from retrieval.encoders.config import ModernBertConfig
from retrieval.errors import CheckpointError
from retrieval.train.corpus import TokenCorpus
from retrieval.train.distill import DistillConfig, distill
from retrieval.train.losses import (
    contrast_of,
    maxsim_matrix,
    ranking_loss,
    spread,
    symmetric_contrast,
)
from retrieval.train.schedule import warmup_stable_decay
from retrieval.train.student import Output, Student
from retrieval.train.teacher import Teacher, fitted_axes

VOCABULARY, HIDDEN = 60, 32


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Teacher:
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("teacher")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        hidden_dropout_prob=0.0,
        initializer_range=0.2,
    )
    BertModel(config).save_pretrained(folder)
    return Teacher(folder)


def _student(layers: int = 2) -> Student:
    config = ModernBertConfig(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        intermediate_size=48,
        num_layers=layers,
        num_heads=2,
        layer_kinds=("global", "local", "global")[:layers],  # type: ignore[arg-type]
    )
    student = Student(config, dense_dim=HIDDEN, token_dim=16)
    student.initialise(seed=0)
    return student


def _corpus(texts: int = 120) -> TokenCorpus:
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 40, texts)
    ids = rng.integers(0, VOCABULARY, int(lengths.sum())).astype(np.uint16)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    return TokenCorpus(ids, offsets, np.arange(40, dtype=np.int64).reshape(-1, 2))


def _config(tokens: int) -> DistillConfig:
    return DistillConfig(tokens=tokens, batch_tokens=400, pairs=4, checkpoint_seconds=1e9)


def test_the_student_comes_closer_to_its_teacher(teacher: Teacher, tmp_path: Path) -> None:
    student, log = _student(), []
    teacher.initialise(student, attention=True)
    distill(student, teacher, _corpus(), _config(60_000), tmp_path, log=log.append)
    assert log[-1]["token"] < 0.6 * log[0]["token"]
    assert log[-1]["late"] < 0.6 * log[0]["late"]
    assert "pair_dense" in log[-1] and "pair_dense" not in log[0]
    assert json.loads((tmp_path / "config.json").read_text())["tokens"] == 60_000


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(teacher: Teacher, tmp_path: Path) -> None:
    config = DistillConfig(
        tokens=16_000,
        batch_tokens=400,
        pairs=4,
        pairs_from=0.3,
        long_every=3,
        checkpoint_seconds=1e9,
    )
    whole: list[dict[str, float]] = []
    through = distill(_student(), teacher, _corpus(), config, tmp_path / "whole", log=whole.append)
    # Each call does one step, so it stops in the middle of every stream, and on long steps too.
    parts: list[dict[str, float]] = []
    for _ in range(200):
        last = distill(
            _student(), teacher, _corpus(), config, tmp_path / "parts",
            log=parts.append, deadline=time.monotonic(),
        )  # fmt: skip
        state = torch.load(tmp_path / "parts" / "state.pt", weights_only=True)
        if state["seen"] >= config.tokens:
            break
    assert [r["step"] for r in whole] == [r["step"] for r in parts] != []
    for one, other in zip(whole, parts, strict=True):
        assert one.keys() == other.keys()
        for name in one.keys() - {"tokens_per_s"}:
            assert one[name] == pytest.approx(other[name], abs=2e-3), name
    for one, other in zip(through.parameters(), last.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=2e-3, rtol=0.02)
    assert min(state["drawn"].values()) > 3


def test_a_checkpoint_of_another_shape_is_refused(teacher: Teacher, tmp_path: Path) -> None:
    distill(_student(), teacher, _corpus(), _config(400), tmp_path)
    with pytest.raises(CheckpointError, match="another folder"):
        distill(_student(layers=3), teacher, _corpus(), _config(800), tmp_path)


def test_targets_do_not_depend_on_the_batch(teacher: Teacher) -> None:
    corpus = _corpus()
    together = teacher([corpus[0], corpus[1], corpus[2]]).hidden
    alone = torch.cat([teacher([corpus[i]]).hidden for i in range(3)])
    torch.testing.assert_close(together, alone, atol=0.05, rtol=0.05)


def test_maxsim_is_the_mean_of_the_best() -> None:
    torch.manual_seed(0)
    queries = [torch.randn(n, 8) for n in (1, 4, 7)]
    texts = [torch.randn(n, 8) for n in (5, 1)]
    expected = [[float((q @ t.T).max(1).values.mean()) for t in texts] for q in queries]
    torch.testing.assert_close(maxsim_matrix(queries, texts), torch.tensor(expected))


def test_contrastive_losses_are_cross_entropies() -> None:
    # Every other text scores 0, the own one 1 / temperature.
    for temperature in (0.5, 1.0):
        scores = torch.eye(4) / temperature
        expected = math.log(math.exp(1 / temperature) + 3) - 1 / temperature
        assert float(contrast_of(scores)) == pytest.approx(expected, rel=1e-5)
        assert float(symmetric_contrast(scores)) == pytest.approx(expected, rel=1e-5)
    lopsided = torch.tensor([[2.0, 0.0], [1.0, 0.0]])
    assert float(contrast_of(lopsided)) != pytest.approx(float(symmetric_contrast(lopsided)))


def test_the_ranking_loss_is_a_divergence_from_the_teachers_order() -> None:
    torch.manual_seed(0)
    scores, teacher = torch.rand(3, 5), torch.rand(3, 5) * 40 - 7
    found = ranking_loss(scores, teacher, temperature=0.1)
    even = teacher.double().numpy()
    even = (even - even.min(1, keepdims=True)) / np.ptp(even, axis=1, keepdims=True)
    own = scores.double().numpy()
    wanted = np.exp(even * np.ptp(own, axis=1, keepdims=True) / 0.1)
    wanted /= wanted.sum(1, keepdims=True)
    given = np.exp(own / 0.1)
    given /= given.sum(1, keepdims=True)
    expected = (wanted * np.log(wanted / given)).sum(1).mean()
    assert float(found) == pytest.approx(expected, rel=1e-4)
    # The teacher's own order, on any scale, costs nothing.
    assert float(ranking_loss(scores, 3 * scores + 2, temperature=0.1)) == pytest.approx(
        0, abs=1e-6
    )
    assert torch.equal(spread(torch.ones(2, 3)), torch.zeros(2, 3))


def test_fitted_axes_are_those_the_student_has_learnt(teacher: Teacher) -> None:
    corpus = _corpus()
    texts = [[corpus[i] for i in range(40)]]
    axes = teacher.principal_axes(texts, 16)
    turn = torch.linalg.qr(torch.randn(16, 16, generator=torch.Generator().manual_seed(1))).Q

    class Learnt(torch.nn.Module):
        """A student whose token vectors are the teacher's along turned axes."""

        def __init__(self) -> None:
            super().__init__()
            self.unused = torch.nn.Parameter(torch.zeros(1))

        def forward(self, ids: torch.Tensor, layout: object) -> Output:
            unit = torch.nn.functional.normalize(teacher(texts[0]).hidden, dim=-1)
            return Output(unit, unit, unit @ (turn @ axes).T, [])

    torch.testing.assert_close(
        fitted_axes(Learnt(), teacher, texts),  # type: ignore[arg-type]
        turn @ axes,
        atol=1e-3,
        rtol=1e-3,
    )


def test_the_schedule_warms_up_holds_and_decays() -> None:
    course = [warmup_stable_decay(x / 100, warmup=0.1, decay=0.4) for x in range(101)]
    assert course[5] == pytest.approx(0.5)
    assert course[10:60] == [1.0] * 50
    assert course[60:] == sorted(course[60:], reverse=True)
    assert course[70] == pytest.approx(1 - 0.25**0.5)
    assert course[100] == 0.0
