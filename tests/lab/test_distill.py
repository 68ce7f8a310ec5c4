"""Distillation learns, resumes, and its losses are what their formulas say."""

from __future__ import annotations

import json
import math
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from lab.distillation.distill import distill, tokens_seen
from lab.distillation.distill_config import DistillConfig
from lab.distillation.losses import (
    contrastive_loss,
    distillation_loss,
    matched_layers,
    maxsim_matrix,
    scale_to_student,
    symmetric_contrastive_loss,
)
from lab.distillation.teacher import Teacher, fitted_axes, principal_axes
from lab.distillation.teacher_outputs import TeacherOutput
from lab.text.corpus import TokenCorpus
from retrieval.encoders.model.config import ModernBertConfig
from retrieval.errors import CheckpointError, InputError
from retrieval.train import interruption
from retrieval.train.ranking import ranking_distillation_loss
from retrieval.train.schedule import warmup_stable_decay
from retrieval.train.student import Output, Student, flatten

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


def _student(layers: int = 2, hidden: int = HIDDEN) -> Student:
    config = ModernBertConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        intermediate_size=48,
        num_layers=layers,
        num_heads=2,
        layer_kinds=tuple("local" if layer % 2 else "global" for layer in range(layers)),
    )
    student = Student(config, dense_dim=HIDDEN, tokens=16)
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
        assert float(contrastive_loss(scores)) == pytest.approx(expected, rel=1e-5)
        assert float(symmetric_contrastive_loss(scores)) == pytest.approx(expected, rel=1e-5)
    lopsided = torch.tensor([[2.0, 0.0], [1.0, 0.0]])
    assert float(contrastive_loss(lopsided)) != pytest.approx(
        float(symmetric_contrastive_loss(lopsided))
    )


def test_a_teachers_ranking_is_spread_as_far_as_the_students() -> None:
    torch.manual_seed(0)
    scores, teacher = torch.rand(3, 5), torch.rand(3, 5) * 40 - 7

    def loss(teacher: torch.Tensor) -> float:
        wanted = scale_to_student(scores, teacher)
        return float(
            ranking_distillation_loss(scores, wanted, temperature=0.1, teacher_temperature=0.1)
        )

    even = teacher.double().numpy()
    even = (even - even.min(1, keepdims=True)) / np.ptp(even, axis=1, keepdims=True)
    own = scores.double().numpy()
    wanted = np.exp(even * np.ptp(own, axis=1, keepdims=True) / 0.1)
    wanted /= wanted.sum(1, keepdims=True)
    given = np.exp(own / 0.1)
    given /= given.sum(1, keepdims=True)
    expected = (wanted * np.log(wanted / given)).sum(1).mean()
    assert loss(teacher) == pytest.approx(expected, rel=1e-4)
    # The teacher's own order, on any scale, costs nothing.
    assert loss(3 * scores + 2) == pytest.approx(0, abs=1e-6)
    assert not scale_to_student(scores.requires_grad_(), teacher).requires_grad


def test_layers_at_the_same_depth_are_matched() -> None:
    assert matched_layers(6, 6) == [(n, n) for n in range(5)]
    assert matched_layers(10, 6) == [(1, 0), (2, 1), (4, 2), (6, 3), (7, 4)]
    assert matched_layers(3, 6) == [(0, 1), (1, 3)]
    assert matched_layers(1, 6) == []


@pytest.mark.parametrize(("layers", "hidden"), [(5, 32), (4, 16)])
def test_students_of_other_shapes_begin_from_the_teacher_and_learn(
    teacher: Teacher, tmp_path: Path, layers: int, hidden: int
) -> None:
    student, log = _student(layers, hidden), []
    teacher.initialise(student, attention=True)
    distill(student, teacher, _corpus(), _config(24_000), tmp_path, log=log.append)
    assert log[-1]["token"] < 0.8 * log[0]["token"]
    assert log[-1]["late"] < 0.8 * log[0]["late"]


