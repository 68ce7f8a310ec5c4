"""Damaged copies of every binary format's files: each costs itself, in one line."""

from __future__ import annotations

import pytest

from retrieval.documents import workers
from retrieval.documents.formats import Source, formats

from .fuzzing import fuzz, own_samples

COUNT = 500


@pytest.mark.slow
def test_a_damaged_file_costs_itself() -> None:
    samples = own_samples()
    fuzzed = {one.format.name for one in samples}
    isolated = {name for name, one in formats().items() if one.isolated}
    assert isolated == fuzzed
    before = {one.name: whole(one.name, one.data) for one in samples}
    outcome = fuzz(samples, COUNT)
    assert outcome.faults == []
    for name in fuzzed:
        assert outcome.read[name] + outcome.refused[name] > 0.9 * COUNT / len(fuzzed)
    # What comes of a file does not depend on those before it.
    assert {one.name: whole(one.name, one.data) for one in samples} == before
    workers.stop()


def whole(name: str, data: bytes) -> list[str]:
    from .fuzzing import by_name

    try:
        return [made.text for made in workers.parse(by_name, data, Source(name))]
    except ValueError as error:
        return [str(error)]
