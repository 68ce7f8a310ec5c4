"""Which kernels run, what is said about it, and that threads and forks agree with one thread."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from retrieval.errors import InputError
from retrieval.indexes import kernels
from retrieval.indexes.kernels import backend, reference
from retrieval.ragged import offsets_of
from tests.indexes.kernels.cases import ISAS, native, signed

CALL = """
import numpy as np
from retrieval.indexes import kernels
scores = np.arange(5, dtype=np.int32)
print(kernels.top(scores, 2), kernels.top(scores, 1), kernels.isa())
"""
WITHOUT = "import sys; sys.modules['retrieval.indexes.kernels._native'] = None\n"


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != backend.VARIABLE}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=environment | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_best_instruction_set_is_taken_and_nothing_is_said() -> None:
    found = run(CALL)
    assert found.stdout == f"[4 3] [4] {ISAS[0]}\n"
    assert found.stderr == ""


@pytest.mark.parametrize("isa", [*ISAS, "numpy"])
def test_the_variable_chooses(isa: str) -> None:
    found = run(CALL, RETRIEVAL_ISA=isa)
    assert (found.stdout, found.stderr) == (f"[4 3] [4] {isa}\n", "")


@pytest.mark.parametrize(
    ("named", "used"), [("amx", "avx512"), ("avxvnni", "avx2"), ("i8mm", "neon")]
)
def test_what_only_the_encoder_has_kernels_for_names_the_set_below_it(
    named: str, used: str
) -> None:
    if used not in ISAS:
        pytest.skip(f"no {used} here")
    assert run(CALL, RETRIEVAL_ISA=named).stdout == f"[4 3] [4] {used}\n"


def test_an_instruction_set_that_is_not_here_is_one_clear_error() -> None:
    code = (
        "from retrieval.errors import InputError; from retrieval.indexes import kernels\n"
        "try: kernels.isa()\nexcept InputError as error: print(error)"
    )
    found = run(code, RETRIEVAL_ISA="mmx").stdout
    names = ", ".join([*ISAS, "numpy"])
    assert found == f"RETRIEVAL_ISA='mmx' cannot be used here; set one of {names}, or nothing\n"


def test_without_the_compiled_module_numpy_serves_and_says_so_once() -> None:
    found = run(WITHOUT + CALL)
    assert found.stdout == "[4 3] [4] numpy\n"
    assert found.stderr.count("\n") == 1
    assert "no compiled kernels" in found.stderr


def test_what_is_said_can_be_silenced() -> None:
    quiet = "import logging; logging.getLogger('retrieval').setLevel(logging.ERROR)\n"
    found = run(WITHOUT + quiet + CALL)
    assert (found.stdout, found.stderr) == ("[4 3] [4] numpy\n", "")
    assert run(WITHOUT + CALL, RETRIEVAL_ISA="numpy").stderr == ""


def test_a_compiled_instruction_set_needs_the_compiled_module() -> None:
    found = run(WITHOUT + CALL, RETRIEVAL_ISA="portable")
    assert "RETRIEVAL_ISA='portable' cannot be used here; set one of numpy, or" in found.stderr


def test_an_unknown_instruction_set_cannot_be_used() -> None:
    before = native.isa()
    for name in ("mmx", "", 3):
        with pytest.raises(ValueError, match="is not available"):
            native.use(name)  # type: ignore[arg-type]
    assert native.isa() == before


@pytest.mark.parametrize("count", ["1", "2", "5"])
def test_threads_share_one_call(monkeypatch: pytest.MonkeyPatch, count: str) -> None:
    random = np.random.default_rng(5)
    offsets = offsets_of(random.integers(0, 40, 700))
    codes = signed(random, int(offsets[-1]), 48)
    scales = random.random(len(codes), dtype=np.float32)
    query, factors = signed(random, 32, 48), random.random(32, dtype=np.float32)
    bounds, rows = np.array([0, 20, 32]), random.permutation(700)
    expected = np.empty((2, 700), np.float32)
    reference.max_sim(codes, scales, offsets, rows, query, factors, bounds, expected, 0, 700)
    monkeypatch.setenv("RETRIEVAL_THREADS", count)
    found = kernels.max_sim(codes, scales, offsets, rows, query, factors, bounds)
    assert found.tobytes() == expected.tobytes()

    def call(_: int) -> bytes:
        return kernels.max_sim(codes, scales, offsets, rows, query, factors, bounds).tobytes()

    with ThreadPoolExecutor(4) as pool:  # several callers at once, each with threads of its own
        assert set(pool.map(call, range(12))) == {expected.tobytes()}


@pytest.mark.parametrize("count", ["0", "-1", "two", "1.5", ""])
def test_a_number_of_threads_that_is_none_is_one_clear_error(
    monkeypatch: pytest.MonkeyPatch, count: str
) -> None:
    monkeypatch.setenv("RETRIEVAL_THREADS", count)
    with pytest.raises(InputError, match="is not a whole number of at least 1"):
        kernels.nearest(*np.zeros((2, 3, 16), np.int8), np.zeros(3, np.int32))


def test_a_fork_has_threads_of_its_own() -> None:
    code = """
import os, numpy as np
from retrieval.indexes import kernels
vectors = np.random.default_rng(0).integers(-128, 128, (4000, 64), dtype=np.int8)
def call():
    return kernels.nearest(vectors, vectors[:500], np.zeros(500, np.int32)).tobytes()
expected = call()
child = os.fork()
if child == 0:
    os._exit(0 if call() == expected else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    found = run(code, RETRIEVAL_THREADS="3", PYTHONWARNINGS="ignore")
    assert (found.stdout, found.stderr) == ("0\n", "")
