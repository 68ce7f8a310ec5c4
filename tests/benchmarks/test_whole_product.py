"""The benchmark of the whole product: every step runs, and what is there is not done again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from retrieval.types import RETRIEVERS

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
COMMAND = (sys.executable, BENCHMARKS / "whole_product.py")
WORDS = [
    "rivers",
    "lamps",
    "horses",
    "winter",
    "copper",
    "sails",
    "bread",
    "mirrors",
    "tax",
    "moss",
]


@pytest.mark.slow
def test_every_step_runs_dry_and_goes_on_where_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "texts" / "collection"
    folder.mkdir(parents=True)
    for name, rows in (
        (
            "corpus",
            [{"_id": f"{n}", "text": f"Passage {n} tells of {WORDS[n % 10]}."} for n in range(20)],
        ),
        ("queries", [{"_id": f"{n}", "text": f"what tells of {WORDS[n]}"} for n in range(3)]),
    ):
        lines = "".join(f"{json.dumps(row)}\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    out = tmp_path / "result.json"

    def run(*options: str) -> dict[str, Any]:
        folders = [tmp_path / "texts", "--work", tmp_path / "work", "--out", out]
        subprocess.run([*COMMAND, *folders, "--dry", *options], check=True, capture_output=True)
        return dict(json.loads(out.read_text()))

    rows = run()["rows"]
    assert not [key for key, row in rows.items() if "error" in row], rows
    assert rows["real"] == {"documents": 20, "passages": 20, "queries": 3}
    assert rows["30 build"]["passages"] == 30  # ten perturbed copies among them
    assert rows["30 build"]["bytes_a_token"] > 90
    for retriever in RETRIEVERS:
        times = rows["30 search"][retriever]
        assert 0 < times["p50_ms"] <= times["p95_ms"]
    for name in ("hybrid", "late", "dense"):
        assert rows["30 overlap"][f"{name}_overlap_at_10"] == 1
    assert rows["30 change"]["adds"] == 3
    assert rows["30 change"]["single_adds_ratio_by_processor_s"] > 0
    assert rows["30 cold"]["in_imports_of_numpy_by_processor_ms"] > 1
    built = rows["30 build"]
    assert built["adding"]["passages"] == 30
    assert built["adding"]["token_vectors"] == built["token_vectors"] <= built["tokens"]
    assert built["over_encoding"] > 1
    del rows["30 overlap"], rows["30 build"]
    kept = json.loads(out.read_text())
    kept["rows"] = rows | {"30 build": {"error": ["Killed"]}}  # which is tried again
    out.write_text(json.dumps(kept))
    again = run("--only", "build")["rows"]
    assert {key: again[key] for key in rows} == rows
    assert "30 overlap" not in again
    assert again["30 build"]["passages"] == 30
    assert again["30 build"]["adding"] == built["adding"]  # of the run before: nothing was added


def test_what_was_measured_becomes_a_table_and_a_picture(tmp_path: Path) -> None:
    times = {"p50_ms": 12.34, "p95_ms": 56.78}
    rows = {
        "real": {"documents": 1},
        "1000 build": {"bytes": 5e6, "bytes_a_token": 41.5, "adding": {"memory_mb": 321}},
        "1000 search": {"hybrid": times, "memory_mb": {"VmRSS": 99, "RssAnon": 44}},
        "1000 lancedb": {"hybrid": times, "building_s": 7.7, "bytes": 26e6},
        "1000 qdrant_local": {"left_out": "qdrant_client is not installed"},
        "20000 search": {"error": ["MemoryError"]},
        "20000 build": {"bytes_a_token": 40.1},
    }
    where = {"date": "2026-11-29T12:00", "commit": "abc", "versions": {"numpy": "2"}}
    machine = {"cores": 2, "cpu": "CPU", "memory_gb": 8}
    result, page, picture = (tmp_path / name for name in ("result.json", "page.md", "growth.svg"))
    result.write_text(json.dumps({"rows": rows, "machine": machine} | where))
    page.write_text("before\n<!-- growth: begin -->\nold\n<!-- growth: end -->\nafter\n")
    command = [sys.executable, BENCHMARKS / "whole_product_table.py", result, page, picture]
    for _ in range(2):  # what it wrote is replaced, not added to
        subprocess.run(command, check=True, capture_output=True)
    lines = page.read_text().splitlines()
    assert (lines[0], lines[-1], "old" in lines) == ("before", "after", False)
    assert "| passages | 1,000 | 20,000 |" in lines
    assert "| **bytes a token of the text** | **41.5** | **40.1** |" in lines
    assert "| **`hybrid`, p50 / p95 ms** | 12.3 / 56.8 |  |" in lines
    assert "| LanceDB: p50 / p95 ms | 12.3 / 56.8 |  |" in lines
    assert not [line for line in lines if "Qdrant" in line]
    drawn = picture.read_text()
    assert "hybrid, p95 56.780 at 1e+03" in drawn
    assert "LanceDB, p50" in drawn


def test_a_folder_without_texts_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, tmp_path, "--work", tmp_path / "work", "--out", tmp_path / "out.json", "--dry"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "holds no text; give a folder with corpus.jsonl or text files" in done.stderr
