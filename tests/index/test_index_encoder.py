"""An index and its encoder: what it asks of one, which one it remembers, which it refuses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval.errors import (
    CheckpointError,
    EncoderError,
    EncoderMismatch,
    IndexNotFound,
    InputError,
)
from retrieval.index import Index
from retrieval.types import Document, Embeddings, Encoder, ProgressUpdate

from .fake_encoder import FakeEncoder
from .samples import CAT, DOG, FOX, ids


class BrokenEncoder(FakeEncoder):
    def __init__(self, damage: str) -> None:
        super().__init__()
        self.damage = damage

    def encode_documents(self, texts: Any) -> Embeddings:
        good = super().encode_documents(texts)
        assert good.dense is not None
        assert good.tokens is not None
        match self.damage:
            case "nan dense":
                good.dense[texts.index(DOG.text), 0] = np.nan
            case "infinite token":
                good.tokens[good.offsets[texts.index(DOG.text)], -1] = np.inf
            case "too few":
                return Embeddings(good.dense[1:], None, None)
            case "other dimension":
                return Embeddings(good.dense[:, 1:], good.tokens, good.offsets)
            case "no tokens":
                return Embeddings(good.dense, None, None)
        return good


@pytest.mark.parametrize(
    "damage", ["nan dense", "infinite token", "too few", "other dimension", "no tokens"]
)
def test_an_encoder_that_returns_nonsense(tmp_path: Path, damage: str) -> None:
    with Index.create(tmp_path / "i", encoder=BrokenEncoder(damage)) as index:
        named = f" of document {DOG.id!r}" if damage.startswith(("nan", "infinite")) else ""
        with pytest.raises(EncoderError, match="encoder returned.*" + named):
            index.add([CAT, DOG])
        assert index.status().documents == 0
        assert index.verify() == []


@pytest.mark.parametrize(("dense", "token", "lacks"), [(None, 16, "dense"), (32, None, "late")])
def test_an_encoder_with_one_head(
    tmp_path: Path, dense: int | None, token: int | None, lacks: Any
) -> None:
    encoder = FakeEncoder(dense, token)
    with Index.create(tmp_path / "i", encoder=encoder) as index:
        index.add([FOX, DOG, CAT])
        index.delete(["fox.txt"])
        index.compact()
        has: Any = "late" if lacks == "dense" else "dense"
        assert ids(index.search("lazy dog", retriever=has))[0] == "dog.txt"
        hit = index.search("lazy dog")[0]
        assert hit.document_id == "dog.txt"
        assert set(hit.scores) == {"lexical", has}
        with pytest.raises(EncoderError, match=f"'{lacks}' needs a .* head, .* 'fake-words'"):
            index.search("lazy dog", retriever=lacks)
        assert index.verify() == []


class Letters:
    """The least that an encoder is: three methods and five attributes."""

    name, fingerprint, dense_dim, token_dim, max_tokens = "letters", "1" * 64, 26, None, 100

    def token_spans(self, text: str) -> Any:
        return np.array([[at, at + 1] for at in range(len(text))], np.int64).reshape(-1, 2)

    def encode_documents(self, texts: Sequence[str]) -> Embeddings:
        counts = [[1e-6 + text.count(chr(97 + n)) for n in range(26)] for text in texts]
        vectors = np.array(counts, np.float32)
        return Embeddings(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), None, None)

    encode_queries = encode_documents


def test_three_methods_and_five_attributes_are_an_encoder(tmp_path: Path) -> None:
    assert isinstance(Letters(), Encoder)
    seen: list[ProgressUpdate] = []
    documents = [Document("b", "banana"), Document("z", "zoo " * 40)]
    with Index.create(tmp_path / "i", encoder=Letters(), passage_tokens=64) as index:
        with index.writing(progress=seen.append) as writer:
            for document in documents:
                writer.put(document)
        assert (writer.passages, writer.tokens) == (4, 6 + 160)
        assert index.search("ooz", 1, retriever="dense")[0].document_id == "z"
        assert index.verify() == []
    assert [now.done for now in seen if now.stage == "encoding"][-1] == 4


@pytest.mark.parametrize("lacks", ["fingerprint", "max_tokens", "encode_queries", "token_spans"])
def test_what_an_object_lacks_to_be_an_encoder_is_named(tmp_path: Path, lacks: str) -> None:
    parts = {name: part for name, part in vars(Letters).items() if name != lacks}
    almost = type("Almost", (), parts)()
    with pytest.raises(InputError, match=f"not an encoder: it has no {lacks};"):
        Index.create(tmp_path / "i", encoder=almost)


def test_an_encoder_with_no_head(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="neither a dense nor a token head"):
        Index.create(tmp_path / "i", encoder=FakeEncoder(None, None))
    with pytest.raises(IndexNotFound):
        Index.open(tmp_path / "i")


@pytest.mark.parametrize("dim", [8, 20, 264])
def test_token_vectors_that_cannot_be_stored_are_refused_at_once(tmp_path: Path, dim: int) -> None:
    with pytest.raises(EncoderError, match=rf"{dim} dimensions; expected a multiple of 8"):
        Index.create(tmp_path / "index", encoder=FakeEncoder(token_dim=dim))
    assert not (tmp_path / "index").exists()


def test_another_encoder_is_refused(tmp_path: Path, encoder: FakeEncoder) -> None:
    Index.create(tmp_path / "i", encoder=encoder).close()
    with pytest.raises(EncoderMismatch, match=r"'fake-words' .* not with 'other' "):
        Index.open(tmp_path / "i", encoder=FakeEncoder(name="other"))
    with pytest.raises(InputError, match="not an encoder"):
        Index.open(tmp_path / "i", encoder=7)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="not an encoder"):
        Index.create(tmp_path / "j", encoder=7)  # type: ignore[arg-type]


def test_an_encoder_object_is_needed_only_where_it_encodes(
    tmp_path: Path, encoder: FakeEncoder
) -> None:
    with Index.create(tmp_path / "i", encoder=encoder) as index:
        index.add([FOX, DOG])
    with Index.open(tmp_path / "i") as index:
        assert ids(index.search("fox", retriever="lexical")) == ["fox.txt"]
        assert index.delete(["fox.txt"]) == 1
        assert index.add([DOG]) == 0  # nothing to encode
        assert index.compact().dropped_passages == 1
        assert index.status().encoder == "fake-words"
        for act in (lambda: index.search("fox"), lambda: index.add([FOX]), lambda: index.encoder):
            with pytest.raises(EncoderError, match="built with an Encoder object, 'fake-words'"):
                act()
    with Index.open(tmp_path / "i", encoder=FakeEncoder()) as index:
        assert index.add([FOX]) == 1


class Sources:
    """Stands in for `load_encoder`: names to encoders, and what was asked for."""

    def __init__(self) -> None:
        self.encoders: dict[str | None, FakeEncoder] = {}
        self.asked: list[str | None] = []

    def load(self, source: str | None) -> FakeEncoder:
        self.asked.append(source)
        return self.encoders[source]


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> Sources:
    made = Sources()
    monkeypatch.setattr("retrieval.index.encoder.load", made.load)
    return made


def test_an_encoder_is_remembered_by_its_source(tmp_path: Path, sources: Sources) -> None:
    model = tmp_path / "model"
    model.mkdir()
    sources.encoders = {
        None: FakeEncoder(name="embedded"),
        "hub/model": FakeEncoder(name="hub/model"),
        str(model): FakeEncoder(name="local"),
    }
    for source in (None, "hub/model", str(model)):
        path = tmp_path / f"index of {sources.encoders[source].name.replace('/', ' ')}"
        with Index.create(path, encoder=source) as index:
            index.add([DOG])
        sources.asked.clear()
        for given in (None, source):
            with Index.open(path, encoder=given) as index:
                index.status()
                index.search("dog", retriever="lexical")
                assert sources.asked == []
                index.search("dog")
                assert sources.asked == [source]
                assert index.encoder is sources.encoders[source]
            sources.asked.clear()
    with pytest.raises(EncoderMismatch, match=r"'local' .* not with 'hub/model'"):
        Index.open(path, encoder="hub/model")
    sources.encoders[str(model)] = FakeEncoder(name="trained further")
    with Index.open(path) as index:  # what lies at the source has changed since
        with pytest.raises(EncoderMismatch, match=r"'local' .* not with 'trained further'"):
            index.search("dog")
        assert ids(index.search("dog", retriever="lexical")) == ["dog.txt"]


def test_a_relative_model_folder_is_found_from_anywhere(
    tmp_path: Path, sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model").mkdir()
    sources.encoders = {str(tmp_path / "model"): FakeEncoder()}
    monkeypatch.chdir(tmp_path)
    Index.create(tmp_path / "i", encoder="model").close()
    monkeypatch.chdir("/")
    with Index.open(tmp_path / "i") as index:
        assert index.encoder.name == "fake-words"


def test_passage_tokens_are_checked_and_kept(tmp_path: Path, encoder: FakeEncoder) -> None:
    for wrong in (0, -3, 513, "many"):
        with pytest.raises(InputError, match=r"passage_tokens=.* from 1 to 512"):
            Index.create(tmp_path / "i", encoder=encoder, passage_tokens=wrong)  # type: ignore[arg-type]
    Index.create(tmp_path / "i", encoder=encoder, passage_tokens=7).close()
    with Index.open(tmp_path / "i", encoder=encoder) as index:
        index.add([Document("a", "one two three four five six seven eight nine ten")])
        assert index.status().passage_tokens == 7
        assert index.status().passages == 2


def test_passages_are_no_longer_than_an_encoder_reads(tmp_path: Path) -> None:
    short = FakeEncoder(max_tokens=64)
    with Index.create(tmp_path / "i", encoder=short) as index:
        assert index.status().passage_tokens == 64
        index.add([Document("a", "word " * 200)])
        assert index.status().passages > 3
    with Index.open(tmp_path / "j", encoder=short, create=True) as index:
        assert index.status().passage_tokens == 64
    with Index.create(tmp_path / "k", encoder=FakeEncoder()) as index:
        assert index.status().passage_tokens == 256
    with pytest.raises(InputError, match=r"passage_tokens=65 .* from 1 to 64"):
        Index.create(tmp_path / "l", encoder=short, passage_tokens=65)


class Returning:
    """An encoder of one's own that returns whatever it is told to."""

    name, fingerprint, dense_dim, token_dim, max_tokens = "own", "2" * 64, 2, None, 512

    def __init__(self, returns: Callable[[Sequence[str]], Any]) -> None:
        self.returns = returns

    def token_spans(self, text: str) -> Any:
        return np.array([[at, at + 1] for at in range(len(text))], np.int64).reshape(-1, 2)

    def encode_documents(self, texts: Sequence[str]) -> Any:
        return self.returns(texts)

    encode_queries = encode_documents


