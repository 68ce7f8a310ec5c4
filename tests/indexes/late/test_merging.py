"""Segments written out of others: what is copied, what is encoded anew, what is left out."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.errors import IndexCorrupted, InputError
from retrieval.indexes import (
    LateCodec,
    LateSearcher,
    LateSegment,
    merge_compressed,
    merge_exact,
    open_late,
    train_codec,
)
from retrieval.indexes.late.lists import open_lists, write_lists

from ..mapped import on_linux, resident
from .made import (
    Generator,
    Passages,
    clustered,
    compressed,
    exact,
    generators,
    offsets_of,
    uniform,
    unit,
)

DIM = 16


def bytes_of(segments: list[LateSegment]) -> dict[int, tuple[bytes, ...]]:
    """What is stored of each passage, by id."""
    found = {}
    for segment in segments:
        columns = (
            (segment.codes, segment.scales)  # type: ignore[union-attr]
            if segment.regime == "exact"
            else (segment.codes, segment.residuals)  # type: ignore[union-attr]
        )
        for row, i in enumerate(segment.ids.tolist()):
            span = slice(segment.offsets[row], segment.offsets[row + 1])
            found[i] = tuple(column[span].tobytes() for column in columns)
    return found


@pytest.fixture(scope="module")
def any_codec(tmp_path_factory: pytest.TempPathFactory) -> LateCodec:
    sample = uniform(np.random.default_rng(0), [9] * 20, DIM)
    return train_codec([exact(tmp_path_factory.mktemp("sample"), sample)])


@settings(max_examples=20, deadline=None)
@given(
    groups=st.lists(st.lists(st.sampled_from([0, 1, 4]), max_size=6), min_size=1, max_size=3),
    kind=st.sampled_from(["exact", "compressed", "lists"]),
    share=st.sampled_from([None, 0.0, 0.6]),
    memory=st.sampled_from([1, 1 << 30]),
    rng=generators,
)
def test_a_merge_copies_what_lives(
    tmp_path_factory: pytest.TempPathFactory,
    any_codec: LateCodec,
    groups: list[list[int]],
    kind: str,
    share: float | None,
    memory: int,
    rng: Generator,
) -> None:
    folder = tmp_path_factory.mktemp("merge")
    parts = [uniform(rng, lengths, DIM, first=100 * n) for n, lengths in enumerate(groups)]
    codec = any_codec
    segments = [
        exact(folder / str(n), part)
        if kind == "exact"
        else compressed(folder / str(n), part, codec=codec)
        for n, part in enumerate(parts)
    ]
    ids = np.concatenate([part.ids for part in parts])
    allowed = None if share is None else rng.random(500) < share
    told: list[tuple[int, int]] = []
    if kind == "exact":
        merge_exact(folder / "merged", segments, allowed)
    else:
        merge_compressed(
            folder / "merged",
            segments,
            codec,
            allowed,
            lists=kind == "lists",
            memory=memory,
            progress=lambda now: told.append((now.done, now.total or 0)),
        )
    merged = open_late(folder / "merged")
    kept = [i for i in ids.tolist() if allowed is None or allowed[i]]
    assert merged.ids.tolist() == kept
    before = bytes_of(segments)
    assert bytes_of([merged]) == {i: before[i] for i in kept}
    if kind != "exact":
        assert merged.codec.key == codec.key  # type: ignore[union-attr]
        assert [of for _, of in told] == [merged.tokens] * len(told)
        done = [done for done, _ in told]
        assert done == sorted(done)
        assert done[-1:] in ([], [merged.tokens])
        assert done or not merged.tokens
    if len(ids):
        query = unit(rng, 3, DIM)
        old = LateSearcher(segments).search([query], 50, allowed, exhaustive=True)[0]
        new = LateSearcher([merged]).search([query], 50, exhaustive=True)[0]
        assert [part.tolist() for part in old] == [part.tolist() for part in new]


@pytest.mark.parametrize("kind", ["exact", "compressed", "lists"])
def test_one_segment_merged_is_itself(tmp_path: Path, kind: str) -> None:
    made = uniform(np.random.default_rng(1), [3, 0, 7, 2] * 20, 40)
    if kind == "exact":
        segment = exact(tmp_path / "a", made)
        merge_exact(tmp_path / "b", [segment])
    else:
        segment = compressed(tmp_path / "a", made, lists=kind == "lists")
        merge_compressed(
            tmp_path / "b",
            [segment],
            segment.codec,  # type: ignore[union-attr]
            lists=kind == "lists",
        )
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "b").iterdir())
    for name in names:
        old, new = ((tmp_path / part / name).read_bytes() for part in "ab")
        if name.endswith(".json"):  # the error is a mean, computed again
            numbers, before = json.loads(new), json.loads(old)
            error, same = numbers.pop("error", 0), before.pop("error", 0)
            assert (numbers, error) == (before, pytest.approx(same, rel=1e-9))
        else:
            assert old == new, name


def test_the_codec_is_read_back(tmp_path: Path) -> None:
    made = uniform(np.random.default_rng(2), [5] * 50, 40)
    codec = train_codec([exact(tmp_path / "sample", made)], bits=2)
    segment: Any = compressed(tmp_path / "a", made, codec=codec)
    assert segment.codec.key == codec.key
    assert (segment.codec.bits, segment.codec.dim) == (2, 40)
    assert segment.codec.trained_tokens == codec.trained_tokens == 250
    assert segment.codec.trained_error == codec.trained_error > 0
    other = train_codec([exact(tmp_path / "other", made)], bits=4)
    assert other.key != codec.key


def test_memory_bounds_the_sample_and_the_blocks(tmp_path: Path) -> None:
    """What little memory writes is of one kind with what much memory writes."""
    made = clustered(np.random.default_rng(3), 400, 48)
    source = exact(tmp_path / "a", made)
    small = train_codec([source], memory=100 * 4 * 48 * 6)  # for 100 of the tokens
    large = train_codec([source])
    assert len(small.centroids) <= 100 < len(large.centroids)
    assert small.trained_tokens == large.trained_tokens == len(made.tokens)
    for memory in (1, 1 << 30):
        merge_compressed(tmp_path / str(memory), [source], large, lists=False, memory=memory)
    few, many = (tmp_path / str(memory) for memory in (1, 1 << 30))
    for name in ("late.codes.npy", "late.residuals.npy", "late.ids.npy", "late.offsets.npy"):
        assert (few / name).read_bytes() == (many / name).read_bytes()
    errors = [open_late(folder).error for folder in (few, many)]  # type: ignore[union-attr]
    assert errors[0] == pytest.approx(errors[1], rel=0.1)


def peak_bytes(call: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_corpus(tmp_path: Path) -> None:
    memory = 4 << 20
    made = clustered(np.random.default_rng(13), 4000, 64)
    assert made.tokens.nbytes > 4 * memory
    source = exact(tmp_path / "a", made)
    del made
    assert peak_bytes(lambda: train_codec([source], memory=memory)) < 2 * memory
    codec = train_codec([source], memory=memory)

    def merge() -> None:
        merge_compressed(tmp_path / "b", [source], codec, lists=True, memory=memory)

    assert peak_bytes(merge) < 2 * memory


@settings(max_examples=30, deadline=None)
@given(
    lengths=st.lists(st.sampled_from([0, 1, 2, 60, 700]), min_size=1, max_size=40),
    centroids=st.sampled_from([1, 2, 30, 1 << 16]),
    memory=st.sampled_from([1, 1 << 14, 1 << 30]),
    rng=generators,
)
def test_lists_do_not_depend_on_memory(
    tmp_path_factory: pytest.TempPathFactory,
    lengths: list[int],
    centroids: int,
    memory: int,
    rng: Generator,
) -> None:
    """Each list has the rows of its block whose tokens have its centroid, once, rising."""
    folder = tmp_path_factory.mktemp("lists")
    offsets = offsets_of(lengths)
    codes = rng.integers(0, centroids, int(offsets[-1])).astype(np.uint16)
    codes[rng.random(len(codes)) < 0.3] = centroids - 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("retrieval.indexes.kernels.LIST_BLOCK", 16)
        write_lists(folder, codes, offsets, centroids, memory)
        found = open_lists(folder, len(lengths), centroids)
    assert found is not None
    owners = np.repeat(np.arange(len(lengths)), lengths)
    wanted = {(row // 16, code, row % 16) for row, code in zip(owners, codes, strict=True)}
    for block, starts in enumerate(found.starts):
        pairs = [pair[1:] for pair in sorted(wanted) if pair[0] == block]
        assert found.postings[starts[0] : starts[-1]].tolist() == [row for _, row in pairs]
        assert (
            np.diff(starts).tolist()
            == np.bincount([code for code, _ in pairs], minlength=centroids).tolist()
        )


def test_lists_keep_to_their_memory(tmp_path: Path) -> None:
    memory = 2 << 20
    codes = np.random.default_rng(14).integers(0, 2000, 1_200_000).astype(np.uint16)
    offsets = np.arange(0, len(codes) + 1, 40)

    def write() -> None:
        write_lists(tmp_path, codes, offsets, 2000, memory)

    assert peak_bytes(write) < 2 * memory < 4 * len(codes)


def test_memory_for_not_one_vector_trains_on_one(tmp_path: Path) -> None:
    made = uniform(np.random.default_rng(15), [5] * 20, DIM)
    source = exact(tmp_path / "a", made)
    codec = train_codec([source], memory=1)
    assert len(codec.centroids) == 1
    merge_compressed(tmp_path / "b", [source], codec, lists=True, memory=1)
    ((ids, _),) = LateSearcher([open_late(tmp_path / "b")]).search([made.of(0)], 1000)
    assert sorted(ids.tolist()) == sorted(made.ids.tolist())


def test_the_error_is_that_of_the_stored_vectors(tmp_path: Path) -> None:
    made = clustered(np.random.default_rng(4), 300, 48)
    source = exact(tmp_path / "a", made)
    rows = np.arange(len(made))
    exactly, _ = source.vectors(rows)
    for bits, least, most in ((4, 1e-4, 0.03), (2, 0.01, 0.2)):
        codec = train_codec([source], bits=bits)
        merge_compressed(tmp_path / str(bits), [source], codec, lists=False)
        segment: Any = open_late(tmp_path / str(bits))
        stored, _ = segment.vectors(rows)
        about = np.square(exactly.astype(np.float64) - exactly.mean(axis=0)).sum()
        error = np.square(exactly.astype(np.float64) - stored).sum() / about
        assert segment.error == pytest.approx(error, rel=0.1)
        assert codec.trained_error == pytest.approx(error, rel=0.1)
        assert least < error < most


def test_vectors_of_another_kind_have_a_larger_error(tmp_path: Path) -> None:
    """A segment says how well the codec that it shares serves it: drift is to be seen."""
    rng = np.random.default_rng(5)
    own, other = clustered(rng, 300, 48), clustered(rng, 300, 48)
    codec = train_codec([exact(tmp_path / "own", own)])
    same: Any = compressed(tmp_path / "a", own, codec=codec)
    drifted: Any = compressed(tmp_path / "b", other, codec=codec)
    assert same.error == pytest.approx(codec.trained_error, rel=0.1)
    assert drifted.error > 1.5 * same.error
    shifted = Passages(other.ids + 1000, other.tokens, other.offsets)
    merged_from = [same, compressed(tmp_path / "c", shifted, codec=codec)]
    merge_compressed(tmp_path / "merged", merged_from, codec, lists=False)
    merged: Any = open_late(tmp_path / "merged")
    share = same.tokens / merged.tokens
    assert merged.error == pytest.approx(share * same.error + (1 - share) * drifted.error, rel=1e-6)


def test_another_codec_encodes_anew(tmp_path: Path) -> None:
    made = clustered(np.random.default_rng(6), 200, 48)
    source = exact(tmp_path / "a", made)
    coarse: Any = compressed(tmp_path / "b", made, bits=2)
    codec = train_codec([coarse], bits=4)
    merge_compressed(tmp_path / "c", [coarse], codec, lists=False)
    anew: Any = open_late(tmp_path / "c")
    assert anew.codec.key != coarse.codec.key
    rows = np.arange(len(made))
    stored = [segment.vectors(rows)[0] for segment in (source, coarse, anew)]
    # What two bits lost is lost; four more lose little.
    assert np.square(stored[1] - stored[2]).sum() < 0.2 * np.square(stored[0] - stored[1]).sum()


ODD = {
    "one token": np.eye(1, DIM),
    "all equal": np.full((50, DIM), 0.25),
    "two values": np.repeat(np.eye(2, DIM), 30, axis=0),
    "nearly equal": np.full((50, DIM), 0.25) + np.eye(50, DIM) * 1e-7,
    "all zero": np.zeros((20, DIM)),
    "fewer than centroids": unit(np.random.default_rng(7), 5, DIM),
    "very long": 1e6 * unit(np.random.default_rng(8), 60, DIM),
    "very short": 1e-6 * unit(np.random.default_rng(9), 60, DIM),
    "one far away": np.concatenate(
        [unit(np.random.default_rng(10), 200, DIM), 1e4 * np.eye(1, DIM)]
    ),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("lists", [False, True])
def test_odd_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, bits: int, lists: bool
) -> None:
    tokens = ODD[name].astype(np.float32)
    count = len(tokens)
    made = Passages(np.arange(count + 1), tokens, offsets_of([1] * count + [0]))
    monkeypatch.setattr("retrieval.indexes.late.narrowing.SCANNED", 0)
    segment: Any = compressed(tmp_path / "a", made, bits=bits, lists=lists)
    assert 0 <= segment.error < 0.3
    stored, _ = segment.vectors(np.arange(count))
    assert np.isfinite(stored).all()
    largest = float(np.abs(tokens).max())
    if name != "one far away":  # which takes up the range, so that the rest is stored as its mean
        assert np.abs(stored - tokens).max() <= (0.1 if bits == 4 else 0.4) * largest
    searcher = LateSearcher(
        [segment, exact(tmp_path / "b", Passages(made.ids + 1000, made.tokens, made.offsets))]
    )
    for query in (unit(np.random.default_rng(1), 3, DIM), np.zeros((2, DIM)), np.eye(1, DIM) * 1e6):
        for candidates in (1, 512):
            ((ids, scores),) = searcher.search([query], 500, candidates=candidates)
            assert len(ids) == min(500, 2 * count)
            assert np.isfinite(scores).all()


def test_a_passage_longer_than_a_block(tmp_path: Path) -> None:
    rng = np.random.default_rng(11)
    made = uniform(rng, [2, 3000, 0, 5], DIM)
    source = exact(tmp_path / "a", made)
    codec = train_codec([source], memory=1 << 20)
    merge_compressed(tmp_path / "b", [source], codec, lists=True, memory=1 << 10)
    segment = open_late(tmp_path / "b")
    assert segment.lengths.tolist() == [2, 3000, 0, 5]
    ((ids, _),) = LateSearcher([segment]).search([made.of(3)], 1)
    assert ids.tolist() == [made.ids[3]] or made.ids[1] in ids


def test_what_cannot_be_merged(tmp_path: Path) -> None:
    rng = np.random.default_rng(12)
    segments = {
        (kind, dim): kinds(tmp_path / f"{kind.__name__}{dim}", uniform(rng, [4] * 9, dim, first=n))
        for n, (kind, dim) in enumerate([(exact, 16), (exact, 24), (compressed, 16)])
        for kinds in [kind]
    }
    narrow, wide = segments[exact, 16], segments[exact, 24]
    small: Any = segments[compressed, 16]
    with pytest.raises(InputError, match=r"of dimensions \[16, 24\]; expected one"):
        merge_exact(tmp_path / "c", [narrow, wide])
    with pytest.raises(InputError, match=r"of dimensions \[16, 24\]; expected one"):
        train_codec([narrow, wide])
    with pytest.raises(InputError, match="cannot be made exact again"):
        merge_exact(tmp_path / "c", [narrow, small])
    with pytest.raises(InputError, match="codec is for 16 dimensions, the segments have 24"):
        merge_compressed(tmp_path / "c", [wide], small.codec, lists=False)
    with pytest.raises(InputError, match="no token vector to train centroids on"):
        train_codec([narrow], np.zeros(100, np.bool_))
    with pytest.raises(InputError, match="twice"):
        merge_exact(tmp_path / "c", [narrow, narrow])
    assert not (tmp_path / "c").exists()


def test_segments_that_share_a_codec_open_it_once(tmp_path: Path, any_codec: LateCodec) -> None:
    source = exact(tmp_path / "x", uniform(np.random.default_rng(1), [5] * 8, DIM))
    shared = tmp_path / "1-codec"
    any_codec.write(shared)
    folders = [tmp_path / name / "late" for name in ("2-vectors", "3-vectors")]
    for folder in folders:
        merge_compressed(folder, [source], any_codec, lists=False, shared=shared)
    one, other = (open_late(folder) for folder in folders)
    assert one.codec is other.codec  # type: ignore[union-attr]
    assert one.codec is not any_codec  # type: ignore[union-attr]

    # Files that took the place of these are another codec, which the segments do not name.
    rotation = shared / "late.rotation.npy"
    np.save(rotation, -np.load(rotation))
    with pytest.raises(IndexCorrupted, match="not the codec that"):
        open_late(folders[0])
    rotation.unlink()
    with pytest.raises(IndexCorrupted, match=r"late\.rotation\.npy"):
        open_late(folders[0])


@on_linux
def test_postings_that_are_checked_do_not_stay_in_memory(
    tmp_path: Path, any_codec: LateCodec
) -> None:
    passages = uniform(np.random.default_rng(2), [40] * 4000, DIM)
    segment = compressed(tmp_path / "s", passages, codec=any_codec, lists=True)
    assert segment.lists is not None  # type: ignore[union-attr]
    postings = segment.lists.postings  # type: ignore[union-attr]
    assert postings.nbytes > 1 << 17
    assert resident(tmp_path / "s" / "late.postings.npy") < postings.nbytes // 2
    assert int(postings.max()) < 4000
    assert resident(tmp_path / "s" / "late.postings.npy") >= postings.nbytes // 2
