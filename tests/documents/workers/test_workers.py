"""Worker processes: what a file can do to one, and what that costs the others."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from retrieval.documents import SourceFile, read, workers
from retrieval.documents.formats import Format, Parsed, Source, formats, register, table
from retrieval.documents.formats.format import Parse, place_of_function
from retrieval.documents.workers import limits, pool
from retrieval.errors import DocumentError, InputError, MissingDependency

from . import foreign_parsers as parsers

LINUX = sys.platform.startswith("linux") and platform.machine() in ("x86_64", "aarch64")


@pytest.fixture(autouse=True)
def no_workers_left() -> Iterator[None]:
    yield
    workers.stop()


def parse(function: Parse, data: bytes = b"text") -> list[Parsed]:
    return workers.parse(function, data, Source("folder/a.x"))


def worker() -> int:
    """The process that a file is read in."""
    process: int = parse(parsers.plain)[0].metadata["process"]
    return process


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_one_process_reads_one_file_after_the_other() -> None:
    first, second = parse(parsers.plain, b"one"), parse(parsers.plain, b"two")
    assert [first[0].text, second[0].text] == ["one", "two"]
    assert first[0].title == "folder/a.x"
    assert first[0].metadata == second[0].metadata != {"process": os.getpid()}
    assert [one.id for one in parse(parsers.several)] == [f"folder/a.x#{n}" for n in range(3)]
    assert parse(parsers.plain, b"x" * 3_000_000)[0].text == "x" * 3_000_000
    assert parse(parsers.prints)[0].text == "said"
    assert worker() == first[0].metadata["process"]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (parsers.crashes, r"its parser crashed \(SIGSEGV\)"),
        (
            parsers.aborts,
            r"its parser crashed \(SIGABRT\); it may have wanted more than 1,024 MB of memory",
        ),
        (parsers.exits, r"its parser crashed \(exit status 3\)"),
        (parsers.panics, r"its parser failed \(SystemExit: as a library in Rust does\); please"),
        (parsers.wants_memory, r"its parser wanted more than 1,024 MB of memory"),
        (parsers.goes_too_deep, "is nested too deeply"),
        (parsers.has_a_fault, r"its parser failed \(KeyError: 'body'\); please report this file"),
        (parsers.refuses, "is none"),
    ],
)
def test_a_file_costs_itself_alone(function: Parse, said: str) -> None:
    parse(parsers.plain)
    with pytest.raises(DocumentError, match=f"^{said}") as caught:
        parse(function)
    assert "\n" not in str(caught.value)
    assert parse(parsers.plain, b"the next")[0].text == "the next"


@pytest.mark.parametrize("function", [parsers.hangs, parsers.sleeps])
def test_a_file_that_takes_too_long_costs_itself_alone(
    function: Parse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SECONDS", 0.2)  # the worker has limits of its own
    before = worker()
    started = time.monotonic()
    with pytest.raises(DocumentError, match=r"^its parser ran longer than 0.2 s$"):
        parse(function)
    assert time.monotonic() - started < limits.SECONDS * limits.PATIENCE + 20
    assert worker() != before and not is_running(before)


@pytest.mark.slow
def test_a_processors_time_is_bounded_by_the_system() -> None:
    """Of the worker's own limit, without anybody's clock."""
    code = """
        from retrieval.documents.workers.confinement import allow
        allow(0, 1)
        while True: pass
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], timeout=60, check=False)
    assert done.returncode == -signal.SIGXCPU


def test_larger_files_may_take_longer() -> None:
    assert limits.seconds_for(0) == 30
    assert limits.seconds_for(10 << 20) == 60


def test_a_worker_that_gives_too_much_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ANSWER", 1 << 24)
    with pytest.raises(DocumentError, match="its parser gave more than 16 MB of text"):
        parse(parsers.gives_too_much)
    assert parse(parsers.plain, b"the next")[0].text == "the next"


def test_a_file_is_not_blamed_for_those_before_it() -> None:
    assert parse(parsers.dies_if_used_before)[0].text == "fine"
    first = worker()
    assert parse(parsers.dies_if_used_before)[0].text == "fine"
    assert worker() != first


def test_a_large_process_has_small_workers() -> None:
    """A worker is not replaced for the memory of the process that started it."""
    held = bytearray(limits.HELD + (64 << 20))
    held[::4096] = b"x" * len(held[::4096])
    assert worker() == worker()


def test_a_worker_that_somebody_ended_is_replaced() -> None:
    first = worker()
    os.kill(first, signal.SIGKILL)
    time.sleep(0.1)
    assert parse(parsers.plain, b"the next")[0].text == "the next"
    assert worker() != first


def test_errors_keep_their_kind() -> None:
    with pytest.raises(InputError, match=r"^what encoding") as caught:
        parse(parsers.knows_no_encoding)
    assert not isinstance(caught.value, DocumentError)
    with pytest.raises(MissingDependency, match=r"^needs a reader"):
        parse(parsers.lacks)
    with pytest.raises(DocumentError, match="its parser failed"):
        parse(parsers.gives_an_object)


