"""What only a process of its own shows: signals, pipes, terminals, imports."""

import json
import os
import pty
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from retrieval.errors import IndexNotFound
from retrieval.index import Index

from .conftest import COMMAND

Process = Callable[..., subprocess.Popen[str]]
PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def documents(folder: Path) -> int:
    try:
        with Index.open(folder / ".retrieval") as index:
            return index.status().documents
    except IndexNotFound:
        return 0


def test_after_ctrl_c_the_next_run_goes_on(process: Process, folder: Path) -> None:
    for number in range(40):
        (folder / "docs" / f"{number}.txt").write_text(f"text number {number}")
    environment = {"FAKE_DELAY": "0.1", "FAKE_COMMITS": "1"}
    running = process("index", "docs", env=environment, **PIPES)
    deadline = time.monotonic() + 30
    while documents(folder) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    code, out, err = finish(running)
    assert (code, out) == (130, "")
    kept = documents(folder)
    assert err == f"stopped; the index holds {kept} documents, run the same command to continue\n"
    assert 3 <= kept < 42
    code, out, err = finish(process("index", "docs", **PIPES))
    assert (code, err) == (0, "")
    assert out.startswith(f".retrieval: {42 - kept} added, {kept} unchanged; ")


def test_ctrl_c_before_anything_is_committed(process: Process, folder: Path) -> None:
    for number in range(40):
        (folder / "docs" / f"{number}.txt").write_text(f"text number {number}")
    running = process("index", "docs", env={"FAKE_DELAY": "30"}, **PIPES)
    deadline = time.monotonic() + 30
    while not (folder / ".retrieval" / "segments").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.5)  # the index is open, and the first batch is being encoded
    running.send_signal(signal.SIGINT)
    code, _, err = finish(running)
    said = "stopped; the index holds no document yet, run the same command to continue\n"
    assert (code, err) == (130, said)


