"""The compiled network for other processors, run by qemu: its vectors are those of this one."""

import platform
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from .network_program import ARM, X86, build, checksums


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
        "x86_64-linux-gnu-gcc", "qemu-x86_64", X86, {"Haswell": {"avx2"}, "Nehalem": set()}
    ),
    "aarch64": Machine(
        "aarch64-linux-gnu-gcc",
        "qemu-aarch64",
        ARM,
        {"max": {"i8mm", "neon"}, "cortex-a76": {"neon"}, "cortex-a53": set()},
    ),
}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What this processor's instruction sets give."""
    machine, compiler = MACHINES.get(platform.machine()), shutil.which("cc")
    if machine is None or compiler is None:
        pytest.skip("no C compiler, or none of the instruction sets are this machine's")
    made = checksums(build(machine.sets, compiler, tmp_path_factory.mktemp("here")))
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
    program = build(machine.sets, compiler, tmp_path)
    for processor, sets in machine.processors.items():
        made = checksums(emulator, "-cpu", processor, program)
        assert made == dict.fromkeys(sets, here), processor
