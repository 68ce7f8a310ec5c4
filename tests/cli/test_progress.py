import sys

import pytest

from retrieval.cli.progress import describe, indexing_bar
from retrieval.sync import SyncProgress


def progress(**changes: float) -> SyncProgress:
    plain = {
        "files": 10, "files_total": 1200, "bytes": 50, "bytes_total": 1000,
        "passages": 40, "tokens": 8000, "seconds": 2.0,
    }  # fmt: skip
    return SyncProgress(**plain | changes)  # type: ignore[arg-type]


def test_rates_and_time_left() -> None:
    assert describe(progress()) == ("10/1,200 files  20 passages/s  4,000 tokens/s  38 s left")


def test_nothing_is_foretold_before_anything_is_encoded() -> None:
    assert describe(progress(passages=0, tokens=0)) == "10/1,200 files"


def test_when_all_is_read_the_rest_is_being_encoded() -> None:
    shown = describe(progress(files=1200, bytes=1000))
    assert shown.endswith("4,000 tokens/s  encoding the rest")


def test_compressing_goes_before_all_else() -> None:
    now = progress(compressed=1000, compress_total=5000)
    assert describe(now) == "10/1,200 files  compressing 1,000/5,000 token vectors"


def test_there_is_no_bar_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    assert not sys.stderr.isatty()
    with indexing_bar() as show:
        assert show is None
    assert capsys.readouterr() == ("", "")
