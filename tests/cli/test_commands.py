import io
import json
import os
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from retrieval import Hit, TokenMatch, __version__
from retrieval.errors import StorageError
from retrieval.index import CompactReport, IndexStatus
from retrieval.service import updating
from retrieval.sync import SyncReport
from tests.cli.conftest import Retrieval


@pytest.fixture
def indexed(retrieval_command: Retrieval) -> Retrieval:
    assert retrieval_command("index", "docs").code == 0
    return retrieval_command


def test_index_reports_what_it_did_and_then_that_nothing_changed(
    retrieval_command: Retrieval, folder: Path
) -> None:
    first = retrieval_command("index", "docs")
    assert first.code == 0
    assert first.out.startswith(".retrieval: 2 added; ")
    assert first.out.endswith(" tokens/s)\n")
    assert first.err == ""
    assert retrieval_command("index", "docs").out == ".retrieval: 2 unchanged\n"
    (folder / "docs" / "readers.md").unlink()
    (folder / "docs" / "locks.md").write_text("# Locks\n\nNothing is as it was.\n")
    third = retrieval_command("index", "docs").out
    assert third.startswith(".retrieval: 1 updated, 1 deleted; 1 passage, ")


def test_index_counts_what_it_skips_and_names_what_went_wrong(
    retrieval_command: Retrieval, folder: Path
) -> None:
    (folder / "docs" / ".hidden").write_text("x")
    (folder / "docs" / "picture.png").write_bytes(b"\x89PNG")
    (folder / "docs" / "bad.jsonl").write_text('{"text": "good"}\n{"text": \n')
    done = retrieval_command("index", "docs")
    assert done.code == 0
    assert done.out.startswith(".retrieval: 3 added; ")
    assert done.err.startswith(
        "left out (`retrieval index --dry-run` lists all, and how to take them in):\n"
        "  1 binary: 1 .png, such as docs/picture.png\n"
        "  1 hidden: 1 .hidden, such as docs/.hidden\n"
        "  .png: pictures hold no text; where they show some, recognise it, as by Tesseract: "
        "tesseract FILE FILE\n"
        "problems:\n  docs/bad.jsonl:2: not JSON"
    )


def test_a_first_run_that_fails_leaves_no_index(
    retrieval_command: Retrieval, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*given: object, **options: object) -> None:
        raise StorageError("no space left; free some and run it again")

    with monkeypatch.context() as patched:
        patched.setattr(updating, "update", fails)
        assert retrieval_command("index", "docs").code == 1
    assert not (folder / ".retrieval").exists()
    assert retrieval_command("index", "docs").code == 0
    with monkeypatch.context() as patched:
        patched.setattr(updating, "update", fails)
        assert retrieval_command("index", "docs").code == 1
    assert "readers.md" in retrieval_command("search", "readers").out


def test_index_as_json_has_every_field_of_the_report(retrieval_command: Retrieval) -> None:
    report = json.loads(retrieval_command("index", "docs", "--json").out)
    assert set(report) == {"index", "left_out_files"} | {field.name for field in fields(SyncReport)}
    assert (report["index"], report["added"]) == (".retrieval", 2)


def test_index_goes_where_it_is_told(retrieval_command: Retrieval, folder: Path) -> None:
    assert retrieval_command("index", "docs", "--index", "elsewhere").code == 0
    assert not (folder / ".retrieval").exists()
    assert retrieval_command("search", "lock", "--index", "elsewhere").code == 0


def test_index_in_a_folder_below_brings_the_projects_index_up_to_date(
    indexed: Retrieval, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "docs" / "new.md").write_text("# New\n\nIt came later.\n")
    monkeypatch.chdir(folder / "docs")
    for given in ((), (".",), ("new.md",)):
        done = indexed("index", *given)
        assert done.code == 0
        assert done.out.startswith("../.retrieval: ")
        assert done.err == "index: ../.retrieval (--index .retrieval for one of this folder)\n"
    assert not (folder / "docs" / ".retrieval").exists()
    assert indexed("search", "later", "-k", 1).out.startswith("1  new.md:1  ")
    report = json.loads(indexed("index", "--json").out)
    assert (report["index"], report["unchanged"]) == ("../.retrieval", 3)
    own = indexed("index", ".", "--index", ".retrieval")
    assert own.out.split(";")[0] == ".retrieval: 3 added"
    assert "index: " not in own.err


