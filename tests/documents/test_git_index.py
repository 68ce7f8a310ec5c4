"""Index files of git's that a stranger wrote: what they stand for is held in memory."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from retrieval.documents import discover
from retrieval.documents.walk.gitindex import GitIndex, _ewah

TOO_LONG = "stands for paths that are too long"


def entry(kept: bytes, path: bytes) -> bytes:
    """One of version 4: how much of the path before it is dropped, and what follows."""
    return bytes(62) + kept + path + b"\0"


def index(entries: list[bytes], *, version: int = 4, extension: bytes = b"") -> bytes:
    start = struct.pack(">4sII", b"DIRC", version, len(entries))
    return start + b"".join(entries) + extension + bytes(20)


def read(folder: Path, data: bytes) -> GitIndex:
    (folder / "index").write_bytes(data)
    return GitIndex.read(str(folder), hash_bytes=20)


def test_paths_that_repeat_each_other_have_a_limit_in_all(tmp_path: Path) -> None:
    longest = b"a" * 4000
    with pytest.raises(ValueError, match=TOO_LONG):
        read(tmp_path, index([entry(b"\0", longest), *[entry(b"\0", b"")] * 3000]))
    usual = [entry(b"\0", b"folder/" * 20), *[entry(b"\4", b"%04d" % n) for n in range(5000)]]
    assert b"folder/" * 19 + b"fol4999" in read(tmp_path, index(usual))


def test_a_path_longer_than_any_files_is_refused_where_others_may_repeat_it(tmp_path: Path) -> None:
    assert b"a" * 4096 in read(tmp_path, index([entry(b"\0", b"a" * 4096)]))
    with pytest.raises(ValueError, match=TOO_LONG):
        read(tmp_path, index([entry(b"\0", b"a" * 4096), entry(b"\0", b"a")]))


def test_a_number_is_read_no_further_than_it_can_be_right(tmp_path: Path) -> None:
    endless = index([entry(b"\0", b"a"), entry(b"\xff" * 100, b"")])[:-21]
    with pytest.raises(ValueError, match="is damaged"):
        read(tmp_path, endless)


def test_a_bitmap_says_nothing_of_entries_that_are_not_there() -> None:
    words = [1000 << 33, *[(1 << 64) - 1] * 1000]
    bitmap = struct.pack(f">II{len(words)}Q", 64 * 1000, len(words), *words)
    assert _ewah(bitmap, 3) == set(range(64))
    assert _ewah(bitmap, 64_000) == set(range(64_000))
    with pytest.raises(struct.error):
        _ewah(bitmap[:-8], 64_000)


def test_a_hostile_index_costs_what_git_tracks_and_no_more(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/HEAD").write_text("ref: refs/heads/main\n")
    (tmp_path / ".gitignore").write_text("*.log\n")
    for name in ("a.md", "b.log"):
        (tmp_path / name).write_text("x")
    (tmp_path / ".git/index").write_bytes(index([entry(b"\0", b"a" * 5000)]))
    discovery = discover([tmp_path], tmp_path)
    assert [source.id for source in discovery] == ["a.md"]
    assert discovery.problems == [f".git/index: {TOO_LONG}; what git tracks is not known"]