def test_deeper_students_take_attention_from_the_same_depth(teacher: Teacher) -> None:
    student = _student(layers=4)
    teacher.initialise(student, attention=True)
    own = [layer.attn.Wo.weight for layer in student.trunk.layers]
    theirs = [layer.attention.output.dense.weight for layer in teacher.model.encoder.layer]
    for at, source in enumerate((0, 1, 1, 1)):
        torch.testing.assert_close(own[at], theirs[source].float())


def test_a_narrower_student_begins_with_what_the_teachers_table_says(teacher: Teacher) -> None:
    student = _student(hidden=HIDDEN // 2)
    teacher.initialise(student, attention=True)
    embeddings = teacher.model.embeddings
    words, kinds = embeddings.word_embeddings.weight, embeddings.token_type_embeddings.weight
    seen = torch.nn.functional.layer_norm(words.float() + kinds[0].float(), (HIDDEN,))
    seen = seen - seen.mean(0)
    left, values, right = torch.linalg.svd(seen)
    values[HIDDEN // 2 :] = 0
    # Through the dense head, the table is the best approximation of its rank.
    found = student.trunk.embeddings.tok_embeddings.weight @ student.dense_head.weight.T
    expected = left[:, :HIDDEN] * values @ right
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)
    with pytest.raises(CheckpointError, match="cannot begin from a teacher of 32"):
        teacher.initialise(_student(hidden=2 * HIDDEN), attention=False)


def test_a_run_stops_at_the_tokens_asked_for_and_goes_on(teacher: Teacher, tmp_path: Path) -> None:
    distill(_student(), teacher, _corpus(), _config(4000), tmp_path, until=1000)
    assert 1000 <= tokens_seen(tmp_path) < 2000
    distill(_student(), teacher, _corpus(), _config(4000), tmp_path, until=9000)
    assert 4000 <= tokens_seen(tmp_path) < 5000


def test_after_ctrl_c_the_last_whole_step_is_kept(teacher: Teacher, tmp_path: Path) -> None:
    def press(_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        distill(_student(), teacher, _corpus(), _config(60_000), tmp_path, log=press)
    assert 10 * 300 < tokens_seen(tmp_path) < 10 * 500  # figures come every ten steps
    assert signal.getsignal(signal.SIGINT) is handler


def test_ctrl_c_twice_ends_at_once_but_an_echo_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(interruption.time, "monotonic", lambda: now[0])
    with interruption.interrupted() as pressed:
        assert not pressed()
        signal.raise_signal(signal.SIGINT)
        now[0] += 0.5
        signal.raise_signal(signal.SIGINT)
        assert pressed()
        now[0] += 0.6
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_several_processes_are_refused(
    teacher: Teacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="2 processes were started, but distillation without"):
        distill(_student(), teacher, _corpus(), _config(400), tmp_path)


def test_inner_layers_count_where_they_have_the_teachers_width(teacher: Teacher) -> None:
    texts = [_corpus()[n] for n in range(5)]
    made = teacher(texts, states=True)
    targets = TeacherOutput(made.hidden, None, made.states)
    for shape, counts in (((4, HIDDEN), True), ((2, 16), False)):
        student = _student(*shape)
        out = student(*flatten(texts))
        layout = flatten(texts)[1]
        axes = torch.eye(16, HIDDEN)
        without, _ = distillation_loss(out, targets, layout, axes)
        loss, _ = distillation_loss(out, targets, layout, axes, layerwise=0.5)
        inner = (
            1 - torch.nn.functional.cosine_similarity(out.states[1].float(), made.states[0].float())
            if counts
            else torch.zeros(1)
        )
        expected = without + 0.5 * inner.mean()
        torch.testing.assert_close(loss, expected)


def test_fitted_axes_are_those_the_student_has_learnt(teacher: Teacher) -> None:
    corpus = _corpus()
    texts = [[corpus[i] for i in range(40)]]
    axes = principal_axes(teacher, texts, 16)
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