@pytest.mark.usefixtures("indexed")
def test_a_reader_that_goes_away_is_no_error(process: Process) -> None:
    for arguments in (("search", "lock"), ("search", "lock", "--json"), ("--help",)):
        reading, writing = os.pipe()
        os.close(reading)
        running = process(*arguments, stdout=writing, stderr=subprocess.PIPE)
        os.close(writing)
        assert finish(running) == (141, None, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.usefixtures("indexed")
def test_output_that_cannot_be_written_is_named(process: Process) -> None:
    for arguments in (("search", "lock"), ("list", "--json"), ("--help",)):
        with Path("/dev/full").open("w") as full:
            usual = {"PYTHONUNBUFFERED": ""}
            running = process(*arguments, env=usual, stdout=full, stderr=subprocess.PIPE)
        said = "error: standard output: no space left; free some and run it again\n"
        assert finish(running) == (1, None, said)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_any_encoding_of_the_output_will_do(process: Process, folder: Path, encoding: str) -> None:
    (folder / "docs" / "é.md").write_text("# Ünï – 検索\n\nzebra 検索\n")
    environment = {"PYTHONIOENCODING": encoding}
    assert finish(process("index", "docs", env=environment, **PIPES))[0] == 0
    for arguments in (("search", "zebra"), ("search", "zebra", "--json")):
        code, out, err = finish(process(*arguments, env=environment, encoding=encoding, **PIPES))
        assert (code, err) == (0, "")
        assert "zebra" in out


def test_names_that_are_not_utf8_do_no_harm(process: Process, folder: Path) -> None:
    odd = "d\udcff.md"  # as Python decodes the byte 0xff in a name
    (folder / "docs" / odd).write_text("zebra")
    assert finish(process("index", f"docs/{odd}", **PIPES))[0] == 0
    code, out, _ = finish(process("search", "zebra", "--json", **PIPES))
    assert (code, json.loads(out)[0]["document_id"]) == (0, "docs/d\\xff.md")
    code, out, _ = finish(process("search", "zebra", "--index", odd, "--json", **PIPES))
    assert (code, json.loads(out)["error"]["type"]) == (1, "IndexNotFound")
    code, _, err = finish(process("search", "zebra", "--index", odd, **PIPES))
    assert (code, err.count("\n"), "Traceback" in err) == (1, 1, False)


def on_terminal(process: Process, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Exit code, output and standard error of a command whose two streams are terminals."""
    ours, theirs = [], []
    for _ in range(2):
        one, other = pty.openpty()
        ours.append(one)
        theirs.append(other)
    running = process(
        *arguments,
        stdout=theirs[0],
        stderr=theirs[1],
        env={"TERM": "xterm", "COLUMNS": "90"} | environment,
    )
    for descriptor in theirs:
        os.close(descriptor)
    shown = [_drain(descriptor) for descriptor in ours]
    return running.wait(timeout=60), shown[0], shown[1]


def _drain(terminal: int) -> str:
    parts = []
    try:
        while part := os.read(terminal, 65536):
            parts.append(part)
    except OSError:  # how Linux says that the other side is closed
        pass
    os.close(terminal)
    return b"".join(parts).decode().replace("\r\n", "\n")


def test_a_terminal_gets_colours_and_progress(process: Process, folder: Path) -> None:
    for number in range(20):
        (folder / "docs" / f"{number}.txt").write_text(f"text number {number}")
    slow = {"FAKE_DELAY": "0.05", "FAKE_COMMITS": "1"}
    code, out, err = on_terminal(process, "index", "docs", **slow)
    assert (code, out.split(";")[0]) == (0, ".retrieval: 22 added")
    assert "/22 files" in err
    assert "tokens/s" in err
    assert "passages/s" in err
    assert " left" in err
    code, out, err = on_terminal(process, "search", "refused", "-k", "1")
    assert (code, err) == (0, "")
    assert "comes second is \x1b[1;33mrefused\x1b[0m." in out
    code, out, err = on_terminal(process, "search", "refused", "-k", "1", NO_COLOR="1")
    assert "\x1b" not in out
    code, out, err = on_terminal(process, "search", "")
    assert err.startswith("\x1b[1;31merror: \x1b[0mthe query is empty")


def test_progress_is_silent_when_piped(process: Process) -> None:
    environment = {"FAKE_DELAY": "0.2"}
    code, out, err = finish(process("index", "docs", env=environment, **PIPES))
    assert (code, err) == (0, "")
    assert out.count("\n") == 1


def test_a_watch_follows_the_files_until_ctrl_c(process: Process, folder: Path) -> None:
    watching = process("index", "docs", "--watch", **PIPES)
    assert watching.stdout is not None
    assert watching.stdout.readline().startswith(".retrieval: 2 added; ")
    (folder / "docs" / "new.md").write_text("# New\n\nIt came later.\n")
    assert watching.stdout.readline().startswith(".retrieval: 1 added, ")
    (folder / "docs" / "new.md").unlink()
    assert watching.stdout.readline().startswith(".retrieval: 1 deleted, 2 unchanged")
    watching.send_signal(signal.SIGINT)
    code, out, err = finish(watching)
    assert (code, out) == (130, "")
    assert err.startswith("watching for changes; Ctrl-C stops it\n")
    assert err.endswith("stopped; the index holds 2 documents, run the same command to continue\n")


def test_a_watch_tells_each_update_in_a_line_of_json(process: Process, folder: Path) -> None:
    watching = process("index", "docs", "--watch", "--json", **PIPES)
    assert watching.stdout is not None
    assert json.loads(watching.stdout.readline())["added"] == 2
    (folder / "docs" / "new.md").write_text("# New\n")
    assert json.loads(watching.stdout.readline())["added"] == 1
    watching.send_signal(signal.SIGINT)
    code, out, err = finish(watching)
    assert (code, out) == (130, "")
    assert err.endswith("stopped; the index holds 3 documents, run the same command to continue\n")
    code, out, _ = finish(process("index", "nowhere", "--watch", "--json", **PIPES))
    assert (code, out.count("\n"), json.loads(out)["error"]["type"]) == (2, 1, "InputError")


def test_help_imports_nothing_that_is_slow() -> None:
    program = (
        "import sys\n"
        "from retrieval.cli.entry import run\n"
        "assert run(['--help']) == 0\n"
        "slow = {'numpy', 'rich', 'sqlite3', 'torch', 'onnxruntime', 'faiss', 'tantivy',"
        " 'transformers', 'tokenizers', 'watchfiles', 'markdown_it', 'retrieval.index',"
        " 'retrieval.documents'}\n"
        "sys.stderr.write(' '.join(sorted(slow & set(sys.modules))))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("module", ["retrieval.types", "retrieval.cli.entry", "typer"])
def test_ctrl_c_while_modules_are_imported(module: str) -> None:
    program = (
        "import sys\n"
        "class Stop:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}:\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Stop())\n"
        "from retrieval.cli import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", program, "search", "x"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "stopped\n")


def test_python_dash_m_is_the_command() -> None:
    command = [sys.executable, "-m", "retrieval", "--version"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout[:10]) == (0, "retrieval ")


@pytest.mark.parametrize(("closed", "code"), [("0<&-", 2), ("1>&-", 0), ("2>&-", 0)])
@pytest.mark.usefixtures("indexed")
def test_a_standard_stream_that_is_closed(folder: Path, closed: str, code: int) -> None:
    """A file that is opened must not take its number: what is printed would go there."""
    words = "-" if closed.startswith("0") else "refused"
    command = f"exec {shlex.join([*COMMAND, 'search', words])} {closed}"
    done = subprocess.run(
        ["sh", "-c", command], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert "Traceback" not in done.stderr + done.stdout
    assert done.returncode == code


def test_a_thread_in_foreign_code_does_not_abort_the_end() -> None:
    """As when a server is told to end while it loads a model: nobody waits for that thread."""
    onnx = pytest.importorskip("onnx")
    shape = onnx.TensorProto.FLOAT, [64, 64]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["a", "a"], ["b"])],
        "product",
        [onnx.helper.make_tensor_value_info("a", *shape)],
        [onnx.helper.make_tensor_value_info("b", *shape)],
    )
    versions = {"ir_version": 8, "opset_imports": [onnx.helper.make_opsetid("", 13)]}
    model = onnx.helper.make_model(graph, **versions).SerializeToString()
    code = f"""
import sys, threading
import numpy as np, onnxruntime
from retrieval.cli import main
session, a = onnxruntime.InferenceSession({model!r}), np.ones((64, 64), np.float32)
begun = threading.Event()
def work():
    while True:
        session.run(None, dict(a=a))
        begun.set()
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
begun.wait()
sys.argv = ["retrieval", "--version"]
main()
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("retrieval ")
