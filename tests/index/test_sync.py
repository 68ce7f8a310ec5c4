"""sync: the index mirrors the files, and only what changed is read and encoded."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import retrieval.sync.run
from retrieval.documents import ReadResult, SourceFile
from retrieval.errors import IndexLocked, InputError
from retrieval.index import Index
from retrieval.sync import sync
from retrieval.sync.changes import changes
from retrieval.types import Document

from .fake_encoder import FakeEncoder
from .source_files import counts, jsonl, write


@pytest.fixture
def read_files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the files that are read, as they are."""
    seen: list[str] = []
    real = retrieval.sync.run.read

    def read(source: SourceFile, options: object) -> ReadResult:
        seen.append(source.id)
        return real(source, options)

    monkeypatch.setattr(retrieval.sync.run, "read", read)
    return seen


def test_files_become_documents(index: Index, docs: Path) -> None:
    report = sync(index, [docs])
    assert counts(report) == (3, 0, 0, 0)
    assert (report.passages, report.problems) == (3, [])
    assert report.tokens > 8
    hit = index.search("apples", 1)[0]
    assert (hit.document_id, hit.path, hit.title) == ("docs/a.md", "docs/a.md", "Apples")
    assert hit.metadata["format"] == "markdown"
    assert index.search("cherries", 1, where='language == "python"')[0].path == "docs/sub/c.py"
    assert index.status().files == 3
    assert index.verify() == []


def test_a_second_sync_reads_nothing(index: Index, docs: Path, read_files: list[str]) -> None:
    sync(index, [docs])
    generation = index.status().generation
    read_files.clear()
    assert counts(sync(index, [docs])) == (0, 0, 3, 0)
    assert read_files == []
    assert index.status().generation == generation


@pytest.mark.parametrize("deleted", [False, True])
def test_a_file_whose_document_was_replaced_is_read_again(
    index: Index, docs: Path, read_files: list[str], deleted: bool
) -> None:
    sync(index, [docs])
    read_files.clear()
    index.add([Document("docs/a.md", "something else")])
    if deleted:
        index.delete(["docs/a.md"])
    sync(index, [docs])
    assert read_files == ["docs/a.md"]
    assert index.search("apples", 1)[0].path == "docs/a.md"
    assert index.verify() == []


def test_only_what_changed_is_read_and_encoded(
    index: Index, docs: Path, encoder: FakeEncoder, read_files: list[str]
) -> None:
    sync(index, [docs])
    read_files.clear()
    encoder.encoded.clear()
    write(docs / "a.md", "# Apples\n\nnow about pears", age=-5)
    write(docs / "b.txt", "about bananas", age=-5)  # touched only
    write(docs / "d.txt", "about dates")
    (docs / "sub" / "c.py").unlink()
    assert counts(sync(index, [docs])) == (1, 1, 1, 1)
    assert read_files == ["docs/a.md", "docs/b.txt", "docs/d.txt"]
    assert len(encoder.encoded) == 2
    assert index.search("pears", 1, retriever="lexical")[0].path == "docs/a.md"
    assert index.search("cherries", retriever="lexical") == []
    read_files.clear()
    sync(index, [docs])
    assert read_files == []


def test_the_same_size_and_another_time_is_read(
    index: Index, docs: Path, read_files: list[str]
) -> None:
    sync(index, [docs])
    read_files.clear()
    write(docs / "b.txt", "about batatas", age=1)
    assert counts(sync(index, [docs])) == (0, 1, 2, 0)
    assert read_files == ["docs/b.txt"]


def test_a_change_that_hides_its_time_is_seen(index: Index, docs: Path) -> None:
    """As `cp -p`, `rsync -t` or unpacking do; a file may also take another's place."""
    sync(index, [docs])
    write(docs / "b.txt", "about batatas")
    assert counts(sync(index, [docs])) == (0, 1, 2, 0)
    (docs / "a.md").rename(docs / "old.md")
    write(docs / "new.md", "# Apricot\n\nabout apricot").rename(docs / "a.md")
    (docs / "old.md").unlink()
    assert counts(sync(index, [docs])) == (0, 1, 2, 0)


