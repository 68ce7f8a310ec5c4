"""The lexical index: BM25 by hand, generations, filters, hostile queries and files."""

from __future__ import annotations

import errno
import math
import os
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.errors import IndexCorrupted, InputError, StorageError
from retrieval.indexes import LexicalIndex, lexical, write_lexical

Docs = dict[int, tuple[str, str]]
WORDS = ("kax", "bol", "tir", "muv", "pog")  # their own stems, and no stop words


def build(folder: Path, docs: Docs) -> LexicalIndex:
    write_lexical(folder, add=[(i, title, text) for i, (title, text) in docs.items()])
    return LexicalIndex.open(folder)


def matches(index: LexicalIndex, query: str) -> list[int]:
    return sorted(index.search(query, 1000)[0].tolist())


def snapshot(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.suffix != ".lock"}


def stored_length(length: int) -> int:
    """Field lengths are kept in one byte: exact to 40, then with four significant bits."""
    table = list(range(24))
    for code in range(232):
        bits, shift = code & 7, code >> 3
        table.append(24 + (bits if shift == 0 else (bits | 8) << (shift - 1)))
    return max(value for value in table if value <= length)


def bm25(docs: Docs, query: str) -> dict[int, float]:
    """BM25 in float64 by its definition, k1 = 1.2 and b = 0.75; the title's part at 0.7."""
    scores: dict[int, float] = {}
    for field, weight in ((0, 0.7), (1, 1.0)):
        bags = {i: doc[field].split() for i, doc in docs.items()}
        average = sum(map(len, bags.values())) / len(docs)
        for word in query.split():
            holders = sum(word in bag for bag in bags.values())
            idf = math.log(1 + (len(docs) - holders + 0.5) / (holders + 0.5))
            for i, bag in bags.items():
                if count := bag.count(word):
                    norm = 1.2 * (0.25 + 0.75 * stored_length(len(bag)) / average)
                    part = weight * idf * 2.2 * count / (count + norm)
                    scores[i] = scores.get(i, 0.0) + part
    return scores


sentences = st.lists(st.sampled_from(WORDS), max_size=60).map(" ".join)
titles = st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join)


@settings(max_examples=40, deadline=None)
@given(
    docs=st.dictionaries(st.integers(0, 40), st.tuples(titles, sentences), min_size=1, max_size=20),
    query=st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join),
    k=st.integers(1, 25),
    share=st.sampled_from([None, 0.0, 0.15, 0.6, 1.0]),
    few=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_search_is_bm25(
    tmp_path_factory: pytest.TempPathFactory,
    docs: Docs,
    query: str,
    k: int,
    share: float | None,
    few: bool,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    index = build(tmp_path_factory.mktemp("lexical"), docs)
    assert len(index) == len(docs)
    truth = bm25(docs, query)
    allowed = None if share is None else rng.random(41) < share
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lexical, "_FEW_ALLOWED", 1000 if few else 0)
        ids, scores = index.search(query, k, allowed)
    eligible = {i: s for i, s in truth.items() if allowed is None or allowed[i]}
    assert len(ids) == min(k, len(eligible)) and set(ids.tolist()) <= set(eligible)
    np.testing.assert_allclose(scores, sorted(eligible.values(), reverse=True)[:k], rtol=1e-5)
    np.testing.assert_allclose(scores, [truth[i] for i in ids.tolist()], rtol=1e-5)
    pairs = list(zip((-scores).tolist(), ids.tolist(), strict=True))
    assert pairs == sorted(pairs)
    wanted = rng.permutation(45)
    given_scores = index.score(query, wanted)
    np.testing.assert_allclose(given_scores, [truth.get(i, 0.0) for i in wanted], rtol=1e-5)


