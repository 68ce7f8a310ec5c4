"""Texts as the store keeps them: smaller where that can be, and always the same again."""

from __future__ import annotations

import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.files import packed as packing
from retrieval.files.packed import StoredText, packed, unpacked

PROSE = "Retrieval is measured by what is found among the first ten. " * 3


@given(st.text(), st.integers(0, 300))
def test_a_text_comes_back(text: str, times: int) -> None:
    assert unpacked(packed(text * times)) == text * times


def test_what_compresses_is_kept_compressed() -> None:
    kept = packed(PROSE)
    assert isinstance(kept, bytes)
    assert len(kept) < len(PROSE) / 2
    assert packed("short") == "short"


def test_a_text_of_one_letter_is_kept_as_it_is_so_that_reading_is_bounded() -> None:
    assert packed("a" * 100_000) == "a" * 100_000
    assert unpacked(zlib.compress(b"a" * 100_000)) is None


@pytest.mark.parametrize(
    "stored",
    [b"", b"plain", None, 5, packed(PROSE)[:-1], b"\0" + packed(PROSE)[1:], zlib.compress(b"\xff")],  # type: ignore[operator]
)
def test_what_is_no_stored_text_is_told(stored: object) -> None:
    assert unpacked(stored) is None


@given(st.text(), st.integers(0, 300), st.integers(0, 400), st.integers(0, 400))
def test_parts_of_a_text_in_blocks_are_its_own(text: str, times: int, one: int, other: int) -> None:
    whole, (start, end) = text * times + PROSE, sorted((one, other))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "BLOCK", 50)
        stored = packed(whole)
        assert unpacked(stored) == whole
        parts = StoredText(stored)
        for _ in range(2):
            assert parts.part(start, end) == whole[start:end]
            assert parts.part(0, len(whole)) == whole


def test_a_part_of_a_long_text_decompresses_its_block_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = "".join(f"{n}: {n * 7919 % 1000}\n" for n in range(200_000))
    stored = packed(rows)
    assert isinstance(stored, bytes)
    assert len(stored) < 1.06 * len(zlib.compress(rows.encode()))
    decompressed: list[int] = []
    block = packing._block
    monkeypatch.setattr(
        packing, "_block", lambda *given: (decompressed.append(given[2]), block(*given))[1]
    )
    at = rows.index("177777: ")
    assert StoredText(stored).part(at, at + 8) == "177777: "
    assert decompressed == [at // packing.BLOCK]


def test_a_table_of_blocks_that_is_none_gives_no_text_of_another() -> None:
    """Nor an error: what it gives is held against the passage's hash."""
    rows = "".join(f"{n}: {n * 7919 % 1000}\n" for n in range(200_000))
    stored = packed(rows)
    assert isinstance(stored, bytes)
    rng = random.Random(5)
    for _ in range(300):
        damaged = bytearray(stored)
        for _ in range(rng.randrange(1, 4)):
            at = len(stored) - rng.randrange(1, 90) if rng.random() < 0.7 else rng.randrange(2000)
            damaged[at] = rng.randrange(256)
        start = rng.randrange(len(rows))
        part = StoredText(bytes(damaged)).part(start, start + 300)
        # What a hit cannot read right, `verify` finds, which reads the text whole.
        assert part == rows[start : start + 300] or unpacked(bytes(damaged)) != rows
