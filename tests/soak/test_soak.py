"""A part of the campaign that takes seconds; `make soak` runs all of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from . import clocks, damage, extremes, failing_calls, inputs, power_loss, readers, sequences
from .disk_model import Disk, Record
from .interposing import build
from .stages import Stage, Tally

FEW = {
    failing_calls.KILLS: 24,
    failing_calls.CALLS: 40,
    damage.FLIPS: 40,
    damage.REPLACES: 40,
    inputs.STAGE: 200,
    clocks.STAGE: 4,
    extremes.STAGE: 1,
    readers.STAGE: 1,
    sequences.STAGE: 2,
}
NEEDS_A_COMPILER = {failing_calls.KILLS, failing_calls.CALLS}


@pytest.mark.slow
@pytest.mark.parametrize("stage", FEW, ids=lambda stage: stage.name)
def test_a_few_trials(stage: Stage, tmp_path: Path) -> None:
    if stage in NEEDS_A_COMPILER and build(tmp_path) is None:
        pytest.skip("needs Linux and a C compiler")
    tally = Tally()
    stage.run(range(FEW[stage]), tally, tmp_path)
    assert tally.faults == []
    assert tally.trials == FEW[stage]
    if stage.name == "calls":  # otherwise no call failed, and nothing was shown
        assert tally.outcomes["refused in one line"] > FEW[stage] / 4


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Record]]:
    folder = tmp_path_factory.mktemp("trace")
    if build(folder) is None:
        pytest.skip("needs Linux and a C compiler")
    return power_loss.traced(folder, 0)


def _faults(root: Path, records: list[Record], place: Path) -> Iterator[str]:
    """What a cut leaves wrong after every fiftieth record, with nothing kept that may be lost."""
    for length in range(0, len(records), 50):
        disk = Disk(root)
        for record in records[:length]:
            disk.play(record)
        left = place / str(length)
        place.mkdir(exist_ok=True)
        disk.cut(left, None)
        trouble = power_loss.judged(left / "index", power_loss.allowed(records[:length]))
        if trouble:
            yield trouble


@pytest.mark.slow
def test_a_power_cut_loses_nothing(trace: tuple[Path, list[Record]], tmp_path: Path) -> None:
    root, records = trace
    assert list(_faults(root, records, tmp_path)) == []


@pytest.mark.slow
def test_the_model_of_a_disk_loses_what_is_not_forced(
    trace: tuple[Path, list[Record]], tmp_path: Path
) -> None:
    """A program that forgot to force one kind of file would be found."""
    root, records = trace
    for forgotten in ("store.sqlite-wal", "late.codes.npy", "segments"):
        left = [it for it in records if it.what != "sync" or not it.parts[0].endswith(forgotten)]
        assert len(left) < len(records)
        assert any(_faults(root, left, tmp_path / forgotten))


def test_memory_that_grows_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(memory: list[int], descriptors: list[int] | None = None) -> list[str]:
        monkeypatch.setattr(readers, "_seen", [])
        tally = Tally()
        for pages, opened in zip(memory, descriptors or [5] * len(memory), strict=True):
            readers._judge_growth(40, pages, opened, tally)
        return tally.faults

    settling = [1_000, 1_200, 1_190, 1_150, 1_200]
    assert found([*settling, *[1_200, 1_400, 1_250, 1_390, 1_400, 1_350] * 3]) == []
    assert len(found([*settling, 1_250, 1_330, 1_330, 1_400, 1_340, 1_330, 1_300])) == 1
    assert len(found([*range(1_000, 2_000, 50)])) > 5
    assert len(found([1_000] * 7, [5, 6, 5, 5, 5, 6, 7])) == 1
