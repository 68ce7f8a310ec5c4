"""The notebook with a RAG pipeline, with the embedded model itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import ROOT


def test_questions_are_answered_from_their_notes_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    notebook = ROOT / "examples" / "rag_pipeline.ipynb"
    printed: list[str] = []
    namespace: dict[str, Any] = {}
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), notebook.name, "exec"), namespace)
            printed.append(capsys.readouterr().out)
    said = "".join(printed)
    assert "4 files, 4 passages" in said and "notes/power.md:1 Power cuts" in said
    assert "\n0 passages\n" in said
    assert "A second writer waits ten seconds. [1]" in said and "[1] notes/backup.md:1" in said
    assert "who won the football match\nThe notes do not say.\n" in said
    assert "4 of 4 questions find their note first" in said
