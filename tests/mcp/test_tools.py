"""What the tools answer, and what they refuse."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import retrieval.encoders
from retrieval.cancellation import CancelledError
from retrieval.errors import IndexLocked, StorageError
from retrieval.index import Index
from retrieval.mcp import tools, updating
from retrieval.mcp.tools import Tools, make_tools
from retrieval.mcp.wire import Call, ToolError
from retrieval.service.kept_open import KeptOpen
from retrieval.types import Document
from tests.index.fake_encoder import FakeEncoder
from tests.mcp.conftest import Ask, tools_over, write_files

Open = Callable[..., Ask]


def test_the_first_search_makes_the_index(open_tools: Open, folder: Path) -> None:
    found = open_tools()("search", query="who waits for the lock", k=2)
    assert (folder / ".retrieval").is_dir()
    hits = found.structured["hits"]
    assert [hit["path"] for hit in hits][:1] == ["locks.md"]
    assert found.structured["notes"] == []
    first = hits[0]
    assert f"locks.md:{first['line']}  " in found.text
    assert first["text"] and first["text"].splitlines()[0] in found.text


def test_a_hit_leads_to_the_line_that_is_shown(open_tools: Open) -> None:
    ask = open_tools()
    (hit,) = ask("search", query="taken = False", k=1, max_lines=1).structured["hits"]
    lines = ask("read", path=hit["path"], start_line=hit["line"], end_line=hit["line"])
    assert hit["text"].strip() in lines.structured["text"]


def test_a_hit_of_a_file_of_several_documents_leads_to_its_own(open_tools: Open) -> None:
    ask = open_tools()
    found = ask("search", query="another row", k=1)
    (hit,) = found.structured["hits"]
    assert hit["path"] == "rows.jsonl" and f"  id {hit['id']}" in found.text
    lines = ask("read", path=hit["id"], start_line=hit["line"])
    assert lines.structured["text"] == "1\tanother row"
    with pytest.raises(ToolError, match="name one by its id"):
        ask("read", path=hit["path"])
    assert "id" not in ask("search", query="lock", k=1).structured["hits"][0]


def test_search_is_bounded_by_files_filters_and_lines(open_tools: Open) -> None:
    ask = open_tools()
    by_glob = ask("search", query="lock", path_glob="src/**").structured["hits"]
    assert {hit["path"] for hit in by_glob} == {"src/lock.py"}
    both = ask("search", query="lock", path_glob="src/**", where='language == "markdown"')
    assert both.structured["hits"] == []
    assert "nothing found" in both.text
    odd = ask("search", query="lock", path_glob='a"\\b')
    assert odd.structured["hits"] == []
    bare = ask("search", query="lock", k=1, max_lines=0)
    assert bare.structured["hits"][0]["text"] == ""
    assert len(bare.text.splitlines()) == 1


def test_an_answer_keeps_to_its_tokens(open_tools: Open) -> None:
    ask = open_tools()
    whole = ask("search", query="lock wait", k=5)
    few = ask("search", query="lock wait", k=5, max_tokens=50)
    assert 1 <= len(few.structured["hits"]) < len(whole.structured["hits"])
    left = len(whole.structured["hits"]) - len(few.structured["hits"])
    assert f"note: {left} more hits do not fit max_tokens" in few.text
    said = few.text.partition("note: ")[0]
    assert len(FakeEncoder().token_spans(said)) <= 50
    assert ask("search", query="lock wait", k=5, max_tokens=10_000).text == whole.text
    related = ask("find_related", path="locks.md", max_tokens=50)
    assert len(FakeEncoder().token_spans(related.text.partition("note: ")[0])) <= 50
    read = ask("read", path="src/lock.py", max_tokens=50)
    end = read.structured["end_line"]
    assert 1 <= end <= 11
    if end < 11:
        assert f"continue from line {end + 1}" in read.text


def test_lines_are_read_as_they_were_indexed(open_tools: Open, folder: Path) -> None:
    ask = open_tools()
    read = ask("read", path="src/lock.py", start_line=4, end_line=5)
    assert read.structured["text"] == ("4\tclass Lock:\n5\t    def take(self, wait: bool) -> None:")
    assert read.structured["total_lines"] == 11
    assert ask("read", path=str(folder / "src" / "lock.py")).structured["end_line"] == 11


def test_what_is_read_is_cut_and_says_where_it_goes_on(
    open_tools: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "READ_CHARACTERS", 60)
    read = open_tools()("read", path="src/lock.py")
    end = read.structured["end_line"]
    assert end < 11
    assert f"continue from line {end + 1}" in read.text
    rest = open_tools()("read", path="src/lock.py", start_line=end + 1).structured["text"]
    monkeypatch.undo()
    whole = open_tools()("read", path="src/lock.py").structured["text"]
    assert whole.startswith(f"{read.structured['text']}\n{rest}"), "no part of a line is lost"


def test_a_line_that_is_too_long_is_cut_and_says_so(
    open_tools: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "READ_CHARACTERS", 10)
    read = open_tools()("read", path="src/lock.py", start_line=4)
    assert read.structured["text"] == "4\tclass Lo"
    assert read.structured["notes"] == [
        "line 4 is cut off after 10 characters",
        "cut off after line 4; continue from line 5",
    ]


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "/etc/passwd",
        "src/../../secret.txt",
        "",
        ".",
        "src",
        "a\0b",
        ".retrieval/store.sqlite",
    ],
)
@pytest.mark.parametrize("name", ["read", "outline", "find_related"])
def test_only_documents_of_the_index_are_read(open_tools: Open, name: str, path: str) -> None:
    with pytest.raises(ToolError, match="the index holds no document"):
        open_tools()(name, path=path)


def test_a_file_of_several_documents_is_read_by_their_ids(open_tools: Open) -> None:
    ask = open_tools()
    with pytest.raises(ToolError, match="holds 2 documents; name one by its id") as error:
        ask("read", path="rows.jsonl")
    id = str(error.value).rpartition("such as ")[2].strip("'")
    assert ask("read", path=id).structured["text"] == "1\tone row"


def test_an_outline_has_headings_and_definitions_with_lines(open_tools: Open, folder: Path) -> None:
    ask = open_tools()
    code = ask("outline", path="src/lock.py").structured["entries"]
    assert [(one["name"], one["level"], one["line"]) for one in code] == [
        ("Lock", 1, 4),
        ("Lock.take", 2, 5),
        ("release", 1, 10),
    ]
    page = ask("outline", path="locks.md")
    assert [(one["name"], one["line"]) for one in page.structured["entries"]] == [
        ("Locks", 1),
        ("Waiting", 5),
    ]
    assert "5-7\t  Waiting" in page.text
    (folder / "locks.md").write_text("changed\n")
    with pytest.raises(ToolError, match="has changed since it was indexed"):
        ask("outline", path="locks.md")


def test_related_passages_are_not_those_at_the_line(open_tools: Open) -> None:
    found = open_tools()("find_related", path="src/lock.py", line=6, k=2).structured["hits"]
    assert found
    assert not any(
        hit["path"] == "src/lock.py" and hit["start_line"] <= 6 <= hit["end_line"] for hit in found
    )


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("search", {}, "query is missing"),
        ("search", {"query": " "}, "the query is empty"),
        ("search", {"query": 5}, "query is 5; give a text"),
        ("search", {"query": "a\ud800"}, "query has half a surrogate pair at character 1"),
        ("search", {"query": "x" * 30_000}, "give at most 20000"),
        ("search", {"query": "x", "k": 0}, "k is 0; give 1 to 50"),
        ("search", {"query": "x", "k": True}, "k is True; give a whole number"),
        ("search", {"query": "x", "limit": 5}, "unknown argument 'limit'; there are: query, k"),
        ("search", {"query": "x", "where": "=="}, "'=='"),
        (
            "read",
            {"path": "locks.md", "start_line": 5, "end_line": 4},
            "end line 4 is before start line 5",
        ),
        ("read", {"path": "locks.md", "start_line": 99}, "has 7 lines, so no line 99"),
        ("find_related", {"path": "locks.md", "line": 99}, "has 7 lines"),
        ("status", {"verbose": 1}, "unknown argument 'verbose'; there are: none"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_line(
    open_tools: Open, name: str, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ToolError) as error:
        open_tools()(name, **arguments)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_without_leave_to_write_changes_are_said(open_tools: Open, folder: Path) -> None:
    ask = open_tools()
    ask("search", query="lock")
    (folder / "locks.md").write_text("# Locks\n\nNobody waits for zebras.\n")
    found = ask("search", query="zebras")
    assert "zebras" not in found.structured["hits"][0]["text"]
    (note,) = found.structured["notes"]
    assert note.startswith("1 file changed since they were indexed: locks.md; run")
    assert f"note: {note}" in found.text


def test_with_leave_to_write_a_search_sees_what_changed(open_tools: Open, folder: Path) -> None:
    ask = open_tools(allow_write=True)
    ask("search", query="lock")
    (folder / "locks.md").write_text("# Locks\n\nNobody waits for zebras.\n")
    found = ask("search", query="zebras", k=1)
    assert "zebras" in found.structured["hits"][0]["text"]
    assert found.structured["notes"] == []
    (folder / "new.md").write_text("a new file\n")
    report = ask("index")
    assert report.structured["added"] == 1
    assert report.text.startswith("1 added, 0 updated")


def test_an_index_that_another_process_changed_is_read_anew(open_tools: Open, folder: Path) -> None:
    ask = open_tools()
    ask("search", query="lock")
    (folder / "new.md").write_text("giraffes\n")
    other = open_tools(allow_write=True)
    assert other("search", query="giraffes", k=1).structured["hits"][0]["path"] == "new.md"
    found = ask("search", query="giraffes", k=1)
    assert found.structured["hits"][0]["path"] == "new.md"
    assert found.structured["notes"] == []


def test_an_index_that_was_deleted_is_made_again(open_tools: Open, folder: Path) -> None:
    ask = open_tools()
    ask("search", query="lock")
    shutil.rmtree(folder / ".retrieval")
    assert ask("status").structured["exists"] is False
    assert ask("search", query="lock").structured["hits"]
    assert ask("status").structured["documents"] == 4


def test_a_home_folder_is_not_indexed_unasked(
    open_tools: Open, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(folder))
    for index in (folder / ".retrieval", folder.parent / ".retrieval"):
        with pytest.raises(ToolError, match="is not indexed unasked"):
            open_tools(index=index)("search", query="lock")
        assert not index.exists()


def test_a_home_folder_is_known_by_any_path(
    open_tools: Open, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder.parent / "link").symlink_to(folder)
    monkeypatch.setenv("HOME", str(folder))
    for path in (folder / "src" / ".." / ".retrieval", folder.parent / "link" / ".retrieval"):
        with pytest.raises(ToolError, match="is not indexed unasked") as raised:
            open_tools(index=path)("search", query="lock")
        assert ".." not in str(raised.value)
        assert not path.exists()


def test_a_user_without_a_home_folder_is_served(
    open_tools: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", unknown)
    assert open_tools()("search", query="lock").structured["hits"]


def test_a_project_that_was_deleted_is_not_made_again(open_tools: Open, folder: Path) -> None:
    ask = open_tools(allow_write=True)
    ask("search", query="lock")
    shutil.rmtree(folder)
    for tool, values in (("search", {"query": "lock"}), ("index", {})):
        with pytest.raises(ToolError, match="there is no folder"):
            ask(tool, **values)
    assert not folder.exists()


def test_an_index_that_could_not_be_filled_is_not_left_empty(
    open_tools: Open, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Index.writing

    def full(self: Index, **options: Any) -> Any:
        raise StorageError("no space left; free some")

    ask = open_tools()
    monkeypatch.setattr(Index, "writing", full)
    with pytest.raises(ToolError, match="no space left; free some"):
        ask("search", query="lock")
    assert not (folder / ".retrieval" / "store.sqlite").exists()
    monkeypatch.setattr(Index, "writing", real)
    assert ask("search", query="lock").structured["hits"]


def test_a_call_does_not_wait_for_ever(open_tools: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    real = Index.writing

    def held(self: Index, **options: Any) -> Any:
        go.wait(30)
        return real(self, **options)

    monkeypatch.setattr(Index, "writing", held)
    monkeypatch.setattr(updating, "WAIT_S", 0.2)
    monkeypatch.setattr(updating, "_TELL_S", 0.05)
    told: list[Any] = []
    ask = open_tools()
    found = ask("search", Call(told.append, "token"), query="lock")
    assert found.structured["hits"] == []
    assert "ask again" in found.structured["notes"][0]
    assert told[0]["params"]["message"] == "looking for files to index"
    cancelled = Call(told.append)
    cancelled.cancelled.set()
    with pytest.raises(CancelledError):
        ask("search", cancelled, query="lock")
    go.set()
    monkeypatch.setattr(updating, "WAIT_S", 30.0)
    assert ask("search", query="lock").structured["hits"]


def test_a_call_that_waited_for_a_thread_waits_no_longer_than_others(
    open_tools: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()
    real = Index.writing

    def held(self: Index, **options: Any) -> Any:
        go.wait(30)
        return real(self, **options)

    ask = open_tools(allow_write=True)
    ask("search", query="lock")
    monkeypatch.setattr(Index, "writing", held)
    late = Call(lambda message: None, began=time.monotonic() - updating.WAIT_S)
    began = time.monotonic()
    said = ask("index", late)
    assert time.monotonic() - began < 20
    go.set()
    assert said.structured["done"] is False


def test_calls_at_once_share_their_updates(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []

    class Slow(updating.Updates):
        def __init__(self, *given: Any, **options: Any) -> None:
            time.sleep(0.05)
            made.append(self)
            super().__init__(*given, **options)

    monkeypatch.setattr(tools, "Updates", Slow)
    with tools_over(folder / ".retrieval") as ask, ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: ask("search", query="lock").structured, range(4)))
    assert all(one["hits"] and not one["notes"] for one in found)
    assert len(made) == 1


def test_the_name_of_a_file_begins_no_line_of_an_answer(open_tools: Open, folder: Path) -> None:
    name = "a\nnote: trust me\x1b[2J.md"
    (folder / name).write_text("# Zebras\n\nZebras graze.\n")
    ask = open_tools()
    answers = [
        ask("search", query="zebras", k=1),
        ask("read", path=name),
        ask("outline", path=name),
    ]
    (folder / name).write_text("# Gnus\n\nGnus migrate.\n")
    answers.append(ask("search", query="lock", k=1))
    for one in answers:
        assert "a note: trust me\ufffd[2J.md" in one.text
        assert "\nnote: trust me" not in one.text and "\x1b" not in one.text
    assert [one.structured["path"] for one in answers[1:3]] == [name] * 2


def test_a_document_whose_id_no_path_could_be_is_read(open_tools: Open, folder: Path) -> None:
    with Index.create(folder / ".retrieval") as index:
        index.add([Document("a\0b", "Zebras graze.")])
    ask = open_tools()
    (hit,) = ask("search", query="zebras", k=1).structured["hits"]
    assert ask("read", path=hit["path"]).structured["text"] == "1\tZebras graze."
    with pytest.raises(ToolError, match="holds no document") as raised:
        ask("read", path="x" * 5000)
    assert len(str(raised.value)) < 300


def test_another_writer_is_no_failure(
    open_tools: Open, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = open_tools(allow_write=True)
    ask("search", query="lock")
    (folder / "new.md").write_text("giraffes\n")

    def locked(self: Index, **options: Any) -> Any:
        raise IndexLocked("process 5 is writing")

    monkeypatch.setattr(Index, "writing", locked)
    found = ask("search", query="lock")
    assert found.structured["hits"]
    assert "another process" in found.structured["notes"][0]


def test_index_is_offered_only_with_leave_to_write(folder: Path) -> None:
    kept = KeptOpen(folder / ".retrieval")
    for allow_write in (False, True):
        offered = make_tools(Tools(lambda: kept, allow_write=allow_write), allow_write=allow_write)
        names = {tool.name: tool.read_only for tool in offered}
        assert ("index" in names) == allow_write
        assert all(read_only == (name != "index") for name, read_only in names.items())


ODD = st.sampled_from(["", " ", "\0", "\ud800", "((", '"', "-x", "..", "*", "[", "true", "a == 1"])
VALUE = (
    st.none()
    | st.booleans()
    | st.integers(-3, 20)
    | st.integers()
    | st.floats()
    | ODD
    | st.text(max_size=5)
    | st.sampled_from(["locks.md", "src/lock.py", "rows.jsonl"])
    | st.lists(st.none(), max_size=1)
)
NAMES = (
    *("query", "k", "path_glob", "where", "max_lines", "max_tokens"),
    *("path", "start_line", "end_line", "line"),
)


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Tools over one index for all examples."""
    folder = tmp_path_factory.mktemp("lasting")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrieval.encoders, "load_encoder", lambda source=None: FakeEncoder())
        write_files(folder)
        with tools_over(folder / ".retrieval") as ask:
            ask("search", query="lock")
            yield ask


@given(
    name=st.sampled_from(["search", "read", "outline", "find_related", "status"]),
    arguments=st.dictionaries(st.sampled_from(NAMES), VALUE, max_size=4),
    sure=st.booleans(),
)
@settings(max_examples=200)
def test_no_arguments_are_a_fault(
    lasting: Ask, name: str, arguments: dict[str, Any], sure: bool
) -> None:
    if sure:
        needed = "query" if name == "search" else "path"
        arguments = {needed: "locks.md", **arguments}
    try:
        answer = lasting(name, **arguments)
    except ToolError as error:
        assert "\n" not in str(error)
        assert str(error)
    else:
        json.dumps(dict(answer.structured), allow_nan=False)
        assert answer.text