def test_index_remembers_what_it_was_given(indexed: Retrieval, folder: Path) -> None:
    (folder / "README.md").write_text("# Read me\n")
    indexed("index", "README.md")
    (folder / "docs" / "new.md").write_text("# New\n")
    (folder / "README.md").write_text("# Read me again\n")
    assert indexed("index").out.startswith(".retrieval: 1 added, 1 updated, 2 unchanged; ")
    (folder / "docs").rename(folder / "handbook")
    moved = indexed("index", "handbook")
    assert moved.out.startswith(".retrieval: 3 moved; ")
    assert moved.err == (
        "problems:\n  docs: is gone; its documents left the index, except those found in another "
        "place\n"
    )
    assert indexed("index").out == ".retrieval: 4 unchanged\n"


def test_index_without_paths_needs_an_index(retrieval_command: Retrieval, folder: Path) -> None:
    for arguments in ((), ("--index", "none")):
        refused = retrieval_command("index", *arguments)
        assert (refused.code, refused.out, refused.err.count("\n")) == (1, "", 1)
        assert "no index " in refused.err
        assert "`retrieval index PATH`" in refused.err
    assert not (folder / "none").exists()


def test_index_reads_all_again_on_demand(indexed: Retrieval) -> None:
    assert indexed("index", "--again").out == ".retrieval: 2 unchanged\n"


def test_the_length_of_passages_is_set_once(retrieval_command: Retrieval) -> None:
    assert retrieval_command("index", "docs", "--passage-tokens", 64).code == 0
    assert retrieval_command("index", "docs", "--passage-tokens", 64).code == 0
    assert retrieval_command("index", "docs").code == 0
    assert json.loads(retrieval_command("status", "--json").out)["passage_tokens"] == 64
    refused = retrieval_command("index", "docs", "--passage-tokens", 65)
    assert refused.code == 2
    assert "was made with passage_tokens=64, not 65; leave it out" in refused.err


LATE = {"bits": 2, "pooling": 3, "exact_passages": 5, "list_passages": 50}


def test_the_options_of_late_interaction_are_set_once(retrieval_command: Retrieval) -> None:
    given = [part for name, n in LATE.items() for part in (f"--{name.replace('_', '-')}", n)]
    assert retrieval_command("index", "docs", *given).code == 0
    assert retrieval_command("index", "docs", *given).code == 0
    assert retrieval_command("index", "docs").code == 0
    status = json.loads(retrieval_command("status", "--json").out)
    assert status["late"] == LATE
    assert sum(status["regimes"].values()) == status["passages"] == 3
    line = "2 bits beyond 5, lists beyond 50, pooling 3\n"
    assert f"late         3 passages exact; {line}" in retrieval_command("status").out
    for name, other in (("bits", 4), ("pooling", 1), ("exact_passages", 6), ("list_passages", 51)):
        option = f"--{name.replace('_', '-')}"
        refused = retrieval_command("index", "docs", option, other)
        assert refused.code == 2
        said = f"was made with {name}={LATE[name]}, not {other}; leave it out"
        assert said in refused.err


def test_a_small_index(retrieval_command: Retrieval) -> None:
    assert retrieval_command("index", "docs", "--small").code == 0
    assert json.loads(retrieval_command("status", "--json").out)["late"]["pooling"] == 2
    assert retrieval_command("index", "docs", "--small").code == 0
    refused = retrieval_command("index", "docs", "--pooling", 1)
    assert "was made with pooling=2, not 1; leave it out" in refused.err


def test_options_are_compared_with_the_index_only(retrieval_command: Retrieval) -> None:
    """A value that the defaults alone would not go with is fine where the index has it so."""
    made = ("--exact-passages", 300_000, "--list-passages", 400_000)
    assert retrieval_command("index", "docs", *made).code == 0
    assert retrieval_command("index", "docs", *made[:2]).code == 0
    wrong = retrieval_command("index", "docs", "--pooling", 9)
    assert wrong.code == 2
    assert "pooling=9 cannot be used; choose from 1, 2, 3, 4" in wrong.err


def test_search_shows_place_relevance_headings_finders_and_lines(indexed: Retrieval) -> None:
    found = indexed("search", "who", "comes", "second", "--retriever", "lexical")
    assert found.code == 0
    place, relevance, about, finders = found.out.splitlines()[0].split("  ")[1:]
    assert (place, about, finders) == ("docs/locks.md:7", "Locks > Waiting", "(lexical 1)")
    assert 0 < float(relevance) < 1
    assert "    Who comes second is refused." in found.out.splitlines()


def test_search_works_from_a_folder_below(
    indexed: Retrieval, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "src" / "deep").mkdir(parents=True)
    monkeypatch.chdir(folder / "src" / "deep")
    found = indexed("search", "refused", "-k", 1)
    assert found.out.startswith("1  ../../docs/locks.md:7  ")
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
    assert indexed("search", "-", "-k", 1).out.startswith("1  docs/locks.md:7  ")


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


