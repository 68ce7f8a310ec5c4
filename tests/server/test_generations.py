"""Each answer is of one generation, whoever writes meanwhile; files are followed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from retrieval import Document, Index
from retrieval.errors import InputError
from retrieval.server import following
from retrieval.server.app import make_app
from retrieval.service import watching
from retrieval.service.updating import update
from tests.server.conftest import Client, Serve, running
from tests.server.test_load import eventually

AT = "/v1/indexes/notes"
DOCUMENTS, VERSIONS, READERS = 12, 12, 4


def version(number: int) -> list[Document]:
    """The same documents, each of which says of which version it is."""
    return [
        Document(f"d{at}", f"zebras graze, part {at}, version{number}", metadata={"v": number})
        for at in range(DOCUMENTS)
    ]


def by_another_process(client: Client, number: int) -> None:
    with Index.open(client.folder / "notes") as index:
        index.add(version(number))


def by_the_server(client: Client, number: int) -> None:
    documents = [
        {"id": one.id, "text": one.text, "metadata": dict(one.metadata)} for one in version(number)
    ]
    assert client.post(f"{AT}/documents", {"documents": documents}).status == 200


@pytest.mark.slow
@pytest.mark.parametrize("write", [by_another_process, by_the_server])
def test_no_answer_is_of_two_generations(
    client: Client, write: Callable[[Client, int], None]
) -> None:
    by_another_process(client, 0)
    done = threading.Event()
    seen: set[int] = set()

    def read(reader: int) -> None:
        last = 0
        while not done.is_set():
            body = {"query": "zebras graze", "k": DOCUMENTS, "where": "v >= 0"}
            hits = client.post(f"{AT}/search", body).json["hits"]
            found = {hit["metadata"]["v"] for hit in hits}
            assert len(hits) == DOCUMENTS
            assert len(found) == 1, found
            assert all(hit["text"].endswith(f"version{hit['metadata']['v']}") for hit in hits)
            assert max(found) >= last  # and none goes back
            last = max(found)
            seen.update(found)
            store = client.post(
                "/v1/vector_stores/notes/search",
                {
                    "query": "zebras",
                    "filters": {"type": "gte", "key": "v", "value": last},
                },
            ).json["data"]
            assert len({one["attributes"]["v"] for one in store}) == 1
            listed = client.get(f"{AT}/documents?where=v%20%3E%3D%200").json["documents"]
            assert len({one["metadata"]["v"] for one in listed}) == 1

    with ThreadPoolExecutor(READERS) as pool:
        readers = [pool.submit(read, at) for at in range(READERS)]
        try:
            for number in range(1, VERSIONS):
                write(client, number)
        finally:
            done.set()
        for one in readers:
            one.result(60)
    assert len(seen) > 3  # they did read while it was written
    hits = client.get("/v1/search?q=zebras&k=1").json["hits"]
    assert hits[0]["metadata"]["v"] == VERSIONS - 1


@pytest.fixture
def files(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of files that the index `watched` was given; changes are seen at once."""
    monkeypatch.setattr(watching, "DEBOUNCE_MS", 100)
    monkeypatch.setattr(watching, "LOOK_MS", 100)
    monkeypatch.setattr(following, "AGAIN_S", 0.1)
    files = tmp_path / "served" / "files"
    files.mkdir(parents=True)
    (files / "a.md").write_text("# Zebras\n\nZebras graze.\n")
    with Index.create(tmp_path / "served" / "watched") as index:
        update(index, [files])
    yield files


def first(client: Client, query: str) -> Any:
    hits = client.get(f"/v1/search?q={query}&k=1").json["hits"]
    return hits[0]["text"] if hits else ""


def test_files_are_followed(files: Path) -> None:
    with running(files.parent, follow=True) as client:
        assert "graze" in first(client, "zebras")
        (files / "b.md").write_text("# Gnus\n\nGnus migrate.\n")
        eventually(lambda: "migrate" in first(client, "gnus"))
        (files / "b.md").unlink()
        eventually(lambda: "migrate" not in first(client, "gnus"))
        added = {"documents": [{"id": "x", "text": "quaggas are gone"}]}
        assert client.post("/v1/indexes/watched/documents", added).status == 200
        eventually(lambda: "quaggas" in first(client, "quaggas"))
    (files / "c.md").write_text("# Okapis\n\nOkapis hide.\n")
    time.sleep(0.5)
    with Index.open(files.parent / "watched") as index:  # nobody follows any more
        assert all("Okapis" not in hit.text for hit in index.search("okapis", 5))


def test_an_index_that_was_replaced_is_followed_anew(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = files.parent / "watched"
    with running(files.parent, follow=True) as client:
        assert "graze" in first(client, "zebras")
        place.rename(files.parent.parent / "away")
        (files / "b.md").write_text("# Gnus\n\nGnus migrate.\n")
        with Index.create(place) as index:
            update(index, [files / "a.md"])
        (files / "a.md").write_text("# Zebras\n\nZebras rest.\n")
        eventually(lambda: "rest" in first(client, "zebras"))


def test_files_are_followed_on_whatever_was_raised(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raised: list[Exception] = [RuntimeError("can't start new thread"), ValueError()]
    usual = following.watch

    def failing(*given: Any, **options: Any) -> None:
        if raised:
            raise raised.pop(0)
        usual(*given, **options)

    monkeypatch.setattr(following, "watch", failing)
    with running(files.parent, follow=True) as client:
        eventually(lambda: not raised)
        (files / "b.md").write_text("# Gnus\n\nGnus migrate.\n")
        eventually(lambda: "migrate" in first(client, "gnus"))
    said = capsys.readouterr().err
    assert "watched: can't start new thread\nwatched: ValueError\n" in said


def test_an_index_without_files_is_not_followed(serve: Serve, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="was given no files or folders that exist"):
        make_app([tmp_path / "notes"], follow=True)
