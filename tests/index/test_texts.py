"""Texts as the store keeps them: smaller where that can be, and always the same again."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.files.packed import packed, unpacked

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
