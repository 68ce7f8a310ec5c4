"""Where there is no C compiler: the package installs, works, and says once what that costs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NATIVE = Path(__file__).parents[1] / "native"

SEARCH = """
import sys
sys.modules["retrieval.indexes.kernels._native"] = None
sys.modules["retrieval.encoders._compiled"] = None
from retrieval import Index
from retrieval.types import Document

with Index.create(sys.argv[1]) as index:
    index.add([Document("mill", "The mill grinds corn at dawn."), Document("sea", "Salt water.")])
    for _ in range(2):
        print(index.search("when is corn ground", k=1)[0].document_id)
"""


@pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not installed")
def test_nothing_is_built_and_the_installation_goes_on(tmp_path: Path) -> None:
    def cmake(*arguments: str | Path) -> str:
        done = subprocess.run(
            ["cmake", *arguments],
            env=os.environ | {"CC": "/nonexistent/cc"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return " ".join(done.stderr.split())

    said = cmake("-S", NATIVE, "-B", tmp_path / "build")
    assert "No C compiler found: installing without the compiled kernels." in said
    assert "Late interaction will run on numpy, many times slower" in said
    assert "the embedded model by ONNX Runtime" in said
    cmake("--build", tmp_path / "build")
    cmake("--install", tmp_path / "build", "--prefix", tmp_path / "installed")
    assert not list(tmp_path.rglob("*.so"))


@pytest.mark.slow
def test_an_index_is_built_and_searched_and_one_line_says_what_it_costs(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "RETRIEVAL_ISA"}
    found = subprocess.run(
        [sys.executable, "-c", SEARCH, tmp_path / "index"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout == "mill\nmill\n", found.stderr
    (line,) = found.stderr.splitlines()
    assert line.startswith("late interaction runs on numpy, many times slower than it could")
    assert "the embedded model by ONNX Runtime" in line
    assert "reinstall where there is a C compiler" in line
