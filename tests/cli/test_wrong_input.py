"""Each: one line that says what, where, and what to do; an exit code; nothing lost."""

import errno
import io
import json
import os
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

import retrieval.index.vectors
import retrieval.sync
from retrieval.documents import ReadOptions, ReadResult, SourceFile
from retrieval.errors import InputError
from retrieval.index import Index
from retrieval.service import contents
from retrieval.store import WriterLock
from retrieval.store.schema import DATABASE, LOCK, SEGMENTS
from tests.cli.conftest import Outcome, Retrieval


def assert_error(outcome: Outcome, code: int, *parts: str) -> None:
    assert outcome.code == code
    assert outcome.out == ""
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1, outcome.err
    for part in parts:
        assert part in outcome.err


COMMANDS = [("search", "lock"), ("status",), ("delete", "x"), ("compact",)]


@pytest.mark.parametrize("arguments", COMMANDS)
def test_no_index_here(retrieval_command: Retrieval, arguments: tuple[str, ...]) -> None:
    cure = "create one with `retrieval index PATH`"
    assert_error(retrieval_command(*arguments), 1, "no index in ", cure)
    given = retrieval_command(*arguments, "--index", "nowhere")
    assert_error(given, 1, "no index at nowhere", cure)


@pytest.mark.parametrize("arguments", COMMANDS)
def test_errors_as_json_stand_on_standard_output(
    retrieval_command: Retrieval, arguments: tuple[str, ...]
) -> None:
    failed = retrieval_command(*arguments, "--index", "nowhere", "--json")
    error = json.loads(failed.out)["error"]
    assert (failed.code, failed.err, error["type"]) == (1, "", "IndexNotFound")
    assert error["message"].startswith("no index at nowhere")


@pytest.mark.parametrize("arguments", [*COMMANDS, ("serve",), ("index", "docs")])
def test_the_folder_that_holds_the_index(indexed: Retrieval, arguments: tuple[str, ...]) -> None:
    failed = indexed(*arguments, "--index", ".")
    assert_error(failed, 1, "no index at .; did you mean .retrieval, where one is?")


def test_the_folder_of_a_collection_in_shards(retrieval_command: Retrieval, folder: Path) -> None:
    (folder / "shards" / "manifests").mkdir(parents=True)
    (folder / "shards" / "CURRENT").write_text("1")
    for arguments in COMMANDS:
        failed = retrieval_command(*arguments, "--index", "shards")
        assert_error(failed, 1, "a collection in shards", (folder / "shards").as_uri())


def test_json_is_no_option_after_two_dashes(retrieval_command: Retrieval) -> None:
    assert_error(retrieval_command("search", "--index", "nowhere", "--", "--json"), 1)


@pytest.mark.parametrize(
    "arguments",
    [
        ("serch", "x"),
        ("search",),
        ("search", "x", "-k", "0"),
        ("search", "x", "-k", "-1"),
        ("search", "x", "-k", "ten"),
        ("search", "x", "--retriever", "bm25"),
        ("search", "x", "--colour"),
        ("index", "docs", "--passage-tokens", "0"),
        ("index", "docs", "--bits", "two"),
        ("--colour",),
    ],
)
def test_a_command_line_that_cannot_be_used(indexed: Retrieval, arguments: tuple[str, ...]) -> None:
    assert_error(indexed(*arguments), 2, "--help`")
    failed = indexed(*arguments, "--json")
    assert (failed.code, json.loads(failed.out)["error"]["type"]) == (2, "UsageError")


def test_an_empty_folder(retrieval_command: Retrieval, folder: Path) -> None:
    (folder / "empty").mkdir()
    done = retrieval_command("index", "empty")
    assert (done.code, done.out) == (0, ".retrieval: no documents\n")
    assert done.err == "no file to index in empty; name a folder that contains text\n"
    found = retrieval_command("search", "anything")
    assert (found.code, found.err) == (0, "nothing found\n")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("index", ""), "PATH"),
        (("index", "--again", "docs", ""), "PATH"),
        (("delete", ""), "PATH"),
        (("delete", "docs/locks.md", "", "--where", 'title == "Locks"'), "PATH"),
        (("list", ""), "PATH"),
        (("open", ""), "HIT"),
        (("search", "lock", "--index", ""), "--index"),
        (("status", "--index="), "--index"),
        (("measure", "--queries", ""), "--queries"),
        (("serve", ""), "URL"),
        (("serve", "--index", ".retrieval", "--index", ""), "--index"),
        (("export", "", "--to", "vespa"), "TARGET"),
        (("model", "info", ""), "SRC"),
        (("model", "export", ""), "DIR"),
        (("eval", "docs", "--out", ""), "--out"),
        (("eval", "compare", "docs", ""), "B"),
        (("train", "docs", "--out", ""), "--out"),
    ],
)
def test_an_empty_path(indexed: Retrieval, arguments: tuple[str, ...], named: str) -> None:
    """As where a script's variable was not set; the system takes it for the current folder."""
    assert_error(indexed(*arguments), 2, f"{named} is empty; give a path")
    assert indexed("list").out.count("\n") == 2
    assert indexed("index").out == ".retrieval: 2 unchanged\n", "nothing was forgotten or given"


