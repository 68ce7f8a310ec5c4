"""`retrieval mcp` as a client starts it: a process whose standard output is the wire."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from retrieval import Document
from retrieval.cli.entry import run
from retrieval.sharded import ShardedIndex
from tests.mcp.conftest import asked_by_the_sdk
from tests.mcp.test_wire import INITIALIZE, request

COMMAND = Path(__file__).parents[1] / "cli" / "with_fake_encoder.py"


def test_an_index_in_a_folder_that_is_not_there_is_refused_and_not_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["mcp", "--index", str(tmp_path / "gone" / "index")]) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("error: --index: ") and error.count("\n") == 1
    assert "is not an index, nor in a folder" in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_session_over_standard_input_and_output(folder: Path) -> None:
    messages = [
        INITIALIZE,
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        request(1, "tools/list"),
        request(2, "tools/call", name="search", arguments={"query": "who waits", "k": 1}),
    ]
    done = subprocess.run(
        [sys.executable, str(COMMAND), "mcp"],
        input="".join(json.dumps(one) + "\n" for one in messages),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    answers: list[Any] = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["id"] for one in answers] == ["first", 1, 2]
    assert str(folder) in answers[0]["result"]["instructions"]
    hit = answers[2]["result"]["structuredContent"]["hits"][0]
    assert hit["path"] == "locks.md"


@pytest.mark.slow
def test_a_collection_in_shards_is_searched_and_read(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("obstore")
    url = f"file://{tmp_path}/storage"
    with ShardedIndex.create(url, shards=2, cache=tmp_path / "cache") as made:
        made.add([Document("locks.md", "# Locks\n\nWho comes second waits.", "Locks")])
    messages = [
        INITIALIZE,
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        request(1, "tools/call", name="search", arguments={"query": "who waits", "k": 1}),
        request(2, "tools/call", name="read", arguments={"path": "locks.md", "start_line": 3}),
        request(3, "tools/call", name="status", arguments={}),
        request(4, "tools/call", name="find_related", arguments={"path": "locks.md", "line": 3}),
        request(5, "tools/call", name="outline", arguments={"path": "locks.md"}),
    ]
    done = subprocess.run(
        [sys.executable, str(COMMAND), "mcp", "--index", url],
        input="".join(json.dumps(one) + "\n" for one in messages),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"XDG_CACHE_HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    answers = {one["id"]: one["result"] for one in map(json.loads, done.stdout.splitlines())}
    assert url in answers["first"]["instructions"]
    assert answers[1]["structuredContent"]["hits"][0]["path"] == "locks.md"
    assert answers[2]["structuredContent"]["text"] == "3\tWho comes second waits."
    facts = answers[3]["structuredContent"]
    assert (facts["url"], facts["documents"], facts["shards"]) == (url, 1, 2)
    assert answers[4]["structuredContent"]["hits"] == []
    assert answers[5]["isError"] and "did not come from a file" in answers[5]["content"][0]["text"]


@pytest.mark.slow
def test_what_is_printed_does_not_reach_the_wire(folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "chatty.py"
    script.write_text(
        "import os, sys\n"
        "from pathlib import Path\n"
        "from retrieval.mcp import stdio, tools\n"
        "def chatty(self, given, call):\n"
        "    print('from Python')\n"
        "    os.write(1, b'from below')\n"
        "    return tools.ToolResult('said', {})\n"
        "tools.Tools.status = chatty\n"
        "stdio.serve(Path('.retrieval'))\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, str(script)],
        input="".join(
            json.dumps(one) + "\n" for one in (INITIALIZE, request(1, "tools/call", name="status"))
        ),
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == ["first", 1]
    assert "from Python" in done.stderr
    assert "from below" in done.stderr


def test_nothing_heavy_is_imported_before_initialize_is_answered() -> None:
    script = (
        "import json, sys\n"
        "import retrieval.mcp.stdio\n"
        "from retrieval.mcp.tools import Tools, make_tools\n"
        "make_tools(Tools(lambda: None, allow_write=True), allow_write=True)\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=root
    )
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert not loaded & {"numpy", "sqlite3", "faiss", "tantivy", "onnxruntime", "tokenizers"}


@pytest.mark.slow
def test_the_official_client_is_served(folder: Path) -> None:
    got = asked_by_the_sdk(sys.executable, str(COMMAND), "mcp", cwd=folder)
    assert got["tools"] == ["search", "read", "outline", "find_related", "status"]
    assert got["hits"][0]["path"] == "locks.md"
    assert got["failed"] == [["read", {"path": "/etc/passwd"}]]