def directions(texts: Sequence[str]) -> list[list[float]]:
    return [[3.0, 4.0] if "dog" in text else [4.0, -3.0] for text in texts]


@pytest.mark.parametrize(
    "returns",
    [
        lambda texts: Embeddings(np.array(directions(texts)), None, None),
        lambda texts: Embeddings(np.array(directions(texts), np.float16), None, None),
        lambda texts: Embeddings(directions(texts), None, None),  # type: ignore[arg-type]
    ],
    ids=["64-bit floats", "16-bit floats", "lists"],
)
def test_vectors_of_an_encoder_of_ones_own_are_brought_to_unit_length(
    tmp_path: Path, returns: Callable[[Sequence[str]], Any]
) -> None:
    with Index.create(tmp_path / "i", encoder=Returning(returns)) as index:
        index.add([Document("d", "a dog"), Document("c", "a cat")])
        first, second = index.search("dog", retriever="dense")
        assert (first.document_id, second.document_id) == ("d", "c")
        assert first.score == pytest.approx(1, abs=0.02)
        assert second.score == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize(
    ("returns", "said"),
    [
        (lambda texts: None, "encoder 'own' returned NoneType; give retrieval.Embeddings"),
        (lambda texts: np.ones((len(texts), 2)), "encoder 'own' returned ndarray"),
        (
            lambda texts: Embeddings("ab", None, None),
            "returned dense that is not an array of numbers",
        ),  # type: ignore[arg-type]
        (lambda texts: Embeddings(np.ones(2, np.float32), None, None), r"of the shape \(2,\)"),
    ],
)
def test_what_an_encoder_of_ones_own_may_not_return(
    tmp_path: Path, returns: Callable[[Sequence[str]], Any], said: str
) -> None:
    own = Returning(returns)
    with Index.create(tmp_path / "i", encoder=own) as index:
        with pytest.raises(EncoderError, match=said):
            index.add([DOG])
        own.returns = lambda texts: Embeddings(np.ones((len(texts), 2), np.float32), None, None)
        index.add([DOG])
        own.returns = returns
        with pytest.raises(EncoderError, match=said):
            index.search("dog")
        own.returns = lambda texts: Embeddings(np.ones((3, 2), np.float32), None, None)
        with pytest.raises(EncoderError, match=r"returned 3 embeddings .* for 1 queries"):
            index.search("dog")


def test_a_model_that_only_the_index_names_is_not_fetched(
    tmp_path: Path, sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    huggingface_hub = pytest.importorskip("huggingface_hub")
    sources.encoders = {"stranger/model": FakeEncoder(name="stranger/model")}
    Index.create(tmp_path / "i", encoder="stranger/model").close()
    monkeypatch.undo()
    seen: list[bool] = []

    def snapshot_download(repo: str, *, local_files_only: bool = False, **_: object) -> str:
        seen.append(local_files_only)
        raise huggingface_hub.errors.LocalEntryNotFoundError("not there")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    with (
        Index.open(tmp_path / "i") as index,
        pytest.raises(CheckpointError, match="retrieval model download stranger/model"),
    ):
        assert index.encoder
    with (
        Index.open(tmp_path / "i", encoder="stranger/model") as index,
        pytest.raises(CheckpointError, match="cannot be reached"),
    ):
        assert index.encoder
    assert seen == [True, False]
