"""A sample of token vectors is the same however it is read, and little of the file stays mapped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from retrieval.indexes import open_late, write_late
from retrieval.indexes.late import sampling
from retrieval.indexes.late.exact import ExactSegment
from retrieval.indexes.late.sampling import TokensInOrder

from ..mapped import on_linux, watched
from .made import offsets_of, unit


@on_linux
def test_what_a_sample_reads_does_not_stay_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(5)
    lengths = [100] * 1_600
    write_late(tmp_path / "a", rng.permutation(1_600), unit(rng, 160_000, 96), offsets_of(lengths))
    segment = open_late(tmp_path / "a")
    tokens = TokensInOrder([(segment, segment.rows(None))], block=1 << 17)
    whole = tokens.sample(3_000, lambda vectors: vectors[:])
    segment.release()
    monkeypatch.setattr(sampling, "_MAPPED", 1 << 20)
    mapped = watched(monkeypatch, ExactSegment, "stored_of")
    assert np.array_equal(tokens.sample(3_000, lambda vectors: vectors[:]), whole)
    assert max(mapped) - mapped[0] < 7, "of 15 that the vectors take"
