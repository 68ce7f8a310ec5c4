"""The benchmark for GPUs: all of it runs here, tiny; what it counts is right; it loses nothing."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from retrieval.encoders.model.attention import Layout
from retrieval.encoders.model.config import ModernBertConfig
from retrieval.encoders.model.modernbert import ModernBert

ROOT = Path(__file__).parents[2]
ABSENT = ("faiss", "tantivy", "re2", "pypdfium2", "olefile", "python_calamine", "tree_sitter")
"""What a machine with a GPU and no network lacks, of what the package depends on."""

LEFT_OUT = ("not installed", "runs on a GPU, not on cpu", "no gradient", "no bfloat16", "faiss")
"""Why a row may be left out on a CPU."""


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Modules of the benchmark by name."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return lambda name: importlib.import_module(name)


@pytest.mark.slow
def test_all_of_it_runs_dry_from_a_plain_checkout(tmp_path: Path, steps: Any) -> None:
    hidden = (
        "import sys\n"
        "from importlib.machinery import PathFinder\n"
        "class Hiding(PathFinder):\n"
        "    @classmethod\n"
        "    def find_spec(cls, name, path=None, target=None):\n"
        f"        absent = name.split('.')[0] in {ABSENT}\n"
        "        return None if absent else super().find_spec(name, path, target)\n"
        "at = sys.meta_path.index(PathFinder)\n"
        "sys.meta_path[at] = Hiding\n"
    )
    (tmp_path / "sitecustomize.py").write_text(hidden)
    out = tmp_path / "result.json"
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), "--dry", "--out", str(out)]
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
    environment.pop("TRITON_INTERPRET", None)
    done = subprocess.run(
        [*command, "--minutes", "30"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(out.read_text())
    assert result["finished"] and result["dry"]
    assert result["commit"] and result["versions"]["torch"]
    assert list(result["steps"]) == list(steps("gpu_steps.table").STEPS)
    measured = 0
    for name, step in result["steps"].items():
        assert "error" not in step and step["rows"], (name, step)
        for row in step["rows"]:
            assert "error" not in row, (name, row)
            assert row.get("ok", True), (name, row)
            left_out = row.get("left_out")
            assert left_out is None or any(why in left_out for why in LEFT_OUT), (name, row)
            measured += left_out is None
    assert measured > 50
    encoded = [row for row in result["steps"]["encoding"]["rows"] if "tokens_per_s" in row]
    assert encoded and all(row["tokens_per_s"] > 0 for row in encoded)
    assert {"limit", "of_limit", "peak_mb", "network_alone_tokens_per_s"} <= set(encoded[0])


def test_without_a_gpu_it_says_so(tmp_path: Path, steps: Any) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    told: list[dict[str, Any]] = []
    reporting = steps("gpu_steps.reporting")
    assert reporting.run_steps({"any": lambda run: None}, dry=False, report=told.append) == 0
    assert told == [
        {"step": "any", "error": "torch sees no GPU; --dry runs on a CPU", "seconds": 0}
    ]


def test_what_fails_is_a_line_and_the_rest_goes_on(steps: Any) -> None:
    reporting = steps("gpu_steps.reporting")

    def fails(run: Any) -> None:
        run.row({"n": 1}, lambda: {"value": 2})
        assert not run.row({"n": 2}, lambda: 1 / 0)
        run.row({"n": 3}, lambda: missing())
        raise ValueError("two\nlines")

    def missing() -> dict[str, Any]:
        raise reporting.Skip("not installed")

    def spoils(run: Any) -> None:
        run.row({"n": 4}, broken)

    def broken() -> dict[str, Any]:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    told: list[dict[str, Any]] = []
    table = {"fails": fails, "fine": lambda run: None, "spoils": spoils, "never": fails}
    assert reporting.run_steps(table, dry=True, report=told.append) == reporting.GPU_LOST
    rows = [line["row"] for line in told if "row" in line]
    assert rows[0] == {"n": 1, "value": 2}
    assert rows[1]["error"].startswith("ZeroDivisionError: division by zero (test_gpu.py:")
    assert rows[2] == {"n": 3, "left_out": "not installed"}
    ends = {line["step"]: line for line in told if "seconds" in line}
    assert list(ends) == ["fails", "fine", "spoils"]
    assert ends["fails"]["error"].startswith("ValueError: two lines (test_gpu.py:")
    assert "error" not in ends["fine"]
    assert "illegal memory access" in ends["spoils"]["error"]


def reported(steps: Any, tmp_path: Path, program: str, seconds: float = 60) -> dict[str, Any]:
    """The result where a worker is this program; its arguments are the steps."""
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import json, sys, time\n"
        "def tell(**line): print(json.dumps(line), flush=True)\n"
        f"names = sys.argv[1:]\n{program}"
    )
    out = tmp_path / "result.json"
    report = steps("gpu").Report(
        out, dry=False, deadline=time.monotonic() + seconds, worker=[sys.executable, str(worker)]
    )
    report.run(["a", "b", "c"])
    result: dict[str, Any] = json.loads(out.read_text())
    return result


def test_a_process_that_ends_costs_the_step_that_it_was_in(steps: Any, tmp_path: Path) -> None:
    program = (
        "for name in names:\n"
        "    tell(step=name, row={'kept': name})\n"
        "    if name == 'b': sys.exit(11)\n"
        "    tell(step=name, seconds=1)\n"
    )
    result = reported(steps, tmp_path, program)
    assert result["finished"]
    assert [step["rows"] for step in result["steps"].values()] == [[{"kept": n}] for n in "abc"]
    assert result["steps"]["b"]["error"] == "its process ended with code 11"
    assert all(set(result["steps"][name]) == {"rows", "seconds"} for name in "ac")


def test_a_process_whose_gpu_is_spoilt_is_followed_by_another(steps: Any, tmp_path: Path) -> None:
    program = (
        "tell(step=names[0], error='an illegal memory access', seconds=1)\n"
        f"sys.exit({steps('gpu_steps.reporting').GPU_LOST})\n"
    )
    result = reported(steps, tmp_path, program)
    assert result["finished"]
    assert [step["error"] for step in result["steps"].values()] == ["an illegal memory access"] * 3


def test_a_step_that_hangs_is_stopped(
    steps: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps("gpu"), "STEP_LIMIT_S", 3.0)
    program = (
        "for name in names:\n    if name == 'a': time.sleep(600)\n    tell(step=name, seconds=1)\n"
    )
    result = reported(steps, tmp_path, program)
    assert result["steps"]["a"]["error"] == "stopped after 3 s"
    assert result["finished"] and "error" not in result["steps"]["c"]


def test_when_time_runs_out_what_was_measured_is_there(steps: Any, tmp_path: Path) -> None:
    program = (
        "tell(step='a', row={'value': 1})\ntell(step='a', seconds=1)\n"
        "tell(step='b', row={'value': 2})\ntime.sleep(600)\n"
    )
    result = reported(steps, tmp_path, program, seconds=4)
    assert not result["finished"]
    assert result["steps"]["b"]["rows"] == [{"value": 2}]
    assert result["steps"]["b"]["error"].startswith("stopped after")
    assert result["steps"]["c"]["error"] == "no time was left for it"


@pytest.mark.parametrize("window", [1, 3, 64])
def test_pairs_that_a_window_sees(steps: Any, window: int) -> None:
    for length in (1, 2, 3, 4, 5, 64, 65, 66, 130):
        at = torch.arange(length)
        expected = int(((at[:, None] - at).abs() <= window).sum())
        assert steps("gpu_steps.limits").visible_pairs(length, window) == expected


def test_operations_are_those_that_torch_counts(steps: Any) -> None:
    config = ModernBertConfig(50, 64, 96, 3, 1, ("global",) * 3)
    model = ModernBert(config)
    model.initialise()
    lengths = [40, 40]
    counter = FlopCounterMode(display=False)
    # As products of matrices, which it counts; it does not know every fused kernel.
    with counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        model(torch.zeros(80, dtype=torch.long), Layout.of(lengths))
    assert steps("gpu_steps.limits").flops(config, lengths) == counter.get_total_flops()


@pytest.mark.parametrize(
    ("name", "memory"),
    [
        ("NVIDIA H200", 4.8e12),
        ("NVIDIA H100 80GB HBM3", 3.35e12),
        ("NVIDIA H100 PCIe", 2.0e12),
        ("NVIDIA H100 NVL", 3.9e12),
        ("NVIDIA A100-SXM4-40GB", 1.555e12),
        ("NVIDIA A100-SXM4-80GB", 2.039e12),
        ("NVIDIA L4", 0.3e12),
        ("NVIDIA L40S", 0.864e12),
        ("NVIDIA L40", None),
        ("NVIDIA GeForce RTX 9999", None),
    ],
)
def test_limits_go_by_the_device_s_name(
    steps: Any, monkeypatch: pytest.MonkeyPatch, name: str, memory: float | None
) -> None:
    limits, reporting = steps("gpu_steps.limits"), steps("gpu_steps.reporting")
    run = reporting.Run(torch.device("cuda"), steps("gpu_steps.sizes").REAL, False, print)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: name)
    found = limits.of_device(run)
    assert (found and found.memory) == memory
    config = run.sizes.models["base"]
    rate = limits.max_tokens_per_s(run, config, [256] * 64)
    assert (rate is None) == (memory is None)
    assert limits.of_limit(5.0, 10.0) == {"limit": 10, "of_limit": 0.5}


def test_texts_have_the_tokens_that_are_said(steps: Any) -> None:
    models: ModuleType = steps("gpu_steps.models")
    texts = models.mixed_texts(50, 512)
    counted = [len(one.ids) for one in models.embedded_tokenizer().encode_batch_fast(texts.texts)]
    assert texts.lengths == [min(512, length) for length in counted]
    assert texts.tokens == sum(texts.lengths)
    assert 200 < texts.tokens / 50 < 320
    assert max(texts.lengths) > 300 and min(texts.lengths) < 200
    assert models.texts_of_lengths([8192], 8192).lengths[0] > 8000
