"""What a collection refuses: damage, other encoders, addresses, keys, numbers; each in one line."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from retrieval.errors import (
    EncoderMismatch,
    IndexCorrupted,
    IndexFormatError,
    IndexNotFound,
    InputError,
    StorageError,
)
from retrieval.sharded import ShardedIndex
from retrieval.sharded.blobs import entries_of
from retrieval.sharded.storage import ObjectStorage

from ..index.fake_encoder import FakeEncoder
from .conftest import Storage
from .made import create, object_storage, reopen
from .samples import documents


@pytest.mark.parametrize("id", [1, None, ["a"]])
def test_an_id_is_a_text(folder: Storage, tmp_path: Path, id: Any) -> None:
    with create(folder, tmp_path) as made:
        with pytest.raises(InputError):
            made.get(id)
        with pytest.raises(InputError):
            made.delete([id])
        with pytest.raises(InputError):
            made.delete("a")


@pytest.mark.parametrize("workers", [0, -1])
def test_no_workers_are_refused(folder: Storage, tmp_path: Path, workers: int) -> None:
    with create(folder, tmp_path) as made, pytest.raises(InputError, match="must be at least 1"):
        made.add(documents(3), workers=workers)


def test_an_encoder_object_stays_in_its_process(folder: Storage, tmp_path: Path) -> None:
    with create(folder, tmp_path) as made, pytest.raises(InputError, match="workers=1"):
        made.add(documents(3), workers=2)


def _damage(storage: ObjectStorage, prefix: str, change: Callable[[bytes], bytes]) -> None:
    for one in list(storage.objects(prefix)):
        content = storage.read(one.name)
        assert content is not None
        storage.put(one.name, change(content))


def test_a_piece_that_is_not_what_its_name_says_is_refused(
    storage: Storage, tmp_path: Path
) -> None:
    with create(storage, tmp_path) as made:
        made.add(documents(10))
    _damage(object_storage(storage), "blobs", lambda content: content + b"\0")
    with pytest.raises(IndexCorrupted, match="does not match its digest"):
        reopen(storage, tmp_path, "elsewhere")
    assert not [place for place in (tmp_path / "elsewhere").rglob("*") if place.is_file()]


def test_a_missing_piece_is_named(storage: Storage, tmp_path: Path) -> None:
    with create(storage, tmp_path) as made:
        made.add(documents(10))
    kept = object_storage(storage)
    kept.delete([one.name for one in kept.objects("blobs")])
    with pytest.raises(IndexCorrupted, match=r"blobs/.* is missing"):
        reopen(storage, tmp_path, "elsewhere")


def _manifest(change: Callable[[dict[str, Any]], object]) -> Callable[[bytes], bytes]:
    def changed(content: bytes) -> bytes:
        values = json.loads(content)
        change(values)
        return json.dumps(values).encode()

    return changed


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (_manifest(lambda m: m.update(format=99)), IndexFormatError, "newer release"),
        (
            _manifest(lambda m: m["partition"].update(rule="range")),
            IndexFormatError,
            "distributes documents by 'range'",
        ),
        (_manifest(lambda m: m["shards"].pop()), IndexCorrupted, "is not a manifest"),
        (_manifest(lambda m: m.update(generation=7)), IndexCorrupted, "has generation 7"),
        (_manifest(lambda m: m.pop("settings")), IndexCorrupted, "is not a manifest"),
        (
            _manifest(lambda m: [shard.update(files="../../x") for shard in m["shards"]]),
            IndexCorrupted,
            "is not a manifest",
        ),
        (lambda content: content[:40], IndexCorrupted, "is not a manifest"),
        (lambda content: b"[]", IndexCorrupted, "is not a manifest"),
        (lambda content: b"[" * 200_000, IndexCorrupted, "is not a manifest"),
        *(
            (_manifest(change), IndexCorrupted, "is not a manifest")
            for change in (
                lambda m: m.update(generation=float("inf")),
                lambda m: m.update(made=float("nan")),
                lambda m: m["shards"][0].update(documents=float("inf")),
                lambda m: m["shards"][0].update(bytes=-1),
                lambda m: m["settings"].update(dense_dim=-1),
                lambda m: m["settings"].update(token_dim="x"),
                lambda m: m["settings"].update(dense_dim=1 << 40),
                lambda m: m["settings"].update(passage_tokens=0),
                lambda m: m["settings"].update(encoder_name=["x"]),
                lambda m: m["settings"].update(late={"bits": 5}),
            )
        ),
    ],
)
def test_a_manifest_that_cannot_be_read_is_refused(
    folder: Storage,
    tmp_path: Path,
    change: Callable[[bytes], bytes],
    error: type[Exception],
    said: str,
) -> None:
    create(folder, tmp_path).close()
    _damage(object_storage(folder), "manifests", change)
    with pytest.raises(error, match=said):
        reopen(folder, tmp_path)


@pytest.mark.parametrize(
    "listed",
    [b"[" * 200_000, b"[[1, 2, []]]", b'[["a", 1e999, []]]', b'[["a", -1, []]]', b"1", b"[[]]"],
    ids=lambda listed: listed[:12].decode(),
)
def test_a_list_of_files_that_is_none_is_refused(
    folder: Storage, tmp_path: Path, listed: bytes
) -> None:
    storage, name = object_storage(folder), hashlib.sha256(listed).hexdigest()
    storage.put(f"blobs/{name[:2]}/{name}", listed)
    with pytest.raises(IndexCorrupted, match="is not a list of files"):
        entries_of(storage, name)


def test_another_encoders_shard_is_refused(folder: Storage, tmp_path: Path) -> None:
    with create(folder, tmp_path) as made:
        made.add(documents(10))

    def other(values: dict[str, Any]) -> None:
        values["settings"]["fingerprint"] = "0" * 64

    _damage(object_storage(folder), "manifests", _manifest(other))
    with pytest.raises(EncoderMismatch):
        ShardedIndex.open(folder.url, encoder=None, cache=tmp_path / "cache")
    with pytest.raises(EncoderMismatch):
        reopen(folder, tmp_path)


def test_nothing_there_is_said(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(IndexNotFound, match="there is no collection at"):
        reopen(storage, tmp_path)


def test_a_place_that_is_no_url_is_refused() -> None:
    with pytest.raises(StorageError, match="is not a URL"):
        ShardedIndex.open("nowhere")


def test_a_storage_that_cannot_be_reached_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("obstore")
    options = {
        "endpoint": "http://127.0.0.1:9",
        "aws_access_key_id": "tests",
        "aws_secret_access_key": "tests",
        "region": "us-east-1",
    }
    with pytest.raises(StorageError, match=r"the storage at s3://tests/x/CURRENT fails") as raised:
        ShardedIndex.open("s3://tests/x", options=options, cache=tmp_path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/x", "https://example.org/x", "gopher://x/y", "s4://bucket"]
)
def test_what_is_no_object_storage_is_said(url: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError) as raised:
        ShardedIndex.open(url, cache=tmp_path)
    assert str(raised.value) == (
        f"{url} is not an address of object storage; "
        "give file:///folder, s3://bucket/name, gs:// or az://"
    )


class Refusing(BaseHTTPRequestHandler):
    """Answers as S3 does to keys that it does not know."""

    def _refuse(self) -> None:
        body = b"<Error><Code>InvalidAccessKeyId</Code><Message>No such key</Message></Error>"
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_HEAD = do_POST = _refuse  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT"])
def test_a_server_without_encryption_is_reached_by_the_environment(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it answers or refuses: it is asked."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv(name, f"http://127.0.0.1:{server.server_port}")
        for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
            monkeypatch.setenv(key, "us-east-1")
        monkeypatch.delenv("AWS_ALLOW_HTTP", raising=False)
        with pytest.raises(StorageError, match="InvalidAccessKeyId") as told:
            ObjectStorage("s3://tests/name").read("CURRENT")
        server.shutdown()
    assert "\n" not in str(told.value)


def test_keys_that_are_refused_are_one_line(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        options = {
            "endpoint": f"http://127.0.0.1:{server.server_port}",
            "aws_access_key_id": "wrong",
            "aws_secret_access_key": "wrong",
            "region": "us-east-1",
        }
        for call in (ShardedIndex.open, partial(ShardedIndex.create, shards=2)):
            with pytest.raises(StorageError, match=r"s3://tests/x.* check its address, its keys"):
                call("s3://tests/x", encoder=FakeEncoder(), options=options, cache=tmp_path)
        server.shutdown()


def test_a_bucket_that_is_not_there_is_said(s3: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="s3://no-such-bucket/x") as raised:
        ShardedIndex.create(
            "s3://no-such-bucket/x", shards=1, encoder=FakeEncoder(), options=s3, cache=tmp_path
        )
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("shards", [0, -1, True, "4", 1 << 20])
def test_no_number_of_shards_is_refused(folder: Storage, tmp_path: Path, shards: Any) -> None:
    with pytest.raises(InputError, match="give a whole number"):
        create(folder, tmp_path, shards=shards)


def test_a_closed_collection_says_so(folder: Storage, tmp_path: Path) -> None:
    made = create(folder, tmp_path)
    made.close()
    made.close()
    with pytest.raises(StorageError, match="was closed; open it again"):
        made.search("w3")


def test_a_collection_is_named_by_a_whole_url(tmp_path: Path) -> None:
    for wrong, said in (
        (tmp_path, "is not a URL; give file:///folder"),
        ("shards", "is not a URL; give file:///folder"),
        ("file://shards", "is not an absolute path; give file:///FOLDER/shards"),
    ):
        with pytest.raises(StorageError, match=said):
            ShardedIndex.create(wrong, shards=2, encoder=FakeEncoder())  # type: ignore[arg-type]


@pytest.mark.parametrize("odd", "?#")
def test_a_url_that_would_be_cut_short_is_refused(tmp_path: Path, odd: str) -> None:
    """What follows was left out, so that `notes#1` and `notes#2` were one collection."""
    for url in (f"file://{tmp_path}/notes{odd}1", f"s3://bucket/notes{odd}1"):
        with pytest.raises(StorageError, match=rf"contains '\{odd}'.* write %{ord(odd):X}"):
            ShardedIndex.open(url)
    written = f"file://{tmp_path}/notes%{ord(odd):X}1"
    with ShardedIndex.create(written, shards=1, encoder=FakeEncoder(), cache=tmp_path / "cache"):
        pass
    assert (tmp_path / f"notes{odd}1" / "CURRENT").exists()


def test_reading_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(IndexNotFound):
        ShardedIndex.open(f"file://{tmp_path}/nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(IndexNotFound):
        ShardedIndex.open(f"file://{tmp_path}/file")
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_a_cache_may_be_named_by_text(tmp_path: Path) -> None:
    url, cache = f"file://{tmp_path / 'shards'}", str(tmp_path / "cache")
    with ShardedIndex.create(url, shards=2, encoder=FakeEncoder(), cache=cache) as made:
        made.add(documents(4))
        assert len(made) == 4
    assert list((tmp_path / "cache").iterdir())