def test_widening_reads_on_until_k_are_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = {i: ("", "kax " * (1 + (2999 - i) // 100)) for i in range(3000)}
    index = build(tmp_path, docs)
    monkeypatch.setattr(lexical, "_FEW_ALLOWED", 0)
    allowed = np.zeros(3000, dtype=np.bool_)
    allowed[2990:] = True  # the ten that rank last
    assert sorted(index.search("kax", 10, allowed)[0].tolist()) == list(range(2990, 3000))
    assert len(index.search("kax", 50, allowed)[0]) == 10
    assert index.search("bol", 50, allowed)[0].tolist() == []


def test_stems_case_and_accents(tmp_path: Path) -> None:
    docs = {
        0: ("", "The runners were running"),
        1: ("", "CAFÉS serve coffee"),
        2: ("", "Cafe\u0301 culture"),
        3: ("Running shoes", ""),
    }
    index = build(tmp_path, docs)
    assert matches(index, "run") == [0, 3]
    assert matches(index, "cafe") == matches(index, "Café") == [1, 2]


def test_identifiers_are_found_by_their_words_and_as_a_whole(tmp_path: Path) -> None:
    docs = {
        0: ("", "def parse_json_line(text): ..."),
        1: ("", "function parseJsonLine(text) {}"),
        2: ("", "class HTTPServer: ..."),
        3: ("", "Parse each line of the json file."),
        4: ("", "MAX_LINE_LENGTH = 100"),
        5: ("", "GitHub and the APIs of mRNA"),
    }
    index = build(tmp_path, docs)
    assert matches(index, "json") == matches(index, "parse json") == [0, 1, 3]
    for query in ("parse_json_line", "parseJsonLine", "ParseJSONLine", "parsejsonline"):
        ids, scores = index.search(query, 2)
        assert sorted(ids.tolist()) == [0, 1], query
        assert scores[1] > index.score(query, [3])[0]
    for query in ("http", "server", "HTTPServer", "httpserver", "http_server"):
        assert matches(index, query) == [2]
    assert matches(index, "length") == matches(index, "maxLineLength")[-1:] == [4]
    assert matches(index, "github") == matches(index, "api") == matches(index, "rna") == [5]


def test_stop_words_count_only_by_themselves(tmp_path: Path) -> None:
    docs = {0: ("", "to be or not to be"), 1: ("", "kax of the bol")}
    index = build(tmp_path, docs)
    assert matches(index, "to be or not to be") == [0]
    assert matches(index, "the kax") == matches(index, "not the bol") == [1]


HOSTILE = [
    'kax AND', "AND OR NOT", "title:kax", "kax:", ":kax", '"kax', "'kax", "(kax", "kax)", "[kax TO",
    "kax^2", "kax~3", "+kax -bol", "*", "kax*", "/kax/", "\\", "kax\\", "\0kax\0", "&&", "||",
    "IN [kax]", "kax\n\t bol", "nosuchfield:kax", "😀kax", "\ud800 kax \udfff",
]  # fmt: skip


@pytest.mark.parametrize("query", HOSTILE)
def test_no_query_is_syntax(tmp_path: Path, query: str) -> None:
    index = build(tmp_path, {0: ("kax", "bol"), 1: ("", "tir")})
    holds = "kax" in query or "bol" in query
    assert matches(index, query) == ([0] if holds else [])


@pytest.mark.parametrize("query", ["", " ", "\n", "?!... --- ()", "😀", "_", "\u0301"])
def test_a_query_without_words_finds_nothing(tmp_path: Path, query: str) -> None:
    index = build(tmp_path, {0: ("kax", "bol ?! _")})
    ids, scores = index.search(query, 3)
    assert ids.tolist() == scores.tolist() == []
    assert index.score(query, [0, 1]).tolist() == [0.0, 0.0]


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> LexicalIndex:
    return build(tmp_path_factory.mktemp("odd"), {0: ("é", "x ß ﬁ İ 日本 \0"), 1: ("", "")})


@settings(deadline=None)
@given(query=st.text(st.characters()))
def test_any_text_is_a_query(odd: LexicalIndex, query: str) -> None:
    ids, scores = odd.search(query, 3)
    assert set(ids.tolist()) <= {0} and np.isfinite(scores).all()


@settings(max_examples=20, deadline=None)
@given(text=st.text(st.characters()), title=st.text(st.characters()))
def test_any_text_can_be_indexed(
    tmp_path_factory: pytest.TempPathFactory, text: str, title: str
) -> None:
    index = build(tmp_path_factory.mktemp("any"), {0: (title, text + " kax")})
    assert matches(index, "kax") == [0]


def test_endless_queries_are_bounded_to_the_rarest_terms(tmp_path: Path) -> None:
    docs = {i: ("", f"common{i % 300} common") for i in range(900)} | {900: ("", "unique common")}
    index = build(tmp_path, docs)
    query = " ".join(f"common{i}" for i in range(300)) + " common" * 50 + " unique"
    ids, _ = index.search(query, 1)
    assert ids.tolist() == [900]
    assert matches(index, "unique " + "x" * 10_000_000) == [900]


def test_k_must_be_positive(tmp_path: Path) -> None:
    index = build(tmp_path, {0: ("", "kax")})
    with pytest.raises(InputError, match="k is 0"):
        index.search("kax", 0)


def test_empty_index(tmp_path: Path) -> None:
    index = build(tmp_path / "a", {})
    assert len(index) == 0
    assert index.search("kax", 3)[0].tolist() == []
    write_lexical(tmp_path / "b", previous=tmp_path / "a", add=[(0, "", "kax")])
    assert matches(LexicalIndex.open(tmp_path / "b"), "kax") == [0]
    write_lexical(tmp_path / "c", previous=tmp_path / "b", delete=[0])
    last = LexicalIndex.open(tmp_path / "c")
    assert len(last) == 0 and matches(last, "kax") == []


# --- generations ---------------------------------------------------------------------------------


def test_the_previous_generation_is_untouched(tmp_path: Path) -> None:
    old = build(tmp_path / "1", {i: ("", f"kax word{i}") for i in range(50)})
    before = snapshot(tmp_path / "1")
    for _ in range(2):  # what the first did must not show when it is done again
        write_lexical(
            tmp_path / "2", previous=tmp_path / "1", add=[(90, "", "kax new")], delete=[3, 4, 999]
        )
        assert snapshot(tmp_path / "1") == before
    new = LexicalIndex.open(tmp_path / "2")
    assert matches(old, "kax") == list(range(50))
    assert matches(old, "word3") == [3]
    assert matches(new, "kax") == [i for i in range(50) if i not in (3, 4)] + [90]
    assert len(new) == 49
    assert any(p.stat().st_nlink > 1 for p in (tmp_path / "2").iterdir())
    assert (tmp_path / "2" / "meta.json").stat().st_nlink == 1
    shutil.rmtree(tmp_path / "1")
    assert matches(LexicalIndex.open(tmp_path / "2"), "word3 word5") == [5]
    assert matches(old, "word4") == [4]  # open readers keep what they opened


def test_many_generations_hold_what_they_should_and_no_garbage(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    alive: dict[int, int] = {}
    previous, number = None, 0
    for generation in range(16):
        gone = [i for i in alive if rng.random() < 0.3]
        new = range(number, number + int(rng.integers(0, 30)))
        number += len(new)
        alive = {i: w for i, w in alive.items() if i not in gone}
        added = {i: int(rng.integers(0, 5)) for i in new}
        alive |= added
        target = tmp_path / str(generation)
        write_lexical(
            target,
            previous=previous,
            add=[(i, "", WORDS[w]) for i, w in added.items()],
            delete=np.array(gone, dtype=np.int64),
        )
        if previous is not None:
            shutil.rmtree(previous)
        previous = target
        index = LexicalIndex.open(target)
        assert len(index) == len(alive)
        for w, word in enumerate(WORDS):
            assert matches(index, word) == [i for i in alive if alive[i] == w]
    meta = (target / "meta.json").read_text().replace("-", "")
    names = [p.name for p in target.iterdir() if not p.name.startswith(".")]
    assert all(name == "meta.json" or name.split(".")[0] in meta for name in names)
    assert len(names) < 100


def test_no_lock_files_are_left(tmp_path: Path) -> None:
    write_lexical(tmp_path / "1", add=[(0, "", "kax")])
    LexicalIndex.open(tmp_path / "1")
    write_lexical(tmp_path / "2", previous=tmp_path / "1", add=[(1, "", "kax")])
    assert not list((tmp_path / "2").glob("*.lock")) + list((tmp_path / "2").glob(".*.lock"))


def test_keep_below_drops_the_rest_before_adding(tmp_path: Path) -> None:
    build(tmp_path / "1", dict.fromkeys(range(10), ("", "kax")))
    write_lexical(
        tmp_path / "2",
        previous=tmp_path / "1",
        add=[(7, "", "bol"), (8, "", "kax")],
        delete=[2],
        keep_below=6,
    )
    index = LexicalIndex.open(tmp_path / "2")
    assert matches(index, "kax") == [0, 1, 3, 4, 5, 8]
    assert matches(index, "bol") == [7]


def test_remains_of_a_killed_writer_are_replaced(tmp_path: Path) -> None:
    build(tmp_path / "1", {0: ("", "kax")})
    build(tmp_path / "2", {5: ("", "kax")})
    (tmp_path / "2" / "meta.json").write_bytes(b"{")
    (tmp_path / "2" / ".tantivy-writer.lock").touch()
    write_lexical(tmp_path / "2", previous=tmp_path / "1", add=[(1, "", "kax")])
    assert matches(LexicalIndex.open(tmp_path / "2"), "kax") == [0, 1]


def test_a_moved_or_copied_folder_opens(tmp_path: Path) -> None:
    build(tmp_path / "1", {0: ("", "kax")})
    write_lexical(tmp_path / "2", previous=tmp_path / "1", add=[(1, "", "kax")])
    shutil.copytree(tmp_path / "2", tmp_path / "copy")
    shutil.rmtree(tmp_path / "1")
    (tmp_path / "2").rename(tmp_path / "moved")
    for name in ("copy", "moved"):
        assert matches(LexicalIndex.open(tmp_path / name), "kax") == [0, 1]
        write_lexical(tmp_path / "next", previous=tmp_path / name, delete=[0])
        assert matches(LexicalIndex.open(tmp_path / "next"), "kax") == [1]


def test_files_are_copied_where_links_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    build(tmp_path / "1", {0: ("", "kax")})
    monkeypatch.setattr(os, "link", fail)
    write_lexical(tmp_path / "2", previous=tmp_path / "1", add=[(1, "", "kax")])
    assert all(p.stat().st_nlink == 1 for p in (tmp_path / "2").iterdir())
    assert matches(LexicalIndex.open(tmp_path / "2"), "kax") == [0, 1]


def test_a_folder_that_only_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tmp_path / "1", {0: ("", "kax")})
    for file in (tmp_path / "1").glob(".*.lock"):
        file.unlink()
    before = sorted(tmp_path.glob("1/*"))
    assert {p.stat().st_mode & 0o444 for p in before} == {(tmp_path / "1").stat().st_mode & 0o444}
    monkeypatch.setattr(os, "access", lambda *_: False)  # the tests may run as root
    assert matches(LexicalIndex.open(tmp_path / "1"), "kax") == [0]
    assert sorted(tmp_path.glob("1/*")) == before


def test_an_error_in_the_passages_leaves_no_generation(tmp_path: Path) -> None:
    def passages() -> Iterable[tuple[int, str, str]]:
        yield 0, "", "kax"
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        write_lexical(tmp_path / "1", add=passages())
    assert not list((tmp_path / "1").glob("*.json"))
    with pytest.raises(InputError, match="-4 is negative"):
        write_lexical(tmp_path / "1", add=[(-4, "", "kax")])
    write_lexical(tmp_path / "1", add=[(0, "", "kax")])
    with pytest.raises(InputError, match="over the old one"):
        write_lexical(tmp_path / "1", previous=tmp_path / "1", delete=[0])
    assert matches(LexicalIndex.open(tmp_path / "1"), "kax") == [0]


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot make folder"):
        write_lexical(tmp_path / "file" / "1", add=[])

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        write_lexical(tmp_path / "1", add=[(0, "", "kax")])


# --- damage and threads --------------------------------------------------------------------------


def test_a_lock_that_comes_while_a_copy_of_links_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that cannot be written is opened by links elsewhere, and tantivy has threads."""
    build(tmp_path / "index", {3: ("", "kax")})
    (tmp_path / "elsewhere").mkdir()
    remove, refused = shutil.rmtree, []

    def removed(folder: Path, ignore_errors: bool = False) -> None:
        if len(refused) < 2:
            refused.append(folder)
            raise OSError(errno.ENOTEMPTY, "a lock has come")
        remove(folder, ignore_errors=ignore_errors)

    monkeypatch.setattr(lexical.tempfile, "tempdir", str(tmp_path / "elsewhere"))
    monkeypatch.setattr(lexical.os, "access", lambda folder, mode: False)
    monkeypatch.setattr(lexical.shutil, "rmtree", removed)
    opened = LexicalIndex.open(tmp_path / "index")
    assert matches(opened, "kax") == [3]
    assert len(refused) == 2 and not list((tmp_path / "elsewhere").iterdir())


def test_damaged_files_are_corruption_or_harmless(tmp_path: Path) -> None:
    docs = {i: ("kax bol", "tir " * i + "muv") for i in range(300)}
    build(tmp_path / "1", docs)
    write_lexical(tmp_path / "whole", previous=tmp_path / "1", delete=[7])
    truth = LexicalIndex.open(tmp_path / "whole").search("kax tir", 20)
    refused = set()
    for file in sorted((tmp_path / "whole").iterdir()):
        size = file.stat().st_size
        for length in (None, 0, size // 2, size - 1):
            shutil.rmtree(tmp_path / "hurt", ignore_errors=True)
            shutil.copytree(tmp_path / "whole", tmp_path / "hurt")
            copy = tmp_path / "hurt" / file.name
            copy.unlink()
            if length is not None:
                copy.write_bytes(file.read_bytes()[:length])
            try:
                found = LexicalIndex.open(tmp_path / "hurt").search("kax tir", 20)
            except IndexCorrupted as error:
                assert str(tmp_path / "hurt") in str(error) and "\n" not in str(error)
                refused.add(file.suffix)
            else:
                assert [a.tolist() for a in found] == [a.tolist() for a in truth]
    assert {".idx", ".term", ".fast", ".fieldnorm", ".json", ".del"} <= refused


def test_what_is_no_index_is_corruption(tmp_path: Path) -> None:
    with pytest.raises(IndexCorrupted, match="nowhere"):
        LexicalIndex.open(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(IndexCorrupted, match="empty"):
        LexicalIndex.open(tmp_path / "empty")
    with pytest.raises(IndexCorrupted, match="empty"):
        write_lexical(tmp_path / "2", previous=tmp_path / "empty", add=[])
    with pytest.raises(IndexCorrupted, match="nowhere"):
        write_lexical(tmp_path / "2", previous=tmp_path / "nowhere", add=[])


def test_another_schema_is_corruption(tmp_path: Path) -> None:
    import tantivy

    schema = tantivy.SchemaBuilder().add_text_field("body").build()
    tantivy.Index(schema, str(tmp_path)).writer().commit()
    with pytest.raises(IndexCorrupted, match="title"):
        LexicalIndex.open(tmp_path)


def test_many_threads_read_one_index(tmp_path: Path) -> None:
    docs = {i: ("", " ".join(WORDS[: 1 + i % 5])) for i in range(200)}
    index = build(tmp_path, docs)
    allowed = np.arange(200) % 3 == 0
    truth = {word: index.search(word, 50, allowed)[0].tolist() for word in WORDS}

    def read(word: str) -> bool:
        return index.search(word, 50, allowed)[0].tolist() == truth[word]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, WORDS * 100))