def test_an_empty_path_given_to_python(indexed: Retrieval, folder: Path) -> None:
    with Index.open(folder / ".retrieval") as index:
        with pytest.raises(InputError, match="'' is not a path"):
            retrieval.sync.sync(index, ["docs", ""])
        for act in (contents.delete, contents.choose):
            with pytest.raises(InputError, match="a name is empty"):
                act(index, [""])
        assert index.status().documents == 2


def test_an_empty_option_that_takes_back_what_was_given(indexed: Retrieval) -> None:
    assert indexed("index", "--exclude", "", "--label", "").code == 0


def test_a_path_that_does_not_exist(retrieval_command: Retrieval, folder: Path) -> None:
    failed = retrieval_command("index", "docs", "nowhere")
    assert_error(failed, 2, "nowhere does not exist; name a file or a folder that does")
    assert not (folder / ".retrieval").exists()


def test_an_unreadable_file(
    indexed: Retrieval, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks = folder / "docs" / "locks.md"
    locks.write_text("# Locks\n\nChanged beyond recognition.\n")
    real = os.open

    def refuse(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        # Permissions do not stop the tests where they run as root.
        if os.fspath(path) == str(locks):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, flags, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        done = indexed("index", "docs")
    assert done.code == 0
    assert "docs/locks.md: cannot be read (Permission denied)" in done.err
    assert "1 unreadable" in done.err
    assert indexed("search", "refused", "--retriever", "lexical").out != ""


def test_a_binary_file_that_was_named(retrieval_command: Retrieval, folder: Path) -> None:
    (folder / "data").write_bytes(b"text\0\1\2\3" * 100)
    done = retrieval_command("index", "docs", "data")
    assert (done.code, done.out.split(";")[0]) == (0, ".retrieval: 2 added")
    assert "data: holds no text; skipped" in done.err


def test_a_first_file_that_cannot_be_read_leaves_no_index(
    retrieval_command: Retrieval, folder: Path
) -> None:
    (folder / "empty.md").touch()
    assert_error(retrieval_command("index", "empty.md"), 1, "empty.md: is empty; nothing was read")
    assert not (folder / ".retrieval").exists()


def test_a_file_alone_that_cannot_be_read(indexed: Retrieval, folder: Path) -> None:
    (folder / "empty.md").touch()
    (folder / "data").write_bytes(b"text\0\1\2\3" * 100)
    (folder / "broken.docx").write_bytes(b"PK no document")
    kept = "nothing was read, and the index at .retrieval keeps its 2 documents"
    for name, why in (
        ("empty.md", "empty.md: is empty; "),
        ("data", "data: holds no text; "),
        ("broken.docx", "broken.docx: "),
    ):
        assert_error(indexed("index", name), 1, f"error: {why}", kept)
    both = indexed("index", "empty.md", "data")
    assert_error(both, 1, "data: holds no text; empty.md: is empty; ", kept)
    failed = json.loads(indexed("index", "data", "--json").out)["error"]
    assert (failed["type"], kept in failed["message"]) == ("DocumentError", True)
    assert indexed("index", "docs/locks.md", "data").code == 0
    (folder / "docs" / "locks.md").write_text("")
    assert indexed("index", "docs/locks.md").out == ".retrieval: 1 deleted\n"


def test_an_empty_folder_beside_documents(indexed: Retrieval, folder: Path) -> None:
    (folder / "empty").mkdir()
    done = indexed("index", "empty")
    assert (done.code, done.out) == (0, ".retrieval: nothing read, 2 documents as before\n")
    assert done.err == "no file to index in empty; name a folder that contains text\n"


def test_a_huge_file(retrieval_command: Retrieval, folder: Path) -> None:
    huge = folder / "docs" / "huge.txt"
    huge.touch()
    os.truncate(huge, 1_000_000_000)  # a hole: it takes no space
    done = retrieval_command("index", "docs")
    assert (done.code, done.out.split(";")[0]) == (0, ".retrieval: 2 added")
    assert "docs/huge.txt: has 1000000000 bytes and the limit is 67108864" in done.err


def test_a_file_that_is_not_utf8(retrieval_command: Retrieval, folder: Path) -> None:
    (folder / "docs" / "west.txt").write_bytes("Die Tür ist offen.".encode("latin-1"))
    done = retrieval_command("index", "docs")
    assert done.code == 0
    assert "docs/west.txt: not UTF-8 (byte 0xfc at offset 5)" in done.err
    assert "Die Tür ist offen." in retrieval_command("search", "Tür").out


def test_a_file_that_vanishes(
    retrieval_command: Retrieval, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = retrieval.sync.run.read

    def read(source: SourceFile, options: ReadOptions) -> ReadResult:
        if source.path.name == "locks.md":
            source.path.unlink()
        return real(source, options)

    monkeypatch.setattr(retrieval.sync.run, "read", read)
    done = retrieval_command("index", "docs")
    assert (done.code, done.out.split(";")[0]) == (0, ".retrieval: 1 added")
    assert "docs/locks.md: is gone since it was found" in done.err


def test_a_broken_line_of_jsonl(retrieval_command: Retrieval, folder: Path) -> None:
    lines = ['{"text": "zebra"}', "{broken", '{"text": "giraffe"}', '{"no": 1}']
    (folder / "docs" / "records.jsonl").write_text("\n".join(lines))
    done = retrieval_command("index", "docs")
    assert (done.code, done.out.split(";")[0]) == (0, ".retrieval: 4 added")
    assert "docs/records.jsonl:2: not JSON" in done.err
    assert "docs/records.jsonl:4: no text" in done.err
    found = retrieval_command("search", "giraffe", "--retriever", "lexical")
    assert found.out.startswith("1  docs/records.jsonl:3  ")


@pytest.mark.parametrize("query", ["", "   ", "\n"])
def test_an_empty_query(indexed: Retrieval, query: str) -> None:
    assert_error(indexed("search", query), 2, "the query is empty; give at least one word")


@pytest.mark.parametrize("retriever", ["lexical", "dense", "late", "hybrid"])
def test_an_endless_query(
    indexed: Retrieval, retriever: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("refused " + "word " * 100_000))
    found = indexed("search", "-", "--retriever", retriever, "-k", 1)
    assert found.code == 0
    assert found.out.startswith("1  docs/")


def test_input_that_is_not_text(indexed: Retrieval, monkeypatch: pytest.MonkeyPatch) -> None:
    for command in (["search", "-"], ["eval", "make", "t", "--queries", "-"]):
        given = io.TextIOWrapper(io.BytesIO(b"lock\xff\n"), encoding="utf-8")
        monkeypatch.setattr(sys, "stdin", given)
        assert_error(indexed(*command), 2, "standard input is not text in UTF-8 (invalid start")


@pytest.mark.parametrize("retriever", ["lexical", "dense", "late", "hybrid"])
def test_a_query_of_punctuation(indexed: Retrieval, retriever: str) -> None:
    found = indexed("search", "--retriever", retriever, "--", '?!() "*:^~[]{}\\/-- AND')
    assert found.code == 0
    assert found.err in ("", "nothing found\n")


def test_k_beyond_what_there_is(indexed: Retrieval) -> None:
    found = json.loads(indexed("search", "lock", "-k", 10**9, "--json").out)
    assert len(found) == json.loads(indexed("status", "--json").out)["passages"]


def test_a_filter_that_cannot_be_read(indexed: Retrieval) -> None:
    failed = indexed("search", "lock", "--where", "year = 3")
    assert_error(failed, 2, "--where: found '='", "column 6", "expected")


def test_several_filters_hold_together(indexed: Retrieval) -> None:
    first, other = 'title == "Locks" or title == "Readers"', 'path glob "**/l*"'
    assert len(indexed("list", "--where", first, "--where", other).out.splitlines()) == 1
    assert len(indexed("list", "--where", first, "--where", "").out.splitlines()) == 2
    found = json.loads(indexed("search", "lock", "--where", other, "--where", first, "--json").out)
    assert {hit["title"] for hit in found} == {"Locks"}
    failed = indexed("search", "lock", "--where", first, "--where", "year = 3")
    assert_error(failed, 2, "--where: found '='", "column 6", "expected")
    assert_error(indexed("delete", "--where", "", "--where", " "), 2, "nothing was named")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("serve", "--uds", "s", "--port", "1"), "--uds cannot be used with --host or --port"),
        (("serve", "--uds", "s", "--host", "::1"), "--uds cannot be used with --host or --port"),
        (("measure", "--sample", "3", "--queries", "q"), "--sample draws queries and --queries"),
        (("open", "docs/locks.md:0"), "names line 0, but lines are counted from 1"),
    ],
)
def test_options_that_contradict_each_other(
    indexed: Retrieval, arguments: tuple[str, ...], said: str
) -> None:
    assert_error(indexed(*arguments), 2, said)


