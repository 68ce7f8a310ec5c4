"""The compiled network for other processors, run by qemu: its vectors are those of this one."""

import platform
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

NATIVE = Path(__file__).parents[2] / "native"
SHARED = ["-std=gnu11", "-O3", "-ffp-contract=off", "-fno-trapping-math", "-fno-math-errno"]
AVX2 = ["-mavx2", "-mfma"]


@dataclass(frozen=True)
class Machine:
    """A kind of processor: what compiles for it, and the flags of each instruction set's file."""

    compiler: str
    emulator: str
    sets: dict[str, list[str]]
    processors: dict[str, set[str]] = field(default_factory=dict)
    """Processors that qemu knows, and the instruction sets that each has."""


MACHINES = {
    "x86_64": Machine(
        "x86_64-linux-gnu-gcc",
        "qemu-x86_64",
        {
            "avx512": [f"-mavx512{part}" for part in ("f", "bw", "vl", "dq", "vnni")],
            "avxvnni": [*AVX2, "-mavxvnni"],
            "avx2": AVX2,
        },
        {"Haswell": {"avx2"}, "Nehalem": set()},
    ),
    "aarch64": Machine(
        "aarch64-linux-gnu-gcc",
        "qemu-aarch64",
        {
            "i8mm": ["-march=armv8.2-a+dotprod+i8mm"],
            "neon": ["-march=armv8.2-a+dotprod"],
        },
        {"max": {"i8mm", "neon"}, "cortex-a76": {"neon"}, "cortex-a53": set()},
    ),
}


def build(machine: Machine, compiler: str, folder: Path) -> Path:
    """The program native/tests/network.c with every instruction set of a machine."""
    objects = []
    for name, flags in machine.sets.items():
        objects.append(str(folder / f"{name}.o"))
        source = NATIVE / "network" / f"{name}.c"
        subprocess.run([compiler, *SHARED, *flags, "-c", source, "-o", objects[-1]], check=True)
    program = folder / "network"
    defined = [f"-DHAVE_{name.upper()}" for name in machine.sets]
    sources = [NATIVE / "tests" / "network.c", NATIVE / "network" / "dispatch.c"]
    options = [*SHARED, *defined, f"-I{NATIVE}", "-static", "-o", program]
    subprocess.run([compiler, *options, *sources, *objects, "-lm"], check=True)
    return program


def checksums(*command: str | Path) -> dict[str, str]:
    """What each instruction set's vectors sum to."""
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    made = dict(line.split() for line in found.stdout.splitlines())
    assert found.returncode == (0 if made else 1), found.stderr
    return made


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What this processor's instruction sets give."""
    machine, compiler = MACHINES.get(platform.machine()), shutil.which("cc")
    if machine is None or compiler is None:
        pytest.skip("no C compiler, or none of the instruction sets are this machine's")
    made = checksums(build(machine, compiler, tmp_path_factory.mktemp("here")))
    if not made:
        pytest.skip("this processor has none of the instruction sets")
    assert len(set(made.values())) == 1
    return next(iter(made.values()))


@pytest.mark.slow
@pytest.mark.parametrize("name", MACHINES)
def test_another_processor_gives_the_same_to_the_bit(tmp_path: Path, name: str, here: str) -> None:
    machine = MACHINES[name]
    compiler, emulator = shutil.which(machine.compiler), shutil.which(machine.emulator)
    if compiler is None or emulator is None:
        pytest.skip(f"needs {machine.compiler} and {machine.emulator}")
    program = build(machine, compiler, tmp_path)
    for processor, sets in machine.processors.items():
        made = checksums(emulator, "-cpu", processor, program)
        assert made == dict.fromkeys(sets, here), processor
