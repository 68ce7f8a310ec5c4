import json
from dataclasses import fields
from pathlib import Path

import pytest

from retrieval.index import IndexStatus
from tests.cli.conftest import Retrieval


def test_status_says_what_there_is(indexed: Retrieval) -> None:
    shown = indexed("status")
    assert shown.code == 0
    facts = dict(line.split(maxsplit=1) for line in shown.out.splitlines())
    assert facts["documents"] == "2 from 2 files"
    assert facts["encoder"] == "fake-words"
    assert facts["vectors"] == "dense of 32, token of 16"
    _, parts = facts["size"].split(": ")
    assert {"dense", "late", "lexical", "store"} <= {part.split()[0] for part in parts.split(", ")}
    report = json.loads(indexed("status", "--json").out)
    assert set(report) == {field.name for field in fields(IndexStatus)}


def test_status_names_the_folder_without_detours(
    indexed: Retrieval, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder / "docs")
    assert json.loads(indexed("status", "--json").out)["path"] == str(folder / ".retrieval")


def test_status_verifies(indexed: Retrieval) -> None:
    assert "verified     every file is what was committed\n" in indexed("status", "--verify").out
    assert json.loads(indexed("status", "--verify", "--json").out)["problems"] == []


def test_status_of_the_machine_needs_no_index(retrieval_command: Retrieval) -> None:
    done = retrieval_command("status", "--machine")
    assert done.code == 0
    assert "\nattention  " in done.out and "\n  not flash_attn  " in done.out
    facts = json.loads(retrieval_command("status", "--machine", "--json").out)
    assert facts["attention"]["used"] in done.out
    assert set(facts["late interaction"]) == {"used", "why_not"}
    refused = retrieval_command("status", "--machine", "--index", "x")
    assert refused.code == 2
    assert refused.err.count("\n") == 1 and "give it alone" in refused.err