def segment_files(folder: Path) -> list[Path]:
    below = sorted((folder / ".retrieval" / SEGMENTS).rglob("*"))
    files = [path for path in below if path.is_file() and path.stat().st_size]
    assert len(files) > 5
    return files


def test_a_truncated_segment(indexed: Retrieval, folder: Path) -> None:
    for file in segment_files(folder):
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2])
        name = str(file.relative_to(folder))
        for command in (("search", "lock"), ("status",), ("compact",)):
            assert_error(indexed(*command), 1, name, "copy the index back from a backup")
        verified = indexed("status", "--verify")
        assert verified.code == 1
        assert name in verified.out
        file.write_bytes(whole)
    assert indexed("status", "--verify").code == 0


def test_an_altered_segment_is_found_by_its_checksum(indexed: Retrieval, folder: Path) -> None:
    for file in segment_files(folder):
        whole = file.read_bytes()
        file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        verified = indexed("status", "--verify", "--json")
        assert verified.code == 1
        (problem, *_) = json.loads(verified.out)["problems"]
        assert f"{file.relative_to(folder)} is damaged" in problem
        file.write_bytes(whole)


def test_a_missing_segment_file(indexed: Retrieval, folder: Path) -> None:
    file = segment_files(folder)[0]
    file.unlink()
    assert_error(indexed("search", "lock"), 1, f"{file.relative_to(folder)} is missing")