def test_a_worker_is_replaced_after_many_files(monkeypatch: pytest.MonkeyPatch) -> None:
    fewer = pool._START.replace("main()", "from retrieval.documents.workers import limits; ")
    monkeypatch.setattr(pool, "_START", fewer + "limits.FILES = 2; main()")
    processes = [worker() for _ in range(6)]
    assert processes == sorted(processes, key=processes.index)
    assert [processes.count(one) for one in dict.fromkeys(processes)] == [2, 2, 2]


@pytest.mark.parametrize("what", ["socket", "program", "write", "remove", "fork"])
def test_python_refuses_what_no_parser_needs(what: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    if what == "remove":
        path.write_text("here")
    tried = f"{what} {path}".encode()
    assert parse(parsers.tries, tried)[0].text == "refused"
    assert path.exists() == (what == "remove")


@pytest.mark.skipif(not LINUX, reason="the kernel's filter is written for Linux on two processors")
@pytest.mark.parametrize("what", ["socket", "program", "write", "remove", "fork", "kill"])
def test_the_kernel_refuses_what_no_parser_needs(what: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    if what == "remove":
        path.write_text("here")
    tried = f"{what} {path}".encode()
    assert parse(parsers.tries_without_python, tried)[0].text in ("EPERM", "EACCES")
    assert path.exists() == (what == "remove")


def test_a_worker_may_start_threads() -> None:
    assert parse(parsers.starts_a_thread)[0].text == "from a thread"


def test_threads_ask_at_once() -> None:
    with ThreadPoolExecutor(8) as threads:
        texts = list(threads.map(lambda n: parse(parsers.plain, b"%d" % n)[0].text, range(40)))
    assert texts == [str(number) for number in range(40)]


def test_a_copy_of_the_process_has_workers_of_its_own() -> None:
    first = worker()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, str(worker()).encode())
        workers.stop()
        os._exit(0)
    os.waitpid(child, 0)
    assert int(os.read(reading, 100)) != first
    os.close(reading)
    os.close(writing)
    assert worker() == first


PROGRAM = """
import sys, threading
from retrieval.documents import workers
from retrieval.documents.formats import Source
from tests.documents.workers import foreign_parsers as parsers

made = workers.parse(parsers.plain, b"", Source("a"))
print(made[0].metadata["process"], flush=True)
workers.parse(parsers.hangs, b"", Source("a"))
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_the_process_that_asks(number: signal.Signals) -> None:
    """In the middle of a file, whatever ends the process; and nothing is said but by Python."""
    root = Path(__file__).parents[3]
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert program.stdout
    process = int(program.stdout.readline())
    time.sleep(0.2)
    os.killpg(program.pid, number)  # as a terminal does
    _, said = program.communicate(timeout=60)
    assert said.count("Traceback") == (number == signal.SIGINT)
    for _ in range(200):
        if not is_running(process):
            return
        time.sleep(0.05)
    raise AssertionError("the worker is running")


def test_a_thread_that_ends_takes_no_worker_with_it() -> None:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(worker()))
    thread.start()
    thread.join()
    assert worker() == found[0]


def test_a_function_that_a_worker_cannot_find_is_refused() -> None:
    def inner(data: bytes, source: Source) -> Parsed:
        return Parsed("")

    for function in (inner, lambda data, source: Parsed("")):
        assert place_of_function(function) is None
        with pytest.raises(InputError, match="define it at the top level of a module"):
            register(Format("mine", 1, function, (".mine",), isolated=True))
        with pytest.raises(InputError, match="define it at a module's top level"):
            parse(function)


def test_workers_find_every_isolated_format() -> None:
    for format in formats().values():
        assert not format.isolated or place_of_function(format.parse), format.name


def test_an_isolated_format_is_read_in_a_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "_table", table._Table())
    register(Format("mine", 1, parsers.plain, (".mine",), binary=True, isolated=True))
    register(Format("bad", 1, parsers.crashes, (".bad",), binary=True, isolated=True))
    register(Format("faulty", 1, parsers.has_a_fault, (".faulty",)))
    register(Format("lacking", 1, parsers.lacks, (".lacking",)))

    def give(name: str) -> SourceFile:
        path = tmp_path / name
        path.write_bytes(b"words")
        return SourceFile(path, name, 5, 0)

    (document,) = read(give("a.mine")).documents
    assert (document.text, document.metadata["format"]) == ("words", "mine")
    assert document.metadata["process"] != os.getpid()
    with pytest.raises(DocumentError, match=r"^a\.bad: its parser crashed \(SIGSEGV\)$"):
        read(give("a.bad"))
    with pytest.raises(DocumentError, match=r"^a\.faulty: its parser failed \(KeyError"):
        read(give("a.faulty"))
    with pytest.raises(DocumentError, match=r"^a\.lacking: needs a reader; pip install it$"):
        read(give("a.lacking"))


def test_a_folder_of_text_starts_no_worker(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Words\n")
    code = """
        import subprocess, sys
        from pathlib import Path
        subprocess.Popen = None
        from retrieval.documents import SourceFile, read
        print(read(SourceFile(Path(sys.argv[1]), "a.md", 8, 0)).documents[0].title)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "a.md")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "Words\n"
