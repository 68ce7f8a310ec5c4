"""Numbers of NumPy are taken wherever Python's are, and kept as Python's."""

from __future__ import annotations

import json
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval.encoders import Precomputed
from retrieval.errors import InputError
from retrieval.index import Index
from retrieval.numeric import is_number, is_whole, plain_number
from retrieval.types import Document, Hybrid, LateOptions

WHOLE: list[Any] = [2, np.int8(2), np.int32(2), np.uint64(2)]
REAL: list[Any] = [*WHOLE, 1.5, np.float16(1.5), np.float32(1.5), np.float64(1.5), Fraction(3, 2)]
NONE: list[Any] = [True, np.True_, "2", None, 1j, [2]]


@pytest.mark.parametrize("value", WHOLE)
def test_whole_numbers(value: Any) -> None:
    assert is_whole(value) and is_number(value)
    assert type(plain_number(value)) is int
    late = LateOptions(
        exact_passages=value, list_passages=value, bits=value, pooling=value, pooling_distance=value
    )
    assert json.loads(json.dumps(asdict(late))) == dict.fromkeys(asdict(late), 2)
    assert type(Hybrid(candidates=value).candidates) is int


@pytest.mark.parametrize("value", REAL)
def test_numbers(value: Any) -> None:
    assert is_number(value)
    assert json.dumps(LateOptions(pooling_distance=value).pooling_distance) in ("1.5", "2")
    hybrid = Hybrid(lexical=value, dense=value, late=value, roles=value, definitions=value)
    assert json.loads(json.dumps(asdict(hybrid)))["lexical"] == float(value)


def test_a_number_beyond_all_floats_is_none(tmp_path: Path) -> None:
    assert is_whole(10**400) and not is_number(10**400) and not is_number(Fraction(10**400))
    for name in ("lexical", "roles"):
        with pytest.raises(InputError, match=f"{name}=1000"):
            Hybrid(**{name: 10**400})
    with pytest.raises(InputError, match="timeout=1000"):
        Index.open(tmp_path, timeout=10**400)


@pytest.mark.parametrize("value", NONE)
def test_what_is_none(value: Any) -> None:
    assert not is_whole(value) and not is_number(value)
    assert plain_number(value) is value
    for name in ("pooling", "list_passages"):
        with pytest.raises(InputError, match=name):
            LateOptions(**{name: value})
    for name in ("candidates", "lexical", "roles"):
        with pytest.raises(InputError, match=name):
            Hybrid(**{name: value})


def test_an_index_takes_them(tmp_path: Path) -> None:
    late = LateOptions(bits=np.int64(2), pooling=np.int64(2), pooling_distance=np.float32(1))  # type: ignore[arg-type]
    encoder = Precomputed(dense_dim=np.int64(4))  # type: ignore[arg-type]
    made = Index.create(
        tmp_path / "index",
        encoder=encoder,
        passage_tokens=np.int16(99),  # type: ignore[arg-type]
        late=late,
        memory=np.int64(1 << 30),  # type: ignore[arg-type]
    )
    made.add([Document("a", "a word")], embeddings=np.eye(1, 4))
    made.close()
    with Index.open(tmp_path / "index", timeout=np.float32(1)) as index:
        # In eight bits, 200 and 100 are 44.
        (hit,) = index.search("word", np.uint8(200), retriever="lexical", rerank=np.uint8(1))
        assert hit.document_id == "a"
        assert not index.search("word", np.uint8(200), retriever="lexical", offset=np.uint8(100))
        with pytest.raises(InputError, match="k must be a whole number"):
            index.search("word", True, retriever="lexical")
