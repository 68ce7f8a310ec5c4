"""Variants: what users type, what is built of it, and that each answers as it should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import retrieval.encoders
from retrieval.errors import InputError
from retrieval.eval.datasets import Collection, assemble
from retrieval.eval.results import file_name
from retrieval.eval.systems import IndexSystem, SharedIndex, make_systems
from retrieval.eval.systems.variants import Build, Variant, parse_variant, shortened
from retrieval.index.reading.search import HYBRID
from retrieval.index.writing import writer
from retrieval.types import FUSIONS, Document
from tests.index.fake_encoder import FakeEncoder

WORDS = ("cats", "dogs", "fish", "purr", "bark", "swim", "sun", "sea", "night", "day")


def documents(count: int = 40) -> list[Document]:
    rng = np.random.default_rng(0)
    return [Document(f"d{n}", " ".join(rng.choice(WORDS, 8))) for n in range(count)]


def collection(count: int = 40) -> Collection:
    own = documents(count)
    return assemble("animals", "test", lambda: iter(own), [("q", "cats swim")], [("q", "d1", 1)])


@pytest.fixture(autouse=True)
def encoder(monkeypatch: pytest.MonkeyPatch) -> FakeEncoder:
    found = FakeEncoder(token_dim=32)
    monkeypatch.setattr(retrieval.encoders, "load_encoder", lambda source=None: found)
    return found


def systems(*specs: str) -> list[IndexSystem]:
    found = make_systems([], list(specs))
    return [system for system in found if isinstance(system, IndexSystem)]


def engine(spec: str) -> SharedIndex:
    return systems(spec)[0]._engine


def built(spec: str, folder: Path) -> IndexSystem:
    (system,) = systems(spec)
    system.index(collection(), folder, None)
    return system


numbers = st.none() | st.integers(1, 1000)
weights = st.none() | st.sampled_from([0.5, 1.0, 2.25])


@given(
    st.builds(
        Variant,
        st.just("hybrid"),
        passage_tokens=numbers,
        dims=numbers,
        bits=st.sampled_from([None, 8, 4, 2]),
        pooling=st.none() | st.integers(1, 4),
        fusion=st.sampled_from([None, *FUSIONS]),
        candidates=numbers,
        lexical=weights,
        dense=weights,
        late=weights,
    )
)
def test_a_name_says_all_and_can_be_typed(variant: Variant) -> None:
    assert parse_variant(variant.name) == variant


def test_the_order_of_settings_does_not_matter() -> None:
    one, other = parse_variant("late:bits=2,dims=48"), parse_variant("late:dims=48,bits=2")
    assert one is not None and other is not None
    assert one.name == other.name == "late:dims=48,bits=2"
    with pytest.raises(InputError, match="two systems are named 'late:dims=16,bits=2'"):
        make_systems([], ["late:bits=2,dims=16", "late:dims=16,bits=2"])


def test_names_of_files_are_safe_and_differ() -> None:
    names = [file_name(name, dots=True) for name in ("late:bits=2", "late:bits=4", "late_bits_2")]
    assert len(set(names)) == 3
    assert not any(set(name) & set('/\\:*?"<>|= ') for name in names)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("late:bit=2", "late has no setting 'bit'; give encoder=NAME, passage_tokens=N, dims=N, "),
        ("late:bits=3", r"bits=3 cannot be used; give bits=8\|4\|2"),
        ("late:bits", r"bits= cannot be used; give bits=8\|4\|2"),
        ("late:", "late has no setting ''"),
        ("late:pooling=5", r"pooling=5 cannot be used; give pooling=1\|2\|3\|4"),
        ("late:dims=-8", "dims=-8 cannot be used; give dims=N"),
        ("late:fusion=rrf", "late has no setting 'fusion'"),
        ("dense:bits=2", "dense has no setting 'bits'; give encoder=NAME, passage_tokens=N$"),
        ("hybrid:fusion=sum", r"give fusion=minmax\|rrf\|zscore"),
        ("hybrid:lexical=nan", "lexical=nan cannot be used; give lexical=WEIGHT"),
        ("hybrid:lexical=0,dense=0,late=0", "every retriever's weight is 0"),
        ("hybrid:lexical=1,lexical=2", "lexical is given twice"),
        ("late:dims=64", "dims=64 cannot be kept: encoder 'fake-words' has 32 components"),
        ("late:dims=20", "dims=20 cannot be used: .*a multiple of 8 from 16 to 256"),
        ("late:passage_tokens=9999", "reads 512 tokens, not 9,999"),
        ("late:encoder=", "encoder= cannot be used; give encoder=NAME"),
    ],
)
def test_what_cannot_be_used_is_named(spec: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as found:
        make_systems([], [spec])
    assert "\n" not in str(found.value)


def test_an_index_is_shared_where_it_is_the_same() -> None:
    found = systems(
        "late", "hybrid:fusion=rrf", "late:pooling=1", "dense:passage_tokens=256", "late:dims=32"
    )
    assert len({id(one._engine) for one in found}) == 1
    found = systems("late", "late:bits=8", "late:pooling=2", "late:dims=16", "late:bits=4")
    assert len({one._engine.identity() for one in found}) == 5
    assert len({one.identity() for one in systems("hybrid", "hybrid:candidates=9")}) == 2


def test_an_encoder_of_a_name_of_its_own() -> None:
    found = make_systems(["late"], ["late:encoder=big=org/model,bits=2", "encoder:big=org/model"])
    assert [one.name for one in found] == ["late", "big/late:bits=2", "big/late"]


def test_short_vectors_are_the_first_components_rescaled(encoder: FakeEncoder) -> None:
    texts = ["cats purr", "dogs bark"]
    short = shortened(encoder, 16)
    whole = encoder.encode_documents(texts)
    assert whole.tokens is not None and whole.offsets is not None
    expected = whole.tokens[:, :16] / np.linalg.norm(whole.tokens[:, :16], axis=1)[:, None]
    for found in (short.encode_documents(texts), short.encode_queries(texts)):
        assert found.tokens is not None and found.dense is not None and whole.dense is not None
        assert np.allclose(found.tokens, expected, atol=1e-6)
        assert np.array_equal(found.dense, whole.dense)
    assert (short.token_dim, short.dense_dim) == (16, 32)
    assert short.fingerprint != encoder.fingerprint
    assert shortened(encoder, 32) is encoder


@pytest.mark.parametrize(
    ("spec", "regime"),
    [("late", "exact"), ("late:bits=8", "exact"), ("late:bits=4", "compressed")],
)
def test_bits(spec: str, regime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "COMMIT_CHANGES", 6)  # the last segments come after the codec
    system = built(spec, tmp_path)
    assert dict(system._engine.index.status().regimes) == {regime: 40}
    system.close()


def test_fewer_bits_components_and_vectors_take_less_space(tmp_path: Path) -> None:
    def size(spec: str) -> int:
        system = built(spec, tmp_path)
        index = system._engine.index
        found = sum(f.stat().st_size for f in index.path.rglob("late/*") if f.is_file())
        assert system.search({"q": "cats swim"}, 5)["q"]
        system.close()
        return found

    assert size("late:bits=2") < size("late:bits=4")
    assert size("late:dims=16") < size("late:bits=8")
    assert size("late:pooling=2") < size("late:bits=8")
    assert len(list(tmp_path.iterdir())) == 5, "each has its own"


def test_shorter_passages(tmp_path: Path) -> None:
    system = built("late:passage_tokens=4", tmp_path)
    assert system._engine.index.status().passages >= 80
    assert system.settings().passage_tokens == 4


def test_hybrid_is_asked_as_it_should_be(tmp_path: Path) -> None:
    usual = built("hybrid", tmp_path)
    of_ranks, lexical = systems("hybrid:fusion=rrf", "hybrid:dense=0,late=0")
    for system in (of_ranks, lexical):
        system._engine = usual._engine
    query = {"q": "cats swim"}
    index = usual._engine.index
    (hits,) = index.search_batch([query["q"]], 5, retriever="hybrid")
    assert usual.search(query, 5)["q"] == {hit.document_id: hit.score for hit in hits}
    ranked = of_ranks.search(query, 5)["q"]
    assert 0 < max(ranked.values()) <= sum(HYBRID.weights.values()) / 61 + 1e-9
    asked: Any = of_ranks.timed_search()(query["q"])
    assert [hit.score for hit in asked[:5]] == list(ranked.values())
    alone = index.search(query["q"], 1, retriever="lexical")[0]
    best = lexical.search(query, 5)["q"]
    assert best[alone.document_id] == max(best.values()) == 1


def test_the_settings_are_said() -> None:
    (system,) = systems("hybrid:dims=16,bits=2,pooling=3,fusion=rrf,lexical=1")
    said = system.settings().description
    assert said.startswith("encoder fake-words ")
    assert said.endswith(
        "; passages of 256 tokens; token vectors of 16 components, 2 bits, 1 of 3 left by pooling"
        "; rrf of 100 candidates each, weights lexical 1, dense 1, late 1"
    )
    assert systems("lexical")[0].settings().description.endswith("; passages of 256 tokens")


def test_compressing_waits_for_half_of_the_documents() -> None:
    assert Build(bits=2).late(500).exact_passages == 250
    assert Build(bits=4).late(1_000_000).list_passages == 500_000
