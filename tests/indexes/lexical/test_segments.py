"""The segments of a lexical index: few of them, and few passages written again."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from retrieval.errors import IndexCorrupted
from retrieval.indexes import LexicalIndex, write_lexical
from retrieval.indexes.lexical import segments

from .made import matches


def sizes(folder: Path) -> dict[str, int]:
    """Passages of each segment of a generation."""
    meta = json.loads((folder / "meta.json").read_text())
    return {segment["segment_id"]: segment["max_doc"] for segment in meta["segments"]}


def text(n: int) -> tuple[int, dict[str, str]]:
    return n, {"text": f"kax word{n}"}


def test_one_passage_more_does_not_write_many_again(tmp_path: Path) -> None:
    write_lexical(tmp_path / "0", add=map(text, range(2000)))
    (large,) = sizes(tmp_path / "0")
    written = 0
    for n in range(100):
        before = sizes(tmp_path / str(n))
        target = tmp_path / str(n + 1)
        write_lexical(target, previous=tmp_path / str(n), add=[text(2000 + n)])
        shutil.rmtree(tmp_path / str(n))
        held = sizes(target)
        assert held[large] == 2000
        assert len(held) <= 1 + 2 * segments.FAN_IN
        written += sum(size for name, size in held.items() if name not in before)
        names = {path.name.split(".")[0] for path in target.iterdir() if path.name[0] != "."}
        assert names == {"meta", *(name.replace("-", "") for name in held)}
    assert written < 1000  # by tantivy's own policy it would be 25,000
    index = LexicalIndex.open(target)
    assert len(index) == 2100
    assert matches(index, "word1999 word2099") == [1999, 2099]


@pytest.mark.parametrize("in_memory", [True, False])
def test_scores_do_not_depend_on_how_passages_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: bool
) -> None:
    if not in_memory:
        monkeypatch.setattr(segments, "IN_MEMORY", 0)
    rng = np.random.default_rng(3)
    words = [f"w{n}" for n in range(30)]
    texts = [(n, {"text": " ".join(rng.choice(words, 12))}) for n in range(60)]
    write_lexical(tmp_path / "whole", add=texts)
    previous = None
    for n, one in enumerate(texts):
        write_lexical(tmp_path / str(n), previous=previous, add=[one])
        previous = tmp_path / str(n)
    assert previous is not None
    whole, single = LexicalIndex.open(tmp_path / "whole"), LexicalIndex.open(previous)
    assert len(sizes(previous)) > 1
    for query in ("w1 w2", "w3", '"w4 w5"', "w6 -w7"):
        for one, other in zip(whole.search(query, 60), single.search(query, 60), strict=True):
            np.testing.assert_array_equal(one, other)
    assert {path.name for path in tmp_path.iterdir()} == {"whole", *map(str, range(60))}


def test_small_segments_of_all_sizes_become_one_if_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "_SIZES", (2, 8))
    counts = (20, 1, 1, 1, 5, 4, 6, 3, 7)  # of passages, one generation each
    first, previous = 0, None
    for n, count in enumerate(counts):
        write_lexical(
            tmp_path / str(n), previous=previous, add=map(text, range(first, first + count))
        )
        first, previous = first + count, tmp_path / str(n)
    assert previous is not None
    assert sorted(sizes(previous).values()) == sorted(counts)
    assert segments.is_scattered(previous)
    write_lexical(tmp_path / "one", previous=previous, sizes=False)
    assert sorted(sizes(tmp_path / "one").values()) == [20, 28]
    assert not segments.is_scattered(tmp_path / "one")
    index = LexicalIndex.open(tmp_path / "one")
    assert matches(index, "kax") == list(range(first))
    assert sorted(sizes(previous).values()) == sorted(counts)  # of the old generation, as it was


def test_large_segments_become_one_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "_SIZES", (4, 16))
    previous, alive = None, 0
    for n in range(40):
        target = tmp_path / str(n)
        write_lexical(target, previous=previous, add=map(text, range(alive, alive + 20)))
        alive += 20
        assert len(sizes(target)) <= segments.FAN_IN
        previous = target
    assert matches(LexicalIndex.open(target), "kax") == list(range(alive))


@pytest.mark.parametrize("in_memory", [True, False])
def test_large_segments_that_tantivy_leaves_apart_stay_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: bool
) -> None:
    monkeypatch.setattr(segments, "_SIZES", ())
    if not in_memory:
        monkeypatch.setattr(segments, "IN_MEMORY", 0)

    @contextmanager
    def merging_nothing(index: object, folder: Path) -> Iterator[None]:
        yield

    previous = None
    for n in range(segments.FAN_IN + 2):
        with monkeypatch.context() as patch:
            patch.setattr(segments, "_merge", lambda *given: None)
            target = tmp_path / str(n)
            write_lexical(target, previous=previous, add=[text(n)])
            previous = target
    held = sizes(target)
    before = {path.name: (path.stat().st_ino, path.read_bytes()) for path in target.iterdir()}
    meta = json.loads((target / "meta.json").read_text())
    monkeypatch.setattr(segments, "writing", merging_nothing)
    (tmp_path / "new").mkdir()
    for path in target.iterdir():
        if path.suffix != ".lock":
            os.link(path, tmp_path / "new" / path.name)
    segments._merge(tmp_path / "new", meta, meta["segments"], target)
    assert sizes(tmp_path / "new") == held
    for name, (inode, content) in before.items():
        assert (target / name).read_bytes() == content
        if name[0] != "." and name != "meta.json":
            assert (tmp_path / "new" / name).stat().st_ino == inode
    assert matches(LexicalIndex.open(tmp_path / "new"), "kax") == list(range(n + 1))


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of the file system in memory."""
    folder = tmp_path / "memory"
    folder.mkdir()
    monkeypatch.setattr(segments, "_MEMORY", folder)
    monkeypatch.setattr(segments, "_ROOM", 1)
    return folder


