"""sync: what an index was given is remembered, and what is gone of it leaves."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from retrieval.errors import InputError
from retrieval.index import Index
from retrieval.sync import sync
from retrieval.sync.roots import is_under, outermost
from retrieval.sync.settings import ROOTS

from .fake_encoder import FakeEncoder
from .source_files import counts, write


def roots(index: Index) -> list[str]:
    return list(index.remembered(ROOTS))


def test_without_paths_all_that_was_given_is_brought_up_to_date(
    index: Index, docs: Path, tmp_path: Path
) -> None:
    write(tmp_path / "notes.txt", "a note")
    write(tmp_path / "else" / "x.txt", "never given")
    sync(index, [docs])
    sync(index, [tmp_path / "notes.txt"])
    assert roots(index) == ["docs", "notes.txt"]
    write(docs / "new.txt", "about eggs")
    write(tmp_path / "notes.txt", "another note", age=1)
    assert counts(sync(index)) == (1, 1, 3, 0)
    assert index.get("else/x.txt") is None
    generation = index.status().generation
    assert counts(sync(index)) == (0, 0, 5, 0)
    assert index.status().generation == generation, "nothing changed, nothing was written"


def test_one_path_as_text_or_several(index: Index, docs: Path, tmp_path: Path) -> None:
    write(tmp_path / "notes.txt", "a note")
    assert counts(sync(index, str(docs))) == (3, 0, 0, 0)
    assert counts(sync(index, docs / "a.md")) == (0, 0, 1, 0)
    several = (str(tmp_path / name) for name in ("notes.txt", "docs"))
    assert counts(sync(index, several)) == (1, 0, 3, 0)
    write(docs / "new.md", "# New")
    assert counts(sync(index, str(docs), exclude=str(docs / "new.md"))) == (0, 0, 3, 0)
    for wrong in (3, [3], [None]):
        with pytest.raises(InputError, match="is not a path; give a str or a Path"):
            sync(index, wrong)  # type: ignore[arg-type]


def test_what_was_given_outside_the_folder_of_the_index(index: Index, tmp_path: Path) -> None:
    far = tmp_path.parent / f"{tmp_path.name}-away"
    write(far / "x.txt", "far away")
    sync(index, [far])
    write(far / "y.txt", "farther")
    assert counts(sync(index)) == (1, 0, 1, 0)


def test_an_index_that_was_given_nothing_says_so(index: Index) -> None:
    with pytest.raises(InputError, match="remembers no files or folders; name them"):
        sync(index)


def test_a_root_that_is_gone_is_told_and_forgotten(
    index: Index, docs: Path, tmp_path: Path
) -> None:
    write(tmp_path / "notes.txt", "a note")
    sync(index, [docs, tmp_path / "notes.txt"])
    shutil.rmtree(docs)
    report = sync(index)
    assert counts(report) == (0, 0, 1, 3)
    assert report.problems == [
        "docs: is gone; its documents left the index, except those found in another place"
    ]
    assert roots(index) == ["notes.txt"]
    assert sync(index).problems == []
    (tmp_path / "notes.txt").unlink()
    assert counts(sync(index)) == (0, 0, 0, 1)
    assert index.status().documents == index.status().files == 0


def test_a_root_that_is_gone_leaves_whatever_is_given(
    index: Index, docs: Path, tmp_path: Path
) -> None:
    sync(index, [docs])
    shutil.rmtree(docs)
    write(tmp_path / "other" / "x.txt", "other things")
    report = sync(index, [tmp_path / "other"])
    assert counts(report) == (1, 0, 0, 3)
    assert roots(index) == ["other"]


def test_a_file_that_is_gone_may_be_given_if_the_index_knows_it(index: Index, docs: Path) -> None:
    sync(index, [docs])
    (docs / "a.md").unlink()
    assert counts(sync(index, [docs / "a.md"])) == (0, 0, 0, 1)
    with pytest.raises(InputError, match="does not exist"):
        sync(index, [docs / "a.md"])


def test_what_lies_beneath_a_root_is_not_remembered_beside_it(
    index: Index, docs: Path, tmp_path: Path
) -> None:
    write(docs / ".hidden" / "x.txt", "named on purpose")
    sync(index, [tmp_path])
    for path in (docs, docs / "b.txt", docs / ".hidden"):
        sync(index, [path])
    assert index.get("docs/.hidden/x.txt") is not None
    assert counts(sync(index)) == (0, 0, 4, 0)
    assert roots(index) == [".", "docs/.hidden"], "the others are met on the way"
    (docs / "b.txt").unlink()
    report = sync(index)
    assert counts(report) == (0, 0, 3, 1)
    assert report.problems == []
    shutil.rmtree(docs / ".hidden")
    assert counts(sync(index)) == (0, 0, 2, 1)
    assert roots(index) == ["."]


def test_a_root_that_cannot_be_looked_at_stays(
    index: Index, docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "notes.txt", "a note")
    sync(index, [docs, tmp_path / "notes.txt"])
    monkeypatch.setattr("retrieval.sync.roots.os.stat", _refusing("docs"))
    report = sync(index)
    assert counts(report) == (0, 0, 1, 0)
    assert report.problems == ["docs: cannot be read (Permission denied); its documents stay"]
    assert roots(index) == ["docs", "notes.txt"]
    assert index.get("docs/a.md") is not None


def _refusing(name: str) -> object:
    import os

    real = os.stat

    def stat(path: Path, *arguments: object, **options: object) -> os.stat_result:
        if str(path).endswith(name):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *arguments, **options)  # type: ignore[arg-type]

    return stat


def test_an_index_that_was_moved_away_from_its_files_is_not_emptied(tmp_path: Path) -> None:
    write(tmp_path / "old" / "docs" / "a.txt", "text")
    with Index.create(tmp_path / "old" / "ix", encoder=FakeEncoder()) as index:
        sync(index, [tmp_path / "old" / "docs"])
    (tmp_path / "new").mkdir()
    shutil.move(tmp_path / "old" / "ix", tmp_path / "new" / "ix")
    with Index.open(tmp_path / "new" / "ix", encoder=FakeEncoder()) as index:
        with pytest.raises(
            InputError, match="docs is not there, and the index was moved here from"
        ):
            sync(index)
        assert index.get("docs/a.txt") is not None
        shutil.move(tmp_path / "old" / "docs", tmp_path / "new" / "docs")
        assert counts(sync(index)) == (0, 0, 1, 0)


def test_a_name_that_is_not_utf8_can_be_a_root(index: Index, tmp_path: Path) -> None:
    folder = tmp_path / "caf\udce9"
    try:
        write(folder / "x.txt", "text")
    except OSError:
        pytest.skip("the file system takes UTF-8 only")
    sync(index, [folder])
    write(folder / "y.txt", "more")
    assert counts(sync(index)) == (1, 0, 1, 0)


def test_all_files_are_read_again_on_demand(
    index: Index, docs: Path, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync(index, [docs])
    encoder.encoded.clear()
    seen: list[str] = []
    import retrieval.sync.run

    real = retrieval.sync.run.read
    monkeypatch.setattr(
        retrieval.sync.run, "read", lambda file, *rest: (seen.append(file.id), real(file, *rest))[1]
    )
    assert counts(sync(index)) == (0, 0, 3, 0)
    assert seen == []
    assert counts(sync(index, again=True)) == (0, 0, 3, 0)
    assert seen == ["docs/a.md", "docs/b.txt", "docs/sub/c.py"]
    assert encoder.encoded == []


def test_which_roots_lie_beneath_others() -> None:
    assert outermost(["a/b", "a", "a-b", "a/b/c", "d/e"]) == ["a", "a-b", "d/e"]
    assert outermost([".", "a", "../x", "../x/y", "/far"]) == [".", "../x", "/far"]
    assert is_under("a/b", "a") and is_under("a", "a") and not is_under("ab", "a")
