"""What is in an index by folder, format and language, and what is left out; what is explained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from retrieval import Document, Index
from retrieval.service.overview import by_folder, left_out, overview
from retrieval.service.searching import SearchOptions, search
from retrieval.service.updating import update
from tests.index.fake_encoder import FakeEncoder


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ([], {}),
        (["a.md"], {".": 1}),
        (["a/x.md", "a/y.md", "b/x.md", "c.md"], {"a": 2, "b": 1, ".": 1}),
        (["up/a/x.md", "up/a/deep/y.md", "up/b/z.md"], {"up/a": 2, "up/b": 1}),
        (["up/x.md", "up/a/y.md"], {"up": 1, "up/a": 1}),
    ],
)
def test_folders_are_those_in_which_paths_differ(
    paths: list[str], expected: dict[str, int]
) -> None:
    assert by_folder(dict.fromkeys(paths, 1)) == expected


def test_what_is_in_and_what_is_left_out(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "a.md").write_text("# A\n\nText.\n")
    (files / "b.py").write_text("x = 1\n")
    (files / "c.bin").write_bytes(b"\0\1")
    with Index.create(tmp_path / "index", encoder=FakeEncoder()) as index:
        update(index, [files])
        index.add([Document("own", "not of a file")])
        found = overview(index)
        (files / "d.md").write_text("new")
        rest = left_out(index)
    assert found["documents"] == found["status"]["documents"] == 3
    assert found["folders"] == [{"value": "files", "documents": 2}]
    assert {"value": "markdown", "documents": 1} in found["format"]
    assert found["language"] == [{"value": "python", "documents": 1}]
    assert rest["reasons"] == [{"value": "binary", "count": 1}]
    assert [one["id"] for one in rest["left_out"]] == ["files/c.bin"]
    assert (rest["new"], rest["gone"]) == (1, 0)


def test_keys_of_any_name_are_grouped_by(tmp_path: Path) -> None:
    keys = ["first name", "in", "not", "a.b", "kläge", "heading", "text"]
    with Index.create(tmp_path / "index", encoder=FakeEncoder()) as index:
        for value in ("x", "y"):
            metadata = dict.fromkeys([*keys, "a`b"], value) | {"a": {"b": "no"}}
            index.add([Document(value, "words", metadata=metadata)])
        found = overview(index)["others"]
        rows = [{"value": value, "documents": 1} for value in ("x", "y")]
        assert found == dict.fromkeys(sorted(keys), rows)
        for key in found:
            assert index.ids(f'`{key}` == "y"') == ["y"]


def test_an_index_without_files_leaves_nothing_out(tmp_path: Path) -> None:
    with Index.create(tmp_path / "index", encoder=FakeEncoder()) as index:
        assert left_out(index) == {
            "left_out": [], "reasons": [], "new": 0, "changed": 0, "gone": 0,
        }  # fmt: skip


def test_hits_that_change_before_they_are_explained_are_searched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Index.create(tmp_path / "index", encoder=FakeEncoder()) as index:
        index.add([Document("a", "zebras graze here")])
        real = Index.explain
        tries: list[int] = []

        def explain(self: Index, query: str, hits: Any) -> Any:
            tries.append(self.generation)
            if len(tries) == 1:
                index.add([Document("a", "zebras graze there, now")])
            return real(self, query, hits)

        monkeypatch.setattr(Index, "explain", explain)
        answer = search(index, "zebras", SearchOptions(explain=True))
        assert answer.hits[0].text == "zebras graze there, now"
        assert answer.matches is not None and answer.matches[0][0].score > 0.9
        assert len(tries) == 2
