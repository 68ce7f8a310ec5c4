"""Commands on a collection in shards: a URL in the place of an index's folder."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Retrieval

pytest.importorskip("obstore")


@pytest.fixture
def url(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    return f"file://{folder}/storage"


def test_what_is_indexed_is_found(retrieval_command: Retrieval, url: str, folder: Path) -> None:
    made = retrieval_command("index", "docs", "--index", url, "--shards", "2", "--json")
    assert made.code == 0, made.err
    report = json.loads(made.out)
    assert (report["index"], report["added"], report["generation"]) == (url, 2, 2)
    hits = json.loads(retrieval_command("search", "lock", "--index", url, "--json").out)
    assert {hit["document_id"] for hit in hits} == {"docs/locks.md", "docs/readers.md"}
    shown = retrieval_command("search", "readers", "--index", url).out
    assert shown.startswith("1  docs/readers.md:")
    status = json.loads(retrieval_command("status", "--index", url, "--json").out)
    assert (status["documents"], status["shards"], status["url"]) == (2, 2, url)
    text = retrieval_command("status", "--index", url).out
    assert text.splitlines()[0] == f"collection   {url} (generation 2)"


def test_what_is_gone_leaves_and_what_changed_is_read(
    retrieval_command: Retrieval, url: str, folder: Path
) -> None:
    retrieval_command("index", "docs", "--index", url, "--shards", "2")
    (folder / "docs" / "readers.md").unlink()
    (folder / "docs" / "new.md").write_text("something new")
    (folder / "docs" / "broken.jsonl").write_text("{")
    made = retrieval_command("index", "docs", "--index", url)
    assert "1 added, 1 deleted, 1 unchanged; generation 3" in made.out
    counted = json.loads(retrieval_command("status", "--index", url, "--json").out)
    text = retrieval_command("status", "--index", url).out
    assert counted["deleted_passages"] == 1 and "1 deleted one that BM25 counts" in text
    assert "docs/broken.jsonl" in made.err
    compacted = retrieval_command("compact", "--index", url)
    assert compacted.out == f"{url}: 0 objects deleted, 0 bytes\n"
    assert json.loads(retrieval_command("compact", "--index", url, "--json").out)["objects"] == 0


def test_what_is_left_out_is_said(retrieval_command: Retrieval, url: str, folder: Path) -> None:
    (folder / "docs" / "sky.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    made = retrieval_command("index", "docs", "--index", url, "--shards", "2")
    assert "1 binary: 1 .png, such as docs/sky.png" in made.err
    assert "(`retrieval index PATH --dry-run` without --index lists all" in made.err
    report = json.loads(retrieval_command("index", "docs", "--index", url, "--json").out)
    assert report["left_out"]["binary"][".png"]["count"] == 1
    assert [one["id"] for one in report["left_out_files"]] == ["docs/sky.png"]
    assert report["problems"] == [] and report["unchanged"] == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["index", "docs"], "say with --shards how many"),
        (["index", "--shards", "2"], "no path was given"),
        (["index", "nowhere", "--shards", "2"], "nowhere does not exist"),
        (["index", "docs", "--shards", "2", "--watch"], "--watch cannot be used for a collection"),
        (
            ["index", "docs", "--shards", "2", "--label", "m:f"],
            "--label cannot be used for a collection",
        ),
        (["index", "docs", "--shards", "2", "--shard-passages", "9"], "give one of them"),
        (["index", "docs", "--shards", "2", "--ray", "nonsense"], "is not an address of Ray"),
        (["index", "docs", "--shards", "2", "--ray", "127.0.0.1:9"], "no Ray cluster answers at"),
        (["index", "docs", "--shards", "2", "--encode-on", "gpu"], "name one with --ray"),
        (["index", "file:///nowhere/*.md", "--shards", "2"], "file:///nowhere is not a folder"),
        (["search", "x"], "there is no collection at"),
        (["status"], "there is no collection at"),
        (["status", "--verify"], "--verify reads an index's folder"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    retrieval_command: Retrieval, url: str, folder: Path, arguments: list[str], said: str
) -> None:
    outcome = retrieval_command(*arguments, "--index", url)
    assert outcome.code != 0
    assert said in outcome.err and outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    assert not (folder / "storage" / "manifests").exists()


def test_documents_are_listed_and_deleted(
    retrieval_command: Retrieval, url: str, folder: Path
) -> None:
    retrieval_command("index", "docs", "--index", url, "--shards", "2")
    listed = json.loads(retrieval_command("list", "docs", "--index", url, "--json").out)
    assert [one["path"] for one in listed] == ["docs/locks.md", "docs/readers.md"]
    assert retrieval_command("list", "--index", url, "--where", 'path glob "docs/l*"').out.count(
        "locks.md"
    )
    unknown = retrieval_command("list", "nowhere", "--index", url)
    assert unknown.code == 1 and "nowhere" in unknown.err
    assert retrieval_command("delete", "--index", url).err.startswith("error: nothing was named")
    gone = retrieval_command("delete", "docs/l*", "--index", url, "--json")
    assert json.loads(gone.out) == {"deleted": 1, "unknown": []}
    left = json.loads(retrieval_command("list", "--index", url, "--json").out)
    assert [one["id"] for one in left] == ["docs/readers.md"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serve", "URL"], "there is no collection at file://"),
        (["serve", "docs"], "'docs' is not a collection's URL"),
        (["serve", "--index", ".", "--replicas", "2"], "--replicas and --partial need --ray"),
        (["serve", "--index", ".", "--ray", "local"], "--ray serves collections in shards"),
    ],
)
def test_what_cannot_be_served_is_one_line(
    retrieval_command: Retrieval, url: str, arguments: list[str], said: str
) -> None:
    outcome = retrieval_command(*(url if one == "URL" else one for one in arguments))
    assert outcome.code != 0
    assert said in outcome.err and outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1


def test_a_collection_keeps_what_it_was_made_with(retrieval_command: Retrieval, url: str) -> None:
    retrieval_command("index", "docs", "--index", url, "--shards", "2")
    for options, said in (
        (["--shards", "3"], "has 2 shards, not 3"),
        (["--bits", "2"], "--bits 2 is fixed when a collection is created"),
        (["--encoder", "another"], "not with 'another'"),
    ):
        outcome = retrieval_command("index", "docs", "--index", url, *options)
        assert outcome.code != 0 and said in outcome.err
    explained = retrieval_command("search", "lock", "--explain", "--index", url)
    assert explained.code == 0 and " -> " in explained.out


def test_the_number_of_shards_follows_from_their_size(
    retrieval_command: Retrieval, url: str, folder: Path
) -> None:
    (folder / "docs" / "long.md").write_text("\n\n".join(f"word{n} " * 50 for n in range(60)))
    made = retrieval_command(
        *("index", "docs", "--index", url, "--shard-passages", "10", "--passage-tokens", "60")
    )
    assert made.code == 0, made.err
    status = json.loads(retrieval_command("status", "--index", url, "--json").out)
    assert status["passages"] / 12 < status["shards"] < status["passages"] / 8
    again = retrieval_command("index", "docs", "--index", url, "--shard-passages", "10")
    assert "--shard-passages 10 is fixed when a collection is created" in again.err


def test_files_behind_a_url_are_indexed(
    retrieval_command: Retrieval, url: str, folder: Path
) -> None:
    pages = f"file://{folder}/docs"
    made = retrieval_command("index", f"{pages}/*.md", "--index", url, "--shards", "2", "--json")
    assert json.loads(made.out)["added"] == 2
    (hit, *_) = json.loads(retrieval_command("search", "lock", "--index", url, "--json").out)
    assert hit["document_id"].startswith(f"{pages}/")
    folders = retrieval_command("index", f"{pages}/*.md")
    assert "is a URL, which only a collection in shards can read" in folders.err


def test_a_file_that_is_named_twice_is_read_once(
    retrieval_command: Retrieval, url: str, folder: Path
) -> None:
    there = f"file://{folder}/docs"
    made = retrieval_command(
        "index", f"{there}/*.md", f"{there}/locks.md", "--index", url, "--shards", "1"
    )
    assert "2 added" in made.out and "problems" not in made.err


def test_a_command_that_finds_no_collection_leaves_nothing(
    retrieval_command: Retrieval, url: str, folder: Path
) -> None:
    for command in (["search", "lock"], ["status"], ["compact"], ["index", "docs"]):
        assert "there is no collection at" in retrieval_command(*command, "--index", url).err
    assert not (folder / "storage").exists()


def test_shards_are_for_a_url(retrieval_command: Retrieval) -> None:
    for option in ("--shards", "--workers", "--shard-passages", "--ray"):
        outcome = retrieval_command("index", "docs", option, "2")
        assert outcome.code != 0
        assert f"{option} is for a collection in shards; name its URL" in outcome.err


@pytest.mark.parametrize("command", [["compact"], ["delete", "docs"]])
def test_who_writes_is_chosen_for_every_command_that_writes(
    retrieval_command: Retrieval, url: str, folder: Path, command: list[str]
) -> None:
    retrieval_command("index", "docs", "--index", url, "--shards", "2")
    refused = retrieval_command(*command, "--index", url, "--ray", "nonsense")
    assert "is not an address of Ray" in refused.err
    retrieval_command("index", "docs", "--index", "one")
    for option in (["--ray", "local"], ["--workers", "2"]):
        refused = retrieval_command(*command, "--index", "one", *option)
        assert refused.code != 0
        assert refused.err.startswith(f"error: {option[0]} is for a collection in shards")
    assert len(json.loads(retrieval_command("list", "--index", url, "--json").out)) == 2


def test_a_hit_is_opened(
    retrieval_command: Retrieval, url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    retrieval_command("index", "docs", "--index", url, "--shards", "2")
    hit = retrieval_command("search", "readers", "--index", url).out.split()[1]
    shown = retrieval_command("open", hit, "--index", url)
    assert shown.code == 0, shown.err
    assert shown.out.startswith(hit)
    found = json.loads(retrieval_command("open", hit, "--index", url, "--json").out)
    assert (found["path"], found["file"]) == ("docs/readers.md", "docs/readers.md")
    monkeypatch.setenv("EDITOR", "true")
    assert retrieval_command("open", hit, "--index", url, "--editor").code == 0
    unknown = retrieval_command("open", "nowhere.md:3", "--index", url)
    assert unknown.code != 0 and "holds no document 'nowhere.md:3'" in unknown.err


def test_passages_are_exported_with_their_vectors(
    retrieval_command: Retrieval, url: str, folder: Path
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    retrieval_command("index", "docs", "--index", url, "--shards", "2")
    retrieval_command("index", "docs", "--index", str(folder / "one"))
    for place, target in ((url, "many.parquet"), (str(folder / "one"), "one.parquet")):
        made = retrieval_command("export", target, "--to", "parquet", "--index", place)
        assert made.code == 0, made.err
    tables = [parquet.read_table(folder / name) for name in ("many.parquet", "one.parquet")]
    assert tables[0].equals(tables[1]) and tables[0].num_rows >= 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["measure"],
        ["train", "--out", "model"],
        ["eval", "make", "set"],
    ],
)
def test_what_takes_a_folder_says_so_of_a_url(
    retrieval_command: Retrieval, url: str, folder: Path, arguments: list[str]
) -> None:
    outcome = retrieval_command(*arguments, "--index", url)
    assert outcome.code == 2
    assert outcome.err.startswith("error: ") and outcome.err.count("\n") == 1
    assert f"{url} is a collection in shards, but this command needs the folder" in outcome.err
    assert f"retrieval eval --system index:{url}" in outcome.err


@pytest.mark.parametrize("command", [["mcp"], ["install", "codex", "--project", "--dry-run"]])
def test_agents_only_read_a_collection(
    retrieval_command: Retrieval, url: str, command: list[str]
) -> None:
    outcome = retrieval_command(*command, "--index", url, "--allow-write")
    assert outcome.code == 2
    assert "which agents can only read" in outcome.err and outcome.err.count("\n") == 1


def test_a_client_is_told_of_a_collection(retrieval_command: Retrieval, url: str) -> None:
    shown = retrieval_command("install", "codex", "--project", "--dry-run", "--index", url)
    assert shown.code == 0 and f'"--index", "{url}"' in shown.out
