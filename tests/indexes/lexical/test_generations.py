"""Generations of the lexical index: what stays, what leaves, damage and threads."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from retrieval.errors import IndexCorrupted, IndexFormatError, InputError, StorageError
from retrieval.indexes import FIELDS, LexicalIndex, write_lexical

from .made import WORDS, build, matches


def snapshot(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.suffix != ".lock"}


# --- generations ---------------------------------------------------------------------------------


def test_the_previous_generation_is_untouched(tmp_path: Path) -> None:
    old = build(tmp_path / "1", {i: ("", f"kax word{i}") for i in range(50)})
    before = snapshot(tmp_path / "1")
    for _ in range(2):  # what the first did must not show when it is done again
        write_lexical(
            tmp_path / "2",
            previous=tmp_path / "1",
            add=[(90, {"text": "kax new"})],
            delete=[3, 4, 999],
        )
        assert snapshot(tmp_path / "1") == before
    new = LexicalIndex.open(tmp_path / "2")
    assert matches(old, "kax") == list(range(50))
    assert matches(old, "word3") == [3]
    assert matches(new, "kax") == [i for i in range(50) if i not in (3, 4)] + [90]
    assert len(new) == 49
    assert any(p.stat().st_nlink > 1 for p in (tmp_path / "2").iterdir())
    assert (tmp_path / "2" / "meta.json").stat().st_nlink == 1
    shutil.rmtree(tmp_path / "1")
    assert matches(LexicalIndex.open(tmp_path / "2"), "word3 word5") == [5]
    assert matches(old, "word4") == [4]  # open readers keep what they opened


@pytest.mark.slow
def test_many_generations_hold_what_they_should_and_no_garbage(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    alive: dict[int, int] = {}
    previous, number = None, 0
    for generation in range(16):
        gone = [i for i in alive if rng.random() < 0.3]
        new = range(number, number + int(rng.integers(0, 30)))
        number += len(new)
        alive = {i: w for i, w in alive.items() if i not in gone}
        added = {i: int(rng.integers(0, 5)) for i in new}
        alive |= added
        target = tmp_path / str(generation)
        write_lexical(
            target,
            previous=previous,
            add=[(i, {"text": WORDS[w]}) for i, w in added.items()],
            delete=np.array(gone, dtype=np.int64),
        )
        if previous is not None:
            shutil.rmtree(previous)
        previous = target
        index = LexicalIndex.open(target)
        assert len(index) == len(alive)
        for w, word in enumerate(WORDS):
            assert matches(index, word) == [i for i in alive if alive[i] == w]
    meta = (target / "meta.json").read_text().replace("-", "")
    names = [p.name for p in target.iterdir() if not p.name.startswith(".")]
    assert all(name == "meta.json" or name.split(".")[0] in meta for name in names)
    assert len(names) < 100


def test_no_lock_files_are_left(tmp_path: Path) -> None:
    write_lexical(tmp_path / "1", add=[(0, {"text": "kax"})])
    LexicalIndex.open(tmp_path / "1")
    write_lexical(tmp_path / "2", previous=tmp_path / "1", add=[(1, {"text": "kax"})])
    assert not list((tmp_path / "2").glob("*.lock")) + list((tmp_path / "2").glob(".*.lock"))


def test_keep_below_drops_the_rest_before_adding(tmp_path: Path) -> None:
    build(tmp_path / "1", dict.fromkeys(range(10), ("", "kax")))
    write_lexical(
        tmp_path / "2",
        previous=tmp_path / "1",
        add=[(7, {"text": "bol"}), (8, {"text": "kax"})],
        delete=[2],
        keep_below=6,
    )
    index = LexicalIndex.open(tmp_path / "2")
    assert matches(index, "kax") == [0, 1, 3, 4, 5, 8]
    assert matches(index, "bol") == [7]


def test_remains_of_a_killed_writer_are_replaced(tmp_path: Path) -> None:
    build(tmp_path / "1", {0: ("", "kax")})
    build(tmp_path / "2", {5: ("", "kax")})
    (tmp_path / "2" / "meta.json").write_bytes(b"{")
    (tmp_path / "2" / ".tantivy-writer.lock").touch()
    write_lexical(tmp_path / "2", previous=tmp_path / "1", add=[(1, {"text": "kax"})])
    assert matches(LexicalIndex.open(tmp_path / "2"), "kax") == [0, 1]


def test_a_moved_or_copied_folder_opens(tmp_path: Path) -> None:
    build(tmp_path / "1", {0: ("", "kax")})
    write_lexical(tmp_path / "2", previous=tmp_path / "1", add=[(1, {"text": "kax"})])
    shutil.copytree(tmp_path / "2", tmp_path / "copy")
    shutil.rmtree(tmp_path / "1")
    (tmp_path / "2").rename(tmp_path / "moved")
    for name in ("copy", "moved"):
        assert matches(LexicalIndex.open(tmp_path / name), "kax") == [0, 1]
        write_lexical(tmp_path / "next", previous=tmp_path / name, delete=[0])
        assert matches(LexicalIndex.open(tmp_path / "next"), "kax") == [1]


def test_files_are_copied_where_links_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    build(tmp_path / "1", {0: ("", "kax")})
    monkeypatch.setattr(os, "link", fail)
    write_lexical(tmp_path / "2", previous=tmp_path / "1", add=[(1, {"text": "kax"})])
    assert all(p.stat().st_nlink == 1 for p in (tmp_path / "2").iterdir())
    assert matches(LexicalIndex.open(tmp_path / "2"), "kax") == [0, 1]


def test_a_folder_that_only_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tmp_path / "made", {0: ("", "kax")})
    # A copy: a thread of tantivy's may still look at the folder where the index was made.
    without_locks = shutil.ignore_patterns(".*.lock")
    shutil.copytree(tmp_path / "made", tmp_path / "1", ignore=without_locks)
    before = sorted(tmp_path.glob("1/*"))
    assert {p.stat().st_mode & 0o444 for p in before} == {(tmp_path / "1").stat().st_mode & 0o444}
    monkeypatch.setattr(os, "access", lambda *_: False)  # the tests may run as root
    assert matches(LexicalIndex.open(tmp_path / "1"), "kax") == [0]
    assert sorted(tmp_path.glob("1/*")) == before


def test_an_error_in_the_passages_leaves_no_generation(tmp_path: Path) -> None:
    def passages() -> Iterable[tuple[int, Mapping[str, str]]]:
        yield 0, {"text": "kax"}
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        write_lexical(tmp_path / "1", add=passages())
    assert not list((tmp_path / "1").glob("*.json"))
    with pytest.raises(InputError, match="-4 is negative"):
        write_lexical(tmp_path / "1", add=[(-4, {"text": "kax"})])
    write_lexical(tmp_path / "1", add=[(0, {"text": "kax"})])
    with pytest.raises(InputError, match="overwrite the old one"):
        write_lexical(tmp_path / "1", previous=tmp_path / "1", delete=[0])
    assert matches(LexicalIndex.open(tmp_path / "1"), "kax") == [0]


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot make folder"):
        write_lexical(tmp_path / "file" / "1", add=[])

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        write_lexical(tmp_path / "1", add=[(0, {"text": "kax"})])


# --- damage and threads --------------------------------------------------------------------------


def test_a_lock_that_comes_while_a_copy_of_links_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that cannot be written is opened by links elsewhere, and tantivy has threads."""
    build(tmp_path / "index", {3: ("", "kax")})
    (tmp_path / "elsewhere").mkdir()
    remove, refused = shutil.rmtree, []

    def removed(folder: Path, ignore_errors: bool = False) -> None:
        if len(refused) < 2:
            refused.append(folder)
            raise OSError(errno.ENOTEMPTY, "a lock has come")
        remove(folder, ignore_errors=ignore_errors)

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "elsewhere"))
    monkeypatch.setattr(os, "access", lambda folder, mode: False)
    monkeypatch.setattr(shutil, "rmtree", removed)
    opened = LexicalIndex.open(tmp_path / "index")
    assert matches(opened, "kax") == [3]
    assert len(refused) == 2 and not list((tmp_path / "elsewhere").iterdir())


