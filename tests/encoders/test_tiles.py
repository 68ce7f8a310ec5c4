"""AMX on a processor without it: native/tests/tiles.c does what its instructions do."""

import shutil
import subprocess
from pathlib import Path

import pytest

from retrieval.encoders.runtimes import compiled

from .network_program import NATIVE, X86, build, checksums

SETS = {name: X86[name] for name in ("amx", "avx512")}
BUILDS = {
    "as shipped": ["-static"],
    "sanitized": ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
}


def compiles(compiler: str, *options: str) -> bool:
    """Whether there is a compiler that knows these options."""
    command = [compiler, *options, "-x", "c", "-", "-o", "/dev/null"]
    empty = b"int main(void) { return 0; }"
    return subprocess.run(command, input=empty, capture_output=True, check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.skipif("avx512" not in compiled.available(), reason="the rest of it is AVX-512")
@pytest.mark.parametrize("options", BUILDS.values(), ids=BUILDS)
def test_tiles_give_the_same_to_the_bit(
    tmp_path: Path, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = shutil.which("cc")
    if compiler is None or not compiles(compiler, *X86["amx"], *options):
        pytest.skip("needs a C compiler that knows AMX, and its sanitizers")
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=0")  # it frees nothing
    made = checksums(build(SETS, compiler, tmp_path, NATIVE / "tests" / "tiles.c", options))
    assert list(made) == ["amx", "avx512"]
    assert made["amx"] == made["avx512"]