def test_status_says_what_there_is(indexed: Retrieval) -> None:
    shown = indexed("status")
    assert shown.code == 0
    facts = dict(line.split(maxsplit=1) for line in shown.out.splitlines())
    assert facts["documents"] == "2 from 2 files"
    assert facts["encoder"] == "fake-words"
    assert facts["vectors"] == "dense of 32, token of 16"
    _, parts = facts["size"].split(": ")
    assert {"dense", "late", "lexical", "store"} <= {part.split()[0] for part in parts.split(", ")}
    report = json.loads(indexed("status", "--json").out)
    assert set(report) == {field.name for field in fields(IndexStatus)}


def test_status_verifies(indexed: Retrieval) -> None:
    assert "verified     every file is what was committed\n" in indexed("status", "--verify").out
    assert json.loads(indexed("status", "--verify", "--json").out)["problems"] == []


def test_options_of_reading_are_remembered(indexed: Retrieval, folder: Path) -> None:
    (folder / "docs" / ".env.md").write_text("# Hidden\n\nzebra\n")
    (folder / "docs" / "old.txt").write_text("giraffe\n")
    done = indexed("index", "--hidden", "--exclude", "old*", "--exclude", "readers.md")
    assert done.out.startswith(".retrieval: 1 added, 1 deleted, 1 unchanged; ")
    assert indexed("index").out == ".retrieval: 2 unchanged\n"
    back = indexed("index", "--no-hidden", "--exclude", "")
    assert back.out.startswith(".retrieval: 2 added, 1 deleted, 1 unchanged; ")
    (folder / "docs" / ".gitignore").write_text("old.txt\n")
    (folder / ".git").mkdir()
    assert indexed("index").out == ".retrieval: 1 deleted, 2 unchanged\n"
    assert indexed("index", "--no-ignore").out.startswith(".retrieval: 1 added, 2 unchanged")
    assert indexed("index").out == ".retrieval: 3 unchanged\n"
    assert indexed("index", "--include", "old.txt", "--ignore").out == ".retrieval: 3 unchanged\n"
    (folder / "docs" / "latin.txt").write_bytes("Käse\n".encode("cp437"))
    indexed("index", "--encoding", "cp437")
    assert "Käse" in indexed("search", "Käse", "--retriever", "lexical").out
    (folder / "docs" / "big.txt").write_text("much " * 100)
    assert indexed("index", "--max-bytes", 400).err.count("big.txt: has 500 bytes") == 1
    assert "big.txt: has 500 bytes" in indexed("index").err


def test_a_dry_run_says_what_would_go_in_and_why_not(
    indexed: Retrieval, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "docs" / "readers.md").unlink()
    (folder / "docs" / "locks.md").write_text("# Locks\n\nOthers.\n")
    (folder / "docs" / "new.md").write_text("# New\n")
    (folder / "docs" / ".secret").write_text("x")
    (folder / "docs" / "node_modules" / "x").mkdir(parents=True)
    (folder / "docs" / "node_modules" / "x" / "package.json").write_text("{}")
    before = indexed("status", "--json").out
    monkeypatch.chdir(folder / "docs")
    shown = indexed("index", "--dry-run")
    assert shown.code == 0
    assert shown.out.splitlines() == [
        "new       new.md",
        "changed   locks.md",
        "gone      docs/readers.md",
        "left out  .secret  (hidden)",
        "left out  node_modules/  (dependencies)",
        "1 new, 1 changed, 1 gone, 0 unchanged, 2 left out",
    ]
    assert "  hidden: --hidden or --include GLOB\n  dependencies: --include GLOB\n" in shown.err
    facts = json.loads(indexed("index", "--dry-run", "--json", "--hidden").out)
    assert facts["new"] == ["docs/.secret", "docs/new.md"]
    assert facts["left_out"] == [
        {"id": "docs/node_modules", "reason": "dependencies", "is_folder": True}
    ]
    monkeypatch.chdir(folder)
    assert indexed("status", "--json").out == before
    assert indexed("index", "docs", "--dry-run", "--index", "none").out.splitlines()[-1] == (
        "2 new, 0 changed, 0 gone, 0 unchanged, 2 left out"
    )
    assert not (folder / "none").exists()