def test_damaged_files_are_corruption_or_harmless(tmp_path: Path) -> None:
    docs = {i: ("kax bol", "tir " * i + "muv") for i in range(300)}
    build(tmp_path / "1", docs)
    write_lexical(tmp_path / "whole", previous=tmp_path / "1", delete=[7])
    truth = LexicalIndex.open(tmp_path / "whole").search("kax tir", 20)
    refused = set()
    for file in sorted((tmp_path / "whole").iterdir()):
        size = file.stat().st_size
        for number, length in enumerate((None, 0, size // 2, size - 1)):
            # A folder of its own: tantivy may still take its lock in one that was opened.
            hurt = tmp_path / f"hurt {file.name} {number}"
            shutil.copytree(tmp_path / "whole", hurt)
            copy = hurt / file.name
            copy.unlink()
            if length is not None:
                copy.write_bytes(file.read_bytes()[:length])
            try:
                found = LexicalIndex.open(hurt).search("kax tir", 20)
            except IndexCorrupted as error:
                assert str(hurt) in str(error) and "\n" not in str(error)
                refused.add(file.suffix)
            else:
                assert [a.tolist() for a in found] == [a.tolist() for a in truth]
    assert {".idx", ".term", ".fast", ".fieldnorm", ".json", ".del"} <= refused


def test_what_is_no_index_is_corruption(tmp_path: Path) -> None:
    with pytest.raises(IndexCorrupted, match="nowhere"):
        LexicalIndex.open(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(IndexCorrupted, match="empty"):
        LexicalIndex.open(tmp_path / "empty")
    with pytest.raises(IndexCorrupted, match="empty"):
        write_lexical(tmp_path / "2", previous=tmp_path / "empty", add=[])
    with pytest.raises(IndexCorrupted, match="nowhere"):
        write_lexical(tmp_path / "2", previous=tmp_path / "nowhere", add=[])


def test_the_fields_or_words_of_another_release_are_refused(tmp_path: Path) -> None:
    import tantivy

    def write(folder: Path, tokenizer: str, fields: Iterable[str]) -> None:
        folder.mkdir()
        builder = tantivy.SchemaBuilder().add_integer_field("id", indexed=True, fast=True)
        builder.add_text_field("present")
        for field in fields:
            builder.add_text_field(field, tokenizer_name=tokenizer, index_option="freq")
        tantivy.Index(builder.build(), str(folder)).writer().commit()

    write(tmp_path / "old", "words", ["title", "text"])
    grams = [f"{field}_grams" for field in FIELDS]
    write(tmp_path / "words", "default", [*FIELDS, *grams])
    for name, found in (("old", "no field 'path'"), ("words", "text was tokenized differently")):
        with pytest.raises(IndexFormatError, match=f"{name} was written by another .*{found}"):
            LexicalIndex.open(tmp_path / name)
        with pytest.raises(IndexFormatError, match="build the index again"):
            write_lexical(tmp_path / "next", previous=tmp_path / name, add=[(0, {"text": "kax"})])


def test_many_threads_read_one_index(tmp_path: Path) -> None:
    docs = {i: ("", " ".join(WORDS[: 1 + i % 5])) for i in range(200)}
    index = build(tmp_path, docs)
    allowed = np.arange(200) % 3 == 0
    truth = {word: index.search(word, 50, allowed)[0].tolist() for word in WORDS}

    def read(word: str) -> bool:
        return index.search(word, 50, allowed)[0].tolist() == truth[word]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, WORDS * 100))