def test_a_file_that_was_just_written_is_looked_at_again(
    index: Index, docs: Path, read_files: list[str]
) -> None:
    """The clock of a file system ticks slowly: the next change may leave the same time."""
    path = docs / "b.txt"
    path.write_text("just now")
    sync(index, [docs])
    stat = path.stat()
    path.write_text("changed!")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert counts(sync(index, [docs])) == (0, 1, 2, 0)
    assert index.search("changed", 1, retriever="lexical")[0].path == "docs/b.txt"


def test_paths_outside_the_ones_given_stay(index: Index, docs: Path, tmp_path: Path) -> None:
    write(tmp_path / "docs2" / "x.txt", "a name that begins alike")
    sync(index, [docs, tmp_path / "docs2"])
    shutil.rmtree(docs / "sub")
    (tmp_path / "docs2" / "x.txt").unlink()
    assert counts(sync(index, [docs])) == (0, 0, 2, 1)
    assert index.get("docs2/x.txt") is not None
    (docs / "a.md").unlink()
    assert counts(sync(index, [docs / "b.txt"])) == (0, 0, 1, 0)  # one file was asked for
    assert index.get("docs/a.md") is not None
    assert counts(sync(index, [tmp_path])) == (0, 0, 1, 2)


def test_files_outside_the_folder_of_the_index(index: Index, tmp_path: Path) -> None:
    far = tmp_path.parent / f"{tmp_path.name}-far"
    write(far / "x.txt", "far away")
    write(far / "y.txt", "farther")
    sync(index, [far])
    (far / "y.txt").unlink()
    assert counts(sync(index, [far])) == (0, 0, 1, 1)
    assert counts(sync(index, [tmp_path])) == (0, 0, 0, 0)
    assert index.search("far away", 1)[0].path == f"../{far.name}/x.txt"


def test_what_is_ignored_now_leaves(index: Index, docs: Path) -> None:
    (docs / ".git").mkdir()
    sync(index, [docs])
    write(docs / ".gitignore", "*.txt\n")
    report = sync(index, [docs])
    assert counts(report) == (0, 0, 2, 1)
    assert report.skipped["ignored"] == 1
    report = sync(index, [docs], exclude=[docs / "sub"])
    assert counts(report) == (0, 0, 1, 1)
    report = sync(index, [docs], max_bytes=5)
    assert counts(report) == (0, 0, 0, 1)


def test_files_of_no_bytes_cannot_be_asked_for(index: Index, docs: Path) -> None:
    with pytest.raises(InputError, match="max_bytes is 0; it must be at least 1"):
        sync(index, [docs], max_bytes=0)
    assert index.status().documents == 0


