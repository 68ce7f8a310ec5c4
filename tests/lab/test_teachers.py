"""Several teachers: what is learnt of each, what their losses add up to, what is encoded once."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from lab.distillation import distill as distilling
from lab.distillation.losses import teacher_scores, teachers_loss
from lab.distillation.teacher import Teacher
from lab.distillation.teacher_outputs import CachedTeacher
from lab.distillation.teachers import TeacherEnsemble, WeightedTeacher
from retrieval.errors import CheckpointError, InputError
from retrieval.train.student import flatten
from tests.index.fake_encoder import FakeEncoder
from tests.train.made_up import tokenizer

from . import distillation_samples as samples

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums in one order everywhere."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teachers")
    samples.write_teacher(folder / "first")
    samples.write_teacher(folder / "wider", width=samples.WIDER, seed=1, layers=3)
    return folder


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything in 32 bits, so that what is left of a difference is no rounding to 16."""
    monkeypatch.setattr(distilling.torch, "autocast", lambda *a, **k: contextlib.nullcontext())
    made = samples.CountingTeacher.__init__

    def wide(self: samples.CountingTeacher, folder: Path) -> None:
        made(self, folder)
        self.model.float()

    monkeypatch.setattr(samples.CountingTeacher, "__init__", wide)


def cosine_distance(own: NDArray[Any], wanted: NDArray[Any]) -> float:
    products = (own * wanted).sum(-1)
    norms = np.linalg.norm(own, axis=-1) * np.linalg.norm(wanted, axis=-1)
    return float(1 - (products / norms).mean())


def test_the_loss_is_the_weighted_sum_of_the_teachers(teachers: Path) -> None:
    """By hand, in numpy, from the teachers' own vectors."""
    corpus, student, given = (
        samples.corpus(),
        samples.student(),
        samples.weighted_teachers(teachers),
    )
    ensemble = TeacherEnsemble(given, corpus)
    numbers = np.array([3, 8, 11, 20])
    texts = [corpus[int(number)] for number in numbers]
    ids, layout = flatten(texts)
    with torch.no_grad():
        out = student(ids, layout)
    axes = torch.linalg.qr(torch.randn(samples.WIDTH, 16)).Q.T
    projections = ensemble.projections(samples.WIDTH)
    outputs = ensemble.of_texts(numbers, states=True)
    loss, parts = teachers_loss(
        out, outputs, [1.0, 0.5, 0.25], projections, layout, axes, layerwise=0.3
    )

    first, wider = (member.teacher for member in given[:2])
    assert isinstance(first, Teacher) and isinstance(wider, Teacher)
    made, other = first(texts, states=True), wider(texts)
    read = FakeEncoder(24).encode_documents([corpus.text_of(int(n)) for n in numbers]).dense
    ends = np.cumsum([len(text) for text in texts])[:-1]

    def means(rows: NDArray[Any]) -> NDArray[Any]:
        return np.stack([part.mean(0) for part in np.split(rows, ends)])

    hidden, dense = out.hidden.numpy(), out.dense.numpy()
    theirs, wide = made.hidden.numpy(), other.hidden.numpy()
    assert projections[0] is None and projections[1] is not None and projections[2] is not None
    to_wider, to_text = projections[1].numpy().T, projections[2].numpy().T
    unit = theirs / np.linalg.norm(theirs, axis=1, keepdims=True)
    one = (
        cosine_distance(hidden, theirs)
        + 2 * cosine_distance(dense, means(theirs))
        + 0.5 * cosine_distance(out.tokens.numpy(), unit @ axes.numpy().T)
        + 0.3 * cosine_distance(out.states[0].numpy(), made.states[0].float().numpy())
    )
    two = cosine_distance(hidden @ to_wider, wide)
    two += 2 * cosine_distance(dense @ to_wider, means(wide))
    three = 2 * cosine_distance(dense @ to_text, read)
    assert float(loss) == pytest.approx(one + 0.5 * two + 0.25 * three, rel=1e-3)
    names = ["token", "pooled", "late", "token_2", "pooled_2", "pooled_3"]
    assert list(parts) == names
    assert float(parts["pooled_3"]) == pytest.approx(three / 2, rel=1e-3)


