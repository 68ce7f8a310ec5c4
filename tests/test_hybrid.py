"""How hybrid works can be told, and what cannot be is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from retrieval import Document, Hybrid, Index
from retrieval.errors import InputError
from retrieval.index.reading.retrievers import SINGLE
from retrieval.types import FUSED, FUSIONS
from tests.index.fake_encoder import FakeEncoder


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"candidates": 0}, "candidates=0 cannot be used"),
        ({"candidates": True}, "candidates=True cannot be used"),
        ({"fusion": "sum"}, "choose from minmax, rrf, zscore"),
        ({"late": -1}, "late=-1 is not a weight"),
        ({"dense": float("nan")}, "dense=nan is not a weight"),
        ({"dense": "1"}, "dense='1' is not a weight"),
        ({"lexical": 0, "dense": 0, "late": 0}, "every retriever's weight is 0"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Hybrid(**given)  # type: ignore[arg-type]


def test_every_fusion_is_known() -> None:
    assert tuple(SINGLE) == FUSED
    assert [Hybrid(fusion=name).fusion for name in FUSIONS] == list(FUSIONS)  # type: ignore[arg-type]


def test_a_search_fuses_as_it_is_told(tmp_path: Path) -> None:
    texts = ["red hens", "hens and more hens", "a fox", "blue eggs of hens", "the fox eats eggs"]
    with Index.create(tmp_path, encoder=FakeEncoder()) as index:
        index.add([Document(str(i), text) for i, text in enumerate(texts)])
        words = index.search("hens eggs", 5, hybrid=Hybrid(dense=0, late=0))
        alone = index.search("hens eggs", 5, retriever="lexical")
        assert [h.document_id for h in words[: len(alone)]] == [h.document_id for h in alone]
        assert words[0].score == pytest.approx(1)
        ranks = index.search("hens eggs", 5, hybrid=Hybrid(fusion="rrf"))
        assert 0 < ranks[0].score < 2.6 / 61
        usual = index.search("hens eggs", 5)
        assert usual == index.search("hens eggs", 5, hybrid=Hybrid())
        assert usual[0].score > 2.6 / 61
