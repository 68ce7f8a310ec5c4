"""From data to a model folder: it learns, it goes on after a kill, it keeps the better model."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from retrieval import Document, Index
from retrieval.encoders import load_encoder
from retrieval.encoders.model_folder import fingerprint
from retrieval.errors import CheckpointError, InputError
from retrieval.train import adapt as adapting
from retrieval.train.adapt import AdaptOptions, adapt, starting_model
from retrieval.train.heldout import measure
from retrieval.train.pseudo_queries import read_index
from retrieval.train.task import Task, read_task
from retrieval.types import ProgressCallback, ProgressUpdate
from tests.train import made_up

FEW = AdaptOptions(epochs=1, batch=8, negatives=2)
FILES = ["README.md", "config.json", "model.onnx", "model.safetensors", "tokenizer.json"]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_up.write_start(tmp_path_factory.mktemp("models") / "start")


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_up.write_collection(tmp_path_factory.mktemp("data") / "made-up")


@pytest.fixture
def small(tmp_path: Path) -> Task:
    return read_task(made_up.write_collection(tmp_path / "small", documents=40, train=24, dev=8))


def test_held_out_figures_rise_where_there_is_something_to_learn(
    start: Path, collection: Path, tmp_path: Path
) -> None:
    task = read_task(collection)
    report = adapt(
        task,
        tmp_path / "model",
        start=start,
        options=AdaptOptions(epochs=16, rate=8e-3, negatives=2),
    )
    assert report.kept == "trained"
    for retriever in ("dense", "late", "hybrid"):
        gained = report.after[retriever]["nDCG@10"] - report.before[retriever]["nDCG@10"]
        assert gained > 0.1, report
    # The figures are those of the folder that is handed out, used as any encoder is.
    assert sorted(path.name for path in report.model.iterdir()) == [*FILES, "training.json"]
    encoder = load_encoder(report.model)
    assert encoder.name == "model" and encoder.fingerprint != fingerprint(start)
    with Index.create(tmp_path / "index", encoder=encoder) as index:
        index.add(task.documents)
        assert measure(index, task) == report.after
    written = json.loads((report.model / "training.json").read_text())
    assert written["after"] == report.after and written["steps"] == report.steps
    card = (report.model / "README.md").read_text()
    assert f"{report.after['late']['nDCG@10']:.4f}" in card and "made-up" in card


def test_a_worse_model_is_not_handed_out(
    start: Path, small: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = iter([0.9, 0.2])
    monkeypatch.setattr(
        adapting,
        "measure",
        lambda *_, **__: {"dense": dict.fromkeys(("nDCG@10", "RR@10"), next(figures))},
    )
    report = adapt(small, tmp_path / "model", start=start, options=FEW)
    assert report.kept == "start"
    assert fingerprint(report.model) == fingerprint(start)
    assert "unchanged" in (report.model / "README.md").read_text()


def test_a_run_that_stopped_goes_on_with_what_is_done(
    start: Path, small: Task, tmp_path: Path
) -> None:
    whole = adapt(small, tmp_path / "a" / "model", start=start, options=FEW)
    said: list[str] = []

    def stop_at(word: str) -> ProgressCallback:
        def show(now: ProgressUpdate) -> None:
            said.append(now.stage.partition(":")[0])
            if now.stage.startswith(word) and now.done == now.total:
                raise KeyboardInterrupt

        return show

    out = tmp_path / "b" / "model"
    for word in ("indexing", "mining", "training", "measuring"):
        with pytest.raises(KeyboardInterrupt):
            adapt(small, out, start=start, options=FEW, progress=stop_at(word))
        assert not (out / "config.json").exists()
    said.clear()
    resumed = adapt(
        small, out, start=start, options=FEW, progress=lambda now: said.append(now.stage)
    )
    assert not any(what.startswith(("training", "mining")) for what in said)
    assert replace(resumed, model=whole.model, seconds=whole.seconds) == whole
    assert fingerprint(resumed.model) == fingerprint(whole.model)


def test_teachers_can_be_others_and_several(start: Path, small: Task, tmp_path: Path) -> None:
    other = made_up.write_start(tmp_path / "other", seed=1)
    options = replace(FEW, teachers=(str(start), str(other)), scores="late")
    cache = tmp_path / "cache"
    report = adapt(small, tmp_path / "model", start=start, options=options, cache=cache)
    assert len(list((cache / "teachers").iterdir())) == 2
    assert "start, other, late scores" in (report.model / "README.md").read_text()
    assert list(cache.glob("candidates-*.jsonl")) and len(list(cache.glob("index-*"))) == 2


def test_minutes_decide_how_many_steps(start: Path, small: Task, tmp_path: Path) -> None:
    report = adapt(small, tmp_path / "m", start=start, options=replace(FEW, minutes=0.0001))
    assert report.steps == 1


def test_an_index_trains_without_labels(start: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pages = [
        Document(
            f"p{number}",
            f"# {made_up.TOLD[number]} {made_up.ASKED[number]}\n\n"
            f"{' '.join(rng.choice(made_up.TOLD + made_up.FILLERS, 60))} {made_up.TOLD[number]}\n",
            f"{made_up.TOLD[number]} {made_up.ASKED[number]}",
            {"language": "markdown"},
        )
        for number in range(20)
    ]
    with Index.create(tmp_path / "index", encoder=str(start)) as index:
        index.add(pages)
    task = read_index(tmp_path / "index")
    report = adapt(task, tmp_path / "model", start=start, options=FEW)
    assert "anchor" in report.losses and "pseudo" in report.measured_on


def test_folders_that_cannot_be_used_are_named(start: Path, small: Task, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty"):
        adapt(small, full, start=start, options=FEW)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        adapt(small, tmp_path / "file" / "model", start=start, options=FEW)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "model"
    with pytest.raises(KeyboardInterrupt):
        adapt(small, out, start=start, options=FEW, progress=stop)
    with pytest.raises(InputError, match="unfinished run with batch 8, not 4"):
        adapt(small, out, start=start, options=replace(FEW, batch=4))
    with pytest.raises(InputError, match="unfinished run with other data"):
        adapt(replace(small, held_out=dict(list(small.held_out.items())[:3])), out,
              start=start, options=FEW)  # fmt: skip


def test_tasks_that_are_too_small_are_refused(start: Path, small: Task, tmp_path: Path) -> None:
    few = replace(small, train=dict(list(small.train.items())[:3]))
    with pytest.raises(InputError, match="3 queries to learn from, expected 8 or more"):
        adapt(few, tmp_path / "model", start=start, options=FEW)
    with pytest.raises(InputError, match="no query to measure on"):
        adapt(replace(small, held_out={}), tmp_path / "model", start=start, options=FEW)
    assert not (tmp_path / "model").exists()


def test_several_processes_are_refused(
    start: Path, small: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="2 processes"):
        adapt(small, tmp_path / "model", start=start, options=FEW)


def test_only_models_of_this_package_are_begun_with(start: Path, tmp_path: Path) -> None:
    assert starting_model(str(start)) == start
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "config.json").write_text('{"model_type": "modernbert"}')
    with pytest.raises(CheckpointError, match="in the format of transformers"):
        starting_model(str(plain))
    part = tmp_path / "part"
    shutil.copytree(start, part)
    (part / "model.onnx").unlink()
    with pytest.raises(CheckpointError, match=r"model\.onnx: not there"):
        starting_model(str(part))
