import io
import json
import os
import shutil
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from retrieval import Hit, TokenMatch
from tests.cli.conftest import Retrieval


def test_search_shows_place_relevance_headings_finders_and_lines(indexed: Retrieval) -> None:
    found = indexed("search", "who", "comes", "second", "--retriever", "lexical")
    assert found.code == 0
    place, relevance, about, finders = found.out.splitlines()[0].split("  ")[1:]
    assert (place, about, finders) == ("docs/locks.md:9", "Locks > Waiting", "(lexical 1)")
    assert 0 < float(relevance) < 1
    assert "    Who comes second is refused." in found.out.splitlines()


def test_search_works_from_a_folder_below(
    indexed: Retrieval, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "src" / "deep").mkdir(parents=True)
    monkeypatch.chdir(folder / "src" / "deep")
    found = indexed("search", "refused", "-k", 1)
    assert found.out.startswith("1  ../../docs/locks.md:9  ")
    assert found.err == "index: ../../.retrieval\n"
    named = indexed("search", "refused", "-k", 1, "--index", "../../.retrieval")
    assert (named.out, named.err) == (found.out, "")


@pytest.mark.parametrize("retriever", ["lexical", "dense", "late", "hybrid"])
def test_every_retriever_answers(indexed: Retrieval, retriever: str) -> None:
    found = json.loads(indexed("search", "refused", "--retriever", retriever, "--json").out)
    assert len(found) == (1 if retriever == "lexical" else 3)
    expected = {"lexical", "dense", "late"} if retriever == "hybrid" else {retriever}
    assert set(found[0]["ranks"]) == expected


@pytest.mark.parametrize("retriever", ["late", "hybrid"])
def test_search_explains(indexed: Retrieval, retriever: str) -> None:
    arguments = ("search", "second refused", "-k", 2, "--retriever", retriever, "--explain")
    shown = indexed(*arguments).out
    assert " -> " in shown
    hits = json.loads(indexed(*arguments, "--json").out)
    for hit in hits:
        assert len(hit["explain"]) == 2
        assert set(hit["explain"][0]) == {field.name for field in fields(TokenMatch)}
    plain = json.loads(indexed(*arguments[:-1], "--json").out)
    assert [hit | {"explain": 0} for hit in plain] == [hit | {"explain": 0} for hit in hits]


def test_search_rescores(indexed: Retrieval) -> None:
    arguments = ("search", "second refused", "--retriever", "late", "--json")
    plain = json.loads(indexed(*arguments).out)
    rescored = json.loads(indexed(*arguments, "--rescore", 2).out)
    assert {hit["document_id"] for hit in rescored} == {hit["document_id"] for hit in plain}
    assert rescored[0]["score"] == pytest.approx(plain[0]["score"], rel=0.02)
    assert rescored[0]["score"] != plain[0]["score"]  # of vectors that were not rounded
    assert rescored[2] == plain[2]
    refused = indexed("search", "second", "--rescore", 2)
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert "is for late interaction" in refused.err


@pytest.mark.parametrize("retriever", ["lexical", "dense"])
def test_only_late_interaction_explains(indexed: Retrieval, retriever: str) -> None:
    refused = indexed("search", "second", "--explain", "--retriever", retriever)
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert (
        f"which '{retriever}' does not use; search with the retriever late or hybrid" in refused.err
    )


def test_search_as_json_lists_hits_with_every_field(indexed: Retrieval) -> None:
    hits = json.loads(indexed("search", "lock", "--json", "-k", 2).out)
    named = {field.name for field in fields(Hit)} | {"heading", "symbol", "place"}
    assert [set(hit) for hit in hits] == [named] * 2
    assert indexed("search", "zebra", "--retriever", "lexical", "--json").out == "[]\n"


def test_search_filters(indexed: Retrieval) -> None:
    found = indexed("search", "lock", "--where", 'title == "Readers"', "--json")
    assert {hit["document_id"] for hit in json.loads(found.out)} == {"docs/readers.md"}


def test_search_reads_a_query_from_standard_input(
    indexed: Retrieval, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("who is\nrefused?\n"))
    assert indexed("search", "-", "-k", 1).out.startswith("1  docs/locks.md:9  ")


def test_finding_nothing_is_no_failure(indexed: Retrieval) -> None:
    found = indexed("search", "zebra", "--retriever", "lexical")
    assert (found.code, found.out, found.err) == (0, "", "nothing found\n")


