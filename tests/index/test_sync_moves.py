"""sync: a file that moved is known by its content."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from retrieval.index import Index
from retrieval.sync import sync

from .fake_encoder import FakeEncoder
from .source_files import counts, jsonl, write
from .test_sync import snapshot


def test_a_renamed_folder_leaves_nothing_behind(
    index: Index, docs: Path, tmp_path: Path, encoder: FakeEncoder
) -> None:
    """The encoder reads the path, so that what it reads of these is another text."""
    sync(index, [docs])
    passages = {hit.document_id: hit.text for hit in index.search("about", 10)}
    encoder.encoded.clear()
    docs.rename(tmp_path / "handbook")
    report = sync(index, [tmp_path / "handbook"])
    assert (counts(report), report.moved) == ((0, 0, 0, 0), 3)
    assert len(encoder.encoded) == 3
    assert all("handbook" in text for text in encoder.encoded)
    hits = {hit.document_id: hit.text for hit in index.search("about", 10)}
    assert hits == {f"handbook{id.removeprefix('docs')}": text for id, text in passages.items()}
    assert index.search("bananas", 1, where='path == "handbook/b.txt"')[0].path == "handbook/b.txt"
    assert index.get("docs/a.md") is None
    assert index.verify() == []
    assert counts(sync(index)) == (0, 0, 3, 0)


def test_what_is_read_as_before_is_not_encoded_again(
    index: Index, tmp_path: Path, encoder: FakeEncoder
) -> None:
    """A path is read as words: those of `hand-book` are those of `hand_book`."""
    for name in ("a.md", "b/c.txt", "d.py"):
        write(tmp_path / "hand-book" / name, f"# {name} is about pears")
    sync(index, [tmp_path / "hand-book"])
    encoder.encoded.clear()
    (tmp_path / "hand-book").rename(tmp_path / "hand_book")
    report = sync(index, [tmp_path / "hand_book"])
    assert (counts(report), report.moved) == ((0, 0, 0, 0), 3)
    assert (report.passages, encoder.encoded) == (0, [])
    assert {hit.document_id for hit in index.search("pears", 9)} == {
        "hand_book/a.md",
        "hand_book/b/c.txt",
        "hand_book/d.py",
    }
    assert index.verify() == []
    assert counts(sync(index)) == (0, 0, 3, 0)


def test_a_file_that_moved_within_what_is_walked(index: Index, docs: Path) -> None:
    sync(index, [docs])
    (docs / "b.txt").rename(docs / "sub" / "z.txt")
    report = sync(index, [docs])
    assert (counts(report), report.moved) == ((0, 0, 2, 0), 1)
    assert index.search("bananas", 1)[0].path == "docs/sub/z.txt"


def test_a_new_name_may_change_the_format(index: Index, docs: Path) -> None:
    sync(index, [docs])
    (docs / "a.md").rename(docs / "a.txt")
    report = sync(index, [docs])
    assert (counts(report), report.moved) == ((0, 0, 2, 0), 1)
    document = index.get("docs/a.txt")
    assert document is not None
    assert (document.title, document.metadata["format"]) == ("", "text")
    assert index.get("docs/a.md") is None
    assert index.verify() == []


def test_a_part_of_a_folder_that_moved_takes_the_rest_with_it(
    index: Index, docs: Path, tmp_path: Path
) -> None:
    """The folder was never given by itself: nobody looks for what was in it."""
    sync(index, [tmp_path])
    docs.rename(tmp_path / "handbook")
    write(tmp_path / "handbook" / "b.txt", "about something else")
    (tmp_path / "handbook" / "sub" / "c.py").unlink()
    report = sync(index, [tmp_path / "handbook"])
    assert (counts(report), report.moved) == ((1, 0, 0, 2), 1)
    assert index.status().documents == 2


def test_a_copy_is_no_move(index: Index, docs: Path) -> None:
    sync(index, [docs])
    write(docs / "copy.txt", "about bananas")
    report = sync(index, [docs])
    assert (counts(report), report.moved) == ((1, 0, 3, 0), 0)
    assert index.get("docs/b.txt") is not None


def test_of_copies_each_keeps_its_name(index: Index, tmp_path: Path, encoder: FakeEncoder) -> None:
    for name in ("one", "two", "three"):
        write(tmp_path / "an-old" / name / "LICENSE", "the same in all of them")
    sync(index, [tmp_path / "an-old"])
    encoder.encoded.clear()
    (tmp_path / "an-old").rename(tmp_path / "an_old")
    report = sync(index, [tmp_path / "an_old"])
    assert (counts(report), report.moved, encoder.encoded) == ((0, 0, 0, 0), 3, [])


def test_records_move_with_their_file(index: Index, tmp_path: Path, encoder: FakeEncoder) -> None:
    """Those with an id of their own, and those that are called after the file."""
    records: list[dict[str, object]] = [{"_id": "x", "text": "the x"}, {"text": "without an id"}]
    path = jsonl(tmp_path / "in" / "a.jsonl", records)
    sync(index, [tmp_path / "in"])
    encoder.encoded.clear()
    path.rename(tmp_path / "in" / "a.ndjson")
    report = sync(index, [tmp_path / "in"])
    assert (counts(report), report.moved, encoder.encoded) == ((0, 0, 0, 0), 2, [])
    for id in ("x", "in/a.ndjson#L2"):
        document = index.get(id)
        assert document is not None
        assert document.metadata["path"] == "in/a.ndjson"
    assert index.get("in/a.jsonl#L2") is None
    assert index.verify() == []
    (tmp_path / "in" / "a.ndjson").unlink()
    assert counts(sync(index)) == (0, 0, 0, 2)


def test_a_file_takes_the_place_of_one_that_moved(
    index: Index, docs: Path, encoder: FakeEncoder
) -> None:
    sync(index, [docs])
    (docs / "b.txt").rename(docs / "old.txt")
    write(docs / "b.txt", "about batatas", age=1)
    report = sync(index, [docs])
    assert (counts(report), report.moved) == ((1, 1, 2, 0), 0), "what stands at its name is another"
    assert index.search("bananas", 1, retriever="lexical")[0].path == "docs/old.txt"
    assert index.search("batatas", 1, retriever="lexical")[0].path == "docs/b.txt"


@pytest.mark.parametrize("seed", range(3))
def test_any_moves_end_in_what_a_new_index_holds(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with a commit after every change."""
    if seed == 0:
        monkeypatch.setattr("retrieval.index.writing.writer.COMMIT_SECONDS", 0.0)
    rng = random.Random(seed)
    root = tmp_path / "root"
    names = [f"{folder}/{n}.{kind}" for folder in "abc" for n in range(3) for kind in ("txt", "md")]
    with Index.create(root / ".retrieval", encoder=FakeEncoder()) as index:
        for name in names[::2]:
            write(root / name, " ".join(rng.choices(["ash", "beech", "cedar", "elm"], k=5)))
        sync(index, [root])
        for step in range(5):
            for _ in range(rng.randint(1, 4)):
                there = [name for name in names if (root / name).exists()]
                free = [name for name in names if not (root / name).exists()]
                if rng.random() < 0.6:
                    target = root / rng.choice(free)
                    target.parent.mkdir(exist_ok=True)
                    (root / rng.choice(there)).rename(target)
                elif rng.random() < 0.5 and len(there) > 2:
                    (root / rng.choice(there)).unlink()
                else:
                    write(root / rng.choice(names), f"ash {step} {rng.random()}", age=-step)
            sync(index, [root])
        with Index.create(root / ".fresh", encoder=FakeEncoder()) as fresh:
            sync(fresh, [root])
            assert snapshot(index) == snapshot(fresh)
        assert index.verify() == []
