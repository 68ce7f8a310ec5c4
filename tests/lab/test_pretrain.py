"""A pretraining run: it learns, goes on exactly where it was killed, and shares its work."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from lab.pretraining.phases import Phase
from lab.pretraining.pretrain import PretrainConfig, pretrain
from lab.running.optimisers import OptimiserSettings
from lab.text.tokens import Documents
from retrieval.errors import CheckpointError, EncoderError, InputError

from . import pretraining_samples as samples

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums in one order everywhere."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run(folder: Path, **changes: Any) -> list[dict[str, Any]]:
    """A whole run in a folder; its log."""
    config = dataclasses.replace(samples.CONFIG, **changes)
    assert pretrain(samples.model(), samples.text(), config, folder)
    return log(folder)


def log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def course(lines: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(line["step"], line["phase"], line["seen"], line["rate"]) for line in lines]


def losses(lines: list[dict[str, Any]]) -> list[float]:
    return [line["loss"] for line in lines]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The log of a run that nothing stopped."""
    torch.set_num_threads(1)
    return run(tmp_path_factory.mktemp("whole"))


def test_a_run_goes_through_its_phases(whole: list[dict[str, Any]]) -> None:
    for phase in samples.PHASES:
        own = [line for line in whole if line["phase"] == phase.name]
        read = sum(line["tokens"] for line in own)
        assert phase.tokens <= read < phase.tokens + phase.batch_tokens * 1.2
    first, last = whole[0], whole[-1]
    assert first["tokens"] <= 96 and first["rate"] < 0.01
    assert max(line["tokens"] for line in whole) > 192  # three packs, once the batch has grown
    assert [line["rate"] for line in whole if line["phase"] == "long"] == [0.5] * 4
    assert last["rate"] < 0.25
    assert sum(line["fill"] for line in whole) / len(whole) > 0.85


def test_a_run_learns(tmp_path: Path) -> None:
    phase = Phase("one", 40_000, 64, 512, 10_000.0, warmup=0.1, decay=0.3)
    model = samples.model()
    settings = OptimiserSettings(adam=5e-3, muon=2e-2)
    config = PretrainConfig((phase,), 512, settings, checkpoint_seconds=1e9)
    assert pretrain(model, samples.text(), config, tmp_path)
    found = losses(log(tmp_path))
    assert found[0] == pytest.approx(4.1, abs=0.3)
    assert found[-1] < 0.6 * found[0]
    assert model.trunk.config.max_positions == 64 and not model.training


def test_a_run_that_is_killed_repeats_one_that_is_not(
    whole: list[dict[str, Any]], tmp_path: Path
) -> None:
    """Killed twice while it writes a checkpoint at each step, then left to end."""
    for kill_at in (3, 9):
        with script(str(tmp_path)) as child:
            assert child.stdout is not None
            for line in child.stdout:
                if int(line) >= kill_at:
                    break
            child.kill()
    written = [line["step"] for line in log(tmp_path)]
    assert 9 <= len(written) < len(whole)
    found = run(tmp_path)
    assert course(found) == course(whole)
    assert losses(found) == pytest.approx(losses(whole), rel=1e-5)


@contextlib.contextmanager
def script(*arguments: str, launcher: tuple[str, ...] = ()) -> Iterator[subprocess.Popen[str]]:
    """`pretraining_samples` as a process of its own, gone at the end."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *launcher, "-m", "tests.lab.pretraining_samples", *arguments]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            yield child
        finally:
            child.terminate()  # torchrun ends its processes first


def test_a_deadline_stops_a_run_and_it_goes_on(whole: list[dict[str, Any]], tmp_path: Path) -> None:
    """At every step, so that each kind of moment is gone through: within phases and between."""
    for step in range(1, len(whole) + 1):
        model = samples.model(seed=step)  # its weights count only for the first
        if step == 1:
            model = samples.model()
        pretrain(model, samples.text(), samples.CONFIG, tmp_path, deadline=time.monotonic())
        assert len(log(tmp_path)) == step
        assert not model.training
    assert pretrain(samples.model(), samples.text(), samples.CONFIG, tmp_path)
    assert course(log(tmp_path)) == course(whole)
    assert losses(log(tmp_path)) == pytest.approx(losses(whole), rel=1e-5)


def test_what_was_logged_after_the_checkpoint_goes(
    whole: list[dict[str, Any]], tmp_path: Path
) -> None:
    for _ in range(2):
        pretrain(
            samples.model(), samples.text(), samples.CONFIG, tmp_path, deadline=time.monotonic()
        )
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 3, "loss": 0}\n{"step": 4, "lo')
    assert losses(run(tmp_path)) == pytest.approx(losses(whole), rel=1e-5)


@pytest.mark.slow
def test_two_processes_sum_what_one_would(tmp_path: Path) -> None:
    """Three packs: rank 0 has two of them, rank 1 one."""
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    with script(str(tmp_path), "gradients", launcher=launcher) as child:
        assert child.wait(600) == 0
    shared = torch.load(tmp_path / "g0.pt", weights_only=True)
    alone = samples.first_gradients(tmp_path / "alone")
    assert len(shared) == len(alone) == len(list(samples.model().parameters()))
    for name, gradient in alone.items():
        assert gradient.abs().max() > 0
        torch.testing.assert_close(shared[name], gradient, atol=1e-6, rtol=1e-4)
    assert not (tmp_path / "rank1" / "state.pt").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1}, "seed is 0 there, 1 here"),
        ({"phases": samples.PHASES[:2]}, "phases"),
        ({"optimiser": OptimiserSettings(muon=None)}, r"optimiser\.muon is 0\.01 there, null"),
    ],
)
def test_another_run_does_not_go_on(tmp_path: Path, changes: Any, message: str) -> None:
    stop = time.monotonic()
    pretrain(samples.model(), samples.text(), samples.CONFIG, tmp_path, deadline=stop)
    with pytest.raises(CheckpointError, match=message):
        run(tmp_path, **changes)


def test_another_shape_or_text_does_not_go_on(tmp_path: Path) -> None:
    stop = time.monotonic()
    pretrain(samples.model(), samples.text(), samples.CONFIG, tmp_path, deadline=stop)
    with pytest.raises(CheckpointError, match="shape"):
        pretrain(samples.model(hidden_size=64), samples.text(), samples.CONFIG, tmp_path)
    own = samples.documents()
    other = samples.text(Documents(own.ids, own.offsets, "other"))
    with pytest.raises(CheckpointError, match='text is "tiny" there, "other" here'):
        pretrain(samples.model(), other, samples.CONFIG, tmp_path)


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path) -> None:
    model = samples.model()
    with torch.no_grad():
        model.trunk.final_norm.weight.fill_(torch.nan)
    with pytest.raises(EncoderError, match="lower the learning rate"):
        pretrain(model, samples.text(), samples.CONFIG, tmp_path)
    assert not (tmp_path / "state.pt").exists()


def test_packs_that_hold_no_text_of_a_phase(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="do not fit packs of 64"):
        run(tmp_path, pack_tokens=64)
