"""The recipe that gathers text, as its users run it: sources in, clean records out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from lab.recipes import text


@pytest.fixture(scope="module")
def recipe() -> ModuleType:
    return text


def _run(recipe: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["text.py", *map(str, arguments)])
    return int(recipe.main())


@pytest.mark.parametrize(
    ("licence", "free"),
    [
        ("MIT", True),
        ("BSD License", True),
        ("CC BY 4.0", True),
        ("CC0-1.0", True),
        ("GPL-3.0-only OR Apache-2.0", True),
        ("BSD-3-Clause AND MIT AND Zlib", True),
        ("CC-BY-SA-4.0", False),
        ("CC-BY-NC-4.0", False),
        ("MPL-2.0 AND MIT", False),
        ("GNU General Public License v3", False),
        ("Submitted to a journal", False),
        ("none declared", False),
    ],
)
def test_free_licences(recipe: ModuleType, licence: str, free: bool) -> None:
    assert recipe.is_free(licence) is free


def test_a_folder_becomes_records_without_what_a_collection_holds(
    recipe: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    protected = tmp_path / "collection"
    protected.mkdir()
    leak = " ".join(f"leak{at}" for at in range(40))
    (protected / "corpus.jsonl").write_text(json.dumps({"_id": "d", "text": leak}) + "\n")
    (protected / "queries.jsonl").write_text("")
    notes = tmp_path / "notes"
    notes.mkdir()
    clean = " ".join(f"word{at}" for at in range(40))
    (notes / "a.md").write_text(f"# A good title\n{clean}\n\n## Leaking part\n{clean} {leak}\n")
    (notes / "again.txt").write_text(clean.upper())
    (notes / "broken.xml").write_text("<x>creativecommons.org/licenses/by/4.0")
    code = "\n".join(f"    x{at} = {at}" for at in range(20))
    (notes / "m.py").write_text(f'def f():\n    """Set many of the values."""\n{code}\n')

    given = (
        "--folder",
        "my/notes",
        "MIT",
        notes,
        "--protect",
        protected,
        "--out",
        tmp_path / "out",
    )
    assert _run(recipe, monkeypatch, *given) == 0

    written = (tmp_path / "out" / "my-notes.jsonl").read_text()
    rows = [json.loads(line) for line in written.splitlines()]
    shown = {(row["kind"], row["title"], row["query"], row["text"]) for row in rows}
    assert shown == {
        ("pair", "A good title", "A good title", clean),
        ("pair", "f", "Set many of the values.", f"def f():\n{code}"),
        ("text", "", "", clean.upper()),
    }
    assert {(row["source"], row["licence"]) for row in rows} == {("my/notes", "MIT")}
    (report,) = json.loads((tmp_path / "out" / "SOURCES.json").read_text())
    assert (report["records"], report["dropped"]) == (3, {"text overlap": 1})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--packages", "no-such-package"), "not installed"),
        (("--folder", "x", "MIT", "nowhere"), "no folder"),
        (("--folder", "x", "CC-BY-NC-4.0", "."), "--any-licence"),
        (("--folder", "x", "MIT", ".", "--protect", "nowhere"), "corpus.jsonl"),
        (("--beir", "MIT", "nowhere"), "train.tsv"),
        (("--folder", "x", "MIT", ".", "--folder", "x", "MIT", "."), "two sources"),
    ],
)
def test_wrong_input_is_said_in_one_line(
    recipe: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert _run(recipe, monkeypatch, *arguments, "--out", "out") == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert said[-1].startswith("error: ") and message in said[-1]
    assert not Path("out").exists()
