"""The codec of an index: trained once, held once, and what narrows searches once it is outgrown."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from retrieval import LateOptions
from retrieval.errors import IndexCorrupted
from retrieval.index import Index
from retrieval.index.writing import compressing

from .fake_encoder import FakeEncoder
from .promoted import check, check_swept, create, documents, folder_in_memory, late_segments


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(compressing, "EXACT", 20)
    monkeypatch.setattr(compressing, "EXACT_OF_BITS", 20)
    with folder_in_memory() as place:
        yield place


SMALL = LateOptions(bits=2)


def codecs(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "segments").glob("*-codec"))


def test_what_comes_after_the_first_compression_is_compressed_at_once(folder: Path) -> None:
    with create(folder, SMALL) as index:
        index.add(documents(0, 20))
        assert (index.status().regimes, codecs(folder)) == ({"exact": 20}, [])
        index.add(documents(20, 21))
        expected = documents(0, 20) + documents(20, 21)
        assert index.status().regimes == {"compressed": 21}
        (codec,) = codecs(folder)
        for n in range(21, 24):
            index.add(documents(n, n + 1))
            expected += documents(n, n + 1)
            assert index.status().regimes == {"compressed": n + 1}
        segments = late_segments(folder)
        assert len(segments) == 4
        assert {segment.shared for segment in segments} == {folder / "segments" / codec}
        check(index, expected)
        check_swept(index)
        index.compact()
        assert (len(late_segments(folder)), codecs(folder)) == (1, [codec])
        report = index.measure(["shared"], k=1, depth=1)
        held = sum(f.stat().st_size for f in (folder / "segments" / codec).iterdir())
        assert report.bytes_per_token * report.tokens > held
        index.delete([document.id for document in expected])
        index.compact()
        assert codecs(folder) == []
        check_swept(index)
        index.add(documents(0, 3, seed=1))
        assert index.status().regimes == {"exact": 3}


@pytest.mark.parametrize("late", [LateOptions(), SMALL])
def test_one_document_more_rewrites_nothing(folder: Path, late: LateOptions) -> None:
    with create(folder, late) as index:
        index.add(documents(0, 40))
        paths = [path for path in folder.glob("segments/*-[vc]*/**/*") if path.is_file()]
        before = {path: path.stat().st_ino for path in paths}
        index.add(documents(40, 41))
        assert {path: path.stat().st_ino for path in before if path.exists()} == before
        index.delete(["d40"])
        index.add(documents(41, 42))
        assert {path: path.stat().st_ino for path in before if path.exists()} == before
        assert len(late_segments(folder)) == 2


def test_an_outgrown_codec_is_narrowed_by_another(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is stored stays; centroids of what is there now narrow it, and are trained again."""
    monkeypatch.setattr("retrieval.indexes.late.narrowing.CANDIDATES", 8)
    monkeypatch.setattr("retrieval.indexes.late.narrowing.SCANNED", 0)
    with create(folder, replace(SMALL, list_passages=100)) as index:
        expected = documents(0, 30)
        index.add(expected)
        (first,) = late_segments(folder)
        quantisers: list[str] = []
        for last in (499, 1_000, 3_000):
            more = documents(len(expected), last)
            index.add(more)
            expected += more
            index.compact()
            (segment,) = late_segments(folder)
            assert (segment.codec.key, segment.regime) == (first.codec.key, "lists")
            assert segment.coarse_quantiser is not None
            quantisers.append(segment.coarse_quantiser.codec.key)
            assert len(codecs(folder)) == 2
            check_swept(index)
            if last < 1_000:
                check(index, expected)
        assert len(set(quantisers)) == 2
        assert segment.narrowing.trained_tokens == 3_000 * 9
        index.add(documents(3_000, 3_001))
        assert {s.narrowing.key for s in late_segments(folder)} == {quantisers[-1]}
        assert index.measure(["own0x7 own0x7 shared"], k=1, depth=1).recall_at_k == 1
        assert index.verify() == []


@pytest.mark.parametrize("name", ["late.centroids.npy", "late.rotation.npy", "late.codec.json"])
def test_a_damaged_codec_is_named(folder: Path, name: str) -> None:
    encoder = FakeEncoder()
    with create(folder, SMALL) as index:
        index.add(documents(0, 40))
        (codec,) = codecs(folder)
    path = folder / "segments" / codec / name
    whole = path.read_bytes()
    path.write_bytes(whole[:-9] + b"\0" + whole[-8:])
    with pytest.raises(IndexCorrupted, match=codec), Index.open(folder, encoder=encoder) as index:
        assert any(codec in line for line in index.verify())
        index.compact()
    path.write_bytes(whole)
    moved = Path(shutil.move(folder, folder.with_name("moved")))
    with Index.open(moved, encoder=encoder) as index:
        check(index, documents(0, 40))
    (moved / "segments" / codec / name).unlink()
    with pytest.raises(IndexCorrupted, match=name):
        Index.open(moved, encoder=encoder)
