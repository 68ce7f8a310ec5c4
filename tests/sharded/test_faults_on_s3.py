"""A few builds on S3 on whose way requests fail; `make soak` runs more."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from retrieval.errors import StorageError
from retrieval.sharded.storage import ObjectStorage

from ..soak.stages import Tally
from . import faulty_s3
from .faults_on_s3 import KINDS, Trials
from .faulty_s3 import FaultyS3, Kind
from .made import create
from .samples import documents


@pytest.fixture(scope="module")
def trials(s3: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trials]:
    yield Trials(s3, tmp_path_factory.mktemp("trials"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_build_gets_over_what_befalls_it_or_says_so(trials: Trials, kind: Kind) -> None:
    tally = Tally()
    trials.run(24 + KINDS.index(kind), kind, tally)
    assert tally.faults == [] and tally.trials == 1


@pytest.mark.parametrize(
    "kind", ["server errors", "throttled", "connections lost", "answers cut off"]
)
def test_every_call_is_made_again(
    s3: Mapping[str, str], kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What befalls four of ten requests befalls no call: all come to what they would."""
    monkeypatch.setattr(faulty_s3, "SHARE", 0.4)
    url = f"s3://tests/again-{kind.replace(' ', '-')}"
    names = [f"a/{number:04d}" for number in range(12)]
    plain = ObjectStorage(url, s3)
    with FaultyS3(s3, kind, 3) as way:
        storage = ObjectStorage(url, way.options)
        for name in names:
            storage.put(name, name.encode() * 100)
        assert [storage.read(name) for name in names] == [name.encode() * 100 for name in names]
        assert storage.read_range(names[3], 2, 4) == b"0003"
        storage.create("new", b"new")  # which may be told that it is there: by itself
        assert plain.read("new") == b"new" and not storage.create("new", b"other")
        storage.advance("pointer", lambda before: b"1" if before is None else None)
        storage.advance("pointer", lambda before: b"2" if before == b"1" else None)
        assert plain.read("pointer") == b"2"
        assert [one.name for one in storage.objects("a")] == names
        assert storage.find(names[0]) is not None and storage.find("nowhere") is None
        assert storage.download(names[1], tmp_path / "file")
        assert (tmp_path / "file").read_bytes() == names[1].encode() * 100
        assert storage.now()
        storage.delete(names)
        assert list(plain.objects("a")) == []
        assert way.befell > 6


def test_a_listing_goes_on_where_it_was_cut_off(
    s3: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "s3://tests/listed"
    plain = ObjectStorage(url, s3)
    names = [f"a/{number:04d}" for number in range(30)]
    for name in names:
        plain.put(name, b"")
    monkeypatch.setattr("retrieval.sharded.storage._LISTED_AT_ONCE", 7)
    monkeypatch.setattr(faulty_s3, "SHARE", 0.5)
    for seed in range(5):
        with FaultyS3(s3, "answers cut off", seed) as way:
            assert [one.name for one in ObjectStorage(url, way.options).objects("a")] == names


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("credentials expire", r"403 Forbidden: ExpiredToken .*; its keys have expired: renew"),
        ("clock of the builder", r"RequestTimeTooSkewed .*; this machine's clock and the storage"),
    ],
)
def test_what_lasts_is_said_with_its_cure(s3: Mapping[str, str], kind: Kind, said: str) -> None:
    with FaultyS3(s3, kind, 0) as way:
        storage = ObjectStorage("s3://tests/lasting", way.options)
        for call in (
            lambda: storage.put("a", b""),
            lambda: storage.create("a", b""),
            lambda: storage.read("a"),
            lambda: list(storage.objects("a")),
            lambda: storage.delete(["a"]),
        ):
            with pytest.raises(StorageError, match=said) as raised:
                call()
            assert "\n" not in str(raised.value)


@pytest.mark.parametrize("days", [-20, 20])
def test_what_is_old_goes_by_the_clock_of_the_storage(
    s3: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    """However wrong the clocks of builders are, what is within the time of grace stays."""
    from .conftest import Storage

    with FaultyS3(s3, "clock of the storage", 0) as way:
        storage = Storage(f"s3://tests/clocks-{days}", way.options)
        usual = time.time
        monkeypatch.setattr(time, "time", lambda: usual() + timedelta(days=days).total_seconds())
        with create(storage, tmp_path) as made:
            made.add(documents(20))
            made.delete([one.id for one in documents(10)])
            assert made.compact().objects == 0
            time.sleep(1.1)  # its clock tells whole seconds
            assert made.compact(grace=0).objects > 0
            assert len(made) == 10
