"""Documents from files of this machine and from URLs, whoever reads them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from retrieval.documents import MAX_BYTES, ReadOptions
from retrieval.errors import InputError
from retrieval.sharded import ShardedIndex, storage
from retrieval.sharded.changes import Changes
from retrieval.sharded.executors import InProcess
from retrieval.sharded.place import Place
from retrieval.sharded.sources import parts, remote
from retrieval.sharded.sources.estimate import passages_in
from retrieval.sharded.sources.files import FileDocuments
from retrieval.sharded.sources.remote import RemoteFiles, files_at, read_part
from retrieval.sharded.spool import Incoming
from retrieval.sync.settings import Settings
from retrieval.types import Document

from ..index.fake_encoder import FakeEncoder

FILES = {
    "pages/a.md": "# A\n\nabout cats",
    "pages/deep/b.txt": "about dogs",
    "pages/.hidden.md": "not this one",
    "pages/picture.png": "nor this one",
    "records/one.jsonl": '{"id": "r1", "text": "the first"}\n{"text": "the second"}\nbroken\n',
    "records/two.jsonl": '{"id": "r1", "text": "the first once more"}\n{"text": "the third"}\n',
    "a.md": "at the top",
}


@pytest.fixture
def pages(tmp_path: Path) -> str:
    """The URL of a folder with these files."""
    for name, text in FILES.items():
        file = tmp_path / "from" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return f"file://{tmp_path}/from"


def named(url: str, base: str) -> list[str]:
    return [one.id.removeprefix(f"{base}/") for one in files_at(url)]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("pages", ["pages/a.md", "pages/deep/b.txt"]),
        ("pages/", ["pages/a.md", "pages/deep/b.txt"]),
        ("pages/*", ["pages/a.md"]),
        ("**/*.md", ["a.md", "pages/a.md"]),
        ("pages/**", ["pages/a.md", "pages/deep/b.txt"]),
        ("p*s/deep/[ab].txt", ["pages/deep/b.txt"]),
        ("records/???.jsonl", ["records/one.jsonl", "records/two.jsonl"]),
        ("a.md", ["a.md"]),
    ],
)
def test_a_url_names_files(pages: str, pattern: str, expected: list[str]) -> None:
    assert named(f"{pages}/{pattern}", pages) == expected


def test_objects_of_a_bucket_are_named_alike(
    s3: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = storage.ObjectStorage("s3://tests", s3)
    for name, text in FILES.items():
        bucket.put(f"from/{name}", text.encode())
    for module in (remote, parts):
        monkeypatch.setattr(module, "ObjectStorage", lambda url: storage.ObjectStorage(url, s3))
    base = "s3://tests/from"
    assert named(f"{base}/**/*.md", base) == ["a.md", "pages/a.md"]
    assert named(f"{base}/a.md", base) == ["a.md"]
    assert named(f"{base}/pages", base) == ["pages/a.md", "pages/deep/b.txt"]
    with pytest.raises(InputError, match="names no file"):
        named(f"{base}/pag", base)


@pytest.mark.parametrize("pattern", ["nowhere", "pages/*.pdf", "nowhere/*.md", "picture.png"])
def test_a_url_of_nothing_is_refused(pages: str, pattern: str) -> None:
    with pytest.raises(InputError, match=r"names no file that can be read|is not a folder"):
        list(files_at(f"{pages}/{pattern}"))
    assert not Path(f"{pages.removeprefix('file://')}/nowhere").exists()


def test_a_name_may_hold_what_is_special_in_urls_and_patterns(tmp_path: Path) -> None:
    folder = tmp_path / "100% #1" / "in"
    folder.mkdir(parents=True)
    for name in ("a?b%20c#.md", "d[1].md"):
        (folder / name).write_text("here")
    base = f"file://{tmp_path}/100%25 %231/in"
    assert named(base, base) == ["a?b%20c#.md", "d[1].md"]
    assert named(f"{base}/d[[]1].md", base) == ["d[1].md"]
    with pytest.raises(InputError, match=r"to name a \[, \* or \? itself, write \[\[\]"):
        named(f"{base}/d[1].md", base)


def of_urls(*urls: str, options: ReadOptions | None = None, max_bytes: int = MAX_BYTES) -> Changes:
    found = tuple(one for url in urls for one in files_at(url))
    return Changes(remote=RemoteFiles(found, options or ReadOptions(), max_bytes), mirror=True)


def build(tmp_path: Path, changes: Changes, **options: Any) -> tuple[ShardedIndex, Any]:
    made = ShardedIndex.create(
        f"file://{tmp_path}/to", shards=2, encoder=FakeEncoder(), cache=tmp_path / "cache"
    )
    return made, made.change(changes, **options)


def test_what_urls_hold_is_found(pages: str, tmp_path: Path) -> None:
    made, report = build(tmp_path, of_urls(f"{pages}/pages", f"{pages}/records/*"))
    with made:
        assert (report.added, len(made)) == (5, 5)
        page = made.get(f"{pages}/pages/a.md")
        assert page is not None and page.metadata["path"] == f"{pages}/pages/a.md"
        assert page.text == FILES["pages/a.md"]
        first, second = made.get("r1"), made.get(f"{pages}/records/one.jsonl#L2")
        assert first is not None and first.text == "the first"  # of one id the first file's stays
        assert second is not None and second.metadata["line"] == 2
        problems = sorted(report.problems)
        assert [line.split(": ", 1)[0].removeprefix(pages) for line in problems] == [
            "/records/one.jsonl:3",
            "/records/two.jsonl",
        ]
        assert "'r1' already belongs to a document from" in problems[1]
        again = made.change(of_urls(f"{pages}/pages", f"{pages}/records/*"))
        assert (again.unchanged, again.sent, again.generation) == (5, 0, report.generation)
        fewer = made.change(of_urls(f"{pages}/pages"))
        assert (fewer.deleted, len(made)) == (3, 2)


def test_a_file_that_is_too_large_is_said(pages: str, tmp_path: Path) -> None:
    made, report = build(tmp_path, of_urls(f"{pages}/pages", max_bytes=12))
    with made:
        assert len(made) == 1
        assert "larger than 12 bytes" in report.problems[0]


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def test_rows_of_parquet_are_documents(tmp_path: Path, pages: str) -> None:
    import datetime

    rows = [
        {
            "id": 7,
            "text": "a row",
            "title": "T",
            "year": 1999,
            "day": datetime.date(2020, 1, 2),
            "score": float("nan"),
            "vector": [0.5, 0.25],
            "raw": b"\0\1",
        },
        {"text": "without an id"},
        {"id": 9, "title": "no text"},
    ]
    write_parquet(tmp_path / "from" / "rows.parquet", rows)
    expected = {"year": 1999, "day": "2020-01-02", "score": None, "row": 1, "format": "parquet"}
    made, report = build(tmp_path, of_urls(f"{pages}/*.parquet"))
    with made:
        one = made.get("7")
        assert one is not None and (one.text, one.title) == ("a row", "T")
        assert expected.items() <= one.metadata.items()
        assert not {"vector", "raw"} & one.metadata.keys()
        assert made.get(f"{pages}/rows.parquet#2") is not None
        assert len(made) == 2 and "rows.parquet#3: no text" in report.problems[0]


def test_a_parquet_file_of_this_machine_is_read_when_it_is_named(
    tmp_path: Path, pages: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_parquet(tmp_path / "from" / "rows.parquet", [{"id": "x", "words": "a row"}])
    (tmp_path / "from" / "broken.parquet").write_bytes(b"PAR1 and no more")
    monkeypatch.chdir(tmp_path / "from")
    paths = [Path("rows.parquet"), Path("broken.parquet"), Path("a.md")]
    settings = Settings(read=ReadOptions(text_field="words"))
    files = FileDocuments(paths, Path.cwd(), settings)
    found = {one.document.id: one for one in files}
    assert set(found) == {"x", "a.md"}
    assert found["x"].document.text == "a row" and found["x"].origin == "rows.parquet"
    assert len(list(FileDocuments(paths[:1], Path.cwd(), settings))) == 1
    assert not list(FileDocuments([], Path.cwd(), settings))
    assert len(files.problems) == 1 and "not readable as Parquet" in files.problems[0]


def test_a_part_that_was_read_is_not_read_again(
    tmp_path: Path, pages: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = of_urls(f"{pages}/pages", f"{pages}/records/*").remote
    place = Place(f"file://{tmp_path}/to", {}, tmp_path / "cache")
    tasks = list(files.tasks(2, place, "spool", "read", tmp_path / "cache", InProcess()))
    results = [read_part(task) for task in tasks]

    def never(*_: Any) -> Any:
        raise AssertionError("it was read again")

    monkeypatch.setattr(remote, "spool", never)
    assert [read_part(task) for task in tasks] == results
    changed = list(files.tasks(3, place, "spool", "read", tmp_path / "cache", InProcess()))
    with pytest.raises(AssertionError):
        read_part(changed[0])


def test_many_files_are_many_tasks(pages: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "PART_FILES", 2)
    files = of_urls(f"{pages}/pages", f"{pages}/records/*", f"{pages}/a.md").remote
    place = Place("file:///nowhere", {}, None)
    tasks = list(files.tasks(2, place, "spool", "read", None, InProcess()))
    assert [len(task.parts) for task in tasks] == [2, 2, 1]
    assert len({task.record for task in tasks}) == 3


@pytest.mark.parametrize("count", [3, 50])
def test_passages_are_estimated_from_a_sample(count: int) -> None:
    texts = [f"w{n} " * (40 + n % 5) for n in range(count)]
    sizes: Callable[[str], int] = len

    def of_text(text: str) -> list[Incoming]:
        return [Incoming(Document(f"{text[:3]}{n}", text)) for n in range(3)]

    spans = FakeEncoder().token_spans
    exact = sum(-(-len(text.split()) // 10) for text in texts) * 3
    found = passages_in(texts, lambda text: 3 * sizes(text), of_text, spans, 10)
    assert abs(found - exact) <= 0.15 * exact
    assert passages_in([], sizes, of_text, spans, 10) == 0
    assert json.dumps(found)  # a whole number, not numpy's