def test_teachers_rank_together_by_their_weights(teachers: Path) -> None:
    corpus = samples.corpus()
    ensemble = TeacherEnsemble(samples.weighted_teachers(teachers), corpus)
    both = corpus.pairs[:5].T.reshape(-1)
    layout = flatten([corpus[int(n)] for n in both])[1]
    outputs = ensemble.of_texts(both)
    alone = [teacher_scores([output], [1.0], layout, 5) for output in outputs]
    assert [float(scores.max()) for scores in alone] == pytest.approx([2, 2, 1], abs=0.2)
    together = teacher_scores(outputs, [1.0, 0.5, 0.25], layout, 5)
    torch.testing.assert_close(together, alone[0] + 0.5 * alone[1] + 0.25 * alone[2])


def test_a_student_learns_from_three_teachers(teachers: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(samples.CONFIG, tokens=20_000, checkpoint_seconds=1e9, adam=5e-3)
    log = samples.run(samples.weighted_teachers(teachers), tmp_path, config=config)
    short = [row for row in log if "token" in row]
    for name in ("token", "pooled", "token_2", "pooled_2", "pooled_3"):
        assert short[-1][name] < 0.8 * short[0][name], name
    assert {"pair_dense", "rank_late"} <= short[-1].keys()
    assert any("long_pooled_3" in row for row in log)


@pytest.mark.parametrize("count", [2, 3])
def test_processes_together_do_what_one_does(
    teachers: Path, tmp_path: Path, exact: None, count: int
) -> None:
    """Threads stand for processes; steps on one long text leave some without a share."""
    config = dataclasses.replace(samples.CONFIG, checkpoint_seconds=1e9)
    alone = samples.run(samples.weighted_teachers(teachers), tmp_path / "alone", config=config)
    assert any("long_token" in row for row in alone) and "rank_late" in alone[-1]

    # Reading a model changes torch's settings for a moment, in all threads.
    made = [samples.weighted_teachers(teachers) for _ in range(count)]

    def work(own: samples.Together) -> list[dict[str, Any]]:
        return samples.run(made[own.rank], tmp_path / "shared", own, config=config)

    with ThreadPoolExecutor(count) as pool:
        logs = list(pool.map(work, samples.Together.of(count)))
    assert logs[1:] == [[]] * (count - 1)
    assert len(logs[0]) == len(alone) > 2
    for one, other in zip(alone, logs[0], strict=True):
        assert one == pytest.approx(other, abs=1e-3)
    states = [
        torch.load(tmp_path / name / "state.pt", weights_only=True) for name in ("alone", "shared")
    ]
    assert states[0]["drawn"] == states[1]["drawn"]
    for name, weights in states[0]["student"].items():
        assert (weights - states[1]["student"][name]).norm() <= 0.04 * weights.norm(), name


def test_what_teachers_made_is_made_once(teachers: Path, tmp_path: Path) -> None:
    def run(name: str) -> tuple[list[dict[str, Any]], list[int]]:
        made = samples.weighted_teachers(teachers)
        log = samples.run(made, tmp_path / name, vectors=tmp_path / "vectors")
        return log, [len(made[2].teacher.encoded), *(one.teacher.encoded for one in made[:2])]  # type: ignore[union-attr]

    log, encoded = run("one")
    assert min(encoded) > 20
    again, none = run("two")
    assert none == [0, 0, 0]
    assert again == log


def test_kept_vectors_are_the_teachers_to_the_bit(teachers: Path, tmp_path: Path) -> None:
    teacher = samples.CountingTeacher(teachers / "wider")
    corpus = samples.corpus()
    texts = [corpus[number] for number in (4, 2, 9)]
    wanted = teacher(texts, states=True)
    CachedTeacher(teacher, tmp_path)(texts[:1])  # nothing committed: to be encoded again
    kept = CachedTeacher(teacher, tmp_path)
    assert torch.equal(kept(texts).hidden, wanted.hidden)
    kept.commit()
    again, before = CachedTeacher(teacher, tmp_path), teacher.encoded
    assert torch.equal(again(texts[::-1]).hidden[: len(texts[2])], wanted.hidden[-len(texts[2]) :])
    assert teacher.encoded == before
    # The layers were not asked for before.
    found = again([*texts, texts[0]], states=True)
    assert teacher.encoded == before + 3
    for one, other in zip(found.states, wanted.states, strict=True):
        assert torch.equal(one[: len(other)], other)
    again.commit()
    CachedTeacher(teacher, tmp_path)(texts, states=True)
    assert teacher.encoded == before + 3


def test_a_long_texts_pooled_vector_is_the_mean_over_its_windows(teachers: Path) -> None:
    corpus, encoder = samples.corpus(), FakeEncoder(24)
    first = WeightedTeacher(samples.CountingTeacher(teachers / "first"))
    ensemble = TeacherEnsemble([first, WeightedTeacher(encoder, targets=("pooled",))], corpus)
    runs = [np.array([3, 4, 5]), np.array([9])]
    _, (_, output) = ensemble.of_long(runs)
    assert output.pooled is not None
    dense = encoder.encode_documents([corpus.text_of(n) for n in (3, 4, 5)]).dense
    wanted = np.average(dense, axis=0, weights=corpus.lengths[[3, 4, 5]])
    assert cosine_distance(output.pooled[0].numpy(), wanted) < 1e-4


def test_texts_are_what_their_ids_were_made_of() -> None:
    corpus, own = samples.corpus(), tokenizer()
    assert corpus.has_text and not samples.corpus(keep_text=False).has_text
    for number in range(len(corpus)):
        assert own.encode(corpus.text_of(number)).ids == corpus[number].tolist()
    bare = samples.corpus(keep_text=False)
    np.testing.assert_array_equal(bare.ids, corpus.ids)


def test_queries_are_encoded_as_queries(teachers: Path) -> None:
    corpus, encoder = samples.corpus(), FakeEncoder(24)
    first = WeightedTeacher(samples.CountingTeacher(teachers / "first"))
    ensemble = TeacherEnsemble([first, WeightedTeacher(encoder, targets=("pooled",))], corpus)
    ensemble.of_texts(corpus.pairs[:4].reshape(-1))
    assert encoder.queries == 1
    assert encoder.encoded == [corpus.text_of(int(number)) for number in corpus.pairs[:4, 1]]


def test_which_teachers_are_projected(teachers: Path) -> None:
    first = samples.CountingTeacher(teachers / "first")
    corpus, width = samples.corpus(), samples.WIDTH

    def projected(*ensemble: WeightedTeacher, own: int = width) -> list[bool]:
        return [map is not None for map in TeacherEnsemble(ensemble, corpus).projections(own)]

    same = WeightedTeacher(FakeEncoder(width), targets=("pooled",))
    assert projected(WeightedTeacher(first)) == [False]
    assert projected(WeightedTeacher(first), own=20) == [True]
    assert projected(WeightedTeacher(first), same) == [False, True]
    assert projected(WeightedTeacher(first), dataclasses.replace(same, projected=False)) == [
        False,
        False,
    ]
    assert projected(WeightedTeacher(first, projected=True), same) == [True, False]
    with pytest.raises(InputError, match="fake-words has 24 dimensions, the student 32"):
        projected(
            WeightedTeacher(first),
            WeightedTeacher(FakeEncoder(24), 1.0, ("pooled",), projected=False),
        )


def test_teachers_that_cannot_be_learnt_are_refused(teachers: Path, tmp_path: Path) -> None:
    first, text = samples.CountingTeacher(teachers / "first"), FakeEncoder(24)
    corpus = samples.corpus()

    def refused(*ensemble: WeightedTeacher, corpus: Any = corpus) -> str:
        with pytest.raises(InputError) as error:
            TeacherEnsemble(ensemble, corpus)
        assert "\n" not in str(error.value)
        return str(error.value)

    other = samples.write_teacher(tmp_path / "other")
    described = json.loads((other / "tokenizer.json").read_text())
    described["normalizer"] = None
    (other / "tokenizer.json").write_text(json.dumps(described))
    assert "other has not the tokenizer of first" in refused(
        WeightedTeacher(first), WeightedTeacher(samples.CountingTeacher(other), 1.0, ("tokens",))
    )
    # How a file is laid out, and what it pads and truncates, decides no token.
    own = json.loads((teachers / "first" / "tokenizer.json").read_text())
    own["padding"], own["post_processor"] = None, None
    (other / "tokenizer.json").write_text(json.dumps(own, indent=2))
    TeacherEnsemble(
        [WeightedTeacher(first), WeightedTeacher(samples.CountingTeacher(other))], corpus
    )
    (other / "1_Pooling").mkdir()
    (other / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    by_cls = samples.CountingTeacher(other)
    assert "does not pool by the mean" in refused(WeightedTeacher(first), WeightedTeacher(by_cls))
    TeacherEnsemble([WeightedTeacher(first), WeightedTeacher(by_cls, 1.0, ("tokens",))], corpus)

    pooled = WeightedTeacher(text, 1.0, ("pooled",))
    assert "reads tokens of its own" in refused(WeightedTeacher(first), WeightedTeacher(text))
    assert "has no dense head" in refused(
        WeightedTeacher(first), WeightedTeacher(FakeEncoder(None), 1, ("pooled",))
    )
    assert "keep_text=True" in refused(
        WeightedTeacher(first), pooled, corpus=samples.corpus(keep_text=False)
    )
    assert "begin with one" in refused(pooled, WeightedTeacher(first))
    assert "begin with one" in refused()
    assert "comes first" in refused(WeightedTeacher(first, 1.0, ("pooled",)))
    assert "a weight of 0" in refused(
        WeightedTeacher(first), dataclasses.replace(pooled, weight=0.0)
    )
    assert "expected some of" in refused(
        WeightedTeacher(first), dataclasses.replace(pooled, targets=())
    )


def test_a_run_does_not_go_on_with_other_teachers(teachers: Path, tmp_path: Path) -> None:
    made = samples.weighted_teachers(teachers)
    samples.run(made, tmp_path, until=500)
    lighter = [*made[:2], dataclasses.replace(made[2], weight=0.1)]
    with pytest.raises(CheckpointError, match=r"teachers\[2\]\.weight is 0\.25 there, 0\.1 here"):
        samples.run(lighter, tmp_path)
    with pytest.raises(CheckpointError, match="other settings"):
        samples.run(made[:2], tmp_path)
    samples.run(made, tmp_path, until=900)


def test_a_checkpoint_without_teachers_is_of_the_one_given(teachers: Path, tmp_path: Path) -> None:
    first = samples.weighted_teachers(teachers)[:1]
    samples.run(first, tmp_path, until=500)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    seen = state["seen"]
    del state["settings"], state["projections"]
    torch.save(state, tmp_path / "state.pt")
    samples.run(first, tmp_path, until=seen + 1)
    assert distilling.tokens_seen(tmp_path) > seen


@contextlib.contextmanager
def script(teachers: Path, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """`distillation_samples` in two processes, gone at the end."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [*launcher, "-m", "tests.lab.distillation_samples", str(teachers), str(folder)]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            yield child
        finally:
            child.terminate()  # torchrun ends its processes first


@pytest.mark.slow
def test_two_processes_are_killed_and_one_goes_on(teachers: Path, tmp_path: Path) -> None:
    whole = samples.run(samples.weighted_teachers(teachers), tmp_path / "whole")
    with script(teachers, tmp_path / "shared") as child:
        assert child.stdout is not None
        first = json.loads(child.stdout.readline())
    seen = distilling.tokens_seen(tmp_path / "shared")
    assert 0 < seen < samples.CONFIG.tokens
    rest = samples.run(
        samples.weighted_teachers(teachers),
        tmp_path / "shared",
        vectors=tmp_path / "shared" / "vectors",
    )
    found = {row["step"]: row for row in (first, *rest)}
    assert list(found) == [row["step"] for row in whole] == [10, 20, 30]
    for one in whole:
        assert found[one["step"]]["seen"] == one["seen"]
        # In bfloat16, in which other shares are other roundings.
        assert found[one["step"]] == pytest.approx(one, abs=0.05)
    # A file of each of the two processes, for each teacher of tokens.
    assert len(list((tmp_path / "shared" / "vectors").glob("*/tokens/*.keys"))) >= 4