def test_that_nothing_is_relevant_enough_is_said_in_a_line(indexed: Retrieval) -> None:
    every = json.loads(indexed("search", "lock", "--json").out)
    assert every
    asked = indexed("search", "lock", "--min-relevance", 1)
    best = every[0]
    assert best["relevance"] < 1
    assert (asked.code, asked.out, asked.err) == (
        0,
        "",
        f"nothing has a relevance of 1 or more; the best has {best['relevance']:.2f}: "
        f"{best['path']}\n",
    )
    assert indexed("search", "lock", "--min-relevance", 1, "--json").out == "[]\n"
    some = indexed("search", "lock", "--min-relevance", best["relevance"], "--json")
    assert json.loads(some.out)[0] == best
    beyond = indexed("search", "lock", "--min-relevance", 1.5)
    assert beyond.code == 2


def test_a_file_is_one_hit_and_its_copies_are_folded_unless_asked(
    indexed: Retrieval, folder: Path
) -> None:
    for name in ("one", "two"):
        (folder / "docs" / f"{name}.md").write_text(
            f"# Zebras\n\nA zebra has {'stripes ' * 300}.\n\n# Herds\n\nZebras live in herds.\n"
        )
    indexed("index", "docs")

    def found(*options: str) -> list[dict[str, object]]:
        asked = indexed("search", "zebra", "--retriever", "lexical", "--json", *options)
        return list(json.loads(asked.out))

    passages = len(found())
    assert passages > 1
    assert [hit["copy_count"] for hit in found()] == [1] * passages
    assert [hit["copy_count"] for hit in found("--copies")] == [0] * (2 * passages)
    (one,) = found("--group", "document")
    assert len(one["others"]) == passages - 1  # type: ignore[arg-type]
    assert len(found("--group", "document", "--copies")) == 2
    shown = indexed("search", "zebra", "--retriever", "lexical").out
    assert shown.count("\n1  ") + shown.startswith("1  ") == 1
    assert "the same text in 1 other place: " in shown


def test_a_search_says_that_files_have_changed(indexed: Retrieval, folder: Path) -> None:
    def told() -> str:
        return indexed("search", "lock", "-k", 1).err

    def long_ago(path: Path) -> None:
        os.utime(path, (1_600_000_000, 1_600_000_000))

    for path in (folder / "docs").iterdir():
        long_ago(path)
    indexed("index")
    assert told() == ""
    (folder / "docs" / "locks.md").write_text("# Locks\n\nNobody waits.\n")
    said = "files have changed since they were indexed: 1 changed, such as docs/locks.md; "
    assert told() == f"{said}`retrieval index` brings them up to date\n"
    long_ago(folder / "docs" / "locks.md")
    indexed("index")
    assert told() == ""
    (folder / "docs" / "locks.md").unlink()
    assert ": 1 gone, such as docs/locks.md; " in told()
    indexed("index")
    (folder / "docs" / "new.md").write_text("# New\n")
    (folder / "docs" / "new.png").write_bytes(b"\x89PNG")
    assert ": 1 new, such as docs/new.md; " in told()
    shown = indexed("search", "lock", "--index", ".retrieval", "--json")
    assert "`retrieval index --index .retrieval` brings" in shown.err
    assert isinstance(json.loads(shown.out), list)


@pytest.fixture
def numbered(retrieval_command: Retrieval, folder: Path) -> Retrieval:
    """An index of a text of lines that are numbered, several passages long."""
    lines = [f"line {n} says {'needle' if n == 150 else 'nothing'} of note" for n in range(1, 301)]
    (folder / "docs" / "numbered.txt").write_text("\n".join(lines) + "\n")
    assert retrieval_command("index", "docs", "--passage-tokens", 40).code == 0
    return retrieval_command


def test_search_shows_lines_around_those_that_match(numbered: Retrieval) -> None:
    def rows(*options: object) -> list[str]:
        found = numbered("search", "needle", "-k", 1, "--retriever", "lexical", *options)
        head, *rest = found.out.splitlines()
        assert head.startswith("1  docs/numbered.txt:1")
        return [row.split()[1] for row in rest if row.startswith("    line")]

    plain = [int(number) for number in rows()]
    assert 150 in plain and len(plain) == 3
    assert rows("--context", 0) == rows()
    # A passage of 40 tokens has some five lines: what is around them comes from the document.
    around = [int(number) for number in rows("-C", 12)]
    assert around == list(range(plain[0] - 12, plain[-1] + 13))
    assert [int(number) for number in rows("-C", 1000)] == list(range(1, 301))


