"""A look at whether files have changed: what it finds, and that its time is bounded."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from retrieval.index import Index
from retrieval.index.writing import writer
from retrieval.store import FileRow
from retrieval.sync import SyncProgress, sync
from retrieval.sync import changes as module
from retrieval.sync.changes import changes
from retrieval.types import Document

from .source_files import LONG_AGO, write


def test_nothing_has_changed(index: Index, docs: Path) -> None:
    assert not changes(index), "an index of nothing"
    sync(index, [docs])
    found = changes(index, 60)
    assert not found
    assert found.complete


def test_what_has_changed_is_named(index: Index, docs: Path) -> None:
    sync(index, [docs])
    write(docs / "a.md", "# Apples\n\nabout apricot", age=3)
    (docs / "b.txt").unlink()
    (docs / "sub" / "new.txt").write_text("new")
    (docs / "sub" / "new.png").write_bytes(b"\x89PNG")
    found = changes(index, 60)
    assert (found.changed, found.gone, found.new) == (
        ("docs/a.md",),
        ("docs/b.txt",),
        ("docs/sub/new.txt",),
    )
    sync(index)
    assert not changes(index, 60)


def test_a_name_that_is_not_utf8_changes_nothing_until_its_file_changes(
    index: Index, docs: Path
) -> None:
    write(docs / os.fsdecode(b"caf\xe9.md"), "# Tapirs\n\nabout tapirs")
    write(docs / os.fsdecode(b"d\xe9p\xf4t") / "b.md", "# Boars\n\nabout boars")
    sync(index, [docs])
    assert not changes(index, 60)
    write(docs / os.fsdecode(b"caf\xe9.md"), "# Tapirs\n\nabout other tapirs", age=3)
    write(docs / os.fsdecode(b"d\xe9p\xf4t") / "b.md", "# Boars\n\nabout wild boars", age=3)
    assert sorted(changes(index, 60).changed) == ["docs/caf\\xe9.md", "docs/d\\xe9p\\xf4t/b.md"]


def test_a_root_that_cannot_be_reached_is_not_gone(
    index: Index, docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "closed" / "notes" / "a.md", "# Notes")
    sync(index, [docs, tmp_path / "closed" / "notes"])
    real = os.stat

    def stat(path: Any, *arguments: Any, **options: Any) -> os.stat_result:
        if "closed" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "stat", stat)
    assert not changes(index, 60)


def test_a_file_that_could_not_go_in_is_not_new(index: Index, docs: Path) -> None:
    write(docs / "broken.jsonl", '{"no": 1}\n')
    report = sync(index, [docs])
    assert len(report.problems) == 1
    assert not changes(index, 60)


def test_a_file_that_could_not_go_in_is_not_new_while_somebody_reads_the_index(
    index: Index, docs: Path
) -> None:
    sync(index, [docs])
    write(docs / "broken.jsonl", '{"no": 1}\n')
    assert changes(index, 60).new == ("docs/broken.jsonl",)
    os.utime(index.path / "store.sqlite", (LONG_AGO, LONG_AGO))  # commits are in its log
    assert len(sync(index).problems) == 1
    assert not changes(index, 60)


def test_a_new_file_stays_new_whatever_else_is_committed(index: Index, docs: Path) -> None:
    sync(index, [docs])
    (docs / "new.txt").write_text("new")
    index.add([Document("other", "of no file")])
    os.utime(index.path / "store.sqlite")  # as where its log is copied into it
    assert changes(index, 60).new == ("docs/new.txt",)
    sync(index)
    assert not changes(index, 60)


def test_a_sync_that_was_interrupted_leaves_new_files_new(
    index: Index, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync(index, [docs])
    (docs / "m.txt").write_text("new")
    (docs / "n.txt").write_text("newer")
    monkeypatch.setattr(writer, "COMMIT_SECONDS", 0.0)

    def interrupt(now: SyncProgress) -> None:
        if now.files == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sync(index, progress=interrupt)
    assert index.get("docs/m.txt") is not None
    assert changes(index, 60).new == ("docs/n.txt",)


def test_an_index_far_from_its_files_says_nothing(index: Index, docs: Path) -> None:
    sync(index, [docs])
    shutil.rmtree(docs)
    assert not changes(index, 60)


def test_a_file_that_was_just_written_is_not_taken_for_changed(index: Index, docs: Path) -> None:
    (docs / "b.txt").write_text("just now")
    sync(index, [docs])
    assert not changes(index, 60)


def test_the_time_is_bounded(index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(200):
        write(tmp_path / "many" / f"{number:03}.txt", f"text {number}")
    sync(index, [tmp_path / "many"])
    for number in range(200):
        write(tmp_path / "many" / f"{number:03}.txt", f"other text {number}")
    clock = iter(range(10_000))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    found = changes(index, 2.5)
    assert not found.complete
    assert 0 < len(found.changed) < 200


def test_what_is_gone_is_named_as_far_as_the_look_came(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        write(tmp_path / "many" / f"{number:02}" / "a.txt", f"text {number}")
        write(tmp_path / "many" / f"{number:02}" / "b.txt", f"text {number}")
    sync(index, [tmp_path / "many"])
    for number in range(40):
        (tmp_path / "many" / f"{number:02}" / "b.txt").unlink()
    monkeypatch.setattr(module, "_AT_ONCE", 3)
    whole = changes(index, 60)
    assert whole.gone == tuple(f"many/{number:02}/b.txt" for number in range(40))
    clock = iter(range(10_000))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    part = changes(index, 20.5)
    assert not part.complete and not part.changed and not part.new
    assert 10 < len(part.gone) < 25
    assert part.gone == whole.gone[: len(part.gone)]


def test_known_files_are_found_however_few_are_read_at_once(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["a.txt", "b/c.txt", "b/c/d.txt", "b-c.txt", "b.txt", "é.txt", "z.txt"]
    for name in names:
        write(tmp_path / "t" / name, name)
    sync(index, [tmp_path / "t"])
    for at_once in (1, 2, 5):
        monkeypatch.setattr(module, "_AT_ONCE", at_once)
        for order in (names, names[::-1], names[::2] + names[1::2]):
            known = module._Known(index.known_files)
            for name in order:
                assert known.get(f"t/{name}") == dict_of(index)[f"t/{name}"]
                assert known.get(f"t/{name}x") is None and known.get(f"t/{name[:-1]}") is None
        assert known.ids(None) == sorted(dict_of(index))
        assert known.ids("t/b/") == [id for id in sorted(dict_of(index)) if id < "t/b/"]


def test_what_a_rule_keeps_out_now_is_gone(index: Index, docs: Path) -> None:
    sync(index, [docs])
    write(docs / ".ignore", "a.md\n")
    assert changes(index, 60).gone == ("docs/a.md",)


def dict_of(index: Index) -> dict[str, FileRow]:
    return {row[2]: row for row in index.known_files()}
