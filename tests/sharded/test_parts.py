"""A huge file that is read in parts gives the documents that it gives read as a whole."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrieval.documents import MAX_BYTES, ReadOptions
from retrieval.errors import StorageError
from retrieval.sharded.executors import InProcess
from retrieval.sharded.place import Place
from retrieval.sharded.sources import lines as by_line
from retrieval.sharded.sources import parts as splitting
from retrieval.sharded.sources.lines import breaks, lines
from retrieval.sharded.sources.parts import RemoteFile, parts_of
from retrieval.sharded.sources.remote import RemoteFiles, files_at, read_part
from retrieval.sharded.spool import Incoming, merged, spooled
from retrieval.sharded.storage import ObjectStorage
from retrieval.types import Document

pytestmark = pytest.mark.filterwarnings("ignore::hypothesis.errors.NonInteractiveExampleWarning")
QUIET = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
LINES = (
    '{"id": "a", "text": "the first"}',
    '{"_id": 7, "text": "日本語 \U0001f408 é", "title": "T", "year": 1999}',
    '{"text": "without an id"}\r',
    '  {"id": "b", "text": "a comma follows"},',
    '{"id": "c", "text": "a\\u2028b\\n\\ud800 \\u0000"}',
    '{"id": "d", "text": "a\u2028b\x85c"}',
    "",
    "\r",
    "nonsense",
    "[1, 2]",
    '{"id": "e", "text": 5}',
    '{"id": "f", "text": ""}',
    '{"id": "a", "text": "of an id that was there"}',
    '{"id": "g", "text": "' + "long " * 200 + '"}',
)
GOOD = '{"id": "first", "text": "a record a line"}'


@given(
    st.lists(st.sampled_from([b"", b"a", b"bc\r", b"\xc3\xa9", b"\0" * 9]), max_size=12),
    st.booleans(),
    st.lists(st.integers(0, 60), max_size=6),
    st.integers(1, 9),
)
@QUIET
def test_each_line_is_in_one_range(
    monkeypatch: pytest.MonkeyPatch, several: list[bytes], ended: bool, cuts: list[int], block: int
) -> None:
    content = b"\n".join(several) + b"\n" * ended
    with monkeypatch.context() as patch:
        patch.setattr(by_line, "BLOCK", block)
        places = sorted({0, len(content), *(cut for cut in cuts if cut < len(content))})
        found: list[bytes | None] = []
        before, whole = 0, True
        for start, stop in itertools.pairwise(places):
            own = list(lines(io.BytesIO(content), start, stop))
            if own:
                assert before + (not whole) == len(found)  # the number that its first line has
            found += own
            count, whole = breaks(io.BytesIO(content), start, stop)
            before += count
    expected = content.split(b"\n")
    assert found == (expected if expected[-1] else expected[:-1])


def read(folder: Path, size: int, **options: Any) -> tuple[list[Incoming], list[str]]:
    """All documents of a folder's files, and what was said, in parts of so many bytes."""
    place = Place(f"file://{folder.parent}/spooled", {}, folder.parent / "cache")
    max_bytes = options.pop("max_bytes", MAX_BYTES)
    files = RemoteFiles(tuple(files_at(f"file://{folder}")), ReadOptions(**options), max_bytes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(splitting, "PART_BYTES", size)
        patch.setattr("retrieval.sharded.sources.remote.PART_BYTES", size)
        tasks = list(files.tasks(1, place, "spool", None, place.cache, InProcess()))
        found = merged([read_part(task) for task in tasks])
    assert size > 1 << 20 or len(tasks) > 1
    storage = ObjectStorage(place.url)
    return list(spooled(storage, found.sections.get(0, ()))), list(found.problems)


def first_of_each(several: Sequence[Incoming]) -> list[Document]:
    """As a shard takes them: of one id the first."""
    found: dict[str, Document] = {}
    for one in several:
        found.setdefault(one.document.id, one.document)
    return list(found.values())


@given(
    st.lists(st.sampled_from(LINES), max_size=25),
    st.booleans(),
    st.sampled_from([b"", b"\xef\xbb\xbf"]),
    st.integers(20, 700),
)
@QUIET
def test_json_lines_in_parts_are_those_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory,
    several: list[str],
    ended: bool,
    mark: bytes,
    size: int,
) -> None:
    folder = tmp_path_factory.mktemp("records") / "from"
    folder.mkdir()
    text = "\n".join([GOOD] * 30 + several) + "\n" * ended
    (folder / "records.jsonl").write_bytes(mark + text.encode())
    (folder / "after.md").write_text("# another file")
    whole, said = read(folder, 1 << 26)
    parts, problems = read(folder, size)
    assert first_of_each(parts) == first_of_each(whole)
    broken = {line.rsplit(":", 1)[0] for line in said if "stands on line" not in line}
    assert {line.rsplit(":", 1)[0] for line in problems} == broken


