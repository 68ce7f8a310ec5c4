"""Damaged files of a late segment: named, never a crash, never read past their end."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import retrieval
from retrieval.errors import IndexCorrupted
from retrieval.indexes import kernels, merge_compressed, open_late, train_codec
from retrieval.indexes.arrays import write_array
from retrieval.indexes.kernels import reference
from retrieval.indexes.late.candidates import table
from retrieval.indexes.late.compressed import CompressedSegment
from retrieval.indexes.late.query import prepare
from retrieval.types import ProgressUpdate

from .made import compressed, exact, uniform, unit

KINDS = ["exact", "compressed", "lists"]
DIM = 24


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one segment of each kind, and in `other` ones of other passages."""
    folder = tmp_path_factory.mktemp("good")
    for place, count in ((folder, 60), (folder / "other", 50)):
        place.mkdir(exist_ok=True)
        made = uniform(np.random.default_rng(count), [5, 0, 1] * count, DIM)
        exact(place / "exact", made)
        compressed(place / "compressed", made)
        compressed(place / "lists", made, lists=True)
    return folder


@pytest.fixture(params=KINDS)
def segment(good: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return shutil.copytree(good / request.param, tmp_path / request.param)


def refused(folder: Path, name: str) -> None:
    """Opening says which file is damaged, in one line, and how to mend it."""
    with pytest.raises(IndexCorrupted, match=re.escape(str(folder / name))) as caught:
        open_late(folder)
    assert "\n" not in str(caught.value)
    assert "restore it from a copy, or build the index again" in str(caught.value)


def test_every_file_is_missed(segment: Path) -> None:
    names = sorted(path.name for path in segment.iterdir())
    assert len(names) >= 4
    for name in names:
        (segment / name).rename(segment / "away")
        refused(segment, name)
        (segment / "away").rename(segment / name)
    assert open_late(segment).regime == segment.name


def header_of(number: bytes) -> Callable[[bytes], bytes]:
    """The first number of the shape, which this size of a file cannot have."""
    return lambda data: re.sub(rb"'shape': \(\d+", b"'shape': (" + number, data, count=1)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut by a byte": lambda data: data[:-1],
    "cut in half": lambda data: data[: len(data) // 2],
    "the header alone": lambda data: data[:128],
    "a byte too long": lambda data: data + b"\0",
    "another type": lambda data: re.sub(rb"'descr': '..(.)'", rb"'descr': '<c\1'", data),
    "more rows": header_of(b"999999999999999999"),
    "negative rows": header_of(b"-1"),
    "no rows": header_of(b"0"),
    "another file": lambda data: b"\x7fELF" + data,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_file_is_damaged(segment: Path, damage: str) -> None:
    damaged = 0
    for path in sorted(segment.iterdir()):
        data = path.read_bytes()
        changed = DAMAGES[damage](data)
        if changed == data or (path.suffix == ".json" and damage == "a byte too long"):
            continue
        path.write_bytes(changed)
        # Two arrays that no longer go together may be named by either.
        if path.suffix == ".json" or damage != "no rows":
            refused(segment, path.name)
        else:
            refused(segment, "late.")
        path.write_bytes(data)
        damaged += 1
    assert damaged >= 4
    open_late(segment)


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_another_segment(good: Path, tmp_path: Path, kind: str) -> None:
    folder = shutil.copytree(good / kind, tmp_path / kind)
    values = "scales" if kind == "exact" else "residuals"
    for name in ("ids", "offsets", "codes", values):
        path = folder / f"late.{name}.npy"
        data = path.read_bytes()
        path.write_bytes((good / "other" / kind / path.name).read_bytes())
        refused(folder, "late.")
        path.write_bytes(data)


def altered(path: Path, change: Callable[[NDArray[np.generic]], None]) -> None:
    """Change the values of an array, and leave its header and size as they are."""
    data = path.read_bytes()
    array = np.load(path).copy()
    change(array)
    path.write_bytes(data[:128] + array.tobytes())


def assigning(place: object, value: object) -> Callable[[NDArray[np.generic]], None]:
    def change(array: NDArray[np.generic]) -> None:
        array[place] = value  # type: ignore[index]

    return change


ALL = "exact compressed lists"


@pytest.mark.parametrize(
    ("kinds", "name", "place", "value"),
    [
        (ALL, "late.offsets.npy", 1, 2**62),
        (ALL, "late.offsets.npy", 1, -5),
        (ALL, "late.offsets.npy", 0, 1),
        (ALL, "late.offsets.npy", -1, 2**40),
        (ALL, "late.offsets.npy", -1, 0),
        (ALL, "late.offsets.npy", 2, 4),
        (ALL, "late.offsets.npy", slice(None), 7),
        (ALL, "late.ids.npy", 0, -1),
        ("exact", "late.scales.npy", 3, np.nan),
        ("exact", "late.scales.npy", 3, np.inf),
        ("exact", "late.scales.npy", 3, -1.0),
        ("compressed lists", "late.mean.npy", 0, np.nan),
        ("compressed lists", "late.mean.npy", 0, np.inf),
        ("compressed lists", "late.rotation.npy", (0, 0), np.nan),
        ("lists", "late.postings.npy", -1, 65_535),
        ("lists", "late.postings.npy", slice(None), 180),
        ("lists", "late.starts.npy", (0, 0), 1),
        ("lists", "late.starts.npy", (0, 0), -1),
        ("lists", "late.starts.npy", (0, -1), 2**40),
        ("lists", "late.starts.npy", (0, 3), 2**62),
        ("lists", "late.starts.npy", (0, 3), -(2**62)),
        ("lists", "late.starts.npy", (0, 1), 10**6),
    ],
)
def test_hostile_values(
    good: Path, tmp_path: Path, kinds: str, name: str, place: object, value: object
) -> None:
    for kind in kinds.split():
        folder = shutil.copytree(good / kind, tmp_path / kind)
        altered(folder / name, assigning(place, value))
        refused(folder, name)


@pytest.mark.parametrize("by", [kernels.chosen(), reference])
@pytest.mark.parametrize("code", [0, -1])
@pytest.mark.parametrize("kind", ["compressed", "lists"])
def test_a_code_without_a_centroid(
    good: Path,
    tmp_path: Path,
    kind: str,
    code: int,
    by: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever reads the token says so; what does not is none the worse for it."""
    monkeypatch.setattr(kernels, "chosen", lambda: by)
    folder = shutil.copytree(good / kind, tmp_path / kind)
    intact = open_late(folder)
    altered(folder / "late.codes.npy", assigning(code, 65_535))
    segment = open_late(folder)
    assert isinstance(segment, CompressedSegment)
    assert isinstance(intact, CompressedSegment)
    rows = np.flatnonzero(np.diff(segment.offsets))
    owner, others = (rows[0], rows[1:]) if code == 0 else (rows[-1], rows[:-1])
    query = prepare(unit(np.random.default_rng(1), 5, DIM), DIM)
    values = table(query, segment.narrowing).values
    narrowed = segment.centroid_max(values, np.append(others, owner))
    assert np.array_equal(narrowed[:-1], intact.centroid_max(values, others))
    assert narrowed[-1] <= intact.centroid_max(values, np.array([owner]))
    token = np.array([code % len(segment.codes)])
    reading: list[Callable[[CompressedSegment, NDArray[np.int64]], NDArray[Any]]] = [
        lambda segment, rows: segment.max_sim(query, rows),
        lambda segment, rows: segment.vectors(rows)[0],
    ]
    for read in reading:
        with pytest.raises(
            IndexCorrupted, match=r"late\.codes\.npy contains out-of-range centroids"
        ):
            read(segment, np.append(others, owner))
        assert np.array_equal(read(segment, others), read(intact, others))
    for read_codes in (segment.codes_of, segment.coarse_codes_of):
        with pytest.raises(
            IndexCorrupted, match=r"late\.codes\.npy contains out-of-range centroids"
        ):
            read_codes(token)
    with pytest.raises(IndexCorrupted, match=r"late\.codes\.npy contains out-of-range centroids"):
        merge_compressed(tmp_path / "merged", [segment], segment.codec, lists=False)


def test_repeated_ids(segment: Path) -> None:
    def repeat(array: NDArray[np.generic]) -> None:
        array[1] = array[0]

    altered(segment / "late.ids.npy", repeat)
    refused(segment, "late.ids.npy")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "7",
        "null",
        "{}",
        '{"unit": 1}',
        b"\xff\xfe",
        *(
            json.dumps({"unit": 1, "trained_error": 0, "trained_tokens": 9, "error": 0}).replace(
                old, new
            )
            for old, new in (
                ('"unit": 1', '"unit": 0'),
                ('"unit": 1', '"unit": -1'),
                ('"unit": 1', '"unit": NaN'),
                ('"unit": 1', '"unit": 1e999'),
                ('"unit": 1', '"unit": "x"'),
                ('"unit": 1', '"unit": [1]'),
                ('"trained_tokens": 9', '"trained_tokens": Infinity'),
                ('"trained_error": 0', '"trained_error": null'),
                ('"trained_tokens": 9', '"trained_tokens": ' + "9" * 400),
                ('"unit": 1', '"unit": ' + "[" * 100_000),
            )
        ),
    ],
)
def test_hostile_numbers(good: Path, tmp_path: Path, text: str | bytes) -> None:
    folder = shutil.copytree(good / "compressed", tmp_path / "a")
    data = text if isinstance(text, bytes) else text.encode()
    (folder / "late.codec.json").write_bytes(data)
    refused(folder, "late.codec.json")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '"late"',
        "\ud800",
        '{"codec": "KEY", "place": null, "error": NaN}',
        '{"codec": "KEY", "place": null, "error": []}',
        '{"codec": "KEY", "place": null}',
        '{"codec": 7, "place": null, "error": 0}',
        '{"codec": "0000", "place": null, "error": 0}',
        '{"codec": "KEY", "place": 5, "error": 0}',
        '{"codec": "KEY", "place": "../../elsewhere", "error": 0}',
        '{"codec": "KEY", "place": "/etc", "error": 0}',
        '{"codec": "KEY", "place": "00000001-codec/..", "error": 0}',
        '{"codec": "KEY", "place": "' + "[" * 100_000 + '", "error": 0}',
        "[" * 100_000,
    ],
)
def test_hostile_places_of_the_codec(good: Path, tmp_path: Path, text: str) -> None:
    """A segment's codec is the one in its own folder or in one beside it, and no other."""
    folder = shutil.copytree(good / "compressed", tmp_path / "a")
    key = open_late(folder).codec.key  # type: ignore[union-attr]
    data = text.replace("KEY", key).encode(errors="surrogatepass")
    (folder / "late.compressed.json").write_bytes(data)
    refused(folder, "late.compressed.json")


def test_a_shared_codec_that_is_missing_or_another(tmp_path: Path) -> None:
    made = uniform(np.random.default_rng(3), [5] * 40, 32)
    source = exact(tmp_path / "source", made)
    codec, other = train_codec([source], bits=2), train_codec([source], bits=4)
    shared = tmp_path / "00000001-codec"
    codec.write(shared)
    folder = tmp_path / "00000002-vectors" / "late"
    merge_compressed(folder, [source], codec, lists=False, shared=shared)
    segment = open_late(folder)
    assert segment.shared == shared  # type: ignore[union-attr]
    assert not (folder / "late.centroids.npy").exists()
    rows = np.arange(40)
    alone = tmp_path / "alone"
    merge_compressed(alone, [source], codec, lists=False)
    assert np.array_equal(segment.vectors(rows)[0], open_late(alone).vectors(rows)[0])
    shutil.move(shared, tmp_path / "kept")
    with pytest.raises(IndexCorrupted, match="00000001-codec"):
        open_late(folder)
    other.write(shared)
    with pytest.raises(IndexCorrupted, match="00000001-codec is not the codec that"):
        open_late(folder)


def test_a_segment_of_an_earlier_format(good: Path, tmp_path: Path) -> None:
    """It holds its codec, and the error with the codec's numbers."""
    folder = shutil.copytree(good / "compressed", tmp_path / "a")
    before = open_late(folder)
    stored = json.loads((folder / "late.compressed.json").read_text())
    numbers = json.loads((folder / "late.codec.json").read_text())
    (folder / "late.codec.json").write_text(json.dumps(numbers | {"error": stored["error"]}))
    (folder / "late.compressed.json").unlink()
    after = open_late(folder)
    rows = np.arange(len(before))
    assert np.array_equal(before.vectors(rows)[0], after.vectors(rows)[0])
    assert (after.error, after.shared) == (stored["error"], None)  # type: ignore[union-attr]
    for text in ("NaN", "[]", '"x"'):
        (folder / "late.codec.json").write_text(
            json.dumps(numbers | {"error": 0})[:-2] + text + "}"
        )
        refused(folder, "late.codec.json")


@pytest.mark.parametrize("dim", [0, 8, 20, 23, 264, 4096])
def test_dimensions_that_no_kernel_knows(tmp_path: Path, dim: int) -> None:
    """All files agree with each other, and yet nothing wrote them."""
    write_array(tmp_path / "late.ids.npy", "<i8", (1,), [np.array([7])])
    write_array(tmp_path / "late.offsets.npy", "<i8", (2,), [np.array([0, 3])])
    write_array(tmp_path / "late.codes.npy", "|i1", (3, dim), [np.ones((3, dim), np.int8)])
    write_array(tmp_path / "late.scales.npy", "<f4", (3,), [np.ones(3)])
    refused(tmp_path, "late.codes.npy")


@pytest.mark.slow
def test_a_fuzzed_segment_does_not_crash(good: Path, tmp_path: Path) -> None:
    """In a process of its own: it ends by itself, whatever stands in the files."""
    here = Path(__file__).parent
    path = os.pathsep.join([str(Path(retrieval.__file__).parents[1]), str(here.parents[1])])
    done = subprocess.run(
        [sys.executable, "-m", "indexes.late.fuzzed", str(good), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PYTHONPATH": path, "RETRIEVAL_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    refused_, searched = map(int, done.stdout.split())
    assert refused_ > 30
    assert searched > 30


def test_what_a_killed_merge_left_does_not_open(tmp_path: Path) -> None:
    made = uniform(np.random.default_rng(0), [3] * 30, DIM)
    source = exact(tmp_path / "source", made)
    codec = train_codec([source])
    with pytest.raises(RuntimeError, match="stop"):
        merge_compressed(tmp_path / "a", [source], codec, lists=True, progress=stop)
    with pytest.raises(IndexCorrupted):
        open_late(tmp_path / "a")


def stop(now: ProgressUpdate) -> None:
    raise RuntimeError(f"stop at {now.done} of {now.total}")
