"""A test set of one's own: sources, proposals, pools, the journal, the folder."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.errors import InputError
from retrieval.eval.datasets import load
from retrieval.eval.testset import (
    Candidate,
    Journal,
    Judging,
    Pool,
    TestSet,
    pools,
    propose,
    read_log,
    read_queries,
    typed,
    without,
)
from retrieval.index import Index
from retrieval.types import Document
from tests.index.fake_encoder import FakeEncoder

MORE = "It waits, and it says so, and then it waits again for a while. " * 6
MARKDOWN = (
    f"# Locks of writers\n\n{MORE}\n\n## Who may read\n\n{MORE}\n\n"
    f"## Notes\n\n{MORE}\n\nWho may read\n"
)
PYTHON = (
    "def wait(lock):\n"
    '    """Wait until the löck is free.\n\n    Again and again.\n    """\n'
    "    while lock.taken:\n        lock.rest()\n    return lock\n"
)
DOCUMENTS = [
    Document("locks.md", MARKDOWN, "Locks of writers", {"language": "markdown"}),
    Document("wait.py", PYTHON, "", {"language": "python"}),
    Document("geese", f"How geese fly\nThey fly south. {MORE}", "How geese fly"),
    Document("twice", f"{MORE}", "Two of a kind"),
    Document("again", f"{MORE}", "two of a  Kind"),
]


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with Index.create(tmp_path / "index", encoder=FakeEncoder(), passage_tokens=64) as made:
        made.add(DOCUMENTS)
        yield made


def known(id: str) -> bool:
    return id in {document.id for document in DOCUMENTS}


# Logs


def test_a_csv_log(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text(
        "when,query,document,count\n"
        '1,who  may read,locks.md,2\n2,"Who may READ",locks.md,\n3,Who may read,geese,1\n'
        "4,who may read,gone.md,9\n5,who waits,gone.md,1\n6,nobody clicks,,\n"
    )
    found = read_log(log, known, min_clicks=2)
    assert [(q.text, q.relevant) for q in found.queries] == [("who may read", ("locks.md",))]
    assert (found.clicks, found.unknown, found.rare) == (14, ("gone.md",), 1)
    assert found.left_out == 2
    (query,) = read_log(log, known).queries
    assert query.relevant == ("locks.md", "geese")


def test_a_jsonl_log(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    rows = [
        {"query": "a b", "document": "geese", "count": 2},
        {"query": "a b", "clicks": ["geese", "twice"]},
        {"query": "c d", "clicks": {"again": 3, "geese": 1}},
        {"query": "e f", "clicks": []},
    ]
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = read_log(log, known, min_clicks=3)
    assert [(q.text, q.relevant) for q in found.queries] == [
        ("a b", ("geese",)),
        ("c d", ("again",)),
    ]
    assert (found.clicks, found.rare, found.left_out) == (8, 2, 1)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("l.csv", "", "no column 'query' among nothing"),
        ("l.csv", "query,url\n", "no column 'document' among query, url"),
        ("l.csv", "query,document\n", "holds no query"),
        ("l.csv", "query,document\nq,nowhere\n", "none of the 1 documents that were clicked"),
        ("l.csv", "query,document\nq,\n", "has no click"),
        ("l.csv", "query,document,count\nq,geese,many\n", "l.csv:2: count 'many'"),
        ("l.csv", b"query,document\nq\xff,geese\n", "is not UTF-8"),
        ("l.jsonl", '{"query": 1, "document": "d"}\n', "query 1; expected a text"),
        ("l.jsonl", "{}\n", "a line has nothing; expected 'query'"),
        ("l.jsonl", '{"query": "q"}\n', "a line has 'query'; expected 'document'"),
        ("l.jsonl", '{"query": "q", "clicks": 3}\n', "clicks 3; expected a list"),
        ("l.jsonl", '{"query": "q", "document": "geese", "count": -1}\n', "count -1"),
        ("l.txt", "q\n", "expected a search log as .csv or .jsonl"),
        ("none.csv", None, "cannot be read"),
    ],
)
def test_a_log_that_cannot_be_used(
    tmp_path: Path, name: str, content: str | bytes | None, said: str
) -> None:
    if content is not None:
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=said) as caught:
        read_log(tmp_path / name, known)
    assert "\n" not in str(caught.value)


def test_too_few_clicks_are_said(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("query,document\nq,geese\n")
    with pytest.raises(InputError, match="no document has 2 clicks"):
        read_log(tmp_path / "l.csv", known, min_clicks=2)


def test_a_file_of_queries(tmp_path: Path) -> None:
    (tmp_path / "q.txt").write_text("one  two\n\nthree\n")
    assert [query.text for query in read_queries(tmp_path / "q.txt")] == ["one two", "three"]
    (tmp_path / "q.txt").write_text("\n")
    with pytest.raises(InputError, match="holds no query"):
        read_queries(tmp_path / "q.txt")


# Proposals


def test_proposals_come_from_headings_titles_and_docstrings() -> None:
    found = propose(DOCUMENTS, 10)
    assert {(q.text, q.of, q.relevant) for q in found.queries} == {
        ("Locks of writers", "title", ("locks.md",)),
        ("Who may read", "heading", ("locks.md",)),
        ("Wait until the löck is free.", "docstring", ("wait.py",)),
        ("How geese fly", "title", ("geese",)),
    }
    assert (found.found, found.ambiguous) == (4, 1)


def test_proposals_are_the_same_for_the_same_seed_whatever_the_order() -> None:
    asked = propose(DOCUMENTS, 3, seed=1).queries
    assert asked == propose(DOCUMENTS[::-1], 3, seed=1).queries
    assert len({query.relevant for query in asked}) == 3  # each document gives one first
    assert {propose(DOCUMENTS, 3, seed=seed).queries[0] for seed in range(20)} > {asked[0]}


def test_nothing_to_propose_is_said() -> None:
    with pytest.raises(InputError, match="nothing can be proposed"):
        propose([Document("a", "text"), *DOCUMENTS[3:]], 1)


def test_what_is_asked_is_taken_out_of_its_document() -> None:
    left = without(DOCUMENTS[0], {"Who may read"})
    assert "Who may read" not in left.text
    assert left.text.count(MORE.strip()) == 3
    assert (left.title, "# Locks of writers" in left.text) == ("Locks of writers", True)
    left = without(DOCUMENTS[0], {"Locks of writers"})
    assert (left.title, "Locks of writers" in left.text) == ("", False)
    left = without(DOCUMENTS[1], {"Wait until the löck is free."})
    assert (
        left.text
        == "def wait(lock):\n    \n    while lock.taken:\n        lock.rest()\n    return lock\n"
    )
    left = without(DOCUMENTS[2], {"How geese fly"})
    assert (left.title, left.text[:15]) == ("", "They fly south.")


def test_a_title_in_front_matter_is_taken_out() -> None:
    text = f"---\ntitle: How hens sit\n---\n\n{MORE}\n"
    document = Document("h.md", text, "How hens sit", {"language": "markdown"})
    (query,) = propose([document], 1).queries
    assert query.text == "How hens sit"
    assert "hens" not in without(document, {query.text}).text


@given(st.text(max_size=300), st.sampled_from(["markdown", "rst", "python", "text"]))
def test_any_text_can_be_read_for_proposals(text: str, language: str) -> None:
    document = Document("a", text, "", {"language": language})
    assert without(document, {"no such query"}).text.split() == text.split()


# The journal


def test_the_last_judgement_counts_and_a_person_before_a_log(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.jsonl")
    journal.add_all([("q1", "a", 1), ("q1", "b", 1)], "log")
    journal.add("q1", "a", 0, "judge")
    journal.add("q1", "a", 3, "judge")
    journal.add_all([("q1", "a", 1), ("q1", "b", 1)], "log")
    journal.add("q1", "c", None, "judge")
    for one in (journal, Journal(tmp_path / "j.jsonl")):
        assert one.grades() == {"q1": {"a": 3, "b": 1}}
        assert one.by_judge("q1", "c") and not one.by_judge("q1", "b")
    assert len((tmp_path / "j.jsonl").read_text().splitlines()) == 5


def test_a_line_that_was_cut_off_is_dropped_and_the_next_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    Journal(path).add_all([("q1", "a", 1), ("q1", "ä" * 200, 2)], "judge")
    data = path.read_bytes()
    second = data.index(b"\n") + 1
    for cut in [*range(second, len(data), 61), len(data) - 1]:
        path.write_bytes(data[:cut])
        assert Journal(path).grades() == {"q1": {"a": 1}}
        Journal(path).add("q2", "b", 3, "judge")
        assert Journal(path).grades() == {"q1": {"a": 1}, "q2": {"b": 3}}
        assert path.read_bytes().endswith(b"\n")


@pytest.mark.parametrize("line", ["{}", "[1]", "x", '{"query": "q", "document": "d"}'])
def test_a_damaged_journal_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "j.jsonl").write_text(f"{line}\n")
    with pytest.raises(InputError, match=r"j\.jsonl:1: .*expected a judgement"):
        Journal(tmp_path / "j.jsonl")


def test_a_killed_judge_loses_nothing(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from retrieval.eval.testset.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "for at in range(5):\n    journal.add('q', f'd{at}', at % 4, 'judge')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = tmp_path / "j.jsonl"
    done = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert done.returncode == -9
    assert Journal(path).grades() == {"q": {f"d{at}": at % 4 for at in range(5)}}


# Pools and the walk through them


def test_a_pool_has_the_best_of_every_retriever_and_what_is_named(index: Index) -> None:
    queries = {"q1": "who may read", "q2": "geese fly south"}
    found = list(pools(index, queries, ["lexical", "dense"], depth=1, also=lambda id: ["wait.py"]))
    assert [(pool.query, pool.text) for pool in found] == list(queries.items())
    ids = {pool.query: {one.document for one in pool.candidates} for pool in found}
    for id, text in queries.items():
        best = {
            index.search(text, 1, retriever=name)[0].document_id for name in ("lexical", "dense")
        }
        assert ids[id] == best | {"wait.py"}
    geese = next(one for one in found[1].candidates if one.document == "geese")
    assert "fly south" in geese.passages[0]


def test_the_order_of_a_pool_is_that_of_its_seed_and_not_of_ranks(index: Index) -> None:
    def order(seed: int) -> list[str]:
        (pool,) = pools(index, {"q1": "it waits"}, ["lexical", "late"], depth=5, seed=seed)
        return [one.document for one in pool.candidates]

    assert order(0) == order(0)
    assert len({tuple(order(seed)) for seed in range(10)}) > 1
    assert all(sorted(order(seed)) == sorted(order(0)) for seed in range(10))


def _pools() -> Iterator[Pool]:
    for query in ("q1", "q2"):
        yield Pool(query, query, tuple(Candidate(id, "", None, (id,)) for id in ("a", "b")))


def _place(judging: Judging) -> tuple[str, str] | None:
    shown = judging.current
    return None if shown is None else (shown.query, shown.candidate.document)


def test_judging_goes_on_back_and_past_what_is_judged(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.jsonl")
    journal.add_all([("q1", "a", 1)], "proposed")
    judging = Judging(_pools(), journal)
    assert not judging.back()
    judging.grade(2)
    judging.skip()
    judging.grade(0)
    assert _place(judging) == ("q2", "b")
    assert judging.back() and judging.back() and judging.back()
    assert _place(judging) == ("q1", "a")
    shown = judging.current
    assert shown is not None and shown.grade == 2
    judging.grade(3)
    assert _place(judging) == ("q2", "b")
    again = Judging(_pools(), Journal(tmp_path / "j.jsonl"))
    assert _place(again) == ("q2", "b")
    assert again.back()
    assert _place(again) == ("q2", "a")
    again.grade(1)
    again.grade(1)
    assert _place(again) is None
    assert again.back()
    assert Journal(tmp_path / "j.jsonl").grades() == {"q1": {"a": 3}, "q2": {"a": 1, "b": 1}}
    with pytest.raises(InputError, match="grade 4 is unknown"):
        again.grade(4)


# The folder


def test_the_folder_is_a_collection(index: Index, tmp_path: Path) -> None:
    made = TestSet(tmp_path / "set", index)
    added = made.add([*typed(["it waits"]), *propose(DOCUMENTS, 10).queries])
    assert (added.new, added.known) == (("q1", "q2", "q3", "q4", "q5"), 0)
    made.journal.add("q1", "geese", 0, "judge")
    made.journal.add("q1", "twice", 2, "judge")
    assert made.write({}).documents == 5
    (found,) = load(str(tmp_path / "set"))
    assert list(found.queries.values()) == [query.text for query in made.queries.values()]
    assert found.judgements["q1"] == {"geese": 0, "twice": 2}
    texts = {document.id: document for document in found.documents}
    assert list(texts) == [document.id for document in DOCUMENTS]
    assert texts["again"].text == DOCUMENTS[4].text
    assert texts["geese"].title == ""
    assert "Who may read" not in texts["locks.md"].text
    assert found.warnings == ()


def test_ids_stay_and_queries_are_added(index: Index, tmp_path: Path) -> None:
    made = TestSet(tmp_path / "set", index)
    made.add(typed(["one two", "three"]))
    made.write({"first": True})
    again = TestSet(tmp_path / "set", index)
    added = again.add(typed(["ONE  two", "four"]))
    assert (added.new, added.known) == (("q3",), 1)
    again.write({"first": False})
    lines = (tmp_path / "set" / "queries.jsonl").read_text().splitlines()
    assert [json.loads(line)["_id"] for line in lines] == ["q1", "q2", "q3"]
    record = json.loads((tmp_path / "set" / "made.json").read_text())
    assert [run["first"] for run in record["runs"]] == [True, False]
    assert record["index"]["fingerprint"] == FakeEncoder().fingerprint
    assert [query["source"] for query in record["queries"]] == ["typed"] * 3


def test_an_index_that_changed_is_noticed(index: Index, tmp_path: Path) -> None:
    made = TestSet(tmp_path / "set", index)
    made.add(propose(DOCUMENTS, 1).queries)
    made.add(typed(["it waits"]))
    made.journal.add("q2", "again", 1, "judge")
    made.write({})
    before = (tmp_path / "set" / "corpus.jsonl").stat().st_ino
    written = TestSet(tmp_path / "set", index).write({})
    assert (written.added, written.changed, written.gone) == (0, 0, 0)
    assert (tmp_path / "set" / "corpus.jsonl").stat().st_ino == before
    # More that is taken out is no change of the index.
    more = TestSet(tmp_path / "set", index)
    more.add(propose(DOCUMENTS, 10).queries)
    assert more.write({}).changed == 0
    index.delete(["again"])
    index.add([Document("new", "A new one."), Document("twice", "Another text.")])
    written = TestSet(tmp_path / "set", index).write({})
    assert (written.documents, written.added, written.changed) == (5, 1, 1)
    assert (written.gone, written.judged_gone) == (1, 1)
    assert "A new one." in (tmp_path / "set" / "corpus.jsonl").read_text()


def test_another_index_is_refused(index: Index, tmp_path: Path) -> None:
    made = TestSet(tmp_path / "set", index)
    made.add(typed(["it waits"]))
    made.write({})
    corpus = (tmp_path / "set" / "corpus.jsonl").read_bytes()
    with Index.create(tmp_path / "other", encoder=FakeEncoder()) as other:
        with pytest.raises(InputError, match="holds no document"):
            TestSet(tmp_path / "set", other)
        other.add([Document("x", "y")])
        with pytest.raises(InputError, match="has none of the 5 documents"):
            TestSet(tmp_path / "set", other).write({})
    assert (tmp_path / "set" / "corpus.jsonl").read_bytes() == corpus


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("corpus.jsonl", "", "holds something else"),
        ("made.json", "{", "cannot be read"),
        ("made.json", '{"schema_version": 1}', "cannot be read"),
        ("made.json", '{"schema_version": 2, "queries": []}', "schema version 2"),
        ("made.json", '{"schema_version": 1, "queries": [{"id": "x"}]}', "cannot be read"),
    ],
)
def test_a_folder_that_is_none_is_refused(
    index: Index, tmp_path: Path, name: str, content: str, said: str
) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / name).write_text(content)
    with pytest.raises(InputError, match=said) as caught:
        TestSet(tmp_path / "set", index)
    assert "\n" not in str(caught.value)


def test_ids_with_tabs_and_quotes_come_back(tmp_path: Path) -> None:
    ids = ['a "b"', "c\td", "e%20f g"]
    with Index.create(tmp_path / "index", encoder=FakeEncoder()) as index:
        index.add([Document(id, f"text {at}") for at, id in enumerate(ids)])
        made = TestSet(tmp_path / "set", index)
        made.add(typed(["text"]))
        made.journal.add_all([("q1", id, 1) for id in ids], "judge")
        made.write({})
    (found,) = load(str(tmp_path / "set"))
    assert set(found.judgements["q1"]) == set(ids)
