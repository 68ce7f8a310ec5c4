import io
import sys
import threading
import time

import pytest

from retrieval.cli.output.progress import describe, progress_bar
from retrieval.sync import SyncProgress
from retrieval.types import COMPRESSING, ProgressUpdate


def progress(**changes: float | str) -> SyncProgress:
    plain: dict[str, float | str] = {
        "stage": "encoding", "done": 50, "total": 1000, "unit": "bytes", "seconds_left": 38.0,
        "files": 10, "files_total": 1200, "passages": 40, "tokens": 8000, "seconds": 2.0,
    }  # fmt: skip
    return SyncProgress(**plain | changes)  # type: ignore[arg-type]


def test_rates_and_time_left() -> None:
    assert describe(progress()) == ("10/1,200 files  20 passages/s  4,000 tokens/s  38 s left")


def test_nothing_is_foretold_before_anything_is_encoded() -> None:
    assert describe(progress(passages=0, tokens=0)) == "10/1,200 files"


def test_when_all_is_read_the_rest_is_being_encoded_then_written() -> None:
    left = describe(progress(files=1200, done=500, seconds_left=2.0))
    assert left.endswith("4,000 tokens/s  2.0 s left")
    assert describe(progress(files=1200, done=1000)).endswith("4,000 tokens/s  writing")


def test_compressing_goes_before_all_else() -> None:
    now = progress(stage=COMPRESSING, done=1000, total=5000, unit="token vectors")
    assert describe(now) == "10/1,200 files  compressing 1,000/5,000 token vectors"


def test_what_is_counted_and_the_time_left() -> None:
    now = ProgressUpdate("training: late 0.388", 120, 600, "steps", 240.0)
    assert describe(now) == "training: late 0.388 120/600 steps  4 min 0 s left"
    assert describe(ProgressUpdate("mining", 3, 1000, "queries")) == "mining 3/1,000 queries"
    assert describe(ProgressUpdate("encoding", 3000, None, "passages")) == "encoding 3,000 passages"
    assert describe(ProgressUpdate("c: late, indexing 1/2", 1, 4)) == "c: late, indexing 1/2"


def test_a_short_job_writes_nothing_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert not sys.stderr.isatty()
    with progress_bar("looking for changes") as show:
        show(progress())
    assert capsys.readouterr() == ("", "")


def wait_for(said: str, written: io.StringIO) -> None:
    deadline = time.monotonic() + 20
    while said not in written.getvalue() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert said in written.getvalue()


def test_a_long_job_writes_lines_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    monkeypatch.setattr("retrieval.cli.output.progress.EVERY_S", 0.01)
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt), progress_bar("reading the collections") as show:
        wait_for("reading the collections\n", written)
        show(ProgressUpdate("c: late, indexing 1/2", 1, 4, seconds_left=200.0))
        wait_for("s  25 %  c: late, indexing 1/2  3 min 20 s left\n", written)
        time.sleep(0.1)
        show(ProgressUpdate("c: \x1b[2J", 4, 4, seconds_left=0.0))
        wait_for("  100 %  c: ", written)
        raise KeyboardInterrupt
    assert threading.active_count() == before, "no thread is left, whatever happened"
    assert len(written.getvalue().splitlines()) == 3, "what did not change is not said again"
    assert "\x1b" not in written.getvalue()
    assert "\r" not in written.getvalue()


def test_a_step_that_tells_nothing_is_said_again(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    monkeypatch.setattr("retrieval.cli.output.progress.EVERY_S", 0.01)
    monkeypatch.setattr("retrieval.cli.output.progress.STILL_S", 0.03)
    with progress_bar("waiting"):
        deadline = time.monotonic() + 20
        while written.getvalue().count("waiting\n") < 2 and time.monotonic() < deadline:
            time.sleep(0.005)
    assert written.getvalue().count("waiting\n") >= 2


def test_a_job_goes_on_when_nobody_reads_its_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    monkeypatch.setattr(sys, "stderr", closed)
    monkeypatch.setattr("retrieval.cli.output.progress.EVERY_S", 0.01)
    with progress_bar("working") as show:
        wait_for("working", closed)
        monkeypatch.setattr(closed, "write", _no_space)
        show(ProgressUpdate("still working", 1, 2))
        time.sleep(0.1)
    assert "still" not in closed.getvalue()


def _no_space(_: str) -> int:
    raise OSError("No space left on device")


def test_a_bar_shows_names_with_square_brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar("reading the collections") as show:
        show(ProgressUpdate("c: [/x], searching", 1, 4))
    assert "c: [/x], searching" in terminal.getvalue()
