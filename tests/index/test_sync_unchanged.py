"""Files that are as they were: what is asked of them, and that nothing which counts is missed."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from retrieval.documents import ReadOptions, ending_is_current, is_current
from retrieval.documents.formats import Format, Parsed, formats, register, table
from retrieval.documents.reading import reader_of
from retrieval.index import Index
from retrieval.sync import catalogue, sync

from .fake_encoder import FakeEncoder
from .source_files import counts, write


@pytest.fixture(autouse=True)
def own_formats() -> Iterator[None]:
    yield
    table._table._given.clear()
    table._table._formats = None


NOTES = Format("notes", 1, lambda data, source: Parsed(data.decode()), (".note",), ("notes.txt",))


def test_an_ending_speaks_for_all_files_that_have_it() -> None:
    register(NOTES)
    stems = ("a", ".a", "a.b", "x/a", "x.y/a", "README", "x.txt/b", "notes", "CMakeLists", "")
    ends = ("", ".", ".txt", ".TXT", ".md", ".note", ".tar.gz", ".jsonl.gz", ".py", ".unheard")
    names = ["Makefile", "x.y/makefile", "notes.txt", "z/NOTES.TXT", "Dockerfile", "a.Dockerfile"]
    names += [stem + end for stem in stems for end in ends if stem + end]
    decided = 0
    for options in (ReadOptions(), ReadOptions(rows=True)):
        readers = [reader_of(format, ReadOptions()) for format in formats().values()]
        for reader in [*readers, "text 0", "unheard 1"]:
            for name in names:
                said = ending_is_current(reader, name.rpartition(".")[2], options)
                decided += said is not None
                if said is not None:
                    assert said == is_current(reader, name.rpartition("/")[2], options), name
    assert decided > len(names) * len(readers)


def test_a_new_format_reads_the_files_that_it_names_and_no_others(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "texts"
    for name in ("notes.txt", "other.txt", "sub/notes.txt", "a.note", "b.md"):
        write(folder / name, f"words of {name}")
    sync(index, [folder])
    assert sync(index).unchanged == 5
    register(NOTES)
    read = []
    real = catalogue.is_current
    monkeypatch.setattr(
        catalogue, "is_current", lambda *given: read.append(given[1]) or real(*given)
    )
    assert counts(sync(index)) == (0, 3, 2, 0)
    assert sorted(read) == ["a.note", "notes.txt", "other.txt"]  # `.md` is nobody else's
    assert index.verify() == []


@pytest.mark.parametrize("many", [0, 1000])
@pytest.mark.parametrize("seed", range(4))
def test_any_changes_lead_to_what_a_new_index_would_hold(
    index: Index,
    encoder: FakeEncoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
    many: int,
) -> None:
    monkeypatch.setattr(catalogue, "_MANY", many)
    choose = random.Random(seed)
    folder = tmp_path / "tree"

    def fill() -> None:
        for _ in range(6):
            place = "/".join(choose.choices("pqr", k=choose.randint(0, 3)))
            name = choose.choice(["a.txt", "b.md", "c.jsonl", "d.py", "run.log"])
            text = " ".join(choose.choices(["otter", "heron", "newt"], k=3))
            if name == "c.jsonl":
                text = "".join(f'{{"text": "{text} {n}"}}\n' for n in range(choose.randint(1, 3)))
            write(folder / place / name, text)

    def change() -> None:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        for path in choose.sample(files, len(files) // 3):
            what = choose.choice(["same size", "delete", "move", "rules", "touch"])
            if what == "same size":  # and the time of its last change as before
                write(path, path.read_bytes().swapcase())
            elif what == "delete":
                path.unlink()
            elif what == "move":
                path.rename(path.with_name(f"moved-{path.name}"))
            elif what == "rules":
                write(path.parent / ".ignore", choose.choice(["*.log", "b.md", "!*", "/p"]))
            else:
                os.utime(path, (1, 1))
        fill()

    fill()
    sync(index, [folder])
    for _ in range(3):
        change()
        report = sync(index)
        fresh_folder = tmp_path / f"fresh-{choose.random()}"
        with Index.create(fresh_folder, encoder=encoder, passage_tokens=8) as fresh:
            told = sync(fresh, [folder])
            expected = {one.id: fresh.get(one.id) for one in fresh.listed()}
        assert {one.id: index.get(one.id) for one in index.listed()} == expected
        # Moved ones count among the others, as what they were.
        assert told.added == report.added + report.updated + report.unchanged + report.moved
        again = sync(index)
        assert (again.unchanged, again.changed) == (told.added, False)
        assert again.left_out == report.left_out == told.left_out
    assert index.verify() == []


def test_a_file_of_which_nothing_is_known_leaves_when_it_is_gone(
    index: Index, tmp_path: Path
) -> None:
    folder = tmp_path / "lines"
    write(folder / "a.jsonl", '{"text": "one"}\n{"text": "two"}\n')
    write(folder / "b.txt", "stays")
    sync(index, [folder])
    assert index.delete(["lines/a.jsonl#L1"]) == 1  # the other document is of a file to read again
    (folder / "a.jsonl").unlink()
    assert counts(sync(index)) == (0, 0, 1, 1)
    assert [one.id for one in index.listed()] == ["lines/b.txt"]


def test_a_format_of_another_version_is_seen_whatever_the_ending(
    index: Index, tmp_path: Path
) -> None:
    register(NOTES)
    write(tmp_path / "n" / "a.note", "one")
    write(tmp_path / "n" / "notes.txt", "two")
    write(tmp_path / "n" / "c.txt", "three")
    sync(index, [tmp_path / "n"])
    register(replace(NOTES, version=2, parse=lambda data, source: Parsed(data.decode().upper())))
    assert counts(sync(index)) == (0, 2, 1, 0)