def test_the_index_does_not_index_itself(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", "text")
    with Index.create(tmp_path / "visible", encoder=FakeEncoder()) as index:
        sync(index, [tmp_path])
        report = sync(index, [tmp_path])
        assert counts(report) == (0, 0, 1, 0)
        assert report.skipped == {"excluded": 1}


def test_jsonl_changes_line_by_line(index: Index, tmp_path: Path, encoder: FakeEncoder) -> None:
    records: list[dict[str, object]] = [
        {"_id": f"r{n}", "text": f"record{n} of many", "n": n} for n in range(20)
    ]
    path = jsonl(tmp_path / "data.jsonl", records)
    assert counts(sync(index, [path])) == (20, 0, 0, 0)
    encoder.encoded.clear()
    records[4]["text"] = "something else"
    records[7]["n"] = 700
    gone = records.pop()
    records.append({"_id": "new", "text": "a new record"})
    path = jsonl(tmp_path / "data.jsonl", records, age=1)
    assert counts(sync(index, [path])) == (1, 2, 17, 1)
    assert encoder.encoded == ["data\nsomething else", "data\na new record"]
    assert index.get(str(gone["_id"])) is None
    assert index.search("record7", 1, where="n == 700")[0].document_id == "r7"
    path.unlink()
    assert counts(sync(index, [tmp_path])) == (0, 0, 0, 20)
    assert (index.status().documents, index.status().files) == (0, 0)
    assert index.verify() == []


def test_a_broken_line_is_named_and_the_others_go_in(index: Index, tmp_path: Path) -> None:
    write(tmp_path / "x.jsonl", '{"text": "one"}\n{broken\n{"text": "three"}\n')
    report = sync(index, [tmp_path / "x.jsonl"])
    assert counts(report) == (2, 0, 0, 0)
    assert len(report.problems) == 1
    assert report.problems[0].startswith("x.jsonl:2:")


def test_of_two_files_with_the_same_id_the_first_wins(
    index: Index, tmp_path: Path, read_files: list[str]
) -> None:
    first = jsonl(tmp_path / "a.jsonl", [{"_id": "x", "text": "first"}, {"_id": "y", "text": "y"}])
    jsonl(tmp_path / "b.jsonl", [{"_id": "x", "text": "second"}, {"_id": "z", "text": "z"}])
    for repeat in range(2):
        report = sync(index, [tmp_path])
        assert counts(report) == ((3, 0, 0, 0) if repeat == 0 else (0, 0, 3, 0))
        assert report.problems == [
            "b.jsonl: document id 'x' already belongs to a document from a.jsonl, which stays; "
            "give each document an id of its own"
        ]
        document = index.get("x")
        assert document is not None
        assert document.text == "first"
    first.unlink()
    report = sync(index, [tmp_path])
    assert counts(report) == (1, 0, 1, 2)
    assert report.problems == []
    document = index.get("x")
    assert document is not None
    assert document.text == "second"
    read_files.clear()
    sync(index, [tmp_path])
    assert read_files == []
    assert index.verify() == []


def test_a_document_moves_between_files_whatever_their_order(index: Index, tmp_path: Path) -> None:
    x, y = {"_id": "x", "text": "the x"}, {"_id": "y", "text": "the y"}
    jsonl(tmp_path / "a.jsonl", [x, {"_id": "a", "text": "a"}])
    jsonl(tmp_path / "b.jsonl", [y, {"_id": "b", "text": "b"}])
    sync(index, [tmp_path])
    jsonl(tmp_path / "a.jsonl", [y, {"_id": "a", "text": "a"}], age=1)
    jsonl(tmp_path / "b.jsonl", [x, {"_id": "b", "text": "b"}], age=1)
    report = sync(index, [tmp_path])
    assert report.problems == []
    for id, path in (("x", "b.jsonl"), ("y", "a.jsonl"), ("a", "a.jsonl"), ("b", "b.jsonl")):
        document = index.get(id)
        assert document is not None
        assert document.metadata["path"] == path
    assert counts(sync(index, [tmp_path])) == (0, 0, 4, 0)
    assert index.verify() == []


def test_a_file_that_cannot_be_read_any_more_leaves(index: Index, docs: Path) -> None:
    sync(index, [docs])
    write(docs / "b.txt", b"text first " * 2000 + b"\0\1" * 4500, age=1)  # binary, beyond its head
    report = sync(index, [docs])
    assert counts(report) == (0, 0, 2, 1)
    assert len(report.problems) == 1
    assert "docs/b.txt" in report.problems[0]
    assert index.get("docs/b.txt") is None
    write(docs / "b.txt", "text again", age=2)
    assert counts(sync(index, [docs])) == (1, 0, 2, 0)


def test_what_cannot_be_read_once_more_commits_nothing(index: Index, docs: Path) -> None:
    write(docs / "broken.jsonl", '{"no": 1}\n')
    jsonl(docs / "first.jsonl", [{"_id": "x", "text": "first"}])
    jsonl(docs / "second.jsonl", [{"_id": "x", "text": "second"}])
    said = sync(index, [docs]).problems
    generation = index.status().generation
    assert len(said) == 2
    assert sync(index).problems == said
    assert index.status().generation == generation
    write(docs / "broken.jsonl", '{"no": 22}\n')
    assert len(sync(index).problems) == 2
    assert not changes(index, 60)


def test_a_file_that_vanishes_on_the_way(
    index: Index, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync(index, [docs])
    write(docs / "a.md", "changed", age=1)
    real = retrieval.sync.run.read

    def read(source: SourceFile, options: object) -> ReadResult:
        source.path.unlink()
        return real(source, options)

    monkeypatch.setattr(retrieval.sync.run, "read", read)
    report = sync(index, [docs])
    assert counts(report) == (0, 0, 2, 1)
    assert "gone since it was found" in report.problems[0]


def test_what_cannot_be_looked_into_stays(
    index: Index, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync(index, [docs])
    real = os.open

    def guarded(path: str, *rest: int) -> int:
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", path)
        return real(path, *rest)

    monkeypatch.setattr(os, "open", guarded)
    report = sync(index, [docs])
    assert report.skipped["unreadable"] == 1
    assert index.get("docs/sub/c.py") is not None
    assert "docs/sub" in report.problems[0]


def test_a_file_that_was_also_given_by_itself_is_refused_once(
    index: Index, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def guarded(path: str, *rest: int) -> int:
        if str(path).endswith("a.md"):
            raise PermissionError(13, "Permission denied", path)
        return real(path, *rest)

    monkeypatch.setattr(os, "open", guarded)
    report = sync(index, [docs, docs / "a.md"])
    assert report.skipped["unreadable"] == 1
    assert report.problems == ["docs/a.md: cannot be read (Permission denied); skipped"]
    assert sync(index).problems == report.problems


def test_a_deleted_document_comes_back_with_its_file(index: Index, docs: Path) -> None:
    sync(index, [docs])
    index.delete(["docs/a.md"])
    assert counts(sync(index, [docs])) == (1, 0, 2, 0)
    assert index.get("docs/a.md") is not None


def test_what_was_added_by_hand_is_left_alone(index: Index, docs: Path, tmp_path: Path) -> None:
    from retrieval.types import Document

    index.add([Document("docs/by hand", "mine"), Document("docs/b.txt", "mine too")])
    assert counts(sync(index, [tmp_path])) == (2, 1, 0, 0)  # the file takes its own id
    (docs / "b.txt").unlink()
    assert counts(sync(index, [tmp_path])) == (0, 0, 2, 1)
    assert index.get("docs/by hand") == Document("docs/by hand", "mine")


def test_wrong_paths(index: Index, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        sync(index, [tmp_path / "nothing"])
    with pytest.raises(InputError, match="no path"):
        sync(index, [])
    (tmp_path / "empty").mkdir()
    assert counts(sync(index, [tmp_path / "empty"])) == (0, 0, 0, 0)
    with index.writing(), Index.open(index.path) as other, pytest.raises(IndexLocked):
        sync(other, [tmp_path / "empty"])


def test_a_moved_folder_with_its_index_is_known(tmp_path: Path) -> None:
    old = tmp_path / "old"
    write(old / "docs" / "a.txt", "text")
    with Index.create(old / ".retrieval", encoder=FakeEncoder()) as index:
        sync(index, [old / "docs"])
    old.rename(tmp_path / "new")
    with Index.open(tmp_path / "new" / ".retrieval", encoder=FakeEncoder()) as index:
        assert counts(sync(index, [tmp_path / "new" / "docs"])) == (0, 0, 1, 0)


@pytest.mark.parametrize("seed", range(4))
def test_any_changes_end_in_what_a_new_index_holds(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    root = tmp_path / "root"
    root.mkdir()
    clock = 0

    def words() -> str:
        return " ".join(rng.choice(["ash", "beech", "cedar", "date", "elm"]) for _ in range(6))

    def change() -> None:
        nonlocal clock
        clock += 1
        name = rng.choice(["a.txt", "b.md", "sub/c.txt", "x.jsonl", "y.jsonl", "sub/z.jsonl"])
        path = root / name
        if rng.random() < 0.3:
            path.unlink(missing_ok=True)
        elif name.endswith("jsonl"):
            chosen = rng.sample(range(10), rng.randint(1, 5))
            # Ids of one file only: which of two files wins depends on history.
            jsonl(path, [{"_id": f"{name}{n}", "text": words()} for n in chosen], age=clock)
        else:
            write(path, words(), age=clock)

    with Index.create(root / ".retrieval", encoder=FakeEncoder()) as index:
        for _ in range(6):
            for _ in range(rng.randint(1, 5)):
                change()
            sync(index, [root])
        with Index.create(tmp_path / "root" / ".fresh", encoder=FakeEncoder()) as fresh:
            sync(fresh, [root])
            assert snapshot(index) == snapshot(fresh)
        assert index.verify() == []


def snapshot(index: Index) -> dict[str, object]:
    found: Callable[[str], dict[str, float]] = lambda retriever: {  # noqa: E731
        hit.document_id: round(hit.score, 4)
        for hit in index.search("ash cedar", 1000, retriever=retriever)  # type: ignore[arg-type]
    }
    status = index.status()
    return {
        "dense": found("dense"),
        "late": found("late"),
        "lexical": sorted(found("lexical")),
        "counts": (status.documents, status.passages, status.files),
        "documents": {id: index.get(id) for id in found("dense")},
    }
