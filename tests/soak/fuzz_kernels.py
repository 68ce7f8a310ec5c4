"""Coverage-guided fuzzing of the compiled kernels' arguments: `make fuzz`.

    python -m tests.soak.fuzz_kernels BUILD [options of libFuzzer] [folder of inputs]

BUILD holds the modules as clang builds them with `SANITIZE=address,undefined,fuzzer-no-link`:
libFuzzer sees which of their branches an input takes, and the sanitizers what it may not do.
Beside that, an input is a fault where instruction sets answer differently. Needs atheris, which
brings libFuzzer to Python, and its `asan_with_fuzzer.so` in `LD_PRELOAD`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import atheris
import numpy as np
from numpy.typing import NDArray

from tests.sanitized import load

Sizes = dict[str, int]


@dataclass(frozen=True, slots=True)
class Array:
    """An argument: its type, its shape in named sizes, and what its values count, if anything."""

    dtype: str
    shape: str
    below: str = ""  # values from 0 to less than this size
    rising: bool = False
    written: bool = False
    trusted: bool = False  # nothing else ever comes here


A = Array
CODES = A("u2", "t", below="k")
PASSAGES = (A("i8", "p1", below="t1", rising=True), A("i8", "r", below="p"))
COMPRESSED = (
    CODES,
    A("u1", "t w"),
    A("i1", "k d"),
    A("u1", "k", below="c"),
    A("i1", "c l"),
)
# The arguments of each kernel as native/module.c takes them.
KERNELS: dict[str, tuple[Array | str, ...]] = {
    "max_sim": (
        *(A("i1", "t d"), A("f4", "t"), *PASSAGES, A("i1", "n d"), A("f4", "n")),
        *(A("i8", "m1", below="n1", rising=True), A("f4", "m r", written=True), "part of r"),
    ),
    "max_sim_compressed": (
        *(*COMPRESSED, *PASSAGES, A("i1", "n d"), A("f4", "n")),
        *(A("f4", "r", written=True), "part of r"),
    ),
    "decode": (*COMPRESSED, A("i1", "t d", written=True), "part of t"),
    "encode": (
        *(A("i1", "t d"), CODES, A("i1", "k d"), A("u1", "k", below="c")),
        *(A("u1", "c differences"), "= bits", A("u1", "t w", written=True), "part of t"),
    ),
    "nearest": (
        *(A("i1", "t d"), A("i1", "k d"), A("i4", "k", below="penalty", trusted=True)),
        *(A("u2", "t", written=True), "part of t"),
    ),
    "nearest_listed": (
        *(A("i1", "t d"), A("i8", "p1", below="t1", rising=True), A("u2", "p n", below="k")),
        *(A("i1", "k d"), A("i4", "k", below="penalty", trusted=True)),
        *(A("u2", "t", written=True), "part of p"),
    ),
    "centroid_table": (
        *(A("i1", "k d"), A("i1", "n d"), A("f4", "lanes"), A("f4", "lanes")),
        *(A("u1", "k lanes", written=True), "part of k"),
    ),
    "centroid_max": (
        *(A("u1", "k lanes"), CODES, *PASSAGES),
        *(A("i4", "r", written=True), "part of r"),
    ),
    "probe": (A("u1", "k lanes"), A("i4", "n probed", written=True), "part of n"),
    "list_sums": (
        *(A("u2", "t", below="block"), A("i8", "b k1", below="t1", rising=True), "up to b"),
        *(A("i4", "n probed", below="k"), A("u1", "n probed"), A("u1", "n")),
        A("u2", "block", written=True),
    ),
    "units": (
        *(A("i1", "t d"), A("f4", "t"), A("f4", "d"), A("f4", "d d"), A("f4", "one")),
        *(A("i1", "t d", written=True), "part of t"),
    ),
    "ward": (
        *(A("i1", "t d"), A("i8", "p1", below="t1", rising=True), A("i8", "p", below="t")),
        *(A("f4", "p"), A("i4", "t", written=True), "part of p"),
    ),
    "top_i32": (A("i4", "t"), A("i8", "probed", written=True)),
    "top_u16": (A("u2", "t"), A("i8", "probed", written=True)),
}
LANES = 16
DIFFERENCES = 511
ODD = (-(2**63), -1, 2**15, 2**16, 2**31, 2**32, 2**63 - 1)


def sizes_of(data: atheris.FuzzedDataProvider) -> Sizes:
    """Sizes that fit together."""
    sizes = {name: data.ConsumeIntInRange(0, 40) for name in ("t", "r", "n", "m", "p", "probed")}
    sizes |= {"k": data.ConsumeIntInRange(1, 70), "c": data.ConsumeIntInRange(0, 5)}
    sizes |= {"b": data.ConsumeIntInRange(0, 3), "block": data.ConsumeIntInRange(0, 300)}
    bits, d = data.PickValueInList([2, 4]), 8 * data.ConsumeIntInRange(0, 18)
    sizes |= {"bits": bits, "d": d, "w": d * bits // 8, "l": 1 << bits, "penalty": 2**23}
    sizes |= {"one": 1, "lanes": -(-sizes["n"] // LANES) * LANES, "differences": DIFFERENCES}
    return sizes | {f"{name}1": sizes[name] + 1 for name in ("t", "n", "m", "p", "k")}


def array_of(array: Array, sizes: Sizes, data: atheris.FuzzedDataProvider) -> NDArray[Any]:
    """An array that fits, but for what the input makes odd: a length, or a value."""
    names = array.shape.split()
    shape = [sizes[name] for name in names]
    if data.ConsumeIntInRange(0, 63) == 63:
        axis = data.ConsumeIntInRange(0, len(shape) - 1)
        shape[axis] = data.ConsumeIntInRange(0, 80)
    random = np.random.default_rng(data.ConsumeIntInRange(0, 2**16))
    filled: NDArray[Any]
    if array.below:
        filled = random.integers(0, max(sizes[array.below], 1), shape)
        filled = np.sort(filled) if array.rising else filled
    elif array.dtype == "f4":
        filled = random.normal(size=shape)
    else:
        ends = np.iinfo(array.dtype)
        filled = random.integers(ends.min, ends.max, shape, endpoint=True)
    made = filled.astype(array.dtype)
    may_be_odd = made.size and array.dtype != "f4" and not array.trusted
    if may_be_odd and data.ConsumeIntInRange(0, 15) == 15:
        odd = data.PickValueInList([*ODD, data.ConsumeInt(8)])
        made.flat[data.ConsumeIntInRange(0, made.size - 1)] = np.int64(odd).astype(array.dtype)
    return made


def one_input(raw: bytes) -> None:
    """Call a kernel as the bytes say, with each instruction set."""
    data = atheris.FuzzedDataProvider(raw)
    name = data.PickValueInList(list(KERNELS))
    sizes = sizes_of(data)
    arguments: list[Any] = []
    for argument in KERNELS[name]:
        if isinstance(argument, Array):
            arguments.append(array_of(argument, sizes, data))
            continue
        rule, size = argument.rsplit(" ", 1)
        if rule == "=":
            arguments.append(sizes[size])
        elif rule == "up to":
            arguments.append(data.ConsumeIntInRange(0, sizes[size]))
        else:
            first = data.ConsumeIntInRange(0, sizes[size])
            arguments += [first, data.ConsumeIntInRange(first, sizes[size] + 1)]
    check(name, arguments)


def check(name: str, arguments: list[Any]) -> None:
    """The call is refused, or answers alike whatever the instruction set.

    Raises:
        AssertionError: it does not.
    """
    from retrieval.indexes.kernels import native  # once the build to be fuzzed is in its place

    (out,) = (i for i, a in enumerate(KERNELS[name]) if isinstance(a, Array) and a.written)
    answers: dict[str, Any] = {}
    for isa in native.available():
        native.use(isa)
        result = arguments[out].copy()
        try:
            getattr(native, name)(*arguments[:out], result, *arguments[out + 1 :])
        except ValueError as refused:
            answers[isa] = str(refused)
        else:
            answers[isa] = result.tobytes()
    assert len(set(answers.values())) == 1, f"{name}: {answers}"


def main() -> None:
    """Run libFuzzer until its options say that it is enough; it ends with 0 where all went well."""
    load(Path(sys.argv[1]))
    atheris.Setup([sys.argv[0], *sys.argv[2:]], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
