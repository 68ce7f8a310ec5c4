"""LateOptions: checked, kept, read back."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval import LateOptions
from retrieval.errors import EncoderError, IndexCorrupted, InputError
from retrieval.index import Index
from retrieval.store import FORMAT_VERSION
from retrieval.types import Document, Embeddings, ProgressUpdate

from .fake_encoder import FakeEncoder
from .samples import DOG, FOX, ids

OPTIONS = LateOptions(exact_passages=7, list_passages=70, bits=2, pooling=3, pooling_distance=0.75)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"bits": 3}, "bits=3 .* choose from 2, 4"),
        ({"bits": 4.0}, r"bits=4\.0 .* choose from 2, 4"),
        ({"bits": "4"}, "bits='4' .* choose from 2, 4"),
        ({"pooling": 0}, "pooling=0 .* choose from 1, 2, 3, 4"),
        ({"pooling": 5}, "pooling=5 .* choose from 1, 2, 3, 4"),
        ({"pooling": True}, "pooling=True .* choose from 1, 2, 3, 4"),
        ({"pooling_distance": 0}, "pooling_distance=0 .* above 0 and at most 2"),
        ({"pooling_distance": 2.1}, r"pooling_distance=2\.1 .* above 0 and at most 2"),
        ({"pooling_distance": float("nan")}, "pooling_distance=nan .* above 0 and at most 2"),
        ({"pooling_distance": "1"}, "pooling_distance='1' .* above 0 and at most 2"),
        ({"exact_passages": -1}, "exact_passages=-1 .* whole number from 0 on"),
        ({"list_passages": 1.5}, r"list_passages=1\.5 .* whole number from 0 on"),
        (
            {"exact_passages": 10_000, "list_passages": 9_999},
            "list_passages=9999 is below exact_passages=10000",
        ),
    ],
)
def test_values_that_cannot_be_used(wrong: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        LateOptions(**wrong)


def test_options_are_kept(tmp_path: Path, encoder: FakeEncoder) -> None:
    with Index.create(tmp_path / "i", encoder=encoder, late=OPTIONS) as index:
        index.add([FOX])
        assert index.status().late == OPTIONS
    with Index.open(tmp_path / "i", encoder=encoder) as index:
        index.add([DOG])
        status = index.status()
        assert status.late == OPTIONS
        assert status.format_version == FORMAT_VERSION


def test_a_distance_without_pooling_is_refused(tmp_path: Path, encoder: FakeEncoder) -> None:
    with pytest.raises(InputError, match=r"pooling_distance=1\.5 changes nothing .* pooling=2"):
        Index.create(tmp_path / "i", encoder=encoder, late=LateOptions(pooling_distance=1.5))
    assert not (tmp_path / "i").exists()


def test_options_must_be_options(tmp_path: Path, encoder: FakeEncoder) -> None:
    wrong: Any = {"bits": 2}
    with pytest.raises(InputError, match=r"late=.* give retrieval.LateOptions"):
        Index.create(tmp_path / "i", encoder=encoder, late=wrong)
    assert not (tmp_path / "i").exists()


def test_status_counts_living_passages_by_regime(index: Index) -> None:
    assert index.status().regimes == {}
    index.add([FOX, DOG])
    index.delete(["dog.txt"])
    assert index.status().regimes == {"exact": 1}


def test_the_index_is_compressed_as_its_options_say(tmp_path: Path, encoder: FakeEncoder) -> None:
    documents = [Document(f"d{n}", f"word{n} word{n + 1} word{n + 2}") for n in range(30)]
    calls: list[ProgressUpdate] = []
    with Index.create(
        tmp_path / "i", encoder=encoder, late=LateOptions(exact_passages=20, bits=2)
    ) as index:
        index.add(documents[:20])
        assert index.status().regimes == {"exact": 20}
        with index.writing(progress=calls.append) as writer:
            for document in documents[20:]:
                writer.put(document)
        assert index.status().regimes == {"compressed": 30}
        assert calls[-1] == ProgressUpdate("compressing", 90, 90, "token vectors")
        calls.clear()
        index.delete(["d3"])
        index.compact(progress=calls.append)
        assert index.status().regimes == {"compressed": 29}
        assert calls[-1] == ProgressUpdate("compressing", 87, 87, "token vectors")
        assert ids(index.search("word7 word8 word9", 1, retriever="late")) == ["d7"]
        assert index.verify() == []


@pytest.mark.parametrize("memory", [0, True, 1.5, (64 << 20) - 1])
def test_memory_that_cannot_be_used(tmp_path: Path, encoder: FakeEncoder, memory: Any) -> None:
    with pytest.raises(InputError, match=r"memory=.* is too small .* give 67108864 bytes"):
        Index.create(tmp_path / "i", encoder=encoder, memory=memory)
    assert not (tmp_path / "i").exists()
    Index.create(tmp_path / "i", encoder=encoder, memory=64 << 20).close()
    with pytest.raises(InputError, match=r"memory=.* is too small"):
        Index.open(tmp_path / "i", encoder=encoder, memory=memory)


def test_an_encoder_without_token_vectors_has_no_regime(tmp_path: Path) -> None:
    with Index.create(tmp_path / "i", encoder=FakeEncoder(32, None)) as index:
        index.add([FOX])
        assert index.status().regimes == {}


TEXTS = [
    " ".join(f"{name}{n * 7 % 40} {name}" for n in range(3, 3 + size))
    for name, size in (("pear", 1), ("fig", 9), ("plum", 60))
]


def stored_tokens(folder: Path) -> list[int]:
    """How many token vectors each passage has on disk."""
    offsets = [np.load(file) for file in sorted(folder.rglob("late.offsets.npy"))]
    return [int(length) for part in offsets for length in np.diff(part)]


@pytest.mark.parametrize("pooling", [1, 2, 3, 4])
def test_pooled_vectors_are_fewer_and_still_found(
    tmp_path: Path, encoder: FakeEncoder, pooling: int
) -> None:
    documents = [Document(f"d{n}", text) for n, text in enumerate(TEXTS)]
    with Index.create(tmp_path / "i", encoder=encoder, late=LateOptions(pooling=pooling)) as index:
        index.add(documents)
        lengths = [len(encoder.token_spans(text)) for text in TEXTS]
        assert stored_tokens(tmp_path / "i") == [-(-length // pooling) for length in lengths]
        for document in documents[1:]:  # merged into one, the two words of the first are none
            assert ids(index.search(document.text, 1, retriever="late")) == [document.id]
        assert index.verify() == []


def test_pooling_does_not_depend_on_batches(
    tmp_path: Path, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = []
    for place, size in enumerate((1, 1 << 18)):
        monkeypatch.setattr("retrieval.index.writing.encoding.BLOCK_CHARACTERS", size)
        late = LateOptions(pooling=3)
        with Index.create(tmp_path / str(place), encoder=encoder, late=late) as index:
            index.add([Document(f"d{n}", text) for n, text in enumerate(TEXTS)])
            found = index.search("pear21 fig28", retriever="late")
            scores.append([(hit.document_id, hit.score) for hit in found])
    assert scores[0] == scores[1]


def test_what_cannot_be_pooled_is_refused_as_ever(tmp_path: Path) -> None:
    class Broken(FakeEncoder):
        def encode_documents(self, texts: Any) -> Embeddings:
            good = super().encode_documents(texts)
            assert good.tokens is not None
            good.tokens[0, 0] = np.nan
            return good

    with Index.create(tmp_path / "i", encoder=Broken(), late=LateOptions(pooling=2)) as index:
        with pytest.raises(EncoderError, match="NaN or infinity in a token vector"):
            index.add([FOX])
        assert index.status().documents == 0


def database(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(folder / "store.sqlite", isolation_level=None)


@pytest.mark.parametrize("value", ['{"bits": 3}', "[]", '{"colour": 1}', "7"])
def test_options_that_are_damaged_on_disk(tmp_path: Path, encoder: FakeEncoder, value: str) -> None:
    Index.create(tmp_path / "i", encoder=encoder).close()
    connection = database(tmp_path / "i")
    connection.execute("UPDATE meta SET value = ? WHERE key = 'late'", (value,))
    connection.close()
    with pytest.raises(IndexCorrupted, match="`meta` is not valid"):
        Index.open(tmp_path / "i")


def test_a_small_index_pools(tmp_path: Path, encoder: FakeEncoder) -> None:
    with Index.create(tmp_path / "small", encoder=encoder, small=True) as index:
        assert index.status().late == LateOptions.small()
    with Index.create(tmp_path / "own", encoder=encoder, small=True, late=OPTIONS) as index:
        assert index.status().late == OPTIONS
