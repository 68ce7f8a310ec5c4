"""Fine-tuning learns, resumes to the same losses, and reads what it says it reads."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from retrieval.encoders.sides import Side, SideReader
from retrieval.errors import CheckpointError
from retrieval.train.finetune import Example, Examples, FinetuneConfig, Finetuner
from retrieval.train.student import Student
from retrieval.train.trainer import Step
from tests.train import made_up

STEPS = 12


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_up.write_start(tmp_path_factory.mktemp("models") / "start")


def examples(count: int = 24) -> Examples:
    rng = np.random.default_rng(0)
    texts, rows = [], []
    for number in range(count):
        notions = rng.choice(made_up.NOTIONS, 3, replace=False)
        texts.append(" ".join(made_up.TOLD[n] for n in notions))
        negatives = tuple(int(n) for n in rng.choice(count, 5) if n != number)
        query = " ".join(made_up.ASKED[n] for n in notions[:2])
        scores = rng.random(1 + len(negatives)).astype(np.float32)
        rows.append(Example(query, (number,), negatives, scores))
    return Examples(rows, texts)


def tuner(start: Path, **changes: object) -> Finetuner:
    reader = SideReader(made_up.tokenizer(), Side(64))
    config = FinetuneConfig(**{"steps": STEPS, "batch": 6, "negatives": 2} | changes)  # type: ignore[arg-type]
    return Finetuner(Student.from_folder(start), examples(), config, query=reader, document=reader)


def run(one: Finetuner, path: Path) -> list[Step]:
    steps: list[Step] = []
    one.run(path, on_step=steps.append)
    return steps


class StoppedError(Exception):
    pass


def test_a_run_that_was_killed_is_the_run_that_was_not(start: Path, tmp_path: Path) -> None:
    whole = tuner(start, anchor_weight=0.5)
    expected = run(whole, tmp_path / "whole")
    stopped: list[Step] = []

    def stop(step: Step) -> None:
        stopped.append(step)
        if step.step == 7:
            raise StoppedError  # as a kill: nothing more is written

    with pytest.raises(StoppedError):
        tuner(start, anchor_weight=0.5, checkpoint_seconds=0.0).run(tmp_path / "cut", on_step=stop)
    resumed = tuner(start, anchor_weight=0.5)
    rest = run(resumed, tmp_path / "cut")
    # The checkpoint of the seventh step was not written any more.
    assert [step.step for step in rest] == list(range(7, STEPS + 1))
    for one, other in zip([*stopped[:6], *rest], expected, strict=True):
        assert one.losses == pytest.approx(other.losses, rel=1e-5)
    for name, weights in resumed.student.state_dict().items():
        torch.testing.assert_close(weights, whole.student.state_dict()[name])


def test_ctrl_c_ends_after_a_whole_step_with_a_checkpoint(start: Path, tmp_path: Path) -> None:
    def interrupt(step: Step) -> None:
        if step.step == 4:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        tuner(start).run(tmp_path / "state", on_step=interrupt)
    assert [step.step for step in run(tuner(start), tmp_path / "state")] == list(
        range(5, STEPS + 1)
    )
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_damaged_checkpoint_and_one_of_another_model_are_refused(
    start: Path, tmp_path: Path
) -> None:
    path = tmp_path / "state"
    run(tuner(start), path)
    other = made_up.write_start(tmp_path / "larger", layers=3)
    with pytest.raises(CheckpointError, match="choose another folder"):
        run(tuner(other), path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="does not fit this run"):
        run(tuner(start), path)


def test_losses_fall_and_the_table_stays(start: Path, tmp_path: Path) -> None:
    one = tuner(start, steps=60, rate=3e-3, distil_weight=0.0)
    before = Student.from_folder(start).trunk.embeddings.tok_embeddings.weight
    steps = run(one, tmp_path / "state")
    for name in ("dense", "late"):
        first = np.mean([step.losses[name] for step in steps[:5]])
        last = np.mean([step.losses[name] for step in steps[-5:]])
        assert last < 0.6 * first
    assert torch.equal(one.student.trunk.embeddings.tok_embeddings.weight, before)


def test_an_anchor_holds_the_vectors(start: Path, tmp_path: Path) -> None:
    # The anchor starts at the vectors as they are, and a strong one lets them move less.
    free = run(tuner(start, anchor_weight=1e-6, rate=3e-3), tmp_path / "free")
    held = run(tuner(start, anchor_weight=100.0, rate=3e-3), tmp_path / "held")
    assert abs(held[0].losses["anchor"]) < 1e-3
    assert held[-1].losses["anchor"] < 0.5 * free[-1].losses["anchor"]


def test_scores_of_a_teacher_are_learnt(start: Path, tmp_path: Path) -> None:
    steps = run(tuner(start, steps=80, rate=3e-3, distil_weight=20.0), tmp_path / "state")
    first = np.mean([step.losses["teacher"] for step in steps[:5]])
    assert np.mean([step.losses["teacher"] for step in steps[-5:]]) < 0.6 * first


def test_a_batch_has_its_own_answer_first_and_forbids_the_others() -> None:
    texts = [str(number) for number in range(6)]
    scores = np.arange(5, dtype=np.float32)
    rows = [
        Example("a", (0, 1), (2, 3, 4), scores),
        Example("b", (1,), (0, 5), scores[:3]),
        Example("c", (2,), (3,), scores[:2]),
    ]
    config = FinetuneConfig(steps=9, batch=3, negatives=2)
    several = Examples(rows, texts)
    seen = set()
    for step in range(9):
        batch = several.batch(step, config)
        assert sorted(batch.queries) == ["a", "b", "c"]
        flat = batch.texts.ravel()
        for query, own, theirs, allowed in zip(
            batch.queries, batch.texts, batch.scores, batch.allowed, strict=True
        ):
            row = next(row for row in rows if row.query == query)
            everything = [*row.positives, *row.negatives]
            assert own[0] in row.positives and set(own[1:].tolist()) <= set(row.negatives)
            assert theirs.tolist() == [float(everything.index(text)) for text in own]
            assert allowed.tolist() == [text not in row.positives for text in flat]
            seen.add((query, int(own[0])))
    assert ("a", 0) in seen and ("a", 1) in seen


def test_an_epoch_asks_each_query_once() -> None:
    several, config = examples(24), FinetuneConfig(steps=8, batch=6, negatives=2)
    for epoch in range(2):
        asked = [
            query for step in range(4) for query in several.batch(4 * epoch + step, config).queries
        ]
        assert len(set(asked)) == 24
    assert several.batch(0, config).queries != several.batch(4, config).queries


def test_the_pace_is_measured_without_learning(start: Path) -> None:
    one = tuner(start)
    before = {name: weights.clone() for name, weights in one.student.state_dict().items()}
    assert one.seconds_per_step() > 0
    for name, weights in one.student.state_dict().items():
        assert torch.equal(weights, before[name])


def test_what_query_tokens_count_is_heeded(start: Path) -> None:
    size = made_up.tokenizer().get_vocab_size()
    uneven = np.random.default_rng(0).uniform(0.1, 4, size).astype(np.float32)

    def losses(weights: np.ndarray | None) -> dict[str, float]:
        query = SideReader(made_up.tokenizer(), Side(64, weights=weights))
        document = SideReader(made_up.tokenizer(), Side(64))
        config = FinetuneConfig(steps=STEPS, batch=6, negatives=2)
        one = Finetuner(
            Student.from_folder(start), examples(), config, query=query, document=document
        )
        return one._take()

    plain, even, other = losses(None), losses(np.full(size, 7, np.float32)), losses(uneven)
    assert even == pytest.approx(plain, rel=1e-4)
    assert other["dense"] == pytest.approx(plain["dense"], rel=1e-6)
    assert other["late"] != pytest.approx(plain["late"], rel=1e-3)