def test_search_tells_what_is_around_a_passage(numbered: Retrieval) -> None:
    arguments = ("search", "needle", "-k", 1, "--retriever", "lexical", "--json")
    (plain,) = json.loads(numbered(*arguments).out)
    assert "before" not in plain and "after" not in plain
    (hit,) = json.loads(numbered(*arguments, "--context", 2).out)
    assert {key: value for key, value in hit.items() if key in plain} == plain
    lines = [*hit["before"], *hit["text"].splitlines(), *hit["after"]]
    numbers = [int(line.split()[1]) for line in lines]
    assert numbers == list(range(hit["start_line"] - 2, hit["end_line"] + 3))


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ('langauge == "python"', "no document has the key 'langauge'; did you mean language?"),
        ('format == "markdwon"', "no document has \"markdwon\" as 'format'; did you mean"),
        (
            'zzz > 3 and path glob "x"',
            "no document has the key 'zzz'; documents have extension,",
        ),
        ('format == "pdf"', ""),
        ('heading == "Nobody"', ""),
    ],
)
def test_a_filter_that_fits_nothing_names_what_no_document_has(
    indexed: Retrieval, where: str, said: str
) -> None:
    found = indexed("search", "lock", "--where", where)
    assert (found.code, found.out) == (0, "")
    assert found.err.startswith(f"nothing found\n--where: {said}" if said else "nothing found\n")
    assert found.err.count("\n") == (2 if said else 1)
    for command in (("search", "lock", "--json"), ("list",), ("delete",)):
        done = indexed(*command, "--where", where)
        assert done.code == 0
        assert done.err.startswith(f"--where: {said}" if said else "")
        assert bool(done.err) is bool(said)


def test_a_hint_takes_keys_that_are_no_plain_words(
    retrieval_command: Retrieval, folder: Path
) -> None:
    (folder / "rows.jsonl").write_text(
        '{"id": "1", "text": "lock", "my key": "red 1", "a.b": "red 1", "n": 5}\n'
    )
    assert retrieval_command("index", "rows.jsonl").code == 0
    for where, hint in (
        ('`my key` == "red 2"', 'no document has "red 2" as \'my key\'; did you mean "red 1"?'),
        ('`a.b` == "red 2"', 'no document has "red 2" as \'a.b\'; did you mean "red 1"?'),
        ('n == "5"', "no document has \"5\" as 'n'; did you mean 5?"),
        ('n == "7"', ""),
    ):
        found = retrieval_command("search", "lock", "--where", where)
        assert (found.code, found.out) == (0, "")
        assert found.err == "nothing found\n" + (f"--where: {hint}\n" if hint else "")


def test_later_hits_and_files_alone(indexed: Retrieval, folder: Path) -> None:
    first = indexed("search", "lock", "-k", 1)
    other = indexed("search", "lock", "-k", 1, "--offset", 1)
    assert (first.out.split()[0], other.out.split()[0]) == ("1", "2")
    places = [found.out.split()[1].partition(":")[0] for found in (first, other)]
    assert sorted(places) == ["docs/locks.md", "docs/readers.md"]
    for options in (("-l",), ("--files", "--group", "passage")):
        named = indexed("search", "lock", *options)
        assert sorted(named.out.splitlines()) == sorted(places)
    shutil.copy(folder / "docs" / "locks.md", folder / "docs" / "again.md")
    assert indexed("index").code == 0
    copied = indexed("search", "lock", "-l").out.splitlines()
    assert sorted(copied) == sorted([*places, "docs/again.md"])  # no file is left out as a copy
    none = indexed("search", "lock", "--offset", 20)
    assert (none.code, none.out, none.err) == (0, "", "no hit beyond the first 20\n")
    refused = indexed("search", "lock", "-l", "--json")
    assert (refused.code, json.loads(refused.out)["error"]["type"]) == (2, "InputError")


def test_few_of_each_document_and_hits_that_differ(
    retrieval_command: Retrieval, tmp_path: Path
) -> None:
    alike = "\n\n".join(f"# Part {n}\n\nThe lock keeps writers apart." for n in range(4))
    (tmp_path / "long.md").write_text(alike)
    (tmp_path / "other.md").write_text("A lock of hair, and nothing about files.\n")
    made = ("index", "long.md", "other.md", "--index", "own", "--passage-tokens", 12)
    assert retrieval_command(*made).code == 0
    asked = ("search", "lock that keeps writers apart", "--index", "own", "--copies", "--json")

    def sources(*options: str) -> list[str]:
        return [hit["document_id"] for hit in json.loads(retrieval_command(*asked, *options).out)]

    assert sources().count("long.md") > 1
    assert sources("--per-group", "1") == ["long.md", "other.md"]
    assert "other.md" in sources("--diversity", "1")[:2]
    assert retrieval_command(*asked, "--diversity", "2").code == 2