def test_what_a_killed_writer_left_in_memory_goes_with_the_next(
    tmp_path: Path, memory: Path
) -> None:
    index = tmp_path / "index"
    write_lexical(index / "1", add=[text(0)])

    with segments.apart(index / "2", 1) as place:
        name = place.name
    (memory / name).mkdir()
    (memory / name / "left").write_text("by a writer that was killed")
    with segments.apart(index / "2", 1) as place:
        assert place.name == name
        assert list(place.iterdir()) == []
    (memory / name).write_text("somebody else's")
    write_lexical(index / "2", previous=index / "1", add=[text(1)])
    assert (memory / name).read_text() == "somebody else's"
    assert matches(LexicalIndex.open(index / "2"), "kax") == [0, 1]


def test_what_killed_writers_of_other_indexes_left_in_memory_goes_after_an_hour(
    tmp_path: Path, memory: Path
) -> None:
    hour_ago = time.time() - 3700
    ours = f"retrieval-{os.getuid()}"
    for name in (f"{ours}-1-old", f"{ours}-1-new", f"{ours}1-1-old", "another-program"):
        (memory / name).mkdir()
        (memory / name / "left").write_text("by a writer that was killed")
        if not name.endswith("new"):
            os.utime(memory / name, (hour_ago, hour_ago))
    (tmp_path / "index").mkdir()
    with segments.apart(tmp_path / "index" / "1", 1):
        pass
    kept = {f"{ours}-1-new", f"{ours}1-1-old", "another-program"}
    assert {path.name for path in memory.iterdir()} == kept


def test_a_list_of_segments_that_is_damaged_is_named(tmp_path: Path) -> None:
    write_lexical(tmp_path / "1", add=[text(0)])
    (tmp_path / "1" / "meta.json").write_text("{")
    with pytest.raises(IndexCorrupted, match=str(tmp_path / "1")):
        write_lexical(tmp_path / "2", previous=tmp_path / "1", add=[text(1)])
