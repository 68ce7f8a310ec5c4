import io
import sys
import threading
import time

import pytest

from retrieval.cli.output.progress import bar_of, describe, evaluating_bar, indexing_bar
from retrieval.eval import EvaluateProgress
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


def test_when_all_is_read_the_rest_is_being_encoded_then_written() -> None:
    assert describe(progress(files=1200, bytes=500)).endswith("4,000 tokens/s  2.0 s left")
    assert describe(progress(files=1200, bytes=1000)).endswith("4,000 tokens/s  writing")


def test_compressing_goes_before_all_else() -> None:
    now = progress(compressed=1000, compress_total=5000)
    assert describe(now) == "10/1,200 files  compressing 1,000/5,000 token vectors"


def test_a_short_job_writes_nothing_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert not sys.stderr.isatty()
    with indexing_bar() as show:
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
    with pytest.raises(KeyboardInterrupt), evaluating_bar() as show:
        wait_for("reading the collections\n", written)
        show(EvaluateProgress("c: late, indexing 1/2", 1, 4, 200.0))
        wait_for("s  25 %  c: late, indexing 1/2  3 min 20 s left\n", written)
        time.sleep(0.1)
        show(EvaluateProgress("c: \x1b[2J", 4, 4, 0.0))
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
    with bar_of("waiting"):
        deadline = time.monotonic() + 20
        while written.getvalue().count("waiting\n") < 2 and time.monotonic() < deadline:
            time.sleep(0.005)
    assert written.getvalue().count("waiting\n") >= 2


def test_a_job_goes_on_when_nobody_reads_its_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    monkeypatch.setattr(sys, "stderr", closed)
    monkeypatch.setattr("retrieval.cli.output.progress.EVERY_S", 0.01)
    with bar_of("working") as show:
        wait_for("working", closed)
        monkeypatch.setattr(closed, "write", _no_space)
        show("still working", 1, 2)
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
    with evaluating_bar() as show:
        show(EvaluateProgress("c: [/x], searching", 1, 4, None))
    assert "c: [/x], searching" in terminal.getvalue()
