import json
from dataclasses import fields
from pathlib import Path

import pytest

from retrieval.errors import StorageError
from retrieval.service import updating
from retrieval.sync import SyncReport
from retrieval.types import LateOptions
from tests.cli.conftest import Retrieval


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
        "left out (`retrieval index --dry-run` lists all, and how to include them):\n"
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
        assert done.err == "index: ../.retrieval (--index .retrieval for one in this folder)\n"
    assert not (folder / "docs" / ".retrieval").exists()
    assert indexed("search", "later", "-k", 1).out.startswith("1  new.md:3  ")
    report = json.loads(indexed("index", "--json").out)
    assert (report["index"], report["unchanged"]) == ("../.retrieval", 3)
    own = indexed("index", ".", "--index", ".retrieval")
    assert own.out.split(";")[0] == ".retrieval: 3 added"
    assert "index: " not in own.err


def test_problems_name_paths_as_typed_from_the_current_folder(
    indexed: Retrieval, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "docs" / "bad.jsonl").write_text('{"text": "good"}\n{"text": \n')
    monkeypatch.chdir(folder / "docs")
    for option in ((), ("--dry-run", "--max-bytes", "20")):
        said = indexed("index", *option).err
        assert "problems:\n  bad.jsonl:" in said


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
    said = "was made with --passage-tokens 64, not with --passage-tokens 65; leave it out"
    assert said in refused.err


LATE = {
    "bits": 2,
    "pooling": 3,
    "pooling_distance": 0.9,
    "exact_passages": 5,
    "list_passages": 50,
}


def test_the_options_of_late_interaction_are_set_once(retrieval_command: Retrieval) -> None:
    given = [part for name, n in LATE.items() for part in (f"--{name.replace('_', '-')}", n)]
    assert retrieval_command("index", "docs", *given).code == 0
    assert retrieval_command("index", "docs", *given).code == 0
    assert retrieval_command("index", "docs").code == 0
    status = json.loads(retrieval_command("status", "--json").out)
    assert status["late"] == LATE
    assert sum(status["regimes"].values()) == status["passages"] == 3
    line = "2 bits beyond 5, lists beyond 50, pooling 3 to a distance of 0.9\n"
    assert f"late         3 passages exact; {line}" in retrieval_command("status").out
    others = {
        "bits": 4,
        "pooling": 1,
        "pooling_distance": 1.5,
        "exact_passages": 6,
        "list_passages": 51,
    }
    for name, other in others.items():
        option = f"--{name.replace('_', '-')}"
        refused = retrieval_command("index", "docs", option, other)
        assert refused.code == 2
        said = f"was made with {option} {LATE[name]}, not with {option} {other}; leave it out"
        assert said in refused.err


def test_an_option_that_the_index_was_made_without(retrieval_command: Retrieval) -> None:
    assert retrieval_command("index", "docs").code == 0
    refused = retrieval_command("index", "docs", "--bits", 4)
    assert "was made without --bits, not with --bits 4; leave it out" in refused.err
    refused = retrieval_command("index", "docs", "--long-context")
    said = "was made without --long-context, not with --long-context; leave it out"
    assert (refused.code, said in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("index", "docs", "--bits", "3"), "--bits 3 cannot be used"),
        (("index", "docs", "--pooling-distance", "9"), "--pooling-distance 9.0 cannot be used"),
        (("search", "lock", "--min-relevance", "nan"), "--min-relevance nan is not a relevance"),
        (("search", "lock", "--rescore", "3"), "--rescore 3 is for late interaction"),
        (("index", "docs", "--small"), "the index at .retrieval was not made with --small"),
        (("export", "--to", "parquet", "x", "--name", "a name=b"), "name 'a name=b'"),
    ],
)
def test_an_error_names_the_option_where_python_names_the_argument(
    indexed: Retrieval, arguments: tuple[str, ...], said: str
) -> None:
    failed = indexed(*arguments)
    assert (failed.code, failed.err.startswith(f"error: {said}")) == (2, True), failed.err
    message = json.loads(indexed(*arguments, "--json").out)["error"]["message"]
    assert message.startswith(said)


def test_a_small_index(retrieval_command: Retrieval) -> None:
    assert retrieval_command("index", "docs", "--small").code == 0
    assert LateOptions(**json.loads(retrieval_command("status", "--json").out)["late"]) == (
        LateOptions.small()
    )
    assert retrieval_command("index", "docs", "--small").code == 0
    refused = retrieval_command("index", "docs", "--pooling", 1)
    assert "was made with --pooling 4, not with --pooling 1; leave it out" in refused.err


def test_options_are_compared_with_the_index_only(retrieval_command: Retrieval) -> None:
    """A value that the defaults alone would not go with is fine where the index has it so."""
    made = ("--exact-passages", 300_000, "--list-passages", 400_000)
    assert retrieval_command("index", "docs", *made).code == 0
    assert retrieval_command("index", "docs", *made[:2]).code == 0
    wrong = retrieval_command("index", "docs", "--pooling", 9)
    assert wrong.code == 2
    assert "--pooling 9 cannot be used; choose from 1, 2, 3, 4" in wrong.err


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


def test_a_dry_run_right_after_writing_compares_contents(indexed: Retrieval, folder: Path) -> None:
    """The times of files that were indexed as soon as they were written say nothing."""
    locks = folder / "docs" / "locks.md"
    same = locks.read_bytes()
    locks.write_bytes(same)
    indexed("index")
    assert indexed("index", "--dry-run").out.startswith("0 new, 0 changed, 0 gone, ")
    locks.write_bytes(same[::-1])
    assert "changed   docs/locks.md\n" in indexed("index", "--dry-run").out


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