@pytest.mark.parametrize("encoding", ["windows-1252", "gb18030", "shift_jis"])
def test_an_encoding_that_is_named_is_read_in_parts(tmp_path: Path, encoding: str) -> None:
    text = {"windows-1252": "naïve café"}.get(encoding, "日本語の言葉")
    folder = tmp_path / "from"
    folder.mkdir()
    content = "\n".join(json.dumps({"text": f"{text} {n}"}, ensure_ascii=False) for n in range(50))
    (folder / "records.jsonl").write_bytes(content.encode(encoding.replace("windows-", "cp")))
    whole, said = read(folder, 1 << 26, encoding=encoding)
    parts, problems = read(folder, 300, encoding=encoding)
    assert len(whole) == 50 and parts == whole and said == problems == []
    assert whole[49].document.text == f"{text} 49"


def test_what_has_no_record_a_line_is_read_whole_or_said(tmp_path: Path) -> None:
    folder = tmp_path / "from"
    folder.mkdir()
    rows = [{"id": f"r{n}", "text": f"row {n}"} for n in range(40)]
    (folder / "a.jsonl").write_text(json.dumps(rows, indent=1))
    (folder / "b.jsonl").write_text("\n".join(json.dumps(row, indent=1) for row in rows))
    (folder / "c.jsonl").write_bytes("\n".join(map(json.dumps, rows)).encode("utf-16"))
    (folder / "d.jsonl").write_bytes("\n".join(map(json.dumps, rows)).encode("utf-16-le"))
    whole, said = read(folder, 1 << 26)
    parts, problems = read(folder, 100)
    assert parts == whole and len(whole) == 160 and said == problems == []
    none, problems = read(folder, 100, max_bytes=200)
    assert none == [] and len(problems) == 4
    assert all(
        "larger than 200 bytes, and without one record per line" in line for line in problems
    )


def test_a_line_that_is_too_long_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "from"
    folder.mkdir()
    long = json.dumps({"text": "x" * 500})
    (folder / "a.jsonl").write_text("\n".join([GOOD, GOOD, long, '{"id": "z", "text": "last"}']))
    monkeypatch.setattr(by_line, "LONGEST", 400)
    for block in (7, 100, 1 << 20):
        monkeypatch.setattr(by_line, "BLOCK", block)
        found, problems = read(folder, 60)
        assert [one.document.id for one in found] == ["first", "first", "z"]
        assert [line.split(": ")[0].rsplit(":", 1)[1] for line in problems] == ["3"]


@pytest.mark.parametrize("size", [1, 2_000, 5_000])
def test_row_groups_of_parquet_are_those_of_the_whole(tmp_path: Path, size: int) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    folder = tmp_path / "from"
    folder.mkdir()
    rows = [
        {"id": n if n % 3 else None, "text": f"row {n} é" if n % 7 else None, "year": 1900 + n}
        for n in range(300)
    ]
    parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "a.parquet", row_group_size=40)
    parquet.write_table(pyarrow.Table.from_pylist(rows[:1]), folder / "b.parquet")
    whole, said = read(folder, 1 << 26)
    parts, problems = read(folder, size)
    assert parts == whole and problems == said and len(whole) == 257
    assert whole[1].document.metadata["year"] == 1902


def test_parts_of_many_files_stand_in_their_order(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.md", "c.jsonl"):
        (tmp_path / name).write_text((GOOD + "\n") * 10)
    files = list(files_at(f"file://{tmp_path}"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(splitting, "PART_BYTES", 120)
        parts = parts_of(files, ReadOptions(), InProcess())
    names = [Path(part.file.name).name for part in parts]
    assert names == sorted(names) and names.count("b.md") == 1
    assert names.count("a.jsonl") == names.count("c.jsonl") > 2
    befores = [part.before for part in parts if part.file.name.endswith("a.jsonl")]
    assert befores[0] == 0 and befores == sorted(befores)


def test_a_file_that_goes_while_it_is_read_is_one_line(tmp_path: Path) -> None:
    gone = RemoteFile(f"file://{tmp_path}", "gone.jsonl", 1 << 40, "")
    with pytest.raises(
        StorageError, match=r"gone\.jsonl has disappeared since it was found"
    ) as raised:
        parts_of([gone], ReadOptions(), InProcess())
    assert "\n" not in str(raised.value)
