"""Relevance: from 0 to 1, falls with the score, and nonsense has next to none."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval import Document, Hybrid, Index
from retrieval.errors import InputError
from retrieval.index.reading.relevance import COEFFICIENTS, _fitted, _is_latin
from retrieval.types import RETRIEVERS, Hit, Retriever

from .fake_encoder import FakeEncoder
from .samples import ids

PAGES = {
    "lock": "A writer takes the lock before it writes. A second writer is refused, and told which "
    "process holds the lock.",
    "reader": "Readers keep the generation that they opened, without a lock, for as long as they "
    "are open. Refreshing moves them to the newest generation.",
    "compact": "Compacting merges all segments into one, drops deleted passages and gives their "
    "disk space back.",
    "bread": "Knead the dough for ten minutes, let it rise for two hours in a warm place, and bake "
    "the bread at 230 degrees until its crust is brown.",
    "heart": "High blood pressure makes the heart work harder, and over years thickens the wall of "
    "its left chamber.",
}
ANSWERED = {
    "what happens if two processes write at once": "lock",
    "do readers need a lock": "reader",
    "free disk space after deleting": "compact",
    "how long does dough have to rise": "bread",
    "what does hypertension do to the heart": "heart",
}
NONSENSE = (
    "asdf qwer zxcv",
    "hjkl",
    "xxqzt vbnmm poiuy lkjhg",
    "purple bicycle democracy spoon",
    "which team won the football cup in 1974",
    "cheapest flights from lisbon to oslo",
)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Index:
    """A few pages, by the embedded model."""
    index = Index.create(tmp_path_factory.mktemp("pages") / "index")
    index.add([Document(id, text) for id, text in PAGES.items()])
    return index


def test_the_coefficients_are_of_the_embedded_model(pages: Index) -> None:
    assert _fitted()["encoder"] == pages.status().fingerprint, f"run what made {COEFFICIENTS.name}"
    for model in _fitted()["models"].values():
        for part in ("on_subject", "right"):
            assert all(weight > 0 for name, weight in model[part].items() if name in RETRIEVERS)


@pytest.mark.parametrize("retriever", RETRIEVERS)
def test_answers_are_relevant_and_nonsense_is_not(pages: Index, retriever: Retriever) -> None:
    answers = [pages.search(query, 5, retriever=retriever) for query in ANSWERED]
    found = [hits[0].relevance for hits in answers]
    right = [hits[0].document_id == id for hits, id in zip(answers, ANSWERED.values(), strict=True)]
    assert sum(right) >= 4
    if retriever == "lexical":  # hypertension is another word for it, and few words are rare
        assert sum(value > 0.1 for value in found) >= 4
    else:
        assert min(found) > 0.5
    vain = [pages.search(query, 5, retriever=retriever) for query in NONSENSE]
    assert max((hit.relevance for hits in vain for hit in hits), default=0.0) < 0.2
    for query in NONSENSE:
        assert pages.search(query, 5, retriever=retriever, min_relevance=0.2) == []


def test_one_document_that_has_nothing_to_do_with_it(tmp_path: Path) -> None:
    with Index.create(tmp_path / "index") as index:
        index.add([Document("bread", PAGES["bread"])])
        (hit,) = index.search("who may write while a reader is open", 1)
        assert hit.relevance < 0.2
        (hit,) = index.search("how long must the dough rise", 1)
        assert hit.relevance > 0.5


@pytest.mark.parametrize("retriever", RETRIEVERS)
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_nonsense_has_next_to_none_in_indexes_of_a_few_documents(
    tmp_path: Path, count: int, retriever: Retriever
) -> None:
    with Index.create(tmp_path / "index") as index:
        index.add([Document(id, text) for id, text in list(PAGES.items())[:count]])
        for query in NONSENSE:
            assert (
                max((h.relevance for h in index.search(query, retriever=retriever)), default=0)
                < 0.1
            )
        if retriever != "lexical":  # hypertension is another word for it
            for query in list(ANSWERED)[:count]:
                assert index.search(query, 1, retriever=retriever)[0].relevance > 0.4


SILENT = ("...", "---", "!!!", "@#$%^&*", "🎉🎉🎉", "the of and to", "the the the the")
OTHER_SCRIPTS = {
    "写入者在写入之前先获取锁。第二个写入者会被拒绝。": "第二个写入者会怎样",
    "面团揉十分钟，在温暖的地方发酵两个小时。": "面团要发酵多久",
    "压缩把所有段合并成一个，并释放已删除段落的磁盘空间。": "释放磁盘空间",
    "Писатель берёт блокировку перед записью. Второй писатель получает отказ.": "второй писатель",
    "Сжатие объединяет все сегменты и возвращает место на диске.": "вернуть место на диске",
}
UNANSWERED = (
    "最便宜的机票",
    "东京的天气怎么样",
    "какой рейс самый дешёвый",
    "ราคาตั๋วเครื่องบิน",
    "هل الجو مشمس",
)


@pytest.mark.parametrize("retriever", RETRIEVERS)
def test_scripts_that_the_encoder_does_not_read_are_judged_by_their_words(
    tmp_path: Path, retriever: Retriever
) -> None:
    with Index.create(tmp_path / "index") as index:
        texts = [*OTHER_SCRIPTS, *PAGES.values()]
        index.add([Document(str(n), text) for n, text in enumerate(texts)])
        for n, query in enumerate(OTHER_SCRIPTS.values()):
            hit = index.search(query, 1, retriever=retriever)[0]
            assert (hit.document_id, hit.relevance > 0.2) == (str(n), True)
        for query in (*UNANSWERED, *SILENT):
            found = index.search(query, retriever=retriever)
            assert max((hit.relevance for hit in found), default=0) < 0.2


@pytest.mark.parametrize(
    "query", ["where in C++ is a lock taken", "naïve größe œuvre", "print(x) == 3"]
)
def test_latin_letters_are_read_with_accents_and_among_signs(query: str) -> None:
    assert _is_latin(query)


@pytest.mark.parametrize("query", ["锁", "где взять lock?", "🎉🎉 ok", "---", ""])
def test_other_scripts_emoji_and_signs_are_not(query: str) -> None:
    assert not _is_latin(query)


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Index:
    index = Index.create(tmp_path_factory.mktemp("words") / "index", encoder=FakeEncoder())
    drawn = random.Random(7)
    some = "hen fox egg barn hay corn dog cat cow pig duck goose"
    texts = [" ".join(drawn.choices(some.split(), k=drawn.randrange(3, 12))) for _ in range(150)]
    index.add([Document(f"d{n:03}", text) for n, text in enumerate(texts)])
    return index


@pytest.mark.parametrize("which", ["pages", "words"])
@pytest.mark.parametrize("retriever", RETRIEVERS)
def test_it_falls_with_the_score_and_does_not_depend_on_k(
    which: str, retriever: Retriever, request: pytest.FixtureRequest
) -> None:
    index: Index = request.getfixturevalue(which)
    for query in ("hen egg", "the lock of a writer", "goose barn cow unheard"):
        hits = index.search(query, 120, retriever=retriever)
        assert all(0 <= hit.relevance <= 1 for hit in hits)
        for one, after in pairwise(hits):
            assert one.score >= after.score
            assert one.relevance >= after.relevance
        for k in (1, 7):
            assert index.search(query, k, retriever=retriever) == hits[:k]
        if hits:
            least = float(np.median([hit.relevance for hit in hits]))
            kept = index.search(query, 120, retriever=retriever, min_relevance=least)
            assert kept == [hit for hit in hits if hit.relevance >= least]
            some = index.search(query, 120, retriever=retriever, min_relevance=1.0, copies=True)
            assert all(hit.relevance == 1.0 for hit in some)


def test_an_encoder_that_was_not_calibrated_counts_as_it_is(words: Index) -> None:
    """Cosines from 0 to 1; words by the same model as with any encoder."""
    hit = words.search("hen egg", 1, retriever="dense")[0]
    assert hit.relevance == pytest.approx(min(max(hit.score, 0.0), 1.0))
    hit = words.search("hen egg", 1, retriever="late")[0]
    assert hit.relevance == pytest.approx(min(hit.score / 2, 1.0), abs=0.01)  # of two tokens
    assert 0 < words.search("hen egg", 1, retriever="lexical")[0].relevance < 1
    fused = words.search("hen egg", 1, hybrid=Hybrid(lexical=0, late=0))[0]
    assert fused.relevance == pytest.approx(min(fused.scores["dense"], 1.0))


def test_of_a_group_every_passage_has_its_own(pages: Index) -> None:
    flat = {hit.document_id: hit.relevance for hit in pages.search("who holds the lock", 5)}
    grouped = pages.search("who holds the lock", 5, group="document")
    assert {hit.document_id: hit.relevance for hit in grouped} == flat
    assert ids(grouped)[0] == "lock"


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Index:
    """Documents of several passages, many of which are copies of each other."""
    index = Index.create(
        tmp_path_factory.mktemp("copied") / "index", encoder=FakeEncoder(), passage_tokens=16
    )
    drawn = random.Random(11)
    some = ["hen", "fox", "egg", "barn", "hay", "corn", "dog", "cat", "cow", "pig"]
    parts = [" ".join(drawn.choices(some, k=12)) + "." for _ in range(25)]
    for number in range(40):
        text = "\n\n".join(drawn.choices(parts, k=drawn.randrange(1, 6)))
        index.add([Document(f"d{number:02}", text, title=drawn.choice(["", "Farm", "Hen"]))])
    return index


@settings(max_examples=60, deadline=None)
@given(
    query=st.sampled_from(["hen egg", "fox", "corn hay barn dog", "pig unheard"]),
    retriever=st.sampled_from(RETRIEVERS),
    k=st.integers(1, 30),
    copies=st.booleans(),
    grouped=st.booleans(),
    rank=st.integers(0, 40),
)
def test_folding_grouping_and_the_limit_compose(
    copied: Index,
    query: str,
    retriever: Retriever,
    k: int,
    copies: bool,
    grouped: bool,
    rank: int,
) -> None:
    """Each leaves out of the plain ranking what it says; what is left has the same relevance."""
    every = copied.search(query, 1000, retriever=retriever, copies=True)
    least = every[min(rank, len(every) - 1)].relevance
    expected = [hit for hit in every if hit.relevance >= least]
    if not copies:
        firsts = {" ".join(hit.text.split()): hit for hit in reversed(expected)}
        expected = [hit for hit in expected if firsts[" ".join(hit.text.split())] is hit]
    if grouped:
        best = {hit.document_id: hit for hit in reversed(expected)}
        expected = [hit for hit in expected if best[hit.document_id] is hit]
    found = copied.search(
        query,
        k,
        retriever=retriever,
        copies=copies,
        group="document" if grouped else None,
        min_relevance=least,
    )

    def told(hits: list[Hit]) -> list[tuple[str, int, float, float]]:
        return [(h.document_id, h.passage.ordinal, h.score, h.relevance) for h in hits]

    assert told(found) == told(expected[:k])
    assert all(other.relevance >= least for hit in found for other in hit.others)


@pytest.mark.parametrize("least", [-0.1, 1.5, True, "0.2", float("nan")])
def test_what_is_no_relevance_is_refused(words: Index, least: object) -> None:
    with pytest.raises(InputError, match="is not a relevance; give a number from 0 to 1"):
        words.search("hen", min_relevance=least)  # type: ignore[arg-type]
