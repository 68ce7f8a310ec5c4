"""The benchmark of the service: its parts run, and those that are there are kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from retrieval import Document, Index
from tests.server.conftest import running

COMMAND = (sys.executable, Path(__file__).parents[2] / "benchmarks" / "service.py")
TINY = ("--passages", "12", "--rounds", "1", "--queries", "4", "--minutes", "0.02")
ANIMALS = ("zebras", "gnus", "herons", "otters")


@pytest.mark.slow
def test_parts_run_and_others_are_kept(tmp_path: Path) -> None:
    collection = tmp_path / "collection"
    (collection / "qrels").mkdir(parents=True)
    rows = [{"_id": f"{at}", "text": f"{ANIMALS[at % 4]} graze at noon {at}"} for at in range(12)]
    queries = [{"_id": f"{at}", "text": f"when do {one} graze"} for at, one in enumerate(ANIMALS)]
    for name, lines in (("corpus", rows), ("queries", queries)):
        written = "".join(json.dumps(line) + "\n" for line in lines)
        (collection / f"{name}.jsonl").write_text(written)
    (collection / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n0\t0\t1\n")
    out = tmp_path / "service.json"

    def measured(*options: str) -> Any:
        subprocess.run([*COMMAND, collection, "--out", out, *TINY, *options], check=True)
        return json.loads(out.read_text())

    with Index.create(tmp_path / "peer") as index:
        index.add([Document("a", "who waits")])
    with running(tmp_path) as peer:
        told = f"other={os.getpid()}=http://127.0.0.1:{peer.port}/v1"
        found = measured("--only", "embeddings", "peers", "agent", "--peer", told)
    assert found["embeddings"]["tokens_of_a_round"] > 12
    assert set(found["peers"]["servers"]) == {"retrieval", "other"}
    assert all(one["tokens_per_second"] > 0 for one in found["peers"]["servers"].values())
    assert found["agent"]["later_search_s"] > 0
    again = measured("--only", "search", "mixed")
    assert again["search"]["passages"] >= 12
    assert (again["mixed"]["wrong"], again["mixed"]["errors"]) == (0, 0)
    assert again["peers"] == found["peers"]
    assert set(again["measured"]) == {"embeddings", "peers", "agent", "search", "mixed"}
    told = "--peer", "other=1=http://elsewhere:80"
    refused = subprocess.run(
        [*COMMAND, collection, *told], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1 and "NAME=PID=http://127.0.0.1:PORT" in refused.stderr
