"""The program native/tests/network.c: a checksum of a network's vectors by each instruction set."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

NATIVE = Path(__file__).parents[2] / "native"
SHARED = ["-std=gnu11", "-O3", "-ffp-contract=off", "-fno-trapping-math", "-fno-math-errno"]
DISPATCH = NATIVE / "network" / "dispatch.c"

_AVX2 = ["-mavx2", "-mfma"]
_AVX512 = [f"-mavx512{part}" for part in ("f", "bw", "vl", "dq", "vnni")]
X86 = {
    "amx": [*_AVX512, "-mamx-tile", "-mamx-int8"],
    "avx512": _AVX512,
    "avxvnni": [*_AVX2, "-mavxvnni"],
    "avx2": _AVX2,
}
ARM = {
    "i8mm": ["-march=armv8.2-a+dotprod+i8mm"],
    "neon": ["-march=armv8.2-a+dotprod"],
}
"""The flags of each instruction set's file."""


def build(
    sets: Mapping[str, Sequence[str]],
    compiler: str,
    folder: Path,
    chooser: Path = DISPATCH,
    options: Sequence[str] = ("-static",),
) -> Path:
    """The program with these instruction sets, of which the file `chooser` says which there are."""
    objects = []
    for name, flags in sets.items():
        objects.append(str(folder / f"{name}.o"))
        source = NATIVE / "network" / f"{name}.c"
        command = [compiler, *SHARED, *options, *flags, "-c", source, "-o", objects[-1]]
        subprocess.run(command, check=True)
    program = folder / "network"
    defined = [f"-DHAVE_{name.upper()}" for name in sets]
    command = [compiler, *SHARED, *options, *defined, f"-I{NATIVE}", "-o", program]
    sources = [NATIVE / "tests" / "network.c", chooser]
    subprocess.run([*command, *sources, *objects, "-lm"], check=True)
    return program


def checksums(*command: str | Path) -> dict[str, str]:
    """What each instruction set's vectors sum to."""
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    made = dict(line.split() for line in found.stdout.splitlines())
    assert found.returncode == (0 if made else 1), found.stderr
    return made