def test_list_names_documents_as_one_would_type_them(
    indexed: Retrieval, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "docs" / "sub").mkdir()
    (folder / "docs" / "sub" / "r.jsonl").write_text('{"text": "a"}\n{"_id": "x", "text": "b"}\n')
    indexed("index")
    assert indexed("list").out.splitlines() == [
        "docs/locks.md  2 passages  Locks",
        "docs/readers.md  1 passage  Readers",
        "docs/sub/r.jsonl:1  1 passage",
        "docs/sub/r.jsonl:2  1 passage",
    ]
    monkeypatch.chdir(folder / "docs" / "sub")
    for names, lines in (
        (("r.jsonl",), ["r.jsonl:1  1 passage", "r.jsonl:2  1 passage"]),
        ((".",), ["r.jsonl:1  1 passage", "r.jsonl:2  1 passage"]),
        (("../l*.md",), ["../locks.md  2 passages  Locks"]),
        (("x",), ["r.jsonl:2  1 passage"]),
        (("../*",), 4),
        (("--where", 'title == "Readers"'), ["../readers.md  1 passage  Readers"]),
        (("..", "--where", 'title == "Readers"'), ["../readers.md  1 passage  Readers"]),
    ):
        shown = indexed("list", *names)
        assert shown.code == 0
        found = shown.out.splitlines()
        assert (len(found) if isinstance(lines, int) else found) == lines
    unknown = indexed("list", "r.jsonl", "*.py")
    assert (unknown.code, unknown.err) == (1, "not in the index:\n  *.py\n")
    (one,) = json.loads(indexed("list", "../readers.md", "--json").out)
    assert (one["id"], one["path"], one["passages"]) == ("docs/readers.md", "docs/readers.md", 1)
    assert set(one) == {"id", "path", "title", "passages", "metadata"}


def test_delete_by_path_from_below_and_by_filter(
    indexed: Retrieval, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "more").mkdir()
    for name in ("a.md", "b.md", "c.txt"):
        (folder / "more" / name).write_text(f"about {name}\n")
    indexed("index", "more")
    monkeypatch.chdir(folder / "more")
    assert indexed("delete", "a.md").out == "1 document deleted\n"
    assert indexed("delete", "--where", 'extension == ".txt"').out == "1 document deleted\n"
    assert indexed("delete", "../docs/*", "--where", 'title == "Locks"').out == (
        "1 document deleted\n"
    )
    monkeypatch.chdir(folder)
    assert indexed("index").out.startswith(".retrieval: 3 added, 2 unchanged; ")
    assert indexed("delete", "more").out == "3 documents deleted\n"
    assert indexed("index").out == ".retrieval: 2 unchanged\n", "what is deleted stays away"
    nothing = indexed("delete")
    assert (nothing.code, nothing.err.count("\n")) == (2, 1)
    assert "nothing was named" in nothing.err
    assert indexed("delete", "--where", 'title == "Nobody"').out == "0 documents deleted\n"


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


def test_delete_by_id(indexed: Retrieval) -> None:
    assert indexed("delete", "docs/locks.md").out == "1 document deleted\n"
    assert indexed("search", "refused", "--retriever", "lexical").out == ""
    again = indexed("delete", "docs/locks.md", "docs/readers.md")
    assert (again.code, again.out) == (1, "1 document deleted\n")
    assert again.err == "not in the index:\n  docs/locks.md\n"
    unknown = indexed("delete", "x", "--json")
    assert (unknown.code, json.loads(unknown.out)) == (1, {"deleted": 0, "unknown": ["x"]})


def test_compact_drops_what_was_deleted(indexed: Retrieval) -> None:
    indexed("delete", "docs/readers.md")
    report = json.loads(indexed("compact", "--json").out)
    assert set(report) == {field.name for field in fields(CompactReport)}
    assert report["dropped_passages"] == 1
    assert indexed("compact").out.endswith("; 0 deleted passages dropped\n")


def test_version_and_help(retrieval_command: Retrieval) -> None:
    assert retrieval_command("--version").out == f"retrieval {__version__}\n"
    for arguments in [(), ("--help",), ("-h",)]:
        shown = retrieval_command(*arguments)
        assert shown.code == 0
        assert "Usage: retrieval" in shown.out


def test_status_of_the_machine_needs_no_index(retrieval_command: Retrieval) -> None:
    done = retrieval_command("status", "--machine")
    assert done.code == 0
    assert "\nattention  " in done.out and "\n  not flash_attn  " in done.out
    facts = json.loads(retrieval_command("status", "--machine", "--json").out)
    assert facts["attention"]["used"] in done.out
    assert set(facts["late interaction"]) == {"used", "why_not"}
    refused = retrieval_command("status", "--machine", "--index", "x")
    assert refused.code == 2
    assert refused.err.count("\n") == 1 and "give it alone" in refused.err