def test_a_database_that_is_none(indexed: Retrieval, folder: Path) -> None:
    (folder / ".retrieval" / DATABASE).write_bytes(b"nothing of the kind" * 1000)
    assert_error(indexed("search", "lock"), 1, DATABASE, "damaged")


def test_an_index_of_a_newer_format(indexed: Retrieval, folder: Path) -> None:
    database = sqlite3.connect(folder / ".retrieval" / DATABASE)
    database.execute("PRAGMA user_version = 99")
    database.close()
    for command in (("search", "lock"), ("index", "docs"), ("status",)):
        assert_error(indexed(*command), 1, "has format 99", "install a newer release")


def test_a_locked_index(indexed: Retrieval, folder: Path) -> None:
    with WriterLock(folder / ".retrieval" / LOCK):
        for command in (("index", "docs"), ("delete", "docs/locks.md"), ("compact",)):
            assert_error(indexed(*command), 1, f"another writer (process {os.getpid()})")
        assert indexed("search", "lock").code == 0


def test_another_encoder(indexed: Retrieval) -> None:
    for command in (("index", "docs"), ("search", "lock")):
        failed = indexed(*command, "--encoder", "other")
        assert_error(failed, 1, "was built with encoder 'fake-words'", "not with 'other'")


def test_a_full_disk(indexed: Retrieval, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (folder / "docs" / "more.md").write_text("zebra")
    with monkeypatch.context() as patch:
        patch.setattr(retrieval.index.vectors, "write_dense", full)
        assert_error(indexed("index", "docs"), 1, "no space left", "2 documents is kept")
    assert json.loads(indexed("status", "--json").out)["documents"] == 2
    assert indexed("index", "docs").code == 0
    assert indexed("search", "zebra", "--retriever", "lexical").out != ""


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "out of memory; what was committed is kept"),
        (RuntimeError("odd\nthing"), "unexpected RuntimeError: odd thing; run it again with"),
        (
            PermissionError(errno.EACCES, "Permission denied", "/x"),
            "/x: Permission denied; check its and its folder's permissions",
        ),
    ],
)
def test_no_traceback_reaches_the_user(
    retrieval_command: Retrieval,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    message: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(retrieval.sync.looking, "discover", fail)
    assert_error(retrieval_command("index", "docs"), 1, message)
    monkeypatch.setenv("RETRIEVAL_DEBUG", "1")
    assert "Traceback (most recent call last)" in retrieval_command("index", "docs").err


def test_what_is_no_choice_is_named_with_the_choices(retrieval_command: Retrieval) -> None:
    outcome = retrieval_command("search", "lock", "--group", "file")
    assert_error(outcome, 2, "'--group': 'file' is not one of 'document'")
