"""Each system ranks a small collection as it should, and keeps what it has built."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import retrieval.encoders
from retrieval.errors import InputError
from retrieval.eval.datasets import Collection, assemble
from retrieval.eval.measures import per_query
from retrieval.eval.runs import run_documents
from retrieval.eval.systems import IndexSystem, SharedIndex, make_systems
from retrieval.eval.systems import sentence_transformers as baseline
from retrieval.eval.systems.bm25 import Bm25s
from retrieval.eval.systems.run_file import RunFile
from retrieval.eval.systems.sentence_transformers import SentenceTransformerSystem
from retrieval.eval.systems.system import Cost, System
from retrieval.eval.systems.variants import Build, Variant
from retrieval.index import Index
from retrieval.types import RETRIEVERS, Document, ProgressUpdate, Retriever
from tests.index.fake_encoder import FakeEncoder

DOCUMENTS = (
    Document("cats", "Cats purr and sleep in the sun.", "Cats"),
    Document("dogs", "Dogs bark at every stranger.", "Dogs"),
    Document("fish", "Fish swim in silence.", ""),
)
QUERIES = {
    "q1": "Cats purr and sleep",
    "q2": "bark at every stranger",
    "q3": "Fish swim in silence",
}


def collection(documents: tuple[Document, ...] = DOCUMENTS) -> Collection:
    judged = [("q1", "cats", 1), ("q2", "dogs", 1), ("q3", "fish", 1)]
    return assemble("animals", "test", lambda: iter(documents), QUERIES.items(), judged)


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEncoder]:
    found = FakeEncoder()
    monkeypatch.setattr(retrieval.encoders, "load_encoder", lambda source=None: found)
    yield found


def best(run: dict[str, dict[str, float]]) -> list[str]:
    return [max(scores, key=scores.__getitem__) for scores in run.values()]


def ours(encoder: FakeEncoder, retriever: Retriever) -> IndexSystem:
    """A retriever of an index that it shares with nobody."""
    return IndexSystem(SharedIndex(encoder), Variant(retriever))


def check(system: System, folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    cost = system.index(collection(), folder, lambda now: seen.append((now.done, now.total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert cost.build_s is not None and cost.build_s > 0
    assert cost.index_bytes is not None and cost.index_bytes > 0
    run = system.search(QUERIES, 2)
    assert best(run) == ["cats", "dogs", "fish"]
    assert all(len(scores) <= 2 for scores in run.values())
    ask = system.timed_search()
    assert ask is not None
    assert ask("Fish swim in silence")
    system.close()


@pytest.mark.parametrize("retriever", RETRIEVERS)
def test_ours(retriever: Any, tmp_path: Path) -> None:
    check(ours(FakeEncoder(), retriever), tmp_path)


def test_bm25s(tmp_path: Path) -> None:
    pytest.importorskip("bm25s")
    check(Bm25s(), tmp_path)


def test_bm25s_without_a_known_word_finds_nothing(tmp_path: Path) -> None:
    pytest.importorskip("bm25s")
    system = Bm25s()
    system.index(collection(), tmp_path, None)
    assert system.search({"a": "the", "b": "zebra", "c": "?!"}, 10) == {"a": {}, "b": {}, "c": {}}


def test_retrievers_share_one_index(tmp_path: Path, encoder: FakeEncoder) -> None:
    engine = SharedIndex(encoder)
    first, second = IndexSystem(engine, Variant("dense")), IndexSystem(engine, Variant("late"))
    cost = first.index(collection(), tmp_path, None)
    assert second.index(collection(), tmp_path, None) == cost
    assert len(encoder.encoded) == 3


def test_an_index_is_kept(tmp_path: Path, encoder: FakeEncoder) -> None:
    cost = ours(encoder, "dense").index(collection(), tmp_path, None)
    again = ours(encoder, "dense")
    found = again.index(collection(), tmp_path, None)
    assert found == Cost(index_bytes=cost.index_bytes), "what was not built was not timed"
    assert len(encoder.encoded) == 3
    assert best(again.search(QUERIES, 2)) == ["cats", "dogs", "fish"]


def test_an_index_that_was_interrupted_goes_on(tmp_path: Path, encoder: FakeEncoder) -> None:
    def stop(now: ProgressUpdate) -> None:
        if now.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ours(encoder, "dense").index(collection(), tmp_path, stop)
    system = ours(encoder, "dense")
    cost = system.index(collection(), tmp_path, None)
    assert cost.build_s is None, "what was built before was not timed"
    assert best(system.search(QUERIES, 2)) == ["cats", "dogs", "fish"]


def test_other_documents_get_another_index(tmp_path: Path, encoder: FakeEncoder) -> None:
    ours(encoder, "dense").index(collection(), tmp_path, None)
    changed = (*DOCUMENTS[:2], Document("fish", "Fish are silent. Silence is theirs."))
    system = ours(encoder, "lexical")
    system.index(collection(changed), tmp_path, None)
    assert [hit.text for hit in system._engine.index.search("theirs", retriever="lexical")] == [
        changed[2].text
    ]


def test_what_is_the_same_in_other_documents_is_not_encoded_again(
    tmp_path: Path, encoder: FakeEncoder
) -> None:
    ours(encoder, "dense").index(collection(), tmp_path, None)
    fish = Document("fish", "Fish are silent. Silence is theirs.")
    changed = collection((DOCUMENTS[1], fish, Document("hens", "Hens sit.")))
    encoder.encoded.clear()
    system = ours(encoder, "dense")
    cost = system.index(changed, tmp_path, None)
    assert sorted(encoder.encoded) == [fish.text, "Hens sit."]
    assert cost.build_s is None and cost.tokens_per_s is None, "not all of it was built"
    fresh = ours(encoder, "dense")
    fresh.index(changed, tmp_path / "other", None)
    assert system.search(QUERIES, 9) == fresh.search(QUERIES, 9)
    assert set(system.search(QUERIES, 9)["q1"]) == {"dogs", "fish", "hens"}
    again = replace(changed, sha256="as if it were judged otherwise")
    system.close()
    encoder.encoded.clear()
    ours(encoder, "dense").index(again, tmp_path, None)
    assert encoder.encoded == []


def test_a_change_of_documents_that_was_stopped_leaves_none_of_the_old(
    tmp_path: Path, encoder: FakeEncoder
) -> None:
    def stop(now: ProgressUpdate) -> None:
        if now.done == now.total:
            raise KeyboardInterrupt

    ours(encoder, "dense").index(collection(), tmp_path, None)
    changed = collection((DOCUMENTS[1], Document("hens", "Hens sit.")))
    with pytest.raises(KeyboardInterrupt):
        ours(encoder, "dense").index(changed, tmp_path, stop)
    for version, ids in ((changed, {"dogs", "hens"}), (collection(), {"cats", "dogs", "fish"})):
        system = ours(encoder, "dense")
        system.index(version, tmp_path, None)
        assert set(system.search(QUERIES, 9)["q1"]) == ids
        system.close()


def test_a_codec_of_other_documents_is_not_kept(tmp_path: Path, encoder: FakeEncoder) -> None:
    def compressed() -> IndexSystem:
        return IndexSystem(SharedIndex(encoder, Build(bits=4)), Variant("late", bits=4))

    compressed().index(collection(), tmp_path, None)
    encoder.encoded.clear()
    changed = collection((*DOCUMENTS[:2], Document("fish", "Silence.")))
    cost = compressed().index(changed, tmp_path, None)
    assert len(encoder.encoded) == 3
    assert cost.build_s is not None


def test_documents_score_as_their_best_passage_and_there_are_k_of_them(tmp_path: Path) -> None:
    much = " ".join(f"cats number {n} purr ." for n in range(60))
    documents = (Document("long", much), Document("short", "cats sleep ."), *DOCUMENTS[1:])
    with Index.create(tmp_path / "i", encoder=FakeEncoder(), passage_tokens=16) as index:
        index.add(documents)
        assert index.status().passages > 12
        for retriever in RETRIEVERS:
            hits = index.search("cats purr", 3, retriever=retriever)
            assert {hit.document_id for hit in hits} == {"long"}
            run = run_documents(index, {"q": "cats purr"}, retriever=retriever, k=3)["q"]
            assert next(iter(run)) == "long"
            assert run["long"] == hits[0].score
            expected = 2 if retriever == "lexical" else 3
            assert len(run) == expected
            assert list(run.values()) == sorted(run.values(), reverse=True)


class FakeModel:
    """As much of SentenceTransformer as is used; a word has a direction of its own."""

    max_seq_length = 4
    prompts: ClassVar = {"query": "query: ", "document": ""}

    def __init__(self, source: str) -> None:
        self.encoder = FakeEncoder()
        if source == "missing":
            raise OSError("missing is not a local folder")

    def encode_document(self, texts: list[str], **options: Any) -> Any:
        return self.encoder.encode_documents(texts).dense

    encode_query = encode_document

    def get_embedding_dimension(self) -> int:
        return 32

    def preprocess(self, texts: list[str]) -> dict[str, Any]:
        return {"attention_mask": np.ones((len(texts), 4))}


def test_sentence_transformers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = pytest.importorskip("sentence_transformers")
    monkeypatch.setattr(package, "SentenceTransformer", FakeModel)
    system = SentenceTransformerSystem("org/model", "org/model")
    check(system, tmp_path)
    assert system.name == "org/model"
    assert system.settings().max_tokens == 4
    assert system.settings().prompts == {"query": "query: "}
    again = SentenceTransformerSystem("org/model", "org/model")
    found = again.index(collection(), tmp_path, None)
    assert found == Cost(index_bytes=3 * 32 * 4), "what was not encoded was not timed"
    assert again._model.encoder.encoded == [], "the vectors were kept"
    assert best(again.search(QUERIES, 2)) == ["cats", "dogs", "fish"]
    changed = collection((*DOCUMENTS[1:], Document("hens", "Hens sit.")))
    other = SentenceTransformerSystem("org/model", "org/model")
    cost = other.index(changed, tmp_path, None)
    assert other._model.encoder.encoded == ["warm up", "Hens sit."], "by the text, not the place"
    assert cost == Cost(index_bytes=3 * 32 * 4)
    fresh = SentenceTransformerSystem("org/model", "org/model")
    fresh.index(changed, tmp_path / "other", None)
    assert other.search(QUERIES, 3) == fresh.search(QUERIES, 3)
    again._vectors[1, 0] = np.nan
    with pytest.raises(InputError, match="3 of 9 scores of org/model are NaN"):
        again.search(QUERIES, 2)
    with pytest.raises(InputError, match="st:missing cannot be loaded"):
        SentenceTransformerSystem("missing", "missing")


def test_a_run_file(tmp_path: Path) -> None:
    path = tmp_path / "theirs.trec"
    path.write_text("q1 Q0 dogs 1 2.0 t\nq1 Q0 fish 2 2.0 t\nq1 Q0 cats 3 1.0 t\n")
    system = RunFile(path)
    system.index(collection(), tmp_path, None)
    assert system.name == "theirs"
    assert system.answers(collection())
    assert system.search(QUERIES, 2) == {"q1": {"fish": 2.0, "dogs": 2.0}, "q2": {}, "q3": {}}


def test_a_run_file_is_cut_where_scores_differ_in_single_precision(tmp_path: Path) -> None:
    """As trec_eval holds them: which of those that tie there is first, it says by their ids."""
    path = tmp_path / "theirs.trec"
    path.write_text("q1 Q0 a 1 1.0000000001 t\nq1 Q0 b 2 1.0 t\nq1 Q0 c 3 0.9 t\n")
    found = RunFile(path).search({"q1": "cats"}, 1)
    assert list(found["q1"]) == ["a", "b"]
    assert per_query({"q1": {"b": 1}}, found, ["P@1"]) == {"q1": {"P@1": 1.0}}


def test_ids_with_white_space_are_found_in_a_run_file(tmp_path: Path) -> None:
    spaced = assemble(
        "spaced", "test", lambda: iter([Document("the cats", "Cats.")]),
        {"query one": "cats"}.items(), [("query one", "the cats", 1)],
    )  # fmt: skip
    path = tmp_path / "theirs.trec"
    path.write_text("query%20one Q0 the%20cats 1 2.0 t\nquery%20one Q0 50%25 2 1.0 t\n")
    system = RunFile(path)
    assert system.answers(spaced)
    system.index(spaced, tmp_path, None)
    assert system.search(spaced.queries, 2) == {"query one": {"the cats": 2.0, "50%25": 1.0}}


def test_a_run_of_another_collection_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "theirs.trec"
    path.write_text("301 Q0 dogs 1 2.0 t\n")
    assert not RunFile(path).answers(collection())


def test_specifications(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "r.trec").write_text("q1 Q0 dogs 1 2.0 t\n")

    def load(source: str | None = None) -> FakeEncoder:
        return FakeEncoder(token_dim=16 if source is None else None)

    monkeypatch.setattr(retrieval.encoders, "load_encoder", load)
    specs = ["bm25s", "encoder:org/other", f"run:{tmp_path}/r.trec", f"run:b={tmp_path}/r.trec"]
    found = make_systems(["lexical", "late"], specs)
    assert [one.name for one in found] == [
        "lexical",
        "late",
        "bm25s",
        "org/other/lexical",
        "r",
        "b",
    ]


@pytest.mark.parametrize(
    ("specs", "said"),
    [
        (["bm26"], "system 'bm26' is unknown; give bm25s, st:NAME"),
        (["st:"], "system 'st:' is unknown"),
        (["bm25s", "bm25s"], "two systems are named 'bm25s'"),
        (["run:nowhere.trec"], "nowhere.trec cannot be read"),
    ],
)
def test_specifications_that_cannot_be_used(specs: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        make_systems([], specs)


def test_a_real_sentence_transformers_model(tmp_path: Path) -> None:
    package = pytest.importorskip("sentence_transformers")
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from transformers import BertConfig, BertModel

    from tests.encoders.random_models import randomise, wordpiece

    sizes = {"vocab_size": 400, "hidden_size": 32, "intermediate_size": 48}
    layers = {"num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 64}
    bert = BertModel(BertConfig(**sizes, **layers))
    randomise(bert)
    bert.save_pretrained(tmp_path / "bert")
    wordpiece().save_pretrained(tmp_path / "bert")
    modules = [Transformer(str(tmp_path / "bert")), Pooling(32, "mean")]
    model = package.SentenceTransformer(modules=modules, device="cpu", prompts={"query": "find "})
    model.save_pretrained(str(tmp_path / "saved"))

    (system,) = make_systems([], [f"st:{tmp_path / 'saved'}"])
    assert system.name == "saved"
    cost = system.index(collection(), tmp_path, None)
    assert cost.index_bytes == 3 * 32 * 4
    texts = [f"{d.title}\n{d.text}" if d.title else d.text for d in DOCUMENTS]
    read = sum(min(len(ids), 64) for ids in model.tokenizer(texts)["input_ids"])
    assert cost.tokens_per_s is not None and cost.build_s is not None
    assert cost.tokens_per_s * cost.build_s == pytest.approx(read)
    assert system.settings().prompts == {"query": "find "}
    run = system.search(QUERIES, 3)
    vectors = model.encode_document(texts, normalize_embeddings=True)
    asked = model.encode_query(list(QUERIES.values()), normalize_embeddings=True)
    for scores, expected in zip(run.values(), asked @ vectors.T, strict=True):
        found = [scores[document.id] for document in DOCUMENTS]
        assert found == pytest.approx(expected.tolist(), abs=1e-5)


def test_what_a_model_encoded_before_it_was_stopped_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = pytest.importorskip("sentence_transformers")
    monkeypatch.setattr(package, "SentenceTransformer", FakeModel)
    monkeypatch.setattr(baseline, "_TEXTS_AT_ONCE", 1)
    monkeypatch.setattr(baseline, "SAVE_SECONDS", -1.0)

    def stop(now: ProgressUpdate) -> None:
        if now.total is not None and now.done == now.total - 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SentenceTransformerSystem("m", "m").index(collection(), tmp_path, stop)
    (rows,) = tmp_path.rglob("*.rows")
    assert rows.stat().st_size == 2 * 32 * 4
    rows.write_bytes(rows.read_bytes()[:-40])  # as a full disk leaves it
    again = SentenceTransformerSystem("m", "m")
    cost = again.index(collection(), tmp_path, None)
    assert cost == Cost(index_bytes=3 * 32 * 4)
    encoded = again._model.encoder.encoded
    assert encoded == ["warm up", "Dogs\nDogs bark at every stranger.", "Fish swim in silence."]
    fresh = SentenceTransformerSystem("m", "m")
    fresh.index(collection(), tmp_path / "other", None)
    assert again.search(QUERIES, 3) == fresh.search(QUERIES, 3)


def test_models_of_one_name_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = pytest.importorskip("sentence_transformers")
    monkeypatch.setattr(package, "SentenceTransformer", FakeModel)
    for place, weights in (("a", "1"), ("b", "2"), ("c", "1")):
        folder = tmp_path / place / "model"
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_text(weights)
    specs = [f"st:{tmp_path}/{place}/model" for place in "abc"]
    one, other, copy = (make_systems([], [spec])[0] for spec in specs)
    assert one.name == other.name == "model"
    assert one.identity() != other.identity()
    assert one.identity() == copy.identity(), "a folder that was moved is the same model"
    with pytest.raises(InputError, match=r"two systems are named 'model'; .*st:LABEL=NAME"):
        make_systems([], specs)
    (named,) = make_systems([], [f"st:MiniLM={tmp_path}/a/model"])
    assert (named.name, named.identity()) == ("MiniLM", one.identity())


def test_retrievers_and_systems_come_in_lists_and_are_known() -> None:
    with pytest.raises(InputError, match="retriever 'bm25' is unknown; choose from lexical"):
        make_systems(["bm25"], [])  # type: ignore[list-item]
    with pytest.raises(InputError, match="one name, 'lexical', was given"):
        make_systems("lexical", [])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="one name, 'bm25s', was given"):
        make_systems([], "bm25s")
